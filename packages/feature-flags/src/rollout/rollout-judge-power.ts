import { powerReport, type Power } from '@evenkeel/canary-judge'
import { formatDuration } from './duration.js'
import type { RolloutPhase } from './plan.js'
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

/** How soon the evidence of a phase shows a harm, given the traffic. */
export interface PhasePower extends Pick<RolloutPhase, 'name' | 'percentage' | 'durationMs'> {
  /** For 20 % more errors, half as many again, twice, three and five times as many. */
  readonly powers: readonly Power[]
}

/** See `RolloutJudge.power`. */
export function powerOfPlan(metrics: PlanMetrics, traffic: RolloutTraffic): string {
  const phases = powerByPhase(metrics, traffic)
  if (phases === undefined) return 'The plan does not compare errors.'
  const told = phases.map(({ name, percentage, durationMs, powers }) => {
    const found = powers.find(({ minutes }) => minutes !== undefined && minutes * 60_000 <= durationMs)
    const within = `${JSON.stringify(name)} (${percentage} %, ${formatDuration(durationMs)})`
    if (found === undefined) return `${within}: not even 5 times the errors, so it will hold`
    return `${within}: ${found.ratio} times the errors, in about ${formatDuration((found.minutes ?? 0) * 60_000)}`
  })
  return `What each phase can find by itself: ${told.join('; ')}.`
}

/** The same in figures; `undefined` where the plan does not compare errors. */
export function powerByPhase(
  { plan, by, names, errors, falseAlarmRatio }: PlanMetrics,
  { callsPerMinute, errorRatio, guilds }: RolloutTraffic,
): readonly PhasePower[] | undefined {
  if (!names.includes(errors)) return undefined
  if (by === 'guild' && guilds === undefined) {
    throw new RangeError('guilds is missing: how many guilds make a call within ten minutes?')
  }
  // A guild counts once in ten minutes; of users it is taken that each makes few calls in that time.
  const [perMinute, ratio] =
    by === 'user' || guilds === undefined
      ? [callsPerMinute, errorRatio]
      : [guilds / 10, 1 - (1 - errorRatio) ** ((callsPerMinute * 10) / Math.max(guilds, 1))]
  return plan.phases.map(({ name, percentage, durationMs }) => {
    const { powers } = powerReport({
      greenPerMinute: (perMinute * percentage) / 100,
      bluePerMinute: (perMinute * (100 - percentage)) / 100,
      errorRatio: ratio,
      metrics: names.length,
      falseAlarmRatio,
    })
    return { name, percentage, durationMs, powers }
  })
}
