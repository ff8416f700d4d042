import { EventEmitter } from 'eventemitter3'
import { ShedError } from '../errors.js'
import { describeError } from '../outcome.js'
import { priorities, type Priority } from '../priority.js'
import { warn } from '../warning.js'
import { ConcurrencyLimit } from './concurrency-limit.js'
import { limiterSettings, type AdaptiveLimiterOptions, type LimiterSettings } from './limiter-options.js'
import { WaitingRoom, type Waiting } from './waiting-room.js'

/** How one call is let in. */
export interface AdmissionOptions {
  /**
   * How much it matters: the most important is let in first, and the least important turned away first.
   *
   * @defaultValue `'normal'`
   */
  readonly priority?: Priority | undefined
  /** In whose name it is, a guild's id for instance: of the same priority, everyone gets the same share. */
  readonly key?: string | undefined
  /** Stops waiting. A call that was let in already is not touched. */
  readonly signal?: AbortSignal | undefined
}

/** A place. Whoever got it gives it back when the work has really ended. */
export interface Place {
  /**
   * Gives it back; a second time does nothing.
   *
   * @param outcome - `ignored` when how long it took says nothing: a mistake of the user's, or an answer from a cache
   */
  release(outcome?: 'ignored'): void
}

/** What became of all calls so far. */
export interface LimiterCounts {
  /** Let in. */
  readonly admitted: number
  /** Turned away because the room was full. */
  readonly refused: number
  /** Turned away because they had waited too long. */
  readonly expired: number
  /** Gone by their own signal. */
  readonly aborted: number
}

/** A limiter has begun, or ceased, to turn calls away. */
export interface LimiterChange {
  /** The limiter's name. */
  readonly what: string
  /** `up` while everyone is let in, `degraded` while some are turned away. */
  readonly from: 'up' | 'degraded'
  /** How it is now. */
  readonly to: 'up' | 'degraded'
  /** When, epoch ms. */
  readonly at: number
  /** The reason, in words for an operator. */
  readonly why: string
  /** `WARNING` when it begins to turn away. */
  readonly severity: 'INFO' | 'WARNING'
  /** All of it in one sentence. */
  readonly message: string
}

/** The events of an {@link AdaptiveLimiter}. */
export interface AdaptiveLimiterEvents {
  /** It has begun, or ceased, to turn calls away. */
  change: [change: LimiterChange]
}

interface Queued extends Waiting {
  readonly admit: (place: Place) => void
  readonly refuse: (error: unknown) => void
  readonly cleanUp: () => void
}

/** Nobody was turned away for so long: then it is over, ms. */
const CALM_MS = 10_000

/**
 * Lets in as many calls at once as do the most good, which it finds out by itself, and of those that wait the most
 * important first (adaptive concurrency limit with priorities).
 *
 * @remarks
 * Critical and high calls wait in the order in which they came; of normal and optional ones the newest is served first, for
 * its caller is still there. Of the same priority every key gets the same share. One place in fifty goes to the priority
 * that was passed over longest. Whoever waits for longer than `maxWaitMs` is turned away, and so is, when the room is full,
 * the least important.
 *
 * The limit is found by comparing, again and again, how long calls take with a little more and a little less of them in
 * flight. Nothing is learnt while there are fewer calls than places.
 *
 * *Gotchas*: a place is held until the work has really ended. Work that never ends holds it for ever: let what is inside have
 * a deadline that ends it. Calls that differ a lot in what they take are better served by a limiter each.
 *
 * @example
 * ```ts
 * import { AdaptiveLimiter, ShedError } from '@evenkeel/degradation-manager'
 *
 * const limiter = new AdaptiveLimiter({ name: 'database', maxWaiting: 0, maxLimit: 1 })
 * const slow = limiter.run(() => new Promise((resolve) => setTimeout(resolve, 20)), { priority: 'high', key: 'guild 1' })
 * const refused = await limiter.run(() => 'served', { priority: 'optional' }).catch((error) => error instanceof ShedError)
 * console.log(refused) // => true
 * await slow
 * console.log(await limiter.run(() => 'served')) // => served
 * ```
 */
