import { requireKnown, requireMilliseconds } from './options.js'
import type { Clock } from './ports.js'

/** How the event loop is watched. */
export interface LoopWatchOptions {
  /**
   * Milliseconds, from 100, for which the loop must have stood still, or turned only every 100 ms or more, to be called
   * blocked.
   *
   * @defaultValue 200
   */
  readonly blockedAfterMs?: number
  /**
   * Milliseconds without such a pause, from 100, after which it is called running again. So a loop that is blocked again
   * and again is told once.
   *
   * @defaultValue 5_000
   */
  readonly calmAfterMs?: number
}

/** What the loop watch uses when its options leave it open. */
export const loopWatchDefaults: Required<LoopWatchOptions> = {
  blockedAfterMs: 200,
  calmAfterMs: 5_000,
}

/** How the event loop is, as far as one can tell from inside it. */
export interface LoopHealth {
  /** Whether it is blocked, or was so within the last `calmAfterMs`. */
  readonly isBlocked: boolean
  /** Since when, epoch ms. */
  readonly since: number
  /** How long it stood still in the present trouble, or the last, in ms, all pauses together. */
  readonly blockedMs: number
  /** The longest pause of that, in ms. */
  readonly longestMs: number
}

/** The event loop was blocked, or runs again. */
export interface LoopNews {
  /** Always `event loop`. */
  readonly what: 'event loop'
  /** How it was. */
  readonly from: 'running' | 'blocked'
  /** How it is. */
  readonly to: 'running' | 'blocked'
  /** When this was noticed, epoch ms. A loop that stands still cannot say so before it turns again. */
  readonly at: number
  /** How long, in words. */
  readonly why: string
  /** `WARNING` when it is blocked, `INFO` when it runs again. */
  readonly severity: 'INFO' | 'WARNING'
  /** All of it in one sentence, for people. */
  readonly message: string
  /** How long it stood still so far, in ms, all pauses together. */
  readonly blockedMs: number
  /** The longest pause of that, in ms. */
  readonly longestMs: number
}

/** So often the loop is felt. A loop that is blocked for 100 ms at a time turns later than that, always. */
const PULSE_MS = 50

/** A pulse that is later than this was kept waiting; a busy machine alone keeps nobody waiting so long. */
const LATE_MS = 40

/**
 * Feels the pulse of the event loop: a timer that comes late was kept waiting by whatever ran. Two in a row are a loop
 * that hardly turns, one that is very late is a loop that stood still.
 */
export class LoopWatch {
  readonly #clock: Clock
  readonly #options: Required<LoopWatchOptions>
  readonly #tell: (news: LoopNews) => void
  #health: LoopHealth
  #expectedMs = 0
  /** When the last pulse came in time. */
  #punctualMs = 0
  /** When the last pause ended. */
  #pausedMs = -Infinity
  /** All pauses of the present trouble before the present one. */
  #earlierMs = 0
  #cancel = (): void => {}

  /** @throws TypeError or RangeError when an option does not exist or is out of range */
  constructor(clock: Clock, options: LoopWatchOptions, tell: (news: LoopNews) => void) {
    requireKnown('HealthMonitor: loop', options, Object.keys(loopWatchDefaults))
    const { blockedAfterMs = loopWatchDefaults.blockedAfterMs, calmAfterMs = loopWatchDefaults.calmAfterMs } = options
    requireMilliseconds('HealthMonitor: loop.blockedAfterMs', blockedAfterMs, 100)
    requireMilliseconds('HealthMonitor: loop.calmAfterMs', calmAfterMs, 100)
    this.#clock = clock
    this.#options = { blockedAfterMs, calmAfterMs }
    this.#tell = tell
    this.#health = { isBlocked: false, since: clock.now(), blockedMs: 0, longestMs: 0 }
  }

  /** How the loop is. */
  get health(): LoopHealth {
    return this.#health
  }

  /** Begins to feel. */
  start(): void {
    this.#punctualMs = this.#clock.monotonic()
    this.#arm(this.#punctualMs)
  }

  /** Ceases to feel. */
  stop(): void {
    this.#cancel()
    this.#earlierMs = 0
    this.#health = { ...this.#health, isBlocked: false }
  }

  #arm(nowMs: number): void {
    this.#expectedMs = nowMs + PULSE_MS
    this.#cancel = this.#clock.after(PULSE_MS, this.#feel)
  }

  readonly #feel = (): void => {
    const nowMs = this.#clock.monotonic()
    const isLate = nowMs - this.#expectedMs > LATE_MS
    this.#arm(nowMs)
    if (isLate) return this.#pause(nowMs)
    this.#punctualMs = nowMs
    if (this.#pausedMs === -Infinity) return
    this.#earlierMs = this.#health.blockedMs
    if (nowMs - this.#pausedMs >= this.#options.calmAfterMs) this.#calm()
  }

  /** Since the last punctual pulse, the loop has turned too late, or not at all. */
  #pause(nowMs: number): void {
    const pauseMs = nowMs - this.#punctualMs
    if (pauseMs < this.#options.blockedAfterMs) return
    this.#pausedMs = nowMs
    const { isBlocked, since, longestMs } = this.#health
    const blockedMs = this.#earlierMs + pauseMs
    const startedAt = this.#clock.now() - pauseMs
    this.#health = isBlocked
      ? { isBlocked, since, blockedMs, longestMs: Math.max(longestMs, pauseMs) }
      : { isBlocked: true, since: startedAt, blockedMs: pauseMs, longestMs: pauseMs }
    if (isBlocked) return
    const length = seconds(pauseMs)
    this.#announce('blocked', `for ${length}`, `The event loop was blocked for ${length}: nothing else ran meanwhile.`)
  }

  #calm(): void {
    const { blockedMs, longestMs } = this.#health
    this.#health = { ...this.#health, isBlocked: false, since: this.#clock.now() }
    this.#pausedMs = -Infinity
    this.#earlierMs = 0
    const why = `it was blocked for ${seconds(blockedMs)} in all, ${seconds(longestMs)} at the longest`
    this.#announce('running', why, `The event loop runs again: ${why}.`)
  }

  #announce(to: LoopNews['to'], why: string, message: string): void {
    const { blockedMs, longestMs } = this.#health
    const from = to === 'blocked' ? 'running' : 'blocked'
    const severity = to === 'blocked' ? 'WARNING' : 'INFO'
    this.#tell({ what: 'event loop', from, to, at: this.#clock.now(), why, severity, message, blockedMs, longestMs })
  }
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`
}
