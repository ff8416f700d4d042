import { estimateRatio } from './evidence.js'
import type { Metric, Sides } from './metric.js'
import { checkPositive, type Defaults } from './options.js'
import { assessSplit, ignore, isAmount, noSplit, observeSplit, type SplitState } from './split-metric.js'

/** What users said of a version in an interval. */
export interface ReportCounts {
  /** Complaints: at most a few of each guild, or one guild would speak for all. */
  readonly reports: number
  /** How many users, or guilds, were on the version. */
  readonly users: number
}

/** A sample of {@link userReports}. */
export interface ReportSample extends Sides<ReportCounts> {
  /** When the interval ended, in milliseconds on a clock that is not set back. */
  readonly atMs: number
}

/** How {@link userReports} judges. */
export interface UserReportsOptions {
  /**
   * So many within the window are borne.
   *
   * @defaultValue 5
   */
  readonly maxReports?: number | undefined
  /**
   * Milliseconds.
   *
   * @defaultValue 7_200_000
   */
  readonly windowMs?: number | undefined
}

/** The defaults of {@link userReports}. */
export const userReportsDefaults: Defaults<UserReportsOptions> = { maxReports: 5, windowMs: 2 * 3_600_000 }

/** Reports are so few that less cannot be ruled out. */
const SAFE_RATIO = 2

/** What {@link userReports} remembers. Plain numbers: keep it as JSON. */
export interface ReportState extends SplitState {
  /** The reports about the new version in the window that ends with the last sample: when, and how many. */
  readonly recent: readonly (readonly [atMs: number, reports: number])[]
}

/**
 * What users report about each version, beside how many use it.
 *
 * "More than 5 in two hours" alone would roll back a third of all harmless rollouts of a bot that hears of two problems in
 * two hours on an ordinary day. So it is the size of the effect, and that the new version draws more than its share is the
 * evidence. _Proven_ for reports that are independent of each other.
 *
 * @throws RangeError when an option is out of its range
 *
 * @example
 * ```ts
 * import { userReports } from '@evenkeel/canary-judge'
 *
 * const metric = userReports({ maxReports: 5 })
 * const sample = { atMs: 60_000, green: { reports: 9, users: 100 }, blue: { reports: 1, users: 900 } }
 * const { isEffectReached, evidence } = metric.assess(metric.observe(metric.start(), sample), 'reports')
 * console.log(isEffectReached && evidence >= 100) // => true
 * ```
 */
export function userReports(options: UserReportsOptions = {}): Metric<ReportSample, ReportState> {
  const maxReports = options.maxReports ?? userReportsDefaults.maxReports
  const windowMs = options.windowMs ?? userReportsDefaults.windowMs
  if (!isAmount(maxReports)) throw new RangeError(`maxReports must be 0 or more, not ${String(maxReports)}`)
  checkPositive('windowMs', windowMs, '7_200_000 for two hours')
  return {
    start: () => ({ ...noSplit, recent: [] }),
    observe: (state, { atMs, green, blue }) => {
      const last = state.recent.at(-1)?.[0] ?? -Infinity
      // A late one would be counted in a window that it does not belong to.
      if (!Number.isFinite(atMs) || atMs < last || !isAmount(green?.reports)) return ignore(state)
      const next = observeSplit(state, green.reports, blue?.reports, green.users, blue?.users)
      if (next.ignored > state.ignored) return next
      const recent = state.recent.filter(([when]) => when > atMs - windowMs)
      return { ...next, recent: [...recent, [atMs, green.reports] as const] }
    },
    assess: (state, name) => {
      const reports = state.recent.reduce((sum, [, count]) => sum + count, 0)
      return assessSplit(name, state, SAFE_RATIO, {
        ratio: estimateRatio(state.evidence),
        isReached: reports > maxReports,
        isRare: true,
      })
    },
  }
}
