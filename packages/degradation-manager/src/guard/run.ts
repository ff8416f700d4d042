import type { Admission, AdmissionOptions } from '../admission/admission.js'
import { REFUSED } from '../breaker/breaker-machine.js'
import { TimeoutError } from '../errors.js'
import { isForeignFailure, mayHaveApplied } from '../outcome.js'
import { pauseMs } from '../retry/retry-options.js'
import type { Deadline } from './deadlines.js'
import type { Guard, Wrap } from './guard.js'
import { holdsPlace, markHeld } from './held-places.js'
import { isThenable } from './thenable.js'

/** Why something is not waited for any more: the call's deadline, the deadline of one attempt, or the caller's signal. */
type End = 'deadline' | 'attempt' | 'abort'

/** The breaker was asked, and its permit is not given back yet. */
const NO_PERMIT = REFUSED

/**
 * One call of a guarded function: attempt after attempt, until one goes well or another makes no sense. It is the deadline
 * of that call too. Everything happens in `go`; the rest are its steps.
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

  #permit: number
  /** Whether a place is held, and the feature counted. */
  #isInside = false
  #hasBegun = false
  #placeMs = 0
  #startedMs: number
  /** Gives up what is being waited for now. */
  #stop: ((end: End) => void) | undefined
  #isAborted = false
  #isOver = false
  /** Whether the place is kept by work that is not waited for any more. */
  #isPlaceKept = false

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

  async go(): Promise<unknown> {
    const guard = this.#guard
    guard.deadlines?.add(this, guard.settings.timeoutMs)
    if (this.#asked.signal !== undefined) this.#listen(this.#asked.signal)
    for (let tries = 1; ; tries++) {
      try {
        if (!this.#enter()) await this.#waitForPlace()
        const value = await this.#start()
        this.#wentWell(value)
        return this.#wrap(value, undefined, undefined)
      } catch (error) {
        const isUserError = this.#isInside && guard.isUserError(error)
        this.#wentWrong(error, isUserError)
        if (isUserError || this.#isAborted) {
          this.#finish()
          throw error
        }
        if (!(await this.#mayTryAgain(tries, error))) {
          this.#finish()
          return guard.fallBackAfter(this.#self, this.#args, this.#wrap, error, this.#hasBegun)
        }
      }
    }
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

  /** Takes a place if there is one now. */
  #enter(): boolean {
    const admission = this.#admission
    if (admission !== undefined) {
      if (!admission.tryEnter()) return false
      this.#placeMs = admission.startedMs()
    }
    this.#inside()
    return true
  }

  #inside(): void {
    this.#isInside = true
    this.#guard.feature.inFlight++
  }

  async #waitForPlace(): Promise<void> {
    const guard = this.#guard
    const admission = this.#admission as Admission
    const { priority = guard.feature.priority, key = '' } = this.#asked
    // What the breaker said may not hold any more when a place is free.
    this.#returnPermit(undefined)
    this.#placeMs = await new Promise<number>((admit, refuse) => {
      const queued = admission.queue(priority, key, admit, refuse)
      this.#stop = (end) => {
        admission.leaveQueue(queued)
        refuse(end === 'abort' ? this.#reason : guard.noPlaceInTime(admission))
      }
    })
    this.#stop = undefined
    this.#inside()
    this.#askBreaker()
    if (guard.isTimed) this.#startedMs = guard.clock.monotonic()
  }

  #askBreaker(): void {
    const { breaker } = this.#guard.settings
    if (breaker === undefined) return
    this.#permit = breaker.enter()
    if (this.#permit === REFUSED) throw breaker.shed()
  }

  /** Calls the function; a promise of what it gives, or rejects when that is not waited for any more. */
  #start(): unknown {
    const guard = this.#guard
    const { signalled } = guard
    const controller = signalled === undefined ? undefined : new AbortController()
    if (controller !== undefined) markHeld(controller.signal, this.#asked.signal, this.#admission)
    this.#hasBegun = true
    const result =
      signalled !== undefined && controller !== undefined
        ? signalled.call(this.#self, controller.signal, ...this.#args)
        : guard.fn.apply(this.#self, this.#args)
    if ((guard.deadlines === undefined && this.#onAbort === undefined) || !isThenable(result)) return result
    return this.#follow(result, controller)
  }

  #follow(result: PromiseLike<unknown>, controller: AbortController | undefined): Promise<unknown> {
    const admission = this.#admission
    const { feature } = this.#guard
    const cancel = this.#limitAttempt()
    return new Promise((resolve, reject) => {
      let end: (() => void) | undefined
      const settled = (): void => {
        if (end === undefined) {
          this.#stop = undefined
          cancel?.()
        } else end()
      }
      this.#stop = (cause) => {
        this.#stop = undefined
        cancel?.()
        const error = cause === 'abort' ? this.#reason : this.#timeout(cause)
        // The place stays taken, and the feature counted, until the work has really ended.
        const overdue = admission?.overdue(this.#placeMs)
        end = () => {
          overdue?.end()
          feature.inFlight--
        }
        this.#isPlaceKept = true
        // The caller's own reason passes through, whatever it is.
        reject(error)
        controller?.abort(error)
      }
      void Promise.resolve(result).then(
        (value) => {
          settled()
          resolve(value)
        },
        (error: Error) => {
          settled()
          reject(error)
        },
      )
    })
  }

  #limitAttempt(): (() => void) | undefined {
    const { clock, settings } = this.#guard
    const timeoutMs = settings.retry?.timeoutMs
    return timeoutMs === undefined ? undefined : clock.after(timeoutMs, () => this.#stop?.('attempt'))
  }

  #timeout(cause: 'deadline' | 'attempt'): TimeoutError {
    const { name, settings } = this.#guard
    const timeoutMs = cause === 'attempt' ? (settings.retry?.timeoutMs ?? settings.timeoutMs) : settings.timeoutMs
    return new TimeoutError(name, cause === 'attempt' ? 'attempt' : 'call', timeoutMs, settings.idempotent)
  }

  get #reason(): Error {
    return this.#asked.signal?.reason as Error
  }

  #wentWell(value: unknown): void {
    const guard = this.#guard
    const tookMs = guard.isTimed ? guard.clock.monotonic() - this.#startedMs : 0
    this.#leave(false)
    if (this.#permit !== NO_PERMIT) guard.settings.breaker?.exit(this.#permit, false, tookMs)
    this.#finish()
    guard.wentWell(this.#self, this.#args, value, tookMs, this.#startedMs + tookMs)
  }

  #wentWrong(error: unknown, isUserError: boolean): void {
    const guard = this.#guard
    const saysNothing = isUserError || this.#isAborted || !isForeignFailure(error)
    this.#leave(saysNothing)
    this.#returnPermit(saysNothing ? undefined : true)
    if (isUserError) guard.tally.userErrors++
    else if (this.#isAborted) guard.tally.aborted++
  }

  #leave(isIgnored: boolean): void {
    if (!this.#isInside) return
    this.#isInside = false
    if (this.#isPlaceKept) {
      this.#isPlaceKept = false
      return
    }
    this.#guard.feature.inFlight--
    this.#admission?.leave(this.#placeMs, isIgnored)
  }

  #returnPermit(isFailed: boolean | undefined): void {
    if (this.#permit === NO_PERMIT) return
    const { isTimed, clock, settings } = this.#guard
    settings.breaker?.exit(this.#permit, isFailed, isTimed ? clock.monotonic() - this.#startedMs : 0)
    this.#permit = NO_PERMIT
  }

  /** Pauses, if another attempt is allowed, makes sense and fits into the time that is left. */
  async #mayTryAgain(tries: number, error: unknown): Promise<boolean> {
    const { settings, clock, tally } = this.#guard
    const { retry, idempotent } = settings
    if (retry === undefined || tries > retry.attempts || !isWorthIt(error)) return false
    if (!idempotent && mayHaveApplied(error)) return false
    if (retry.isRetryable !== undefined && !this.#guard.asks('isRetryable', retry.isRetryable, error)) return false
    const inMs = pauseMs(retry, tries, error)
    if (clock.monotonic() + inMs >= this.untilMs || !retry.budget.take()) return false
    await new Promise<void>((resume) => {
      const cancel = clock.after(inMs, resume)
      this.#stop = () => {
        cancel()
        resume()
      }
    })
    this.#stop = undefined
    if (this.#isAborted || this.#isOver) return false
    tally.retries++
    this.#permit = settings.breaker?.enter() ?? 0
    this.#startedMs = clock.monotonic()
    return this.#permit !== REFUSED
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
