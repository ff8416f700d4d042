export type * from './storage.js'
export { MemoryStorage, type MemoryStorageOptions } from './memory-storage.js'
export { FileStorage, fileDefaults, type FileStorageOptions } from './file-storage.js'
export { FailoverStorage } from './failover-storage.js'
export { failoverDefaults, type FailoverStorageOptions } from './failover-options.js'
export type {
  Conflict,
  ConflictNews,
  Divergence,
  FailoverEvents,
  FailoverState,
  JournalChange,
  JournalEntry,
  MirrorState,
  ReplayedNews,
} from './failover-state.js'
export type { News, QuarantinedNews, Severity, StorageEvents } from './events.js'
export {
  BusyError,
  ConflictError,
  CorruptError,
  DriverError,
  FencedError,
  FormatError,
  LockedError,
  StorageError,
  StorageTimeoutError,
  UnavailableError,
  type Applied,
} from './errors.js'
export { BackendStorage, type BackendStorageOptions } from './backend-storage.js'
export type { Backend, Expected, KeyedRecord, Mutation, Range, StoredRecord } from './backend.js'
export type { Announce } from './events.js'
export type { Clock } from './ports.js'
