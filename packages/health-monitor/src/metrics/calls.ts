import type { Clock } from '../ports.js'
import { type BucketCounts, Histogram, type HistogramKind, isObservable } from './histogram.js'
import { Labelled } from './labelled.js'
import type { RecentObservations } from './sliding-window.js'

/** How many calls there were, and how many of them failed, since the start of the process. */
export interface ErrorCounts {
  /** All of them. */
  readonly calls: number
  /** Those that failed. */
  readonly failures: number
}

/** Keeps account of calls: how many, how many failed, how long they took, and how many are under way. */
export class Calls {
  readonly #clock: Clock
  readonly #took: Histogram
  #failures = 0
  #active = 0

  /** @internal */
  constructor(kind: HistogramKind) {
    this.#clock = kind.clock
    this.#took = new Histogram(kind)
  }

  /** How many have begun by {@link Calls.begin} or {@link Calls.time} and have not ended. */
  get active(): number {
    return this.#active
  }

  /** How many have failed since the start of the process. */
  get failures(): number {
    return this.#failures
  }

  /**
   * A call begins now.
   *
   * @returns call it when the call has ended, with the error if it failed; a second time does nothing
   */
  begin(): (error?: unknown) => void {
    const startedMs = this.#clock.monotonic()
    let isUnderWay = true
    this.#active++
    return (error) => {
      if (!isUnderWay) return
      isUnderWay = false
      this.#active--
      this.record(this.#clock.monotonic() - startedMs, error !== undefined)
    }
  }

  /**
   * Runs a function, and keeps account of it until its promise settles.
   *
   * @param work - what to run; throwing and rejecting are failures
   * @returns what it returned; what it throws passes through
   */
  time<T>(work: () => T): T {
    const done = this.begin()
    const failed = (error: unknown): void => done(error ?? 'it failed without saying why')
    try {
      const result = work()
      if (isThenable(result)) result.then(() => done(), failed)
      else done()
      return result
    } catch (error) {
      failed(error)
      throw error
    }
  }

  /**
   * A call has ended that was timed elsewhere.
   *
   * @param tookMs - milliseconds, from 0
   * @param isFailure - whether it failed; it did not unless told
   */
  record(tookMs: number, isFailure = false): void {
    this.#took.observe(tookMs)
    // What the histogram refused was no call either.
    if (isFailure && isObservable(tookMs)) this.#failures++
  }

  /** What `errorRateCheck` of `@evenkeel/health-monitor` asks for. */
  errors(): ErrorCounts {
    return { calls: this.#took.count, failures: this.#failures }
  }

  /** What `latencyCheck` of `@evenkeel/health-monitor` asks for, in ms. */
  latency(): BucketCounts {
    return this.#took.counts()
  }

  /** What was recorded within the last `windowMs`, in ms. */
  recent(): RecentObservations {
    return this.#took.recent()
  }

  /** @internal */
  get took(): Histogram {
    return this.#took
  }
}

/** One recorder for each set of labels, and all of them together. */
export class LabelledCalls<Label extends string> extends Labelled<Calls, Label> {
  /** As {@link Calls.errors}, over all series. */
  errors(): ErrorCounts {
    let calls = 0
    let failures = 0
    for (const { handle } of this.entries()) {
      const errors = handle.errors()
      calls += errors.calls
      failures += errors.failures
    }
    return { calls, failures }
  }

  /** As {@link Calls.latency}, over all series. */
  latency(): BucketCounts {
    const all = [...this.entries()].map(({ handle }) => handle.latency())
    const [first] = all
    if (first === undefined) return { bounds: [Infinity], counts: [0] }
    return {
      bounds: first.bounds,
      counts: first.counts.map((_, index) => all.reduce((sum, { counts }) => sum + (counts[index] ?? 0), 0)),
    }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as Partial<PromiseLike<unknown>>).then === 'function'
  )
}
