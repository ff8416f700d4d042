import type { Scope } from '../storage.js'

/** What a store says of a write. */
export interface LeaseReceipt {
  /** The version that the record has now: opaque, and another one after each write. */
  readonly version: string
  /** Where the write is. One that only a journal keeps is no agreement, and is refused. */
  readonly kept?: 'primary' | 'journal' | undefined
}

/** A stored value with its version. */
export interface LeaseEntry {
  /** The value. */
  readonly value: unknown
  /** What a later compare-and-set expects. */
  readonly version: string
}

/**
 * Where leases are kept: a collection, or anything of this shape. A `Map` and a Keyv have no compare-and-set, so neither
 * fits by mistake.
 */
export interface LeaseStore {
  /** The name of the collection, for {@link LeaseTerm.fence}. */
  readonly name: string
  /** How far its agreement reaches. */
  readonly scope: Scope
  /** The value of a key and its version; `undefined` means that there is none. */
  entry(key: string): Promise<LeaseEntry | undefined>
  /**
   * Writes only if the version is still `expected`, where `undefined` stands for "no value yet".
   * Resolves `undefined` when somebody else was first.
   */
  compareAndSet(key: string, expected: string | undefined, value: unknown): Promise<LeaseReceipt | undefined>
}

/** Where the runs of jobs are kept: a collection, or anything of this shape. */
export interface RunStore extends LeaseStore {
  /**
   * Writes under a condition, for a limited time. Rejects with the code `STORAGE_CONFLICT` when the condition does not
   * hold.
   */
  set(
    key: string,
    value: unknown,
    options: {
      readonly ifVersion?: string | undefined
      readonly ifAbsent?: boolean | undefined
      readonly ttlMs?: number | undefined
    },
  ): Promise<LeaseReceipt>
}