export class AdaptiveLimiter extends EventEmitter<AdaptiveLimiterEvents> {
  readonly #settings: LimiterSettings
  readonly #limit: ConcurrencyLimit
  readonly #room: WaitingRoom<Queued>
  #inFlight = 0
  #counts = { admitted: 0, refused: 0, expired: 0, aborted: 0 }
  /** One timer for all who wait; none when nobody does. */
  #expiry: { readonly atMs: number; readonly cancel: () => void } | undefined
  #isTurningAway = false
  #lastAwayMs = 0

  /**
   * Checks the options, and does nothing else.
   *
   * @throws TypeError or RangeError when an option does not exist, contradicts another or is out of range
   */
  constructor(options: AdaptiveLimiterOptions = {}) {
    super()
    this.#settings = limiterSettings(options)
    this.#limit = new ConcurrencyLimit(this.#settings)
    this.#room = new WaitingRoom(this.#settings.maxWaiting)
  }

  /** What to call it. */
  get name(): string {
    return this.#settings.name
  }

  /** How many calls at once are best, as far as it knows. */
  get limit(): number {
    return this.#limit.settled
  }

  /** How many calls have a place. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** How many calls wait. */
  get waiting(): number {
    return this.#room.size
  }

  /** How full it is, from 0 to 1: a pressure for the rules of a `DegradationManager`. 1 while any call waits. */
  get pressure(): number {
    if (this.#room.size > 0) return 1
    return Math.min(1, this.#inFlight / this.#limit.settled)
  }

  /** What became of all calls so far. */
  get counts(): LimiterCounts {
    return { ...this.#counts }
  }

  /**
   * Runs a function as soon as there is a place, and gives the place back when its promise settles.
   *
   * @param work - what to run
   * @param options - how much it matters, and in whose name it is
   * @returns what it returned; what it throws passes through
   * @throws {@link ShedError} when there is no place for it
   * @throws the signal's reason when it aborts before there is a place
   */
  async run<T>(work: () => T | PromiseLike<T>, options?: AdmissionOptions): Promise<T> {
    const place = this.#hasRoom ? this.#enter() : await this.acquire(options)
    try {
      return await work()
    } finally {
      place.release()
    }
  }

  /**
   * Waits for a place.
   *
   * @param options - how much the call matters, and in whose name it is
   * @returns the place; give it back when the work has really ended
   * @throws {@link ShedError} when there is no place for it
   * @throws the signal's reason when it aborts before there is a place
   * @throws TypeError when the priority does not exist
   */
  acquire({ priority = 'normal', key = '', signal }: AdmissionOptions = {}): Promise<Place> {
    if (!priorities.includes(priority)) {
      throw new TypeError(`priority is ${String(priority)}; it can be ${priorities.join(', ')}`)
    }
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error)
    if (this.#hasRoom) return Promise.resolve(this.#enter())
    return this.#wait(priority, key, signal)
  }

  get #hasRoom(): boolean {
    return this.#inFlight < this.#limit.now && this.#room.size === 0
  }

  #wait(priority: Priority, key: string, signal: AbortSignal | undefined): Promise<Place> {
    const { clock, maxWaitMs } = this.#settings
    return new Promise<Place>((admit, refuse) => {
      const untilMs = clock.monotonic() + maxWaitMs[priority]
      const onAbort = (): void => {
        this.#room.leave(entry)
        this.#counts.aborted++
        // Whatever the caller gave as the reason.
        refuse(signal?.reason as Error)
      }
      const cleanUp = (): void => signal?.removeEventListener('abort', onAbort)
      const entry: Queued = { priority, key, untilMs, admit, refuse, cleanUp }
      signal?.addEventListener('abort', onAbort, { once: true })
      const away = this.#room.enter(entry)
      if (away !== undefined) {
        this.#counts.refused++
        this.#turnAway(away, `${this.name} has ${this.#inFlight} calls under way and ${this.waiting} that wait`)
      }
      this.#watchExpiry(untilMs)
    })
  }

  #enter(): Place {
    const { clock } = this.#settings
    const startedMs = clock.monotonic()
    this.#inFlight++
    this.#counts.admitted++
    this.#limit.began(startedMs, this.#inFlight)
    let isHeld = true
    return {
      release: (outcome) => {
        if (!isHeld) return
        isHeld = false
        this.#leave(startedMs, outcome)
      },
    }
  }

