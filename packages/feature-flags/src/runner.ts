import { Breaker, type Attempt } from './breaker.js'
import type { Subject } from './context.js'
import { within } from './deadline.js'
import { isOn } from './decide.js'
import { explain } from './explain.js'
import type { FlagFailure, RanCall } from './news.js'
import type { Limits } from './options.js'
import { describeError, mayHaveApplied } from './outcome.js'
import type { Clock } from './ports.js'
import type { Runtime } from './runtime.js'
import { recover, trip, tripOf, tryAgain, type ChangeCause } from './runtime-state.js'
import type { RunOptions } from './scope.js'
import { count, findBooleanFlag, findFlag, type CompiledFlag, type Table, type Trip } from './table.js'
import { warn } from './warning.js'

/** What a runner needs of the flags. */
export interface RunnerHost {
  readonly clock: Clock
  readonly limits: Limits
  readonly runtime: Runtime
  /** Whether other processes see a trip, and fall back as well. */
  readonly sharesTrips: boolean
  /** How long a call that may be a trial waits for the others to agree, in milliseconds. */
  readonly timeoutMs: number
  readonly isUserError: ((error: unknown) => boolean) | undefined
  /** Whether the others cannot be asked at present. */
  isStale(): boolean
  current(): Table
  tellFailed(failure: Omit<FlagFailure, 'epoch'>): void
  /** Whom to tell of each call; `undefined` while nobody counts. */
  tellRan(): ((call: RanCall) => void) | undefined
  cause(why: string): ChangeCause
}

/** Runs operations by their flags, and trips a flag whose new path keeps failing. */
export class Runner {
  readonly #host: RunnerHost
  readonly #breakers = new Map<string, Breaker>()
  #hasWarned = false

  constructor(host: RunnerHost) {
    this.#host = host
  }

  /** From when on a fallen-back flag may be tried again, in monotonic ms. */
  retryAtMs(name: string): number | undefined {
    return this.#breakers.get(name)?.retryAtMs
  }

  /** Forgets the failures that were counted. */
  reset(name: string): void {
    this.#breakers.get(name)?.reset()
  }

  /** Takes over what was decided elsewhere: a trip, so many trials, or that the flag is well again. */
  follow(name: string, trip: Trip | undefined): void {
    if (trip === undefined) this.#breakers.get(name)?.letGo()
    else this.#breakerOf(name).hold(trip.trials, this.#host.clock.monotonic())
  }

  async run<On, Off>(
    name: string,
    table: Table,
    subject: Subject,
    on: () => On | PromiseLike<On>,
    off: () => Off | PromiseLike<Off>,
    options: RunOptions | undefined,
  ): Promise<On | Off> {
    const flag = findBooleanFlag(table, name)
    if (typeof on !== 'function' || typeof off !== 'function') {
      throw new TypeError(`run(${JSON.stringify(name)}) needs two functions, the new path and the old one`)
    }
    const isFlagOn = isOn(flag, subject)
    count(flag, isFlagOn ? 1 : 0)
    const begun = isFlagOn ? this.#breakerOf(name).begin() : this.#beginTrial(flag, table, subject)
    // Both paths are timed from the same moment: to wait for nothing would leave out what else the event loop has in hand.
    const attempt = begun instanceof Promise ? await begun : begun
    const startedMs = this.#host.clock.monotonic()
    if (attempt === undefined) return this.#runOld(name, subject, startedMs, off)
    let value: On
    try {
      value = await on()
    } catch (error) {
      const isFailure = !this.#isUserError(error)
      this.#ran(name, 'on', isFailure, startedMs, subject)
      // The user would make the same mistake with the old path, and the new one has shown that it works.
      if (!isFailure) {
        this.#succeeded(name, attempt)
        throw error
      }
      const isServed = options?.idempotent === true || !mayHaveApplied(error)
      this.#failed(name, { attempt, isServed }, error)
      if (!isServed) throw error
      return off()
    }
    this.#ran(name, 'on', false, startedMs, subject)
    this.#succeeded(name, attempt)
    return value
  }

