import type { AdmissionOptions } from '../admission/admission.js'
import { checkPriority, type Admission } from '../admission/admission.js'
import { REFUSED } from '../breaker/breaker-machine.js'
import { FallbackError, ShedError, TimeoutError } from '../errors.js'
import type { Feature } from '../features.js'
import { describeError, isForeignFailure, mayHaveApplied } from '../outcome.js'
import type { Clock } from '../ports.js'
import { warn } from '../warning.js'
import { signalTaker, type AnyFunction, type Callable } from '../with-signal.js'
import type { AnswerCache } from './answer-cache.js'
import { Deadlines } from './deadlines.js'
import type { FallbackStep } from './fallback.js'
import type { GuardSettings } from './guard-options.js'
import { Latencies } from './latencies.js'
import type { DrillReport, DrillStep, GuardStats, Outcome } from './outcomes.js'
import { Run } from './run.js'
import { serve } from './serve.js'
import { follow, isThenable, rejected } from './thenable.js'

/** Whoever turned a call away, and can say why. */
export interface Refuser {
  readonly why: string
  shed(): ShedError
}

/** What a guard asks of whoever made it. */
export interface Gate {
  readonly clock: Clock
  /** The list of those deadlines that lie equally far ahead. */
  deadlines(timeoutMs: number): Deadlines
  /** Says why a feature is not served as usual. */
  refusal(feature: Feature): Refuser
  /** A fallback has answered; `why` is a function, for nobody may want to know. */
  fellBack(name: string, why: () => string, error: unknown): void
  /** Fallbacks were tried out. */
  drilled(name: string, report: DrillReport): void
}

/** Makes what the caller gets from the value and, when a fallback gave it, the reason and its age. */
export type Wrap = (value: unknown, why: (() => string) | undefined, ageMs: number | undefined) => unknown

/** The caller gets the value alone. */
export const plainValue: Wrap = (value) => value

/** The caller gets an {@link Outcome}. */
export const asOutcome: Wrap = (value, why, ageMs): Outcome<unknown> => ({
  value,
  degraded: why !== undefined,
  why: why?.(),
  ageMs,
})

const nothingAsked: AdmissionOptions = {}

/** One guarded function: what bounds it, and what became of its calls. */
export class Guard {
  readonly name: string
  readonly clock: Clock
  readonly feature: Feature
  readonly fn: Callable
  /** The function as it takes a signal; undefined when it takes none. */
  readonly signalled: Callable | undefined
  readonly settings: GuardSettings
  readonly deadlines: Deadlines | undefined
  /** Whether it looks at the clock: for the deadline, and for a breaker that wants to know what is slow. */
  readonly isTimed: boolean
  readonly tally = {
    calls: 0,
    succeeded: 0,
    failed: 0,
    timedOut: 0,
    userErrors: 0,
    aborted: 0,
    refused: 0,
    retries: 0,
    fellBack: 0,
  }
  readonly #gate: Gate
  /** Made when the first call ends, so that an idle guard has none. */
  #latencies: Latencies | undefined
  readonly #isDirect: boolean
  /** Those that keep good answers; undefined when there is none. */
  readonly #caches: readonly AnswerCache<unknown, unknown[]>[] | undefined
  #nextDrillMs: number

  constructor(gate: Gate, feature: Feature, fn: AnyFunction, settings: GuardSettings) {
    const { breaker, timeoutMs, drillEveryMs, call, retry } = settings
    this.name = feature.name
    this.clock = gate.clock
    this.feature = feature
    this.fn = fn as Callable
    this.signalled = signalTaker(fn)
    this.settings = settings
    this.#gate = gate
    this.deadlines = this.#deadlinesOf(timeoutMs)
    this.isTimed = this.deadlines !== undefined || breaker?.isTimed === true
    this.#isDirect = !this.isTimed && call === undefined && retry === undefined && this.signalled === undefined
    const caches = settings.fallbacks.flatMap(({ cache }) => cache ?? [])
    this.#caches = caches.length === 0 ? undefined : caches
    this.#nextDrillMs = drillEveryMs === Infinity ? Infinity : gate.clock.monotonic() + drillEveryMs
  }

