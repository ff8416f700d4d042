export { Rollout, type RollbackReason, type RolloutStatus, type StartOptions } from './rollout/rollout.js'
export {
  rolloutDefaults,
  type RolloutLimits,
  type RolloutMeasures,
  type RolloutOptions,
} from './rollout/rollout-options.js'
export type { RolloutResult } from './rollout/driver-life.js'
export type { RolloutState } from './rollout/transitions.js'
export type { RolloutEntry } from './rollout/rollout-record.js'
export type { CheckResult, ValidationCheck } from './rollout/validation.js'
export type {
  RolloutChange,
  RolloutController,
  RolloutControllerChange,
  RolloutEvents,
  RolloutPowerChange,
  RolloutStoreChange,
  RolloutTransition,
} from './rollout/rollout-news.js'
export { RolloutFormatError, RolloutStateError, RolloutStoreError } from './rollout/rollout-errors.js'
export type {
  FlagPlace,
  FlagShare,
  RanCall,
  RolledOutFlag,
  RolloutFlags,
  RolloutStore,
} from './rollout/rollout-ports.js'

export { FlagDocumentError } from './document-error.js'
export { checkPlan } from './rollout/check-plan.js'
export { parsePlan, readPlan, type PlanFormat } from './rollout/plan-text.js'
export {
  triggerDefaults,
  type PhaseDefinition,
  type PlanDefinition,
  type RollbackTriggers,
  type RolloutPhase,
  type RolloutPlan,
} from './rollout/plan.js'

export {
  RolloutJudge,
  type PhaseJudgement,
  type PhasePower,
  type RolloutInterval,
  type RolloutJudgement,
  type RolloutJudgeOptions,
  type RolloutJudgeState,
  type RolloutTraffic,
} from './rollout/rollout-judge.js'
export type { DatabaseCounts, HourSlot, RecentHour } from './rollout/recent-hour.js'
export type { GuildWatch } from './rollout/guild-watch.js'
export type { KeptRow } from './rollout/guild-row.js'
export type { Compared, Histories } from './rollout/compare-guilds.js'
export type { Strangers } from './rollout/strangers.js'
export type { GuildSpeeds, TimedGuilds } from './rollout/guild-speeds.js'
export type { WorstGuilds } from './rollout/worst-guilds.js'
export type { GuildCounts, PathCounts, TallyDifference, TimedCall } from './rollout/tally.js'
export type { Sides } from '@evenkeel/canary-judge'
