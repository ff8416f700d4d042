export { NotIsolatedError } from './migration/errors.js'
export {
  validateMigration,
  validationDefaults,
  type ValidationOptions,
  type ValidationReport,
} from './migration/validate-migration.js'
export { exitCodeOf, validationMarkdown } from './migration/validation-markdown.js'
export {
  type BotDataOptions,
  botData,
  botDataDefaults,
  type Generate,
  type GeneratedRow,
  hostileNames,
} from './rehearsal/bot-data.js'
export { rehearsalDefaults, type RehearsalOptions, type RehearsalReport, rehearse } from './rehearsal/rehearse.js'
export { rehearsalMarkdown } from './rehearsal/rehearsal-markdown.js'

export type { CopyOptions } from './migration/copies.js'
export type { Estimate, Range } from './migration/estimate.js'
export type { Cost } from './migration/measure.js'
export type {
  ReadableCollection,
  ReadableStorage,
  RecordToWrite,
  ScannedRecord,
  WritableCollection,
  WritableStorage,
} from './migration/ports.js'
export type { CollectionImpact, Impact, MakeMigration } from './migration/prove.js'
export type { SampleOptions } from './migration/sample.js'
export type { Difference, Extent, StoreExtent } from './migration/snapshot.js'
export type { Progress, RunOutcome, StepOutcome, StepReport } from './migration/steps.js'
export type { Clock } from './ports.js'
export type { Migration, MigrationContext, ProbeContext } from './probes.js'
export type { AnonymizeOptions, KeptName, KeptNames } from './rehearsal/anonymize.js'
export type { DataOptions } from './rehearsal/data.js'
export type { Invariant, InvariantStage } from './rehearsal/invariants.js'
export type { Leak, LeakReport } from './rehearsal/leaks.js'
export type { LimitReport, RehearsalLimits } from './rehearsal/limits.js'
export type { FieldPattern } from './rehearsal/paths.js'
export type { Reads } from './rehearsal/reads.js'
export type { Rewrite } from './rehearsal/scenarios/bot-writes.js'
export type { Scenario } from './rehearsal/scenarios/play.js'
