/** Where time comes from. Every evenkeel clock fits; the system's own is used unless another is given. */
export interface Clock {
  /** Wall time in epoch ms. It dates events, and judges expiry. */
  now(): number
  /** Elapsed milliseconds that never go back. It measures every duration. */
  monotonic(): number
  /** Runs once after `delayMs`; returns what cancels it. Must not keep the process alive. */
  after(delayMs: number, run: () => void): () => void
}

/** What a store says of a write. */
export interface StoredVersion {
  /** The version that the record has now: opaque, and another one after each write. */
  readonly version: string
}

/** A stored value with its version. */
export interface StoredValue extends StoredVersion {
  /** The value. */
  readonly value: unknown
  /** When it ceases to exist, in epoch ms; `undefined` for never. */
  readonly expiresAt?: number | undefined
}

/** A stored value that was found by its key. */
export interface StoredRecord extends StoredValue {
  /** The key. */
  readonly key: string
}

/** On what a write depends. */
export interface StoreCondition {
  /** Only if the record has this version. */
  readonly ifVersion?: string | undefined
}

/** On what a write depends, and how long it holds. */
export interface StoreSetOptions extends StoreCondition {
  /** Only if there is no record. */
  readonly ifAbsent?: boolean | undefined
  /** When the record ceases to exist, in epoch ms; `undefined` for never. */
  readonly expiresAt?: number | undefined
}

/** A record was written. */
export interface StoredNotice extends StoredRecord {
  /** What happened. */
  readonly type: 'set'
}

/** A record was removed. */
export interface RemovedNotice {
  /** What happened. */
  readonly type: 'delete'
  /** The key. */
  readonly key: string
}

/** Everything is to be read anew. */
export interface ResetNotice {
  /** What happened. */
  readonly type: 'reset'
}

/** What happened to a record. */
export type StoreNotice = StoredNotice | RemovedNotice | ResetNotice

/**
 * Where processes share what is set at run time: a collection of `@evenkeel/storage-adapter`, or anything of this shape.
 * A `Map` and a Keyv have no compare-and-set, so neither fits by mistake.
 */
export interface FlagStore {
  /** Who sees what is written here: this process, those of this machine, or those of every machine. */
  readonly scope: 'process' | 'machine' | 'cluster'
  /** Who answers now: `fallback` while a copy stands in for the store, and what others change is not seen. */
  readonly servedBy?: 'primary' | 'fallback'
  /** The value of a key and its version; `undefined` means that there is none. */
  entry(key: string): Promise<StoredValue | undefined>
  /**
   * Writes only if the version is still `expected`, where `undefined` stands for "no value yet".
   * Resolves `undefined` when somebody else was first.
   */
  compareAndSet(key: string, expected: string | undefined, value: unknown): Promise<StoredVersion | undefined>
  /** Writes, unless a condition does not hold: then it rejects. */
  set(key: string, value: unknown, options?: StoreSetOptions): Promise<StoredVersion>
  /** Removes a record, unless its condition does not hold: then it rejects. An absent one may be removed too. */
  delete(key: string, options?: StoreCondition): Promise<StoredVersion>
  /** The records whose keys begin with `prefix`. */
  scan(options: { readonly prefix: string }): AsyncIterable<StoredRecord>
  /** Follows the records whose keys begin with `prefix`, whoever writes them. Begins with a `reset`. */
  watch(options: { readonly prefix: string; readonly signal: AbortSignal }): AsyncIterable<StoreNotice>
}