  #leave(startedMs: number, outcome: 'ignored' | undefined): void {
    const nowMs = this.#settings.clock.monotonic()
    this.#inFlight--
    if (outcome === 'ignored') this.#limit.leftOut(nowMs, this.#inFlight)
    else {
      const { size, isUrgent } = this.#room
      this.#limit.ended(nowMs, nowMs - startedMs, this.#inFlight, { isWaiting: size > 0, isUrgent })
    }
    this.#letIn(nowMs)
  }

  #letIn(nowMs: number): void {
    while (this.#inFlight < this.#limit.now) {
      const entry = this.#room.next()
      if (entry === undefined) return
      if (entry.untilMs <= nowMs) {
        this.#expire(entry)
        continue
      }
      entry.cleanUp()
      entry.admit(this.#enter())
    }
  }

  #watchExpiry(atMs: number): void {
    if (this.#expiry !== undefined) {
      if (this.#expiry.atMs <= atMs) return
      this.#expiry.cancel()
    }
    this.#expiry = undefined
    if (atMs === Infinity) return
    const { clock } = this.#settings
    const cancel = clock.after(Math.max(0, atMs - clock.monotonic()), () => {
      this.#expiry = undefined
      for (const entry of this.#room.expired(clock.monotonic())) this.#expire(entry)
      this.#watchExpiry(this.#room.earliestMs)
    })
    this.#expiry = { atMs, cancel }
  }

  #expire(entry: Queued): void {
    this.#counts.expired++
    this.#turnAway(entry, `no place became free in ${this.name} within ${this.#settings.maxWaitMs[entry.priority]} ms`)
  }

  #turnAway(entry: Queued, why: string): void {
    entry.cleanUp()
    entry.refuse(new ShedError(this.name, why, this.#retryAfterMs(entry.priority), ''))
    this.#lastAwayMs = this.#settings.clock.monotonic()
    if (this.#isTurningAway) return
    this.#isTurningAway = true
    this.#tell('degraded', why)
    this.#watchCalm()
  }

  #watchCalm(): void {
    const { clock } = this.#settings
    const inMs = this.#lastAwayMs + CALM_MS - clock.monotonic()
    if (inMs > 0) {
      clock.after(inMs, () => this.#watchCalm())
      return
    }
    this.#isTurningAway = false
    this.#tell('up', `nobody was turned away for ${CALM_MS / 1_000} s`)
  }

  /** Until those who are served before have been: by how many leave in a while. */
  #retryAfterMs(priority: Priority): number {
    const { tookMs, settled } = this.#limit
    return Math.ceil(((this.#room.ahead(priority) + 1) * Math.max(1, tookMs)) / settled)
  }

  #tell(to: 'up' | 'degraded', why: string): void {
    const message =
      to === 'up' ? `${this.name} lets everyone in again: ${why}.` : `${this.name} turns calls away: ${why}.`
    const change: LimiterChange = {
      what: this.name,
      from: to === 'up' ? 'degraded' : 'up',
      to,
      at: this.#settings.clock.now(),
      why,
      severity: to === 'up' ? 'INFO' : 'WARNING',
      message,
    }
    try {
      this.emit('change', change)
    } catch (error) {
      warn(`A listener of the AdaptiveLimiter "${this.name}" threw`, describeError(error))
    }
  }
}
