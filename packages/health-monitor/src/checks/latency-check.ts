import type { HealthCheck } from '../check-result.js'
import { percentileOf } from '../metrics/log-buckets.js'
import { systemClock } from '../system-clock.js'
import { baselineDefaults, type BaselineOptions } from './baseline-options.js'
import { type Comparison, watchBaseline } from './baseline-watch.js'
import { requireClock, resolveOptions } from './check-options.js'
import { isSurelyAbove, shareOf, type Tally } from './evidence.js'
import { count, duration, percent } from './figures.js'
import type { Verdict } from './verdict.js'

/** How many calls took how long, counted from any beginning on. */
export interface LatencyBuckets {
  /** Inclusive upper bounds in ms, ascending; the last may be `Infinity`. */
  readonly bounds: readonly number[]
  /** As many as there are bounds: each bucket for itself. */
  readonly counts: readonly number[]
}

/** How {@link latencyCheck} judges. */
export interface LatencyCheckOptions extends BaselineOptions {
  /**
   * By how much longer than usual the slowest 5 of 100 calls may take before it is `degraded`: 0.5 for 50 %; from 0.
   * Evidence is asked for besides.
   *
   * @defaultValue 0.5
   */
  readonly degradedIncrease?: number
  /**
   * Milliseconds below which 95 of 100 calls are never too slow.
   *
   * @defaultValue 100
   */
  readonly minMs?: number
  /**
   * Milliseconds that 95 of the latest 100 calls (a twelfth of the window) may take before it is `down`, whatever is
   * usual. Discord waits 3 s for an answer.
   *
   * @defaultValue 3_000
   */
  readonly downMs?: number
}

/** What {@link latencyCheck} uses when its options leave it open. */
export const latencyCheckDefaults: Required<Omit<LatencyCheckOptions, 'clock'>> = {
  ...baselineDefaults,
  degradedIncrease: 0.5,
  minMs: 100,
  downMs: 3_000,
}

const PERCENTILE = 95
/** So many are slower than the percentile, by its definition. */
const SLOW_RATIO = 1 - PERCENTILE / 100

/**
 * Looks whether calls take longer than usual.
 *
 * @remarks
 * It compares the 95th percentile of the present window with the one before it, and tells a change only when more calls
 * are slower than the usual percentile than chance would have brought about. As `errorRateCheck`, it learns what is usual,
 * forgets it slowly, and is over as soon as the latest twelfth of the window is as usual again.
 *
 * *Gotchas*: the coarser the buckets, the later it notices. What is usual is kept in memory: a restart begins anew, and
 * it takes two windows to say more than that calls take longer than `downMs`.
 *
 * @param read - how many calls took how long; `latency()` of a recorder from `@evenkeel/health-monitor/metrics`, for
 * instance. Its bounds must stay the same
 * @param options - the window and the limits
 * @returns the check; it is up while there is too little to judge by, and says so
 * @throws TypeError when there is no function, or an option does not exist or is of another type
 * @throws RangeError when a number is out of range
 *
 * @example
 * ```ts
 * import { HealthMonitor, latencyCheck } from '@evenkeel/health-monitor'
 *
 * const bounds = [100, 200, 400, 800, 1_600, 3_200, Infinity]
 * const counts = bounds.map(() => 0)
 * const health = new HealthMonitor({ checks: { commands: { check: latencyCheck(() => ({ bounds, counts })) } } })
 * console.log((await health.check('commands')).reason) // => 0 calls within 60 min are too few to judge by, below 100
 * ```
 */
export function latencyCheck(read: () => LatencyBuckets, options: LatencyCheckOptions = {}): HealthCheck {
  if (typeof read !== 'function') throw new TypeError('latencyCheck: give a function that returns { bounds, counts }')
  const resolved = resolveOptions('latencyCheck', options, latencyCheckDefaults, ['clock'])
  const { clock = systemClock } = resolved
  requireClock('latencyCheck', clock)
  let bounds: readonly number[] = []
  return watchBaseline({
    ...resolved,
    clock,
    read() {
      const buckets = read()
      requireBuckets(buckets)
      bounds = buckets.bounds
      return buckets.counts
    },
    tally: (counts, baseline) => slowerThan(counts, usualIndex(baseline)),
    judge: (comparison) => judge(comparison, bounds, resolved),
  })
}

function judge(
  { now, counts, tooEarly, isEvident, maxTimes }: Comparison,
  bounds: readonly number[],
  { windowMs, degradedIncrease, minMs, downMs }: Required<Omit<LatencyCheckOptions, 'clock'>>,
): Verdict {
  const latest = slowerThan(counts.latest, lastIndexUpTo(downMs, bounds))
  if (isSurelyAbove(latest, SLOW_RATIO)) {
    const share = percent(shareOf(latest))
    const slow = `${share} of the latest ${count(latest.calls)} calls took more than ${duration(downMs)}`
    return { status: 'down', reason: `${slow}, above ${percent(SLOW_RATIO)}` }
  }
  if (tooEarly !== undefined) return { status: 'up', reason: tooEarly }
  const nowMs = percentileOf(bounds, counts.now, PERCENTILE) ?? 0
  const usualMs = percentileOf(bounds, counts.before, PERCENTILE) ?? 0
  const largest = bounds.findLast((bound) => bound < Infinity) ?? 0
  const show = (ms: number): string => (ms === Infinity ? `more than ${duration(largest)}` : duration(ms))
  const took = `95 % of ${count(now.calls)} calls took up to ${show(nowMs)} within ${duration(windowMs)}`
  const isMore = nowMs > usualMs * maxTimes && nowMs > minMs
  if (!isMore || !isEvident) return { status: 'up', reason: `${took}, usual are ${show(usualMs)}` }
  const limit = `above the usual ${show(usualMs)} by more than ${percent(degradedIncrease)}`
  return { status: 'degraded', reason: `${took}, ${limit}` }
}

/** The bucket that a limit lies in: only what is above it is surely slower. */
function lastIndexUpTo(ms: number, bounds: readonly number[]): number {
  const index = bounds.findIndex((bound) => bound >= ms)
  return index < 0 ? bounds.length : index
}

/** The last bucket of the calls that are not slow, seen from the past. */
function usualIndex(baseline: Float64Array): number {
  const all = baseline.reduce((sum, next) => sum + next, 0)
  let slow = 0
  for (let index = baseline.length - 1; index >= 0; index--) {
    slow += baseline[index] as number
    if (slow > SLOW_RATIO * all) return index
  }
  return -1
}

function slowerThan(counts: Float64Array, index: number): Tally {
  let [calls, hits] = [0, 0]
  for (const [at, here] of counts.entries()) {
    calls += here
    if (at > index) hits += here
  }
  return { calls, hits }
}

function requireBuckets({ bounds, counts }: LatencyBuckets): void {
  const isCount = (count: number): boolean => count >= 0 && count < Infinity
  if (!Array.isArray(bounds) || !Array.isArray(counts) || bounds.length !== counts.length || !counts.every(isCount)) {
    throw new TypeError('latencyCheck: give as many counts, from 0, as bounds')
  }
}
