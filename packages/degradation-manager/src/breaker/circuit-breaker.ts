import { EventEmitter } from 'eventemitter3'
import { ShedError } from '../errors.js'
import type { Severity } from '../events.js'
import { checkByHand } from '../options.js'
import { isForeignFailure } from '../outcome.js'
import { warn } from '../warning.js'
import { BreakerMachine, REFUSED, type BreakerState } from './breaker-machine.js'
import { breakerSettings, type BreakerSettings, type CircuitBreakerOptions } from './breaker-options.js'

/** The breaker lets through more, or less, than before. */
export interface BreakerChange {
  /** The breaker's name. */
  readonly what: string
  /** The state before. */
  readonly from: BreakerState
  /** The state from now on. */
  readonly to: BreakerState
  /** When, epoch ms. */
  readonly at: number
  /** The reason, in words for an operator. */
  readonly why: string
  /** `WARNING` when it opens, else `INFO`. */
  readonly severity: Severity
  /** All of it in one sentence. */
  readonly message: string
}

/** The events of a {@link CircuitBreaker}. */
export interface CircuitBreakerEvents {
  /** It lets through more, or less, than before. */
  change: [change: BreakerChange]
}

/** What a {@link CircuitBreaker} sees in its window. */
export interface BreakerCounts {
  /** The calls in the window that counted. */
  readonly calls: number
  /** Those of them that failed. */
  readonly failures: number
  /** Those of them that were slow. */
  readonly slow: number
}

/**
 * Stops calling what keeps failing, and finds out by a few calls when it works again (circuit breaker).
 *
 * @remarks
 * Closed, it lets everything through. When too large a share of the newest calls has failed or was slow, it opens: calls are
 * refused at once. After `openMs` it lets `trialCalls` through (half-open). If all of them succeed, it lets through twice as
 * many at once, then twice as many again, until nobody is refused any more (recovering); if one fails, it opens for twice as
 * long as before.
 *
 * It has no timer: when a call comes it looks at the time. The answer to a call that was begun before the last change is not
 * counted.
 *
 * *Gotchas*: `state` is as of the last call, so an idle breaker stays `open` after its time. What a call rejects with
 * counts as a failure, also the user's own mistakes, unless a guard knows better by its `isUserError`.
 *
 * @see Michael T. Nygard, *Release It!* (2007), "Circuit Breaker"
 *
 * @example
 * ```ts
 * import { CircuitBreaker } from '@evenkeel/degradation-manager'
 *
 * const breaker = new CircuitBreaker({ name: 'translation service', windowCalls: 5, minCalls: 5 })
 * const down = (): Promise<string> => Promise.reject(new Error('ECONNREFUSED'))
 * for (let call = 0; call < 5; call++) await breaker.run(down).catch(() => {})
 * console.log(breaker.state) // => open
 * const refused = await breaker.run(down).catch((error) => error.code)
 * console.log(refused) // => SHED
 * ```
 */
export class CircuitBreaker extends EventEmitter<CircuitBreakerEvents> {
  /**
   * Whether it wants to know how long calls take.
   *
   * @internal
   */
  readonly isTimed: boolean
  readonly #hasTimeWindow: boolean
  readonly #settings: BreakerSettings
  readonly #machine: BreakerMachine
  #whyOpen = ''

  /**
   * Checks the options, and does nothing else.
   *
   * @throws TypeError or RangeError when an option does not exist, contradicts another or is out of range
   */
  constructor(options: CircuitBreakerOptions = {}) {
    super()
    this.#settings = breakerSettings(options)
    this.#hasTimeWindow = this.#settings.windowMs !== undefined
    this.isTimed = this.#settings.slowCallMs !== Infinity
    this.#machine = new BreakerMachine(this.#settings, (from, to, why) => this.#tell(from, to, why))
  }

  /** What to call it. */
  get name(): string {
    return this.#settings.name
  }

  /** What it does, as of the last call. */
  get state(): BreakerState {
    return this.#machine.hold?.state ?? this.#machine.state
  }

