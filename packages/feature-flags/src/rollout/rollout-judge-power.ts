import { powerReport } from '@evenkeel/canary-judge'
import { formatDuration } from './duration.js'
import type { PlanMetrics } from './rollout-judge-metrics.js'

/** What traffic a flag has. */
export interface RolloutTraffic {
  /** Calls of both paths in a minute. */
  readonly callsPerMinute: number
  /** Which part of them fails ordinarily, between 0 and 1. */
  readonly errorRatio: number
  /** How many guilds make a call within ten minutes; needed while the flag is by guild. */
  readonly guilds?: number | undefined
}

/** See `RolloutJudge.power`. */
export function powerOfPlan(metrics: PlanMetrics, traffic: RolloutTraffic): string {
  const { plan, by, names, errors, falseAlarmRatio } = metrics
  const { callsPerMinute, errorRatio, guilds } = traffic
  if (!names.includes(errors)) return 'The plan does not compare errors.'
  if (by === 'guild' && guilds === undefined) {
    throw new RangeError('guilds is missing: how many guilds make a call within ten minutes?')
  }
  // A guild counts once in ten minutes; of users it is taken that each makes few calls in that time.
  const [perMinute, ratio] =
    by === 'user' || guilds === undefined
      ? [callsPerMinute, errorRatio]
      : [guilds / 10, 1 - (1 - errorRatio) ** ((callsPerMinute * 10) / Math.max(guilds, 1))]
  const phases = plan.phases.map(({ name, percentage, durationMs }) => {
    const { powers } = powerReport({
      greenPerMinute: (perMinute * percentage) / 100,
      bluePerMinute: (perMinute * (100 - percentage)) / 100,
      errorRatio: ratio,
      metrics: names.length,
      falseAlarmRatio,
    })
    const found = powers.find(({ minutes }) => minutes !== undefined && minutes * 60_000 <= durationMs)
    const within = `${JSON.stringify(name)} (${percentage} %, ${formatDuration(durationMs)})`
    if (found === undefined) return `${within}: not even 5 times the errors, so it will hold`
    return `${within}: ${found.ratio} times the errors, in about ${formatDuration((found.minutes ?? 0) * 60_000)}`
  })
  return `What each phase can find by itself: ${phases.join('; ')}.`
}
