import { affectedGuilds, latency, userReports, type Metric, type Metrics } from '@evenkeel/canary-judge'
import type { BucketBy } from '../context.js'
import type { RollbackTriggers } from './plan.js'

const HOUR_MS = 3_600_000

/** What the metric of errors is called: guilds in which something failed, or users for whom it did. */
export type ErrorMetric = 'guilds with errors' | 'users with errors'

/** What the metric of errors is called, by what the flag's percentage is a share of. */
export const errorMetricOf = (by: BucketBy): ErrorMetric => `${by}s with errors`

/** The metrics that a plan's triggers ask for. They share one error budget, so there are none but those. */
export type TriggerMetrics = Partial<Record<MetricName, Metrics[string]>>

/** Every metric that a trigger can ask for. */
export type MetricName = ErrorMetric | 'latency' | 'reports' | 'connection failures' | 'query timeouts'

/**
 * Which metrics judge a rollout by its triggers.
 *
 * Errors of one guild, or of one user, are not independent, and each stays on one path: so it counts once in ten minutes,
 * beside its own history. Failures of the database are as rare as reports, and judged alike.
 */
export function metricsOf(triggers: RollbackTriggers, by: BucketBy, random: () => number): TriggerMetrics {
  const {
    errorRateIncrease,
    responseTimeIncrease,
    userReports: maxReports,
    connectionFailures,
    queryTimeouts,
  } = triggers
  const metrics: { [Name in MetricName]?: Metric<never, never> } = {}
  const add = (name: MetricName, metric: Metrics[string]): void => {
    metrics[name] = metric as Metric<never, never>
  }
  if (errorRateIncrease !== undefined) {
    add(errorMetricOf(by), affectedGuilds({ maxIncrease: errorRateIncrease }))
  }
  if (responseTimeIncrease !== undefined) add('latency', latency({ maxIncrease: responseTimeIncrease, random }))
  if (maxReports !== undefined) add('reports', userReports({ maxReports }))
  if (connectionFailures !== undefined) {
    add('connection failures', userReports({ maxReports: connectionFailures, windowMs: HOUR_MS }))
  }
  if (queryTimeouts !== undefined) add('query timeouts', userReports({ maxReports: queryTimeouts, windowMs: HOUR_MS }))
  return metrics
}
