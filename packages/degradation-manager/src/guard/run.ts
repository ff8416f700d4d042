import type { Admission, AdmissionOptions, Overdue } from '../admission/admission.js'
import { REFUSED } from '../breaker/breaker-machine.js'
import { TimeoutError } from '../errors.js'
import { isForeignFailure, mayHaveApplied } from '../outcome.js'
import { pauseMs } from '../retry/retry-options.js'
import { whenDue, type Deadline } from './deadlines.js'
import type { Guard, Refuser, Wrap } from './guard.js'
import { holdsPlace, markHeld, type HeldPlace } from './held-places.js'
import { follow, isThenable } from './thenable.js'

/** Why something is not waited for any more: the call's deadline, the deadline of one attempt, or the caller's signal. */
type End = 'deadline' | 'attempt' | 'abort'

/** The breaker was asked, and its permit is not given back yet. */
const NO_PERMIT = REFUSED

/**
 * One call of a guarded function: attempt after attempt, until one goes well or another makes no sense. It is the deadline
 * of that call too.
 *
 * The steps follow one another by callbacks: `go`, then `#attempt`, then `#wentWell` or `#wentWrong`. An async function
 * would make two more promises for each call, which cost as much as all that is decided here.
 */
export class Run implements Deadline {
  readonly untilMs: number
  previous: Deadline | undefined
  next: Deadline | undefined

  readonly #guard: Guard
  readonly #self: unknown
  readonly #args: unknown[]
  readonly #wrap: Wrap
  readonly #asked: AdmissionOptions
  /** Where it needs a place; undefined also where one is held for it further out. */
  readonly #admission: Admission | undefined
  #onAbort: (() => void) | undefined
  #resolve!: (value: unknown) => void
  #reject!: (error: unknown) => void

  /** How many attempts were begun, or waited for a place. */
  #tries = 0
  #permit: number
  /** Whether a place is held, and the feature counted. */
  #isInside = false
  #hasBegun = false
  #placeMs = 0
  #startedMs: number
  #controller: AbortController | undefined
  /** Its place, as it is marked on the signal. */
  #held: HeldPlace | undefined
  /** What the last attempt failed with, once there is a second one. */
  #failure: unknown
  /** Gives up what is being waited for now. */
  #stop: ((end: End) => void) | undefined
  #isAborted = false
  #isOver = false

  constructor(guard: Guard, self: unknown, args: unknown[], wrap: Wrap, permit: number, asked: AdmissionOptions) {
    const { admission } = guard.settings
    this.#guard = guard
    this.#self = self
    this.#args = args
    this.#wrap = wrap
    this.#permit = permit
    this.#asked = asked
    this.#admission = admission !== undefined && holdsPlace(asked.signal, admission) ? undefined : admission
    this.#startedMs = guard.isTimed ? guard.clock.monotonic() : 0
    this.untilMs = this.#startedMs + guard.settings.timeoutMs
    this.previous = undefined
    this.next = undefined
  }

