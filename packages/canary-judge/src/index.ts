export {
  Judge,
  judgeDefaults,
  type Judgement,
  type JudgeOptions,
  type JudgeState,
  type Metrics,
  type PhaseEnd,
  type SampleOf,
  type StateOf,
  type Verdict,
} from './judge.js'

export { type ErrorCounts, errorRate, errorRateDefaults, type ErrorRateOptions } from './error-rate.js'
export { latency, latencyDefaults, type LatencyOptions, type LatencyState } from './latency.js'
export {
  type AffectedGuilds,
  affectedGuilds,
  affectedGuildsDefaults,
  type AffectedGuildsOptions,
  GuildHistory,
  type GuildWindow,
} from './affected-guilds.js'
export {
  type ReportCounts,
  type ReportSample,
  type ReportState,
  userReports,
  userReportsDefaults,
  type UserReportsOptions,
} from './user-reports.js'
export {
  memoryGrowth,
  memoryGrowthDefaults,
  type MemoryGrowthOptions,
  type MemorySample,
  type MemoryState,
} from './memory-growth.js'

export { type Emergency, findCatastrophe } from './catastrophe.js'
export { type Power, type PowerReport, powerReport, type Traffic } from './power.js'

export type { Defaults } from './options.js'
export type { Assessment, Metric, Sides } from './metric.js'
export type { LogHistogram } from './log-histogram.js'
export type { SplitState } from './split-metric.js'
export type { Evidence } from './evidence.js'
