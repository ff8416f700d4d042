import type { StateStore } from '../ports.js'

/** Where jobs are kept: a collection of `@evenkeel/storage-adapter`, or anything with a compare-and-set. */
export interface JobStore extends StateStore {
  /** The name of the collection: needed for `commit` and `fence`. */
  readonly name?: string | undefined
}

/** Writes a record, as part of a batch. */
export interface JobSet {
  /** What to do. */
  readonly type: 'set'
  /** The collection. */
  readonly collection: string
  /** The key of the record. */
  readonly key: string
  /** The value. */
  readonly value: unknown
  /** Only when the record has this version. */
  readonly ifVersion?: string | undefined
  /** Only when there is no record. */
  readonly ifAbsent?: boolean | undefined
  /** Milliseconds from now until the record is gone. */
  readonly ttlMs?: number | undefined
}

/** Removes a record, as part of a batch. */
export interface JobDelete {
  /** What to do. */
  readonly type: 'delete'
  /** The collection. */
  readonly collection: string
  /** The key of the record. */
  readonly key: string
  /** Only when the record has this version. */
  readonly ifVersion?: string | undefined
}

/** Removes every record of a collection, as part of a batch. */
export interface JobClear {
  /** What to do. */
  readonly type: 'clear'
  /** The collection. */
  readonly collection: string
}

/** Writes nothing, and fails the batch when its condition does not hold. */
export interface JobCheck {
  /** What to do. */
  readonly type: 'check'
  /** The collection. */
  readonly collection: string
  /** The key of the record. */
  readonly key: string
  /** The record must have this version. */
  readonly ifVersion?: string | undefined
  /** The key must be absent. */
  readonly ifAbsent?: boolean | undefined
}

/** One operation of a batch, as `storage.batch` takes it. */
export type JobOperation = JobSet | JobDelete | JobClear | JobCheck

/** What writes several records at once, or none: a storage of `@evenkeel/storage-adapter`. */
export interface JobStorage {
  /** Writes all of them, or none when a condition does not hold. */
  batch(operations: readonly JobOperation[]): Promise<unknown>
}

/** Calls when the owner may have changed. */
interface Watchable {
  /** Calls the listener whenever something has changed. */
  on(event: 'change', listener: () => void): unknown
  /** Takes the listener off again. */
  off(event: 'change', listener: () => void): unknown
}

/** Several processes, of which one owns the events, and the jobs with them: a `GaplessRestart`. */
export interface OwningProcess extends Watchable {
  /** Where it is now. */
  readonly status: {
    /** `owner` runs the jobs. */
    readonly role: string
    /** Goes up with each owner. */
    readonly epoch: number
    /** The version of the owner. */
    readonly ownerVersion: string | undefined
  }
}

/** One process with two versions, of which the active one owns the jobs: a `BlueGreen`. */
export interface OwningVersion extends Watchable {
  /** Where it is now. */
  readonly status: {
    /** `DRIVING` runs the jobs. */
    readonly controller: string
    /** Goes up with each process that drives. */
    readonly epoch: number
    /** The version that is active. */
    readonly active: string
  }
}

/** Whoever says whether the jobs are this process's. */
export type JobOwner = OwningProcess | OwningVersion
