import type { HealthCheck } from '../check-result.js'
import type { ErrorCounts } from '../metrics/calls.js'
import { systemClock } from '../system-clock.js'
import { baselineDefaults, type BaselineOptions } from './baseline-options.js'
import { type Comparison, watchBaseline } from './baseline-watch.js'
import { requireClock, resolveOptions } from './check-options.js'
import { isSurelyAbove, shareOf, type Tally } from './evidence.js'
import { count, duration, percent } from './figures.js'
import type { Verdict } from './verdict.js'

/** How {@link errorRateCheck} judges. */
export interface ErrorRateCheckOptions extends BaselineOptions {
  /**
   * By how much more than usual may fail before it is `degraded`: 0.2 for 20 % more; from 0. Evidence is asked for
   * besides.
   *
   * @defaultValue 0.2
   */
  readonly degradedIncrease?: number
  /**
   * The share of calls, 0 to 1, below which failures are never too many.
   *
   * @defaultValue 0.01
   */
  readonly minRatio?: number
  /**
   * The share of the latest calls (a twelfth of the window), 0 to 1, that may fail before it is `down`, whatever is usual.
   *
   * @defaultValue 0.5
   */
  readonly downRatio?: number
}

/** What {@link errorRateCheck} uses when its options leave it open. */
export const errorRateCheckDefaults: Required<Omit<ErrorRateCheckOptions, 'clock'>> = {
  ...baselineDefaults,
  degradedIncrease: 0.2,
  minRatio: 0.01,
  downRatio: 0.5,
}

/**
 * Looks whether more calls fail than usual.
 *
 * @remarks
 * What is usual it learns: the share of calls that failed before the present window, the older the less. It is told only
 * what chance would not have brought about, so few calls need a large change; and 20 % is the smallest change that
 * matters, not what is found at once: if 3 of 100 calls usually fail, twice as many are found after about half an hour at 4,000 calls
 * an hour. Chance alone tells a change in fewer than one week of a hundred, day and night. When the latest twelfth of
 * the window is as usual again, it is over.
 *
 * *Gotchas*: what is told is not learned, or the next incident would pass for usual. A slow drift becomes usual, and so
 * does what has been told for two half-lives, a day by default. What is usual is kept in memory: a
 * restart begins anew, and it takes two windows to say more than that most calls fail. Count as failures what the bot
 * did wrong, not its users.
 *
 * @param read - how many calls there have been, and how many of them failed, counted from any beginning on; `errors()` of
 * a recorder from `@evenkeel/health-monitor/metrics`, for instance
 * @param options - the window and the limits
 * @returns the check; it is up while there is too little to judge by, and says so
 * @throws TypeError when there is no function, or an option does not exist or is of another type
 * @throws RangeError when a number is out of range
 *
 * @example
 * ```ts
 * import { errorRateCheck, HealthMonitor } from '@evenkeel/health-monitor'
 *
 * let [calls, failures] = [0, 0]
 * const check = errorRateCheck(() => ({ calls, failures }))
 * const health = new HealthMonitor({ checks: { commands: { check } } })
 * console.log((await health.check('commands')).reason) // => 0 calls within 60 min are too few to judge by, below 100
 * ```
 */
export function errorRateCheck(read: () => ErrorCounts, options: ErrorRateCheckOptions = {}): HealthCheck {
  if (typeof read !== 'function')
    throw new TypeError('errorRateCheck: give a function that returns { calls, failures }')
  const resolved = resolveOptions('errorRateCheck', options, errorRateCheckDefaults, ['clock'])
  const { clock = systemClock } = resolved
  requireClock('errorRateCheck', clock)
  return watchBaseline({
    ...resolved,
    clock,
    read() {
      const { calls, failures } = read()
      if (calls >= failures && failures >= 0 && calls < Infinity) return [calls, failures]
      throw new TypeError(`errorRateCheck: ${failures} failures of ${calls} calls make no sense`)
    },
    tally: toTally,
    judge: (comparison) => judge(comparison, resolved),
  })
}

function judge(
  { now, before, counts, tooEarly, isEvident, maxTimes }: Comparison,
  { windowMs, degradedIncrease, minRatio, downRatio }: Required<Omit<ErrorRateCheckOptions, 'clock'>>,
): Verdict {
  const latest = toTally(counts.latest)
  if (isSurelyAbove(latest, downRatio)) {
    const failed = `${count(latest.hits)} of the latest ${count(latest.calls)} calls failed (${percent(shareOf(latest))})`
    return { status: 'down', reason: `${failed}, above ${percent(downRatio)}` }
  }
  if (tooEarly !== undefined) return { status: 'up', reason: tooEarly }
  const [share, usual] = [shareOf(now), shareOf(before)]
  const failed = `${count(now.hits)} of ${count(now.calls)} calls failed within ${duration(windowMs)} (${percent(share)})`
  const isMore = share > usual * maxTimes && share > minRatio
  if (!isMore || !isEvident) return { status: 'up', reason: `${failed}, usual are ${percent(usual)}` }
  const limit = `above the usual ${percent(usual)} by more than ${percent(degradedIncrease)}`
  return { status: 'degraded', reason: `${failed}, ${limit}` }
}

function toTally([calls = 0, hits = 0]: Float64Array): Tally {
  return { calls, hits }
}
