export type { CopyOptions } from './migration/copies.js'
export { NotIsolatedError } from './migration/errors.js'
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
export type { Difference, Extent, StoreExtent } from './migration/snapshot.js'
export type { Progress, RunOutcome, StepOutcome, StepReport } from './migration/steps.js'
export {
  type SampleOptions,
  validateMigration,
  validationDefaults,
  type ValidationOptions,
  type ValidationReport,
} from './migration/validate-migration.js'
export { exitCodeOf, validationMarkdown } from './migration/validation-markdown.js'
export type { Migration, MigrationContext, ProbeContext } from './probes.js'
export type { Clock } from './ports.js'
