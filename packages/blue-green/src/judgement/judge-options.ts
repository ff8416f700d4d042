import { affectedGuilds, latency, memoryGrowth, userReports, type Metric, type Metrics } from '@evenkeel/canary-judge'
import type { EventContext } from '../context.js'
import { defined, readDuration, requireKnown, shown } from '../checked-options.js'

/**
 * By what green is judged while both versions serve. Each is a size that is cared about; beside it there must be evidence. What
 * is named shares one error budget, so name what you would roll back for.
 */
export interface JudgeOptions {
  /** So many more errors roll back: 0.2 for 20 % more guilds in which something fails. `false` for not judged. */
  readonly errorRateIncrease?: number | false | undefined
  /** So much slower rolls back: 0.5 for 50 % more, of the 95th percentile. `false` for not judged. */
  readonly responseTimeIncrease?: number | false | undefined
  /** More reports of users than this within two hours roll back, if they are more than green's share: see `report`. */
  readonly userReports?: number | false | undefined
  /**
   * More guilds than this in which a connection to the database failed, within an hour, roll back, if they are more than green's
   * share; and at once where it is beyond doubt that green alone has lost its database: see `report`.
   */
  readonly connectionFailures?: number | false | undefined
  /** More guilds than this in which a query timed out, within an hour, roll back, if they are more than green's share: see `report`. */
  readonly queryTimeouts?: number | false | undefined
  /** So much more memory over four hours of a process's age holds: 0.3 for 30 % more. Workers are measured by themselves; see `measureMemory`. */
  readonly memoryIncrease?: number | false | undefined
  /** The chance, over the whole deployment, to roll back a version that is no worse. Above 0, below 1. */
  readonly falseAlarmRatio?: number | undefined
  /** What happens in so many ms is looked at as one: a guild counts once in it. */
  readonly windowMs?: number | undefined
}

/** The value of each option of `judge` that is not given. */
export const deploymentJudgeDefaults: {
  readonly [Name in keyof JudgeOptions]-?: Exclude<JudgeOptions[Name], undefined>
} = {
  errorRateIncrease: 0.2,
  responseTimeIncrease: 0.5,
  userReports: false,
  connectionFailures: false,
  queryTimeouts: false,
  memoryIncrease: false,
  falseAlarmRatio: 0.01,
  windowMs: 600_000,
}

/** What green is judged by, ready for use. */
export interface JudgeSettings {
  readonly metrics: Metrics
  readonly memory: ReturnType<typeof memoryGrowth> | undefined
  readonly falseAlarmRatio: number
  readonly windowMs: number
}

/** More than this is a percentage that was taken for a fraction. */
const maxIncrease = 10
const hourMs = 3_600_000

/** What the metrics are called in messages. */
export const names = { errors: 'guilds with errors', latency: 'latency' } as const

/** What `report` tells of: a user complains; a call got no connection to the database; a query of it did not answer in time. */
export type ReportKind = 'userReport' | 'connectionFailure' | 'queryTimeout'

/** By which trigger each is judged, what its metric is called, and within how long too many are too many. */
interface Reported {
  readonly trigger: 'userReports' | 'connectionFailures' | 'queryTimeouts'
  readonly name: string
  readonly windowMs: number
}

/** How what `report` tells is judged. */
export const reported: Readonly<Record<ReportKind, Reported>> = {
  userReport: { trigger: 'userReports', name: 'reports', windowMs: 2 * hourMs },
  connectionFailure: { trigger: 'connectionFailures', name: 'connection failures', windowMs: hourMs },
  queryTimeout: { trigger: 'queryTimeouts', name: 'query timeouts', windowMs: hourMs },
}

/** What `report` of a `BlueGreen` takes. */
export interface VersionReport<Version extends string = string> extends Omit<EventContext, 'eventId'> {
  /** What happened; `'userReport'` unless given. */
  readonly kind?: ReportKind | undefined
  /** The version that it happened to; the one that serves the guild now, unless given. */
  readonly version?: Version | undefined
}

/** Limits that a rollout of feature-flags knows, and why there is none here. */
const limits = ['maxErrorRatio', 'maxResponseTimeMs', 'minSatisfaction']

/** @throws TypeError or RangeError that names the option and its value */
export function readJudge(options: JudgeOptions, random: () => number): JudgeSettings {
  const limit = limits.find((name) => (options as Readonly<Record<string, unknown>>)[name] !== undefined)
  if (limit !== undefined) {
    const instead = 'use errorRateIncrease and responseTimeIncrease here, or a rollout of @evenkeel/feature-flags'
    throw new TypeError(
      `judge has no ${limit}: a deployment is judged beside the old version, not by a limit; ${instead}`,
    )
  }
  requireKnown('judge', options, [...Object.keys(deploymentJudgeDefaults), ...limits])
  const given = { ...deploymentJudgeDefaults, ...defined(options) }
  for (const option of ['errorRateIncrease', 'responseTimeIncrease', 'memoryIncrease'] as const) {
    const value: unknown = given[option]
    if (value === false || (typeof value === 'number' && value > 0 && value <= maxIncrease)) continue
    const range = `above 0 and at most ${maxIncrease}, such as 0.2 for 20 % more`
    throw new RangeError(`judge.${option} must be ${range}, or false; not ${shown(value)}`)
  }
  const { errorRateIncrease, responseTimeIncrease, memoryIncrease, falseAlarmRatio } = given
  if (!(falseAlarmRatio > 0 && falseAlarmRatio < 1)) {
    throw new RangeError(`judge.falseAlarmRatio must be above 0 and below 1, not ${String(falseAlarmRatio)}`)
  }
  const metrics: Record<string, Metric<never, never>> = {}
  const add = (name: string, metric: Metrics[string]): void => void (metrics[name] = metric as Metric<never, never>)
  if (errorRateIncrease !== false) add(names.errors, affectedGuilds({ maxIncrease: errorRateIncrease }))
  if (responseTimeIncrease !== false) add(names.latency, latency({ maxIncrease: responseTimeIncrease, random }))
  for (const { trigger, name, windowMs } of Object.values(reported)) {
    const maxReports = given[trigger]
    if (maxReports === false) continue
    if (!(Number.isSafeInteger(maxReports) && maxReports >= 0)) {
      throw new RangeError(`judge.${trigger} must be a whole number from 0, or false; not ${shown(maxReports)}`)
    }
    add(name, userReports({ maxReports, windowMs }))
  }
  if (Object.keys(metrics).length === 0) {
    const found = memoryIncrease === false ? 'nothing' : 'memory alone, which can hold and not convict, and nothing'
    throw new RangeError(`judge names ${found} to judge by; name errors or latency, or leave it out for a plan by time`)
  }
  const memory = memoryIncrease === false ? undefined : memoryGrowth({ maxIncrease: memoryIncrease })
  return { metrics, memory, falseAlarmRatio, windowMs: readDuration('judge.windowMs', given.windowMs) }
}
