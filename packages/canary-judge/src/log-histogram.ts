/** Each bucket reaches so many times as far as the one before: a percentile is right to 2.5 %. */
const LOG_GROWTH = Math.log(1.05)

/** 10 microseconds and 3 hours, in milliseconds: what is beyond counts as that. */
export const LEAST_MS = 0.01
const MOST_MS = 1e7

/** How many values there are of each size: by the number of the bucket. */
export type LogHistogram = Readonly<Record<number, number>>

/** Adds values, in milliseconds. */
export function addValues(histogram: LogHistogram, values: readonly number[]): LogHistogram {
  const counts: Record<number, number> = { ...histogram }
  for (const value of values) {
    const bucket = Math.round(Math.log(Math.min(Math.max(value, LEAST_MS), MOST_MS)) / LOG_GROWTH)
    counts[bucket] = (counts[bucket] ?? 0) + 1
  }
  return counts
}

/** How many values there are. */
export function countValues(histogram: LogHistogram): number {
  return Object.values(histogram).reduce((sum, count) => sum + count, 0)
}

/**
 * @param percentile - between 0 and 100
 * @returns milliseconds; `undefined` for an empty histogram
 */
export function percentileOf(histogram: LogHistogram, percentile: number): number | undefined {
  const buckets = Object.entries(histogram)
    .map(([bucket, count]) => [Number(bucket), count] as const)
    .sort(([a], [b]) => a - b)
  const total = buckets.reduce((sum, [, count]) => sum + count, 0)
  let before = 0
  for (const [bucket, count] of buckets) {
    before += count
    if (before >= (total * percentile) / 100) return Math.exp(bucket * LOG_GROWTH)
  }
  return undefined
}
