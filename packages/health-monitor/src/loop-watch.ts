import type { LoopTurns } from './loop-turns.js'
import { requireKnown, requireMilliseconds } from './options.js'
import type { Clock } from './ports.js'

/** How the event loop is watched. */
export interface LoopWatchOptions {
  /**
   * Milliseconds, from 100, for which one turn of the loop must have lasted, or several long ones in a row, for it to be
   * called blocked.
   *
   * @defaultValue 200
   */
  readonly blockedAfterMs?: number
  /**
   * Milliseconds without another block, from 100, after which it is called running again. So a loop that is blocked again
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
  /** How long it was blocked in the present trouble, or the last, in ms, all blocks together. */
  readonly blockedMs: number
  /** The longest block, or row of blocks, of that, in ms. */
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
  /** How long it was blocked so far, in ms, all blocks together. */
  readonly blockedMs: number
  /** The longest block, or row of blocks, of that, in ms. */
  readonly longestMs: number
}

/** A turn that takes less is none that anybody notices, and not worth a look. */
const NOTABLE_MS = 75

/** Two blocks with no more than this between them are one trouble: in between hardly anything else ran. */
const BREATH_MS = 40

/**
 * Feels every turn of the event loop. A turn that worked for long kept everything else waiting; many of those with hardly
 * a breath between them are as bad as one that is as long as all.
 */
export class LoopWatch {
  readonly #clock: Clock
  readonly #turns: LoopTurns
  readonly #options: Required<LoopWatchOptions>
  readonly #tell: (news: LoopNews) => void
  #health: LoopHealth
  /** The end of the last turn, and of the last at which it was asked how long the loop has worked. */
  #turnMs = 0
  #lookMs = 0
  #activeMs = 0
  /** The present row of blocks: since when, for how long, and when the last ended. */
  #row = { sinceMs: 0, blockedMs: 0, endMs: -Infinity }
  /** What the row contributes to the present trouble already. */
  #counted = 0
  #cancelTurns = (): void => {}
  #cancelCalm = (): void => {}

  /** @throws TypeError or RangeError when an option does not exist or is out of range */
  constructor(clock: Clock, turns: LoopTurns, options: LoopWatchOptions, tell: (news: LoopNews) => void) {
    requireKnown('HealthMonitor: loop', options, Object.keys(loopWatchDefaults))
    const { blockedAfterMs = loopWatchDefaults.blockedAfterMs, calmAfterMs = loopWatchDefaults.calmAfterMs } = options
    requireMilliseconds('HealthMonitor: loop.blockedAfterMs', blockedAfterMs, 100)
    requireMilliseconds('HealthMonitor: loop.calmAfterMs', calmAfterMs, 100)
    this.#clock = clock
    this.#turns = turns
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
    this.#turnMs = this.#lookMs = this.#turns.monotonic()
    this.#activeMs = this.#turns.activeMs()
    this.#row = { sinceMs: 0, blockedMs: 0, endMs: -Infinity }
    this.#cancelTurns = this.#turns.onTurn(this.#feel)
  }

  /** Ceases to feel. */
  stop(): void {
    this.#cancelTurns()
    this.#cancelCalm()
    this.#health = { ...this.#health, isBlocked: false }
  }

  readonly #feel = (): void => {
    const nowMs = this.#turns.monotonic()
    const sinceTurnMs = nowMs - this.#turnMs
    this.#turnMs = nowMs
    // Asking costs more than the time of day does.
    if (nowMs - this.#lookMs < NOTABLE_MS) return
    this.#lookMs = nowMs
    const activeMs = this.#turns.activeMs()
    // Waiting belongs to the turn as well, and earlier turns may have worked since the last look: neither counts.
    const blockMs = Math.min(sinceTurnMs, activeMs - this.#activeMs)
    this.#activeMs = activeMs
    if (blockMs >= NOTABLE_MS) this.#block(nowMs, blockMs)
  }

  #block(nowMs: number, blockMs: number): void {
    const isSameRow = nowMs - blockMs - this.#row.endMs <= BREATH_MS
    if (!isSameRow) this.#counted = 0
    const { sinceMs, blockedMs } = isSameRow ? this.#row : { sinceMs: nowMs - blockMs, blockedMs: 0 }
    this.#row = { sinceMs, blockedMs: blockedMs + blockMs, endMs: nowMs }
    const rowMs = this.#row.blockedMs
    if (rowMs < this.#options.blockedAfterMs) return
    const { isBlocked, since, blockedMs: before, longestMs } = this.#health
    const at = this.#clock.now()
    const longest = Math.max(isBlocked ? longestMs : 0, rowMs)
    const total = (isBlocked ? before - this.#counted : 0) + rowMs
    this.#counted = rowMs
    this.#health = {
      isBlocked: true,
      since: isBlocked ? since : at - (nowMs - sinceMs),
      blockedMs: total,
      longestMs: longest,
    }
    this.#cancelCalm()
    this.#cancelCalm = this.#clock.after(this.#options.calmAfterMs, () => this.#calm())
    if (isBlocked) return
    const length = seconds(rowMs)
    this.#announce('blocked', `for ${length}`, `The event loop was blocked for ${length}: nothing else ran meanwhile.`)
  }

  #calm(): void {
    const { blockedMs, longestMs } = this.#health
    this.#health = { ...this.#health, isBlocked: false, since: this.#clock.now() }
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