  /** What it sees in its window. */
  get counts(): BreakerCounts {
    const { window } = this.#machine
    if (this.#settings.windowMs !== undefined) window.forget(this.#settings.clock.monotonic())
    const { calls, failures, slow } = window
    return { calls, failures, slow }
  }

  /**
   * Calls a function, unless it is open.
   *
   * @param work - what to call
   * @returns what it returned; what it throws passes through
   * @throws {@link ShedError} while it is open
   */
  async run<T>(work: () => T | PromiseLike<T>): Promise<T> {
    const permit = this.enter()
    if (permit === REFUSED) throw this.shed()
    const { clock } = this.#settings
    const startedMs = this.isTimed ? clock.monotonic() : 0
    try {
      const value = await work()
      this.exit(permit, false, this.isTimed ? clock.monotonic() - startedMs : 0)
      return value
    } catch (error) {
      this.exit(permit, isForeignFailure(error) ? true : undefined, this.isTimed ? clock.monotonic() - startedMs : 0)
      throw error
    }
  }

  /**
   * Opens or closes it by hand: it stays so, whatever happens, until the time is over or {@link CircuitBreaker.release}.
   *
   * @param state - `open` refuses every call, `closed` lets every call through
   * @param options - why, and for how long
   * @throws TypeError when there is no such state, or no reason
   * @throws RangeError when the time is not a positive number
   */
  hold(state: 'open' | 'closed', options: { readonly why: string; readonly forMs?: number | undefined }): void {
    if (state !== 'open' && state !== 'closed') throw new TypeError(`hold takes open or closed, not ${String(state)}`)
    checkByHand('hold', options, ['why', 'forMs'])
    const { why, forMs = Infinity } = options
    const from = this.state
    this.#machine.holdAs({ state, why, untilMs: this.#settings.clock.monotonic() + forMs })
    const whyHeld = `held by hand: ${why}`
    if (from === state) this.#whyOpen = whyHeld
    else this.#tell(from, state, whyHeld)
  }

  /**
   * Lets it decide by itself again, beginning closed. Does nothing when nobody holds it.
   *
   * @param options - why
   * @throws TypeError when there is no reason
   */
  release(options: { readonly why: string }): void {
    checkByHand('release', options, ['why'])
    this.#machine.release(`released by hand: ${options.why}`)
  }

  /**
   * A permit for one call, or {@link REFUSED}.
   *
   * @internal
   */
  enter(): number {
    const machine = this.#machine
    return machine.isQuiet ? machine.generation : machine.enter(this.#settings.clock.monotonic())
  }

  /**
   * A call has ended; `isFailed` undefined: that says nothing about what was called.
   *
   * @internal
   */
  exit(permit: number, isFailed: boolean | undefined, tookMs: number): void {
    const machine = this.#machine
    const isSlow = this.isTimed && tookMs >= this.#settings.slowCallMs
    // The time is needed only by a window of time, by what opens it, and by what has been opened.
    const needsTime = this.#hasTimeWindow || isFailed === true || isSlow || !machine.isQuiet
    machine.exit(permit, isFailed, isSlow, needsTime ? this.#settings.clock.monotonic() : 0)
  }

  /** @internal */
  get why(): string {
    return `the breaker "${this.name}" is ${this.state}: ${this.#whyOpen}`
  }

  /** @internal */
  shed(): ShedError {
    return new ShedError(this.name, this.why, this.#machine.retryAfterMs(this.#settings.clock.monotonic()))
  }

  #tell(from: BreakerState, to: BreakerState, why: string): void {
    this.#whyOpen = why
    if (this.listenerCount('change') === 0) return
    const change: BreakerChange = {
      what: this.name,
      from,
      to,
      at: this.#settings.clock.now(),
      why,
      severity: to === 'open' ? 'WARNING' : 'INFO',
      message: `The breaker "${this.name}" went from ${from} to ${to}: ${why}.`,
    }
    try {
      this.emit('change', change)
    } catch (error) {
      warn(`A listener of the breaker "${this.name}" threw`, error)
    }
  }
}
