export { BlueGreen } from './blue-green.js'
export type { BlueGreenEvents, BlueGreenFinished, BlueGreenStatus, Drained, DrainOptions } from './blue-green.js'
export type { BlueGreenChange, Controller, Severity } from './changes.js'
export type { EventContext, Id } from './context.js'
export type {
  Deployment,
  DeploymentResult,
  DeploymentStatus,
  Outcome,
  RollbackOptions,
  RollbackReason,
} from './deployment.js'
export {
  DeploymentHeldError,
  DeploymentRunningError,
  FencedError,
  MigrationInPlaceError,
  RolledBackVersionError,
  StateFormatError,
  StoppedError,
  StoreUnavailableError,
  VersionMissingError,
} from './errors.js'
export type { VersionCounters } from './lane.js'
export { memoryState } from './memory-state.js'
export { batchDefaults, deployDefaults } from './deploy-options.js'
export type { DeployOptions } from './deploy-options.js'
export { blueGreenDefaults } from './options.js'
export type { AnswerOf, BlueGreenDefaults, BlueGreenOptions, EventOf, Handler, VersionOf, Versions } from './options.js'
export type { EventNews } from './slots/crew.js'
export { NotBegunError, OutcomeUnknownError, ShedError, SlotStartError } from './slots/errors.js'
export type {
  Delivery,
  MemoryReading,
  RestartPolicy,
  Slot,
  SlotDeath,
  SlotDrained,
  SlotDrainOptions,
} from './slots/slot.js'
export { PinnedElsewhereError } from './pins/errors.js'
export type { Pin, PinCounts, PinKind, PinOptions } from './pins/pins.js'
export type { BackupMade, Batches, Migrated, Plan, PlannedMigration, ProbeResult } from './plan.js'
export type { Clock, HealthSource, HealthStatus, PartHealth, StateStore, StoredValue, StoredVersion } from './ports.js'
export type {
  Backup,
  BackupContext,
  BackupResult,
  Migration,
  MigrationContext,
  Probe,
  ProbeContext,
  SyntheticContext,
  SyntheticTest,
} from './probes.js'
export { fromRolloutPlan } from './rollout-plan.js'
export type { DeploymentPlan, RolloutPlan } from './rollout-plan.js'
export type { Phase } from './transitions.js'
export { deploymentJudgeDefaults } from './judgement/judge-options.js'
export type { JudgeOptions, ReportKind, VersionReport } from './judgement/judge-options.js'
export type { Forecast, StepForecast } from './judgement/forecast.js'
export type { DryRun, DryStep } from './report/dry-run.js'
export type { DeploymentNews, Notify } from './report/notices.js'
export { reportMarkdown } from './report/report.js'
export type { DeploymentReport } from './report/report.js'
export type { DeploymentHealth, GuildCounters, UnwellPart, VersionHealth, Vitals } from './report/vitals.js'
export type { LogEntry } from './record.js'
