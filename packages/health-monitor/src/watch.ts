import type { HealthStatus } from './check-result.js'
import type { ComponentHealth } from './events.js'
import { requireKnown, requireMilliseconds } from './options.js'
import type { Clock } from './ports.js'
import { holdProcess } from './system-clock.js'

/** How long to watch, and how often to look up. */
export interface WatchOptions {
  /**
   * Milliseconds from one snapshot to the next, from 10. A failure does not wait for it.
   *
   * @defaultValue 30_000
   */
  readonly everyMs?: number
  /**
   * Milliseconds after which the last snapshot is given, from 0.
   *
   * @defaultValue 3_600_000
   */
  readonly forMs?: number
  /**
   * Milliseconds at the beginning in which being down is no failure yet: what has just been deployed may need a while.
   *
   * @defaultValue 0
   */
  readonly graceMs?: number
  /** Ends the watch, without another snapshot. */
  readonly signal?: AbortSignal
}

/** What {@link HealthMonitor.watch} uses when its options leave it open. */
export const watchDefaults: Required<Omit<WatchOptions, 'signal'>> = {
  everyMs: 30_000,
  forMs: 3_600_000,
  graceMs: 0,
}

/** How everything was at one moment of a watch. */
export interface HealthSnapshot<Name extends string = string> {
  /** The status of the whole. */
  readonly status: HealthStatus
  /** Every component, by name. */
  readonly components: ReadonlyMap<Name, ComponentHealth>
  /** When, epoch ms. */
  readonly at: number
  /** Milliseconds since the watch began. */
  readonly elapsedMs: number
  /** Milliseconds until it ends. */
  readonly leftMs: number
  /** The whole is down, and the time of grace is over: this ends the watch. */
  readonly isFailure: boolean
  /** No other follows. */
  readonly isLast: boolean
}

/** Snapshots to come, for `for await`. Leaving the loop leaves no timer behind. */
export interface HealthWatch<Name extends string = string> extends AsyncIterableIterator<HealthSnapshot<Name>> {
  /** Ends the watch, also while somebody waits for the next snapshot. */
  return(): Promise<IteratorReturnResult<undefined>>
  /** The next snapshot; `done` when the watch is over. */
  next(): Promise<IteratorResult<HealthSnapshot<Name>, undefined>>
}

/** What is watched. */
interface Watched<Name extends string> {
  readonly status: HealthStatus
  readonly components: ReadonlyMap<Name, ComponentHealth>
}

/** Calls back whenever anything may have changed, until the returned function is called. */
type Follow = (wake: () => void) => () => void

const OVER = { done: true, value: undefined } as const

/** Watches a health source, and takes up nothing but while somebody waits for a snapshot. */
export class SourceWatch<Name extends string> implements HealthWatch<Name> {
  readonly #source: Watched<Name>
  readonly #follow: Follow
  readonly #clock: Clock
  readonly #options: Required<Omit<WatchOptions, 'signal'>>
  readonly #signals: readonly AbortSignal[]
  #turn: Promise<unknown> = Promise.resolve()
  #beganMs: number | undefined
  #dueMs = 0
  #isOver = false
  #wake = (): void => {}

  /**
   * @param ended - aborts when there will be no more news
   * @throws TypeError or RangeError when an option does not exist or is out of range
   */
  constructor(source: Watched<Name>, follow: Follow, clock: Clock, options: WatchOptions, ended: AbortSignal) {
    requireKnown('HealthMonitor.watch', options, [...Object.keys(watchDefaults), 'signal'])
    const { everyMs = watchDefaults.everyMs, forMs = watchDefaults.forMs, graceMs = watchDefaults.graceMs } = options
    requireMilliseconds('HealthMonitor.watch: everyMs', everyMs, 10)
    requireMilliseconds('HealthMonitor.watch: forMs', forMs, 0)
    requireMilliseconds('HealthMonitor.watch: graceMs', graceMs, 0)
    this.#source = source
    this.#follow = follow
    this.#clock = clock
    this.#options = { everyMs, forMs, graceMs }
    this.#signals = options.signal === undefined ? [ended] : [ended, options.signal]
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<HealthSnapshot<Name>, undefined>> {
    // One after the other, however many are asked for at once.
    const snapshot = this.#turn.then(() => this.#take())
    this.#turn = snapshot
    return snapshot
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    this.#isOver = true
    this.#wake()
    return Promise.resolve(OVER)
  }

  async #take(): Promise<IteratorResult<HealthSnapshot<Name>, undefined>> {
    this.#beganMs ??= this.#dueMs = this.#clock.monotonic()
    await this.#pause(this.#beganMs)
    if (this.#isOver) return OVER
    const elapsedMs = this.#clock.monotonic() - this.#beganMs
    const { everyMs, forMs } = this.#options
    const { status, components } = this.#source
    const leftMs = Math.max(0, forMs - elapsedMs)
    const isFailure = this.#isFailing(elapsedMs, status)
    const isLast = isFailure || leftMs === 0
    this.#isOver = isLast
    // In step with the beginning, also after somebody was late.
    this.#dueMs = this.#beganMs + (Math.floor(elapsedMs / everyMs) + 1) * everyMs
    const at = this.#clock.now()
    return { done: false, value: { status, components, at, elapsedMs, leftMs, isFailure, isLast } }
  }

  /** Until there is a snapshot to give, or none any more. */
  async #pause(beganMs: number): Promise<void> {
    const release = holdProcess()
    const endMs = beganMs + this.#options.forMs
    const graceEndMs = beganMs + this.#options.graceMs
    const look = (): boolean => {
      const nowMs = this.#clock.monotonic()
      this.#isOver ||= this.#signals.some(({ aborted }) => aborted)
      return this.#isOver || nowMs >= Math.min(this.#dueMs, endMs) || this.#isFailing(nowMs - beganMs)
    }
    while (!look()) {
      const nowMs = this.#clock.monotonic()
      const untilMs = Math.min(this.#dueMs, endMs, graceEndMs > nowMs ? graceEndMs : Infinity)
      await this.#sleep(untilMs - nowMs)
    }
    release()
  }

  /** Until so much time has passed, or anything has happened. */
  async #sleep(ms: number): Promise<void> {
    const wake = (): void => this.#wake()
    const leave = this.#follow(wake)
    for (const signal of this.#signals) signal.addEventListener('abort', wake)
    const cancel = this.#clock.after(ms, wake)
    await new Promise<void>((resolve) => (this.#wake = resolve))
    cancel()
    leave()
    for (const signal of this.#signals) signal.removeEventListener('abort', wake)
  }

  #isFailing(elapsedMs: number, status = this.#source.status): boolean {
    return status === 'down' && elapsedMs >= this.#options.graceMs
  }
}
