import type { Clock } from '../ports.js'
import type { LogBuckets } from './log-buckets.js'
import { type RecentObservations, SlidingWindow } from './sliding-window.js'
import type { Complain } from './warnings.js'

/** What all histograms of one metric share. */
export interface HistogramKind {
  readonly buckets: LogBuckets
  readonly clock: Clock
  readonly windowMs: number
  readonly complain: Complain
}

/** How many observations were how large, since the start of the process. */
export interface BucketCounts {
  /** Inclusive upper bounds in the unit of the metric, ascending; the last is `Infinity`. */
  readonly bounds: readonly number[]
  /** As many as there are bounds: each bucket for itself. */
  readonly counts: readonly number[]
}

/** Also of a text such as '5', which compares like a number and adds up like a text. */
export function isObservable(value: number): boolean {
  return typeof value === 'number' && value >= 0 && value < Infinity
}

/** Counts by size in buckets. All of them together remember how often, never what exactly. */
export class Histogram {
  readonly #kind: HistogramKind
  readonly #buckets: LogBuckets
  readonly #counts: Float64Array
  readonly #window: SlidingWindow
  #sum = 0
  #isQuiet = false
  #isWindowIdle = true
  #listen: ((value: number) => void) | undefined

  /** @internal */
  constructor(kind: HistogramKind) {
    this.#kind = kind
    this.#buckets = kind.buckets
    this.#counts = new Float64Array(kind.buckets.bounds.length)
    this.#window = new SlidingWindow(kind.clock, kind.windowMs, kind.buckets.bounds)
  }

  /** How many observations there were since the start of the process. */
  get count(): number {
    return this.#counts.reduce((total, each) => total + each, 0)
  }

  /** Their sum. */
  get sum(): number {
    return this.#sum
  }

  /**
   * Counts one observation.
   *
   * @remarks
   * *Gotchas*: what is no number from 0 is not counted, and becomes one process warning with the code `EVENKEEL_METRICS`.
   *
   * @param value - in the unit of the metric, from 0
   */
  observe(value: number): void {
    if (!isObservable(value)) return this.#refuse(value)
    if (!this.#isQuiet) this.#tell(value)
    ;(this.#counts[this.#buckets.indexOf(value)] as number)++
    this.#sum += value
  }

  /** What was observed within the last `windowMs` of the metric, and at most a sixth more. */
  recent(): RecentObservations {
    return this.#window.recent(this.#counts, this.#sum)
  }

  /** All observations by bucket. */
  counts(): BucketCounts {
    return { bounds: this.#buckets.bounds, counts: [...this.#counts] }
  }

  /**
   * The bounds of {@link Histogram.coarseCounts}.
   *
   * @internal
   */
  get bounds(): readonly number[] {
    return this.#buckets.coarseBounds
  }

  /**
   * All observations, in as few buckets as a page needs.
   *
   * @internal
   */
  coarseCounts(): number[] {
    return this.#buckets.coarse(this.#counts)
  }

  /**
   * Somebody wants to hear of each observation; `undefined`: nobody any more.
   *
   * @internal
   */
  listen(listen: ((value: number) => void) | undefined): void {
    this.#listen = listen
    this.#settle()
  }

  /** What only some observations have to do, so that the others pass by one flag. */
  #tell(value: number): void {
    if (this.#isWindowIdle) {
      this.#isWindowIdle = false
      this.#window.wake(
        this.#counts,
        () => this.#sum,
        () => {
          this.#isWindowIdle = true
          this.#settle()
        },
      )
    }
    this.#listen?.(value)
    this.#settle()
  }

  #settle(): void {
    this.#isQuiet = !this.#isWindowIdle && this.#listen === undefined
  }

  #refuse(value: unknown): void {
    this.#kind.complain(`a histogram cannot take ${String(value)}; it was not counted`)
  }
}
