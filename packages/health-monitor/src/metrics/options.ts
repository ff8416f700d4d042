import { requireKnown } from '../options.js'
import type { Clock } from '../ports.js'
import { LogBuckets } from './log-buckets.js'
import type { MetricUnit } from './names.js'

/** What a {@link Metrics} is made of. */
export interface MetricsOptions {
  /** The clock to live by; the machine's unless a test brings another. */
  readonly clock?: Clock
}

/** What every metric says about itself. */
export interface MetricOptions {
  /** What it counts or measures, for people: one line on the metrics page. */
  readonly help: string
  /**
   * How many series labels may make, from 1. Beyond it everything new is counted as `other`.
   *
   * @defaultValue 100
   */
  readonly maxSeries?: number
}

/** With labels: a handle for each set of their values. */
export interface LabelOptions<Label extends string> {
  /** The names of the labels. */
  readonly labels: readonly Label[]
}

/** What a counter or a gauge may say as well. */
export interface UnitOptions {
  /** In what it is recorded; it becomes part of the name. None for a mere number. */
  readonly unit?: MetricUnit
}

/** How a gauge that is read, rather than set, is read. */
export interface ReadOptions {
  /** Asked each time the numbers are collected; what it throws leaves the gauge out. */
  readonly read: () => number
}

/** How a histogram, or the durations of {@link Calls}, are kept. */
export interface BucketOptions {
  /**
   * The first bound, above 0: everything up to it is told as one. Rounded down to a power of two.
   *
   * @defaultValue 1
   */
  readonly smallest?: number
  /**
   * The last finite bound: everything above it is told as one. Rounded up to a power of two; at most 2^40 times
   * `smallest`.
   *
   * @defaultValue 32_768
   */
  readonly largest?: number
  /**
   * Milliseconds that `recent()` looks back.
   *
   * @defaultValue 60_000
   */
  readonly windowMs?: number
}

/** What a metric gets when its options leave it open. */
export const metricDefaults: Required<Pick<MetricOptions, 'maxSeries'> & BucketOptions> = {
  // Each series of a histogram costs a kilobyte, and some twenty lines of the page.
  maxSeries: 100,
  // Of milliseconds: up to half a minute in fifteen doublings; an interaction must be answered within 3 s.
  smallest: 1,
  largest: 32_768,
  windowMs: 60_000,
}

const KNOWN = ['help', 'maxSeries']

/** Complete and valid. */
export interface ResolvedMetric {
  readonly help: string
  readonly maxSeries: number
}

/** @throws TypeError or RangeError when an option does not exist or is out of range */
export function resolveMetric(name: string, options: MetricOptions, more: readonly string[]): ResolvedMetric {
  requireKnown(`Metrics: ${name}`, options, [...KNOWN, ...more])
  const { help, maxSeries = metricDefaults.maxSeries } = options
  if (typeof help !== 'string' || help.trim() === '') {
    throw new TypeError(`Metrics: ${name} needs help, a sentence that says what it is`)
  }
  if (!Number.isInteger(maxSeries) || maxSeries < 1) {
    throw new RangeError(`Metrics: maxSeries of ${name} must be a whole number from 1, not ${maxSeries}`)
  }
  return { help: help.trim(), maxSeries }
}

/** @throws RangeError when a bound or the window is out of range */
export function resolveBuckets(
  name: string,
  options: BucketOptions,
): { readonly buckets: LogBuckets; readonly windowMs: number } {
  const { smallest = metricDefaults.smallest, largest = metricDefaults.largest } = options
  const { windowMs = metricDefaults.windowMs } = options
  if (!(smallest >= 1e-9 && smallest < largest && largest <= smallest * 2 ** 40)) {
    throw new RangeError(
      `Metrics: ${name} has smallest ${smallest} and largest ${largest}; ` +
        'give 0 < smallest < largest, at most 2^40 times as large',
    )
  }
  if (!(windowMs >= 1_000 && windowMs <= 86_400_000)) {
    throw new RangeError(`Metrics: windowMs of ${name} must be 1_000 to 86_400_000, not ${windowMs}`)
  }
  return { buckets: new LogBuckets(smallest, largest), windowMs }
}
