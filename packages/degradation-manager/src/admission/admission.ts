import { EventEmitter } from 'eventemitter3'
import { ShedError } from '../errors.js'
import type { Clock } from '../ports.js'
import { priorities, type Priority } from '../priority.js'
import { warn } from '../warning.js'
import type { AdmissionChange, AdmissionCounts, AdmissionEvents } from './admission-events.js'
import type { AdmissionSettings } from './admission-options.js'
import type { Limit } from './limit.js'
import { Throughput } from './throughput.js'
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

/** A place whose caller has gone while the work goes on. */
export interface Overdue {
  /** The work has ended. */
  end(): void
}

/** One who waits, and what is done when its turn has come, or will not come. */
export interface Queued extends Waiting {
  readonly admit: (startedMs: number) => void
  readonly refuse: (error: ShedError) => void
}

/** Nobody was turned away for so long: then it is over, ms. */
const CALM_MS = 10_000

/** The whole behaviour of an `AdaptiveLimiter` and of a `Bulkhead`, which differ in where their limit comes from. */
export abstract class Admission extends EventEmitter<AdmissionEvents> {
  readonly #settings: AdmissionSettings
  readonly #limit: Limit
  readonly #clock: Clock
  readonly #room: WaitingRoom<Queued>
  readonly #throughput = new Throughput()
  #inFlight = 0
  #admitted = 0
  #away = { refused: 0, expired: 0, aborted: 0, reclaimed: 0 }
  /** Whose caller has gone, in the order in which that happened, and when, monotonic ms. Made when it is first needed. */
  #overdue: Map<Overdue, number> | undefined
  /** One timer for all who wait; none when nobody does. */
  #expiry: { readonly atMs: number; readonly cancel: () => void } | undefined
  #isTurningAway = false
  #lastAwayMs = 0