  go(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#guard.deadlines?.add(this)
      if (this.#asked.signal !== undefined) this.#listen(this.#asked.signal)
      this.#attempt()
    })
  }

  /** Its time is up. */
  expire(): void {
    this.#isOver = true
    this.#stop?.('deadline')
  }

  #listen(signal: AbortSignal): void {
    this.#onAbort = () => {
      this.#isAborted = true
      this.#stop?.('abort')
    }
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  #attempt(): void {
    this.#tries++
    const admission = this.#admission
    if (admission !== undefined) {
      if (!admission.tryEnter()) return this.#waitForPlace(admission)
      this.#placeMs = admission.startedMs()
    }
    this.#begin()
  }

  #waitForPlace(admission: Admission): void {
    const { priority = this.#guard.feature.priority, key = '' } = this.#asked
    // What the breaker said may not hold any more when a place is free.
    this.#returnPermit(undefined)
    let isWaiting = true
    const came = (placeMs: number): void => {
      isWaiting = false
      this.#stop = undefined
      this.#placeMs = placeMs
      // Not within the call that has just left, or a long queue of quick calls would lie on the stack.
      queueMicrotask(() => this.#enterLate(admission))
    }
    const turnedAway = (error: unknown): void => {
      // Whoever was turned away a moment ago may have ended this call, whose turn to be turned away it was.
      if (!isWaiting) return
      isWaiting = false
      this.#stop = undefined
      this.#foundNoPlace(error)
    }
    const queued = admission.queue(priority, key, came, turnedAway)
    // It may have been turned away at once.
    if (!isWaiting) return
    this.#stop = (end) => {
      admission.leaveQueue(queued)
      turnedAway(end === 'abort' ? this.#reason : this.#guard.noPlaceInTime(admission))
    }
  }

  /** Its turn has come. */
  #enterLate(admission: Admission): void {
    const guard = this.#guard
    if (guard.isTimed) this.#startedMs = guard.clock.monotonic()
    if (this.#isAborted || this.#isOver) {
      admission.leave(this.#placeMs, true)
      return this.#foundNoPlace(this.#isAborted ? this.#reason : guard.noPlaceInTime(admission))
    }
    const refuser = this.#refusedNow()
    if (refuser === undefined) return this.#begin()
    admission.leave(this.#placeMs, true)
    if (this.#tries > 1) return this.#giveIn(this.#failure)
    this.#finish()
    this.#resolve(guard.refuse(this.#self, this.#args, this.#wrap, refuser, this.#asked.signal))
  }

  /** What was true when the call came need not be true any more when it has waited, or paused. */
  #refusedNow(): Refuser | undefined {
    const guard = this.#guard
    const { settings } = guard
    if (!guard.hasRoom()) return guard.refusal
    this.#permit = settings.breaker?.enter() ?? 0
    return this.#permit === REFUSED ? settings.breaker : undefined
  }

  /** Where an attempt was made already, what it failed with is what happened: to say that nothing was done would be wrong. */
  #foundNoPlace(error: unknown): void {
    if (this.#tries > 1 && !this.#isAborted) this.#giveIn(this.#failure)
    else this.#wentWrong(error)
  }

  /** Calls the function. A synchronous throw is a failure like any other. */
  #begin(): void {
    const guard = this.#guard
    this.#isInside = true
    this.#hasBegun = true
    guard.feature.inFlight++
    let result: unknown
    let isPending: boolean
    try {
      result = guard.signalled === undefined ? guard.fn.apply(this.#self, this.#args) : this.#pass(guard.signalled)
      isPending = isThenable(result)
    } catch (error) {
      return this.#wentWrong(error)
    }
    if (isPending) this.#follow(result as PromiseLike<unknown>)
    else this.#wentWell(result)
  }

  #pass(signalled: NonNullable<Guard['signalled']>): unknown {
    const { signal } = (this.#controller = new AbortController())
    this.#held = markHeld(signal, this.#asked.signal, this.#admission)
    return signalled.call(this.#self, signal, ...this.#args)
  }

  /** Waits for a result until it is given up. What comes later is dropped, an error too. */
  #follow(result: PromiseLike<unknown>): void {
    /** What to do at the end of work that nobody waits for any more; undefined while somebody does. */
    let late: (() => void) | undefined
    const cancel = this.#limitAttempt()
    this.#stop = (end) => {
      cancel?.()
      late = this.#giveUp(end)
    }
    const isInTime = (): boolean => {
      if (late !== undefined) {
        late()
        return false
      }
      this.#stop = undefined
      cancel?.()
      return true
    }
    void follow(
      Promise.resolve(result),
      (value) => {
        if (isInTime()) this.#wentWell(value)
      },
      (error) => {
        if (isInTime()) this.#wentWrong(error)
      },
    )
    // The function itself may have ended the call, before there was anything to give up.
    if (this.#isAborted) this.#stop('abort')
  }

  #limitAttempt(): (() => void) | undefined {
    const { clock, settings } = this.#guard
    const timeoutMs = settings.retry?.timeoutMs
    return timeoutMs === undefined ? undefined : whenDue(clock, timeoutMs, () => this.#stop?.('attempt'))
  }

  /** Gives up an attempt that is under way; returns what to do when its work ends after all. */
  #giveUp(end: End): () => void {
    this.#stop = undefined
    const { feature, clock } = this.#guard
    const error = end === 'abort' ? this.#reason : this.#timeout(end)
    // The place stays taken, and the feature counted, until the work has really ended.
    const overdue: Overdue | undefined = this.#admission?.overdue(this.#placeMs)
    const endInFeature = feature.overdue(clock.monotonic())
    this.#isInside = false
    const controller = this.#controller
    const held = this.#held
    this.#wentWrong(error)
    controller?.abort(error)
    return () => {
      if (held !== undefined) held.isHeld = false
      overdue?.end()
      endInFeature()
    }
  }

  #timeout(cause: 'deadline' | 'attempt'): TimeoutError {
    const { name, settings } = this.#guard
    const timeoutMs = cause === 'attempt' ? (settings.retry?.timeoutMs ?? settings.timeoutMs) : settings.timeoutMs
    return new TimeoutError(name, cause === 'attempt' ? 'attempt' : 'call', timeoutMs, settings.idempotent)
  }

  get #reason(): unknown {
    return this.#asked.signal?.reason as unknown
  }

  #wentWell(value: unknown): void {
    const guard = this.#guard
    const tookMs = guard.isTimed ? guard.clock.monotonic() - this.#startedMs : 0
    // Before the place is given back: whoever comes next is to meet a breaker that knows.
    if (this.#permit !== NO_PERMIT) guard.settings.breaker?.exit(this.#permit, false, tookMs)
    this.#leave(false)
    this.#finish()
    guard.wentWell(this.#self, this.#args, value, tookMs, this.#startedMs + tookMs)
    this.#resolve(this.#wrap(value, undefined, undefined))
  }

  #wentWrong(error: unknown): void {
    const guard = this.#guard
    const isUserError = this.#hasBegun && !this.#isAborted && guard.isUserError(error)
    const saysNothing = isUserError || this.#isAborted || !isForeignFailure(error)
    this.#returnPermit(saysNothing ? undefined : true)
    this.#leave(saysNothing)
    if (isUserError || this.#isAborted) {
      if (isUserError) guard.tally.userErrors++
      else guard.tally.aborted++
      this.#finish()
      return this.#reject(error)
    }
    if (!this.#triesAgain(error)) this.#giveIn(error)
  }

  /** No attempt has gone well: now it is for the fallbacks, or for the caller. */
  #giveIn(error: unknown): void {
    this.#finish()
    const guard = this.#guard
    if (!guard.hasFailed(error, this.#hasBegun)) return this.#reject(error)
    this.#resolve(guard.fallBack(this.#self, this.#args, this.#wrap, undefined, error, this.#asked.signal))
  }

  #leave(isIgnored: boolean): void {
    if (!this.#isInside) return
    this.#isInside = false
    if (this.#held !== undefined) this.#held.isHeld = false
    this.#guard.feature.inFlight--
    this.#admission?.leave(this.#placeMs, isIgnored)
  }

  #returnPermit(isFailed: boolean | undefined): void {
    if (this.#permit === NO_PERMIT) return
    const { isTimed, clock, settings } = this.#guard
    settings.breaker?.exit(this.#permit, isFailed, isTimed ? clock.monotonic() - this.#startedMs : 0)
    this.#permit = NO_PERMIT
  }

  /** Tries again after a pause, if that is allowed, makes sense and fits into the time that is left. */
  #triesAgain(error: unknown): boolean {
    const { settings, clock } = this.#guard
    const { retry, idempotent } = settings
    if (retry === undefined || this.#tries > retry.attempts || this.#isOver || !isWorthIt(error)) return false
    if (!idempotent && mayHaveApplied(error)) return false
    if (retry.isRetryable !== undefined && !this.#guard.asks('isRetryable', retry.isRetryable, error)) return false
    const inMs = pauseMs(retry, this.#tries, error)
    if (clock.monotonic() + inMs >= this.untilMs || !retry.budget.take()) return false
    this.#failure = error
    const cancel = clock.after(inMs, () => this.#tryAgain())
    this.#stop = (end) => {
      cancel()
      this.#stop = undefined
      if (end !== 'abort') return this.#giveIn(error)
      this.#guard.tally.aborted++
      this.#finish()
      this.#reject(this.#reason)
    }
    return true
  }

  #tryAgain(): void {
    this.#stop = undefined
    if (this.#refusedNow() !== undefined) return this.#giveIn(this.#failure)
    const { clock, tally } = this.#guard
    tally.retries++
    this.#startedMs = clock.monotonic()
    this.#attempt()
  }

  #finish(): void {
    this.#guard.deadlines?.remove(this)
    if (this.#onAbort !== undefined) this.#asked.signal?.removeEventListener('abort', this.#onAbort)
  }
}

/** An error may say itself that trying again is of no use, and a refusal under load must not become more load. */
function isWorthIt(error: unknown): boolean {
  try {
    const { retryable, code } = (error ?? {}) as { retryable?: unknown; code?: unknown }
    return retryable !== false && code !== 'SHED'
  } catch {
    return false
  }
}
