import type { Clock } from '../ports.js'
import { percentileWithin } from './log-buckets.js'

/** A window moves in this many steps. */
const STEPS = 6

/** What was observed lately. */
export interface RecentObservations {
  /** How many. */
  readonly count: number
  /** Their mean; `undefined` when there are none. */
  readonly mean: number | undefined
  /**
   * The value that a share of them does not exceed.
   *
   * @param percentage - 0 to 100; 99 for the 99th percentile
   * @returns it, within 6 % from the first bound to the last; the first bound when it is below that, `Infinity` when it
   *   is above the last, `undefined` when there are none
   * @throws RangeError when `percentage` is out of range
   */
  percentile(percentage: number): number | undefined
}

interface Snapshot {
  readonly takenMs: number
  readonly counts: Float64Array
  readonly sum: number
}

/**
 * The last while of a histogram that only grows: what it is now, less what it was then.
 *
 * Recording costs nothing more for it. What it was then is remembered by a timer, six times in a window, and only while
 * something happens: an idle window has no timer.
 */
export class SlidingWindow {
  readonly #clock: Clock
  readonly #windowMs: number
  readonly #bounds: readonly number[]
  #past: Snapshot[] = []

  constructor(clock: Clock, windowMs: number, bounds: readonly number[]) {
    this.#clock = clock
    this.#windowMs = windowMs
    this.#bounds = bounds
  }

  /**
   * Begins, with what was there before the first observation.
   *
   * @param onIdle - nothing has happened for a whole window: call this again before the next observation
   */
  wake(counts: Float64Array, sum: () => number, onIdle: () => void): void {
    const step = (): void => {
      this.#remember(counts, sum())
      const oldest = this.#past[0] as Snapshot
      const isIdle = this.#past.length > STEPS + 1 && oldest.counts.every((count, index) => count === counts[index])
      if (!isIdle) return void this.#clock.after(this.#windowMs / STEPS, step)
      this.#past = []
      onIdle()
    }
    step()
  }

  recent(counts: Float64Array, sum: number): RecentObservations {
    const since = this.#clock.monotonic() - this.#windowMs
    const base = this.#past.findLast(({ takenMs }) => takenMs <= since) ?? this.#past[0]
    const bounds = this.#bounds
    const recent = base === undefined ? [] : [...counts].map((count, index) => count - (base.counts[index] as number))
    const count = recent.reduce((total, each) => total + each, 0)
    return {
      count,
      mean: base === undefined || count === 0 ? undefined : (sum - base.sum) / count,
      percentile(percentage) {
        if (!(percentage >= 0 && percentage <= 100)) {
          throw new RangeError(`percentile: give a percentage from 0 to 100, not ${percentage}`)
        }
        return percentileWithin(bounds, recent, percentage)
      },
    }
  }

  #remember(counts: Float64Array, sum: number): void {
    this.#past.push({ takenMs: this.#clock.monotonic(), counts: counts.slice(), sum })
    // One more than the steps: the oldest must be older than the window.
    if (this.#past.length > STEPS + 2) this.#past.shift()
  }
}