  /** @internal */
  protected constructor(settings: AdmissionSettings, limit: Limit) {
    super()
    this.#settings = settings
    this.#limit = limit
    this.#clock = settings.clock
    this.#room = new WaitingRoom(settings.maxWaiting)
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
  get counts(): AdmissionCounts {
    return { admitted: this.#admitted, ...this.#away }
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
  async run<T>(work: () => T | PromiseLike<T>, options: AdmissionOptions = {}): Promise<T> {
    checkPriority(options.priority)
    const isFree = options.signal?.aborted !== true && this.tryEnter()
    // In the same turn when there is a place, as an unguarded call would be made.
    const place = isFree ? this.#placeSince(this.startedMs()) : await this.acquire(options)
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
    checkPriority(priority)
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error)
    if (this.tryEnter()) return Promise.resolve(this.#placeSince(this.startedMs()))
    return new Promise<Place>((admit, refuse) => {
      const onAbort = (): void => {
        this.leaveQueue(entry)
        // Whatever the caller gave as the reason.
        refuse(signal?.reason as Error)
      }
      const cleanUp = (): void => signal?.removeEventListener('abort', onAbort)
      signal?.addEventListener('abort', onAbort, { once: true })
      const entry = this.queue(
        priority,
        key,
        (startedMs) => {
          cleanUp()
          admit(this.#placeSince(startedMs))
        },
        (error) => {
          cleanUp()
          refuse(error)
        },
      )
    })
  }

  /**
   * Enters if there is a place now, without a promise and without an object. {@link Admission.leave} must follow.
   *
   * @internal
   */
  tryEnter(): boolean {
    if (this.#inFlight >= this.#limit.now || this.#room.size > 0) {
      if (this.#overdue === undefined || !this.#reclaim() || this.#room.size > 0) return false
    }
    this.#inFlight++
    this.#admitted++
    return true
  }

  /**
   * When a call that has just entered began, for {@link Admission.leave}; 0 where nobody wants to know.
   *
   * @internal
   */
  startedMs(): number {
    if (!this.#limit.isTimed) return 0
    const nowMs = this.#clock.monotonic()
    this.#limit.began(nowMs, this.#inFlight)
    return nowMs
  }

  /** @internal */
  leave(startedMs: number, isIgnored: boolean): void {
    this.#inFlight--
    this.#throughput.left++
    if (!this.#limit.isTimed) {
      if (this.#room.size > 0) this.#letIn()
      return
    }
    const nowMs = this.#clock.monotonic()
    if (isIgnored) this.#limit.leftOut(nowMs, this.#inFlight)
    else {
      const { size, isUrgent } = this.#room
      this.#limit.ended(nowMs, nowMs - startedMs, this.#inFlight, { isWaiting: size > 0, isUrgent })
    }
    this.#letIn()
  }

  /**
   * Notes that the caller of a call that has a place has gone. The place stays taken until the work ends, for only then is
   * there room again; but not for longer than `maxOverdueMs`, for some work never ends.
   *
   * @internal
   */
  overdue(startedMs: number): Overdue {
    const overdue: Overdue = {
      end: () => {
        if (this.#overdue?.delete(overdue) === true) this.leave(startedMs, false)
      },
    }
    this.#overdue ??= new Map()
    this.#overdue.set(overdue, this.#clock.monotonic())
    return overdue
  }

  /**
   * Waits for a place; exactly one of the two is called, once, unless {@link Admission.leaveQueue} comes first. It may be
   * called at once.
   *
   * @internal
   */
  queue(priority: Priority, key: string, admit: Queued['admit'], refuse: Queued['refuse']): Queued {
    const untilMs = this.#clock.monotonic() + this.#settings.maxWaitMs[priority]
    const entry: Queued = { priority, key, untilMs, admit, refuse }
    const away = this.#room.enter(entry)
    if (away !== undefined) {
      this.#away.refused++
      this.#turnAway(away, `${this.name} has ${this.#inFlight} calls under way and ${this.waiting} that wait`)
    }
    if (this.#room.size > 0) this.#watchExpiry(untilMs)
    return entry
  }

  /** @internal */
  leaveQueue(entry: Queued): void {
    if (this.#room.leave(entry)) this.#away.aborted++
  }

  #placeSince(startedMs: number): Place {
    let isHeld = true
    return {
      release: (outcome) => {
        if (!isHeld) return
        isHeld = false
        this.leave(startedMs, outcome === 'ignored')
      },
    }
  }

  #letIn(): void {
    if (this.#room.size === 0) return
    const nowMs = this.#clock.monotonic()
    while (this.#inFlight < this.#limit.now) {
      const entry = this.#room.next()
      if (entry === undefined) return
      if (entry.untilMs <= nowMs) {
        this.#expire(entry)
        continue
      }
      this.#inFlight++
      this.#admitted++
      entry.admit(this.startedMs())
    }
  }

  /** Takes places back from work that has not ended long after its caller has gone; whether there is room now. */
  #reclaim(): boolean {
    const oldestMs = this.#clock.monotonic() - this.#settings.maxOverdueMs
    for (const [overdue, sinceMs] of this.#overdue ?? []) {
      if (sinceMs > oldestMs) break
      this.#away.reclaimed++
      overdue.end()
    }
    return this.#inFlight < this.#limit.now
  }

  #watchExpiry(atMs: number): void {
    if (this.#expiry !== undefined) {
      if (this.#expiry.atMs <= atMs) return
      this.#expiry.cancel()
    }
    this.#expiry = undefined
    if (atMs === Infinity) return
    const clock = this.#clock
    const cancel = clock.after(Math.max(0, atMs - clock.monotonic()), () => {
      this.#expiry = undefined
      for (const entry of this.#room.expired(clock.monotonic())) this.#expire(entry)
      this.#watchExpiry(this.#room.earliestMs)
    })
    this.#expiry = { atMs, cancel }
  }

  #expire(entry: Queued): void {
    this.#away.expired++
    this.#turnAway(entry, `no place became free in ${this.name} within ${this.#settings.maxWaitMs[entry.priority]} ms`)
  }

  #turnAway(entry: Queued, why: string): void {
    const nowMs = this.#clock.monotonic()
    const retryAfterMs = this.#throughput.waitMs(nowMs, this.#room.ahead(entry.priority) + 1)
    this.#lastAwayMs = nowMs
    entry.refuse(new ShedError(this.name, why, retryAfterMs, ''))
    if (this.#isTurningAway) return
    this.#isTurningAway = true
    this.#tell('degraded', why)
    this.#watchCalm()
  }

  #watchCalm(): void {
    const inMs = this.#lastAwayMs + CALM_MS - this.#clock.monotonic()
    if (inMs > 0) {
      this.#clock.after(inMs, () => this.#watchCalm())
      return
    }
    this.#isTurningAway = false
    this.#tell('up', `nobody was turned away for ${CALM_MS / 1_000} s`)
  }

  #tell(to: 'up' | 'degraded', why: string): void {
    const message =
      to === 'up' ? `${this.name} lets everyone in again: ${why}.` : `${this.name} turns calls away: ${why}.`
    const change: AdmissionChange = {
      what: this.name,
      from: to === 'up' ? 'degraded' : 'up',
      to,
      at: this.#clock.now(),
      why,
      severity: to === 'up' ? 'INFO' : 'WARNING',
      message,
    }
    try {
      this.emit('change', change)
    } catch (error) {
      warn(`A listener of "${this.name}" threw`, error)
    }
  }
}

/** @throws TypeError when there is no such priority */
export function checkPriority(priority: Priority | undefined): void {
  if (priority === undefined || priorities.includes(priority)) return
  throw new TypeError(`priority is ${String(priority)}; it can be ${priorities.join(', ')}`)
}
