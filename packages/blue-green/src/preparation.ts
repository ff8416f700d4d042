export type { Archive, ArchivedRow, KeptBackup } from './preparation/archive.js'
export { NotIsolatedError } from './migration/errors.js'
export { CheckFailedError, type CheckFinding, type PreparationCheck } from './preparation/check.js'
export { diskSpaceCheck, type DiskSpaceOptions } from './preparation/disk-space-check.js'
export { environmentCheck } from './preparation/environment-check.js'
export { BackupDamagedError, EmptyBackupError, NotEmptyError, RestoreMismatchError } from './preparation/errors.js'
export { fileArchive } from './preparation/file-archive.js'
export { fromHealthCheck, type HealthOutcome } from './preparation/from-health-check.js'
export {
  identifyBudgetCheck,
  identifyBudgetDefaults,
  type IdentifyBudget,
  type IdentifyBudgetOptions,
  type SessionStartLimit,
} from './preparation/identify-budget-check.js'
export { type PathRules, pathsCheck } from './preparation/paths-check.js'
export { type Missing, permissionsCheck } from './preparation/permissions-check.js'
export type { BackupProgress } from './preparation/progress.js'
export { restoreBackup, type RestoreBackupOptions } from './preparation/restore-backup.js'
export { storageBackup, type StorageBackupOptions, type VerifiedBackup } from './preparation/storage-backup.js'
export { type ProbedCollection, storageCheck } from './preparation/storage-check.js'

export type {
  ReadableCollection,
  ReadableStorage,
  RecordToWrite,
  ScannedRecord,
  WritableCollection,
  WritableStorage,
} from './migration/ports.js'
export type { Clock } from './ports.js'