  /** All counts, as of now. */
  get stats(): GuardStats {
    return { ...this.tally, latencyMs: (this.#latencies ?? new Latencies()).summary() }
  }

  /** Makes one call. */
  call(self: unknown, args: unknown[], wrap: Wrap): Promise<unknown> {
    this.tally.calls++
    const { breaker, call, retry } = this.settings
    if (call !== undefined) return this.#callAsAsked(self, args, wrap, call)
    if (!this.hasRoom()) return this.refuse(self, args, wrap, this.refusal, undefined)
    const permit = breaker === undefined ? 0 : breaker.enter()
    if (permit === REFUSED) return this.refuse(self, args, wrap, breaker as Refuser, undefined)
    retry?.budget.called()
    if (this.#isDirect) return this.#direct(self, args, wrap, permit)
    return new Run(this, self, args, wrap, permit, nothingAsked).go()
  }

  /** The same, for a call that has wishes of its own. Who has gone already is not served in any way. */
  #callAsAsked(self: unknown, args: unknown[], wrap: Wrap, ask: NonNullable<GuardSettings['call']>): Promise<unknown> {
    const { breaker, retry } = this.settings
    let asked: AdmissionOptions
    try {
      asked = ask.apply(self, args)
      checkPriority(asked.priority)
      if (asked.signal?.aborted === true) {
        this.tally.aborted++
        return rejected(asked.signal.reason)
      }
    } catch (error) {
      this.tally.failed++
      return rejected(error)
    }
    if (!this.hasRoom()) return this.refuse(self, args, wrap, this.refusal, asked.signal)
    const permit = breaker === undefined ? 0 : breaker.enter()
    if (permit === REFUSED) return this.refuse(self, args, wrap, breaker as Refuser, asked.signal)
    retry?.budget.called()
    return new Run(this, self, args, wrap, permit, asked).go()
  }

  /**
   * Without a deadline, a signal or a retry there is nothing to give up and nothing to repeat: a call needs no `Run`, and
   * no frame of an async function, which costs as much as all the bounds together.
   */
  #direct(self: unknown, args: unknown[], wrap: Wrap, permit: number): Promise<unknown> {
    const { admission } = this.settings
    if (admission !== undefined && !admission.tryEnter()) {
      return new Run(this, self, args, wrap, permit, nothingAsked).go()
    }
    const placeMs = admission === undefined ? 0 : admission.startedMs()
    this.feature.inFlight++
    return follow(
      this.#made(self, args),
      (value): unknown => {
        this.#leave(placeMs, permit, false)
        this.wentWell(self, args, value, 0, 0)
        return wrap(value, undefined, undefined)
      },
      (error: unknown) => {
        const isUserError = this.isUserError(error)
        this.#leave(placeMs, permit, isUserError || !isForeignFailure(error) ? undefined : true)
        if (isUserError) this.tally.userErrors++
        else if (this.hasFailed(error, true)) return this.fallBack(self, args, wrap, undefined, error, undefined)
        throw error
      },
    )
  }

  /** Calls the function. A synchronous throw is a rejection like any other. */
  #made(self: unknown, args: unknown[]): Promise<unknown> {
    try {
      return Promise.resolve(this.fn.apply(self, args))
    } catch (error) {
      return rejected(error)
    }
  }

