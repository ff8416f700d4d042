export type * from './storage.js'
export { MemoryStorage, type MemoryStorageOptions } from './memory-storage.js'
export { FileStorage, fileDefaults, type FileStorageOptions } from './file/file-storage.js'
export { FailoverStorage } from './failover/failover-storage.js'
export { failoverDefaults, type FailoverStorageOptions } from './failover/failover-options.js'
export type { Merge } from './failover/merge.js'
export type {
  Conflict,
  ConflictNews,
  DeleteChange,
  Divergence,
  FailoverEvents,
  FailoverState,
  JournalChange,
  JournalEntry,
  MirrorState,
  RecordChange,
  ReplayedNews,
  SetChange,
} from './failover/failover-state.js'
export type { Announce, News, QuarantinedNews, Severity, StorageEvents } from './events.js'
export {
  BusyError,
  ConflictError,
  CorruptError,
  DriverError,
  FencedError,
  FormatError,
  LeaseLostError,
  LockedError,
  RefusedError,
  ScopeError,
  StorageError,
  StorageTimeoutError,
  UnavailableError,
  type Applied,
} from './errors.js'
export { BackendStorage, type BackendStorageOptions } from './backend-storage.js'
export type {
  Backend,
  ChangeLog,
  CheckMutation,
  ClearMutation,
  DeleteMutation,
  Expected,
  KeyedRecord,
  Mutation,
  PutMutation,
  Range,
  StoredRecord,
} from './backend.js'
export type { Clock } from './ports.js'