  async #runOld<Off>(
    name: string,
    subject: Subject,
    startedMs: number,
    off: () => Off | PromiseLike<Off>,
  ): Promise<Off> {
    if (this.#host.tellRan() === undefined) return off()
    try {
      const value = await off()
      this.#ran(name, 'off', false, startedMs, subject)
      return value
    } catch (error) {
      this.#ran(name, 'off', !this.#isUserError(error), startedMs, subject)
      throw error
    }
  }

  #ran(flag: string, path: 'on' | 'off', isFailure: boolean, startedMs: number, { guildId, userId }: Subject): void {
    const tell = this.#host.tellRan()
    if (tell === undefined) return
    tell({ flag, path, isFailure, tookMs: this.#host.clock.monotonic() - startedMs, guildId, userId })
  }

  /** A trial, if the flag is fallen back, would be on but for that, and its delay is over. */
  #beginTrial(flag: CompiledFlag, table: Table, subject: Subject): Attempt | undefined | Promise<Attempt | undefined> {
    const { spec, fallenBack } = flag.record
    const breaker = this.#breakers.get(spec.name)
    const nowMs = this.#host.clock.monotonic()
    if (fallenBack === undefined || breaker?.retryAtMs === undefined || nowMs < breaker.retryAtMs) return undefined
    // A scope holds an older table. Neither what it has seen nor what holds now may say no.
    const isOnOtherwise = [table, this.#host.current()].every(
      (moment) => explain(findFlag(moment, spec.name).record, moment, subject, true).value === true,
    )
    if (!isOnOtherwise) return undefined
    const attempt = breaker.beginTrial(nowMs)
    return this.#host.sharesTrips && !this.#host.isStale() ? this.#claimTrial(spec.name, attempt) : attempt
  }

  /** One that throws tells nothing, and must not take the place of the error that it was asked about. */
  #isUserError(error: unknown): boolean {
    try {
      return this.#host.isUserError?.(error) === true
    } catch (problem) {
      if (!this.#hasWarned) {
        this.#hasWarned = true
        warn(
          'EVENKEEL_USER_ERROR',
          '`isUserError` threw, so the error that it was asked about counts as a failure',
          problem,
        )
      }
      return false
    }
  }

  /**
   * Of all processes one gets through: the others find that somebody tries already. Who hears of it too late has not got
   * through, and who cannot ask tries alone.
   */
  async #claimTrial(name: string, attempt: Attempt): Promise<Attempt | undefined> {
    const trials = tripOf(this.#host.runtime.state, name)?.trials
    if (trials === undefined) return undefined
    const { clock, timeoutMs, runtime } = this.#host
    const claim = (): Promise<boolean> => runtime.change(tryAgain(name, trials + 1))
    const isMine = await within(clock, timeoutMs, 'the store of flags', claim).catch(() => false)
    return isMine ? attempt : undefined
  }

  #succeeded(name: string, attempt: Attempt): void {
    if (!this.#breakerOf(name).succeeded(attempt, this.#host.clock.monotonic())) return
    const cause = this.#host.cause('a trial of the new path succeeded')
    this.#keep(recover(name, cause))
  }

  #failed(name: string, { attempt, isServed }: { attempt: Attempt; isServed: boolean }, error: unknown): void {
    const counted = this.#breakerOf(name).failed(attempt, this.#host.clock.monotonic())
    const failure = failureOf(name, { isTrial: attempt.isTrial, isServed }, error, this.#host.clock.now())
    this.#host.tellFailed(failure)
    if (counted === undefined) return
    const seconds = this.#host.limits.failureWindowMs / 1_000
    const last = `the last with: ${failure.why}`
    const cause = this.#host.cause(`${counted.failures} of ${counted.calls} calls failed in ${seconds} s, ${last}`)
    this.#keep(trip(name, cause))
  }

  #keep(change: ReturnType<typeof trip>): void {
    // That it is not stored is told as news of the store; here it is in force.
    void this.#host.runtime.change(change).catch(() => undefined)
  }

  #breakerOf(name: string): Breaker {
    let breaker = this.#breakers.get(name)
    if (breaker === undefined) this.#breakers.set(name, (breaker = new Breaker(this.#host.limits)))
    return breaker
  }
}

function failureOf(
  name: string,
  { isTrial, isServed }: { isTrial: boolean; isServed: boolean },
  error: unknown,
  at: number,
): Omit<FlagFailure, 'epoch'> {
  const why = describeError(error)
  const outcome = isServed
    ? 'the old path serves the call'
    : 'the caller gets the error, since the new path may have taken effect'
  const message = `The new path of ${JSON.stringify(name)} failed${isTrial ? ' its trial' : ''}, and ${outcome}: ${why}`
  return { what: name, from: 'on', to: isServed ? 'off' : 'error', at, why, severity: 'WARNING', message, error }
}