  /** `isFailed` undefined: how it ended says nothing about what was called. */
  #leave(placeMs: number, permit: number, isFailed: boolean | undefined): void {
    const { breaker, admission } = this.settings
    this.feature.inFlight--
    // Before the place is given back: whoever comes next is to meet a breaker that knows.
    if (breaker !== undefined) breaker.exit(permit, isFailed, 0)
    if (admission !== undefined) admission.leave(placeMs, isFailed === undefined)
  }

  /** Whether the feature takes one more call. */
  hasRoom(): boolean {
    const { feature } = this
    return feature.hasRoom || (feature.isAllowed && feature.reclaim(this.clock.monotonic()))
  }

  /** An attempt went well. */
  wentWell(self: unknown, args: unknown[], value: unknown, tookMs: number, nowMs: number): void {
    this.tally.succeeded++
    if (this.isTimed) (this.#latencies ??= new Latencies()).record(tookMs)
    if (this.#caches !== undefined) for (const cache of this.#caches) this.#keep(cache, args, value)
    if (this.#nextDrillMs !== Infinity) this.#drillWhenDue(self, args, nowMs)
  }

  /** All attempts have failed; whether it is for the fallbacks now, or for the caller. */
  hasFailed(failure: unknown, hasBegun: boolean): boolean {
    if (hasBegun) this.tally.failed++
    else this.tally.refused++
    if (failure instanceof TimeoutError) this.tally.timedOut++
    const { fallbacks, idempotent } = this.settings
    // What may have taken effect is not done again in another way.
    return fallbacks.length > 0 && (idempotent || !mayHaveApplied(failure))
  }

  /** Tries out the fallbacks, and tells which of them work. */
  async drill(self: unknown, args: unknown[]): Promise<DrillReport> {
    const steps: DrillStep[] = []
    for (const step of this.settings.fallbacks) {
      const startedMs = this.clock.monotonic()
      const error = await Promise.resolve()
        .then(() => this.#serve(step.drill ?? step, self, args, undefined))
        .then(
          () => undefined,
          (thrown: unknown) => ({ thrown }),
        )
      const tookMs = this.clock.monotonic() - startedMs
      steps.push({ name: step.name, works: error === undefined, tookMs, error: error?.thrown })
    }
    const report: DrillReport = { works: steps.length > 0 && steps.every(({ works }) => works), steps }
    this.#gate.drilled(this.name, report)
    return report
  }

  isUserError(error: unknown): boolean {
    const { isUserError } = this.settings
    return isUserError !== undefined && this.asks('isUserError', isUserError, error)
  }

  /** Asks a predicate of the user's, which may throw: then the answer is no. */
  asks(name: string, predicate: (error: unknown) => boolean, error: unknown): boolean {
    try {
      return predicate(error) === true
    } catch (bug) {
      warn(`${name} of "${this.name}" threw, which counts as false`, bug)
      return false
    }
  }

  noPlaceInTime(admission: Admission): ShedError {
    const { timeoutMs } = this.settings
    return new ShedError(this.name, `no place became free in ${admission.name} within ${timeoutMs} ms`, timeoutMs)
  }

  /** Whoever says no while the feature has no room. */
  get refusal(): Refuser {
    return this.#gate.refusal(this.feature)
  }

  /** The call is not begun. */
  refuse(
    self: unknown,
    args: unknown[],
    wrap: Wrap,
    refuser: Refuser,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    this.tally.refused++
    if (this.settings.fallbacks.length === 0) return Promise.reject(refuser.shed())
    return this.fallBack(self, args, wrap, refuser, undefined, signal)
  }

  /** Asks one fallback after the other, because a call was refused, or failed. */
  async fallBack(
    self: unknown,
    args: unknown[],
    wrap: Wrap,
    refuser: Refuser | undefined,
    failure: unknown,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    let why = (): string => (refuser === undefined ? `the call failed: ${describeError(failure)}` : refuser.why)
    let last: unknown
    let isUnclear = false
    for (const step of this.settings.fallbacks) {
      try {
        const kept = step.cache?.find(args)
        const given = kept === undefined ? this.#serve(step, self, args, signal) : kept.value
        let value = given
        if (isThenable(given)) {
          // It is asked now, and when the answer comes another reason may hold, or none.
          const whyNow = why()
          why = () => whyNow
          value = await given
        }
        this.tally.fellBack++
        this.#gate.fellBack(this.name, why, failure)
        return wrap(value, why, kept?.ageMs)
      } catch (error) {
        if (signal?.aborted === true || this.isUserError(error)) throw error
        last = error
        isUnclear ||= mayHaveApplied(error)
        if (!this.settings.idempotent && isUnclear) break
      }
    }
    throw new FallbackError(this.name, why(), failure, last, isUnclear || mayHaveApplied(failure))
  }

  #serve(step: FallbackStep, self: unknown, args: unknown[], signal: AbortSignal | undefined): unknown {
    if (step.cache !== undefined) return step.cache.find(args).value
    const { timeoutMs, idempotent } = this.settings
    return serve(step, self, args, signal, (ownMs = timeoutMs) => ({
      deadlines: ownMs === timeoutMs ? this.deadlines : this.#deadlinesOf(ownMs),
      timeoutMs: ownMs,
      untilMs: this.clock.monotonic() + ownMs,
      error: () => new TimeoutError(this.name, step.label, ownMs, idempotent),
    }))
  }

  /** Whole lengths share a list. Those that are computed, what is left of three seconds say, would be ever new ones to keep. */
  #deadlinesOf(timeoutMs: number): Deadlines | undefined {
    if (timeoutMs === Infinity) return undefined
    return Number.isInteger(timeoutMs) ? this.#gate.deadlines(timeoutMs) : new Deadlines(this.clock, timeoutMs)
  }

  #keep(cache: AnswerCache<unknown, unknown[]>, args: unknown[], value: unknown): void {
    try {
      cache.keep(args, value)
    } catch (bug) {
      warn(`The key of the kept answers of "${this.name}" threw, and this answer is not kept`, bug)
    }
  }

  #drillWhenDue(self: unknown, args: unknown[], nowMs: number): void {
    const atMs = this.isTimed ? nowMs : this.clock.monotonic()
    if (atMs < this.#nextDrillMs) return
    this.#nextDrillMs = atMs + this.settings.drillEveryMs
    void this.drill(self, args)
  }
}
