/**
 * How far the agreement of a storage reaches: one process (memory, file), one machine (SQLite), or every machine that
 * shares the database.
 */
export type Scope = 'process' | 'machine' | 'cluster'

/** Where an acknowledged write is: on the primary, or in the journal that will be replayed to it. */
export type Kept = 'primary' | 'journal'

/** What a write says when it is durable. */
export interface Receipt {
  /** The version that the record has now. Opaque and globally unique. */
  readonly version: string
  /** Where the write is. */
  readonly kept: Kept
}

/** What an update says when it is durable. */
export interface UpdateReceipt<T> extends Receipt {
  /** The value that was written. */
  readonly value: T
}

/** What a batch says when it is durable. */
export interface BatchReceipt {
  /** `false` when this `once` had been applied before, so nothing was written now. */
  readonly applied: boolean
  /** Where the batch is. */
  readonly kept: Kept
  /** One version per operation, in the same order; empty when not applied. */
  readonly versions: readonly string[]
}

/** A value with its version and expiry. */
export interface Entry<T> {
  /** A copy of the value. */
  readonly value: T
  /** The version of this record, for `ifVersion` and `compareAndSet`. */
  readonly version: string
  /** When it ceases to exist, in epoch milliseconds; `undefined` for never. */
  readonly expiresAt: number | undefined
}

/** What a scan yields. */
export interface KeyedEntry<T> extends Entry<T> {
  /** The key of the record. */
  readonly key: string
}

/** How long a record lives. Give one of the two, or neither for ever. */
export interface ExpiryOptions {
  /** Milliseconds from now until the record ceases to exist; above 0. */
  readonly ttlMs?: number | undefined
  /** When the record ceases to exist, in epoch milliseconds. */
  readonly expiresAt?: number | undefined
}

/** The conditions and the life of a `set`. */
export interface SetOptions extends ExpiryOptions {
  /** Write only when the record has this version. */
  readonly ifVersion?: string | undefined
  /** Write only when the key is absent. */
  readonly ifAbsent?: boolean | undefined
}

/** The condition of a `delete`. */
export interface DeleteOptions {
  /** Delete only when the record has this version. */
  readonly ifVersion?: string | undefined
}

/** How `update` deals with an absent key and with expiry. */
export interface UpdateOptions<T> {
  /** What the function is given when the key is absent. Without it, an absent key is skipped. */
  readonly initial?: T | undefined
  /** Milliseconds from now until the record ceases to exist; without it the record keeps the expiry that it has. */
  readonly ttlMs?: number | undefined
}

/** Which records a scan yields, and in which order. */
export interface ScanOptions {
  /** Only keys that begin with this. */
  readonly prefix?: string | undefined
  /** Only keys after this one, itself left out. */
  readonly after?: string | undefined
  /** Only keys before this one, itself left out. */
  readonly before?: string | undefined
  /** From the last key to the first. */
  readonly reverse?: boolean | undefined
  /** At most this many records. */
  readonly limit?: number | undefined
}

/** Which record an operation is about. */
export interface RecordOperation {
  /** The name of the collection. */
  readonly collection: string
  /** The key of the record. */
  readonly key: string
}

/** Writes a record, as part of a batch. */
export interface SetOperation extends RecordOperation, SetOptions {
  /** What to do. */
  readonly type: 'set'
  /** The value. */
  readonly value: unknown
  /** The version to give the record instead of a new one: for mirrors and replays, which must not change it. */
  readonly version?: string | undefined
}

/** Removes a record, as part of a batch. */
export interface DeleteOperation extends RecordOperation, DeleteOptions {
  /** What to do. */
  readonly type: 'delete'
  /** The version to report for this delete instead of a new one: for mirrors and replays. */
  readonly version?: string | undefined
}

/** Removes every record of a collection, as part of a batch. */
export interface ClearOperation {
  /** What to do. */
  readonly type: 'clear'
  /** The name of the collection. */
  readonly collection: string
}

/** Writes nothing, and fails the batch when its condition does not hold: for fencing tokens. */
export interface CheckOperation extends RecordOperation {
  /** What to do. */
  readonly type: 'check'
  /** The record must have this version. */
  readonly ifVersion?: string | undefined
  /** The key must be absent. */
  readonly ifAbsent?: boolean | undefined
}

/** One operation of a batch. Conditions of a batch are all judged before its first operation takes effect. */
export type BatchOperation = SetOperation | DeleteOperation | ClearOperation | CheckOperation

/** How to commit a batch. */
export interface BatchOptions {
  /**
   * Names the effect, such as the id of the event that causes it: a batch with a name that was committed before is not
   * applied again. Names are remembered for seven days.
   */
  readonly once?: string | undefined
}

/** What a storage says about itself when it can be reached. */
export interface StorageHealth {
  /** `degraded`: it works, but not as it should. */
  readonly status: 'up' | 'degraded'
  /** Why, as a sentence. */
  readonly reason: string
}

/** Lets go of a wait. */
export interface HealthOptions {
  /** Rejects the wait when it aborts. */
  readonly signal?: AbortSignal | undefined
}

/** What to watch. */
export interface WatchOptions {
  /** Only keys that begin with this. */
  readonly prefix?: string | undefined
  /** The `cursor` of the last change that was dealt with. Without it the watch begins with a `reset`. */
  readonly since?: string | undefined
  /** Ends the watch when it aborts. */
  readonly signal?: AbortSignal | undefined
}

/** A record was written: this is what it is now. */
export interface SetNotice<T> extends KeyedEntry<T> {
  /** What happened. */
  readonly type: 'set'
  /** Where a later watch goes on. */
  readonly cursor: string
}

/** A record was removed. */
export interface DeleteNotice {
  /** What happened. */
  readonly type: 'delete'
  /** The key of the record. */
  readonly key: string
  /** The version of the delete. */
  readonly version: string
  /** Where a later watch goes on. */
  readonly cursor: string
}

/**
 * Read everything that you need anew: the watch begins, the collection was cleared, or the log of changes does not reach
 * back to the cursor. What changes from now on follows.
 */
export interface ResetNotice {
  /** What happened. */
  readonly type: 'reset'
  /** Why. */
  readonly why: 'start' | 'clear' | 'gap'
  /** Where a later watch goes on. */
  readonly cursor: string
}

/** What a watch yields. */
export type Notice<T> = SetNotice<T> | DeleteNotice | ResetNotice

/**
 * A change as the log of a storage tells it: which record, not what is in it.
 *
 * *Gotchas*: one batch may clear a collection and write to it, and the log tells of both in any order. So after a `clear`
 * read the collection anew, rather than empty your copy.
 */
export interface LoggedChange {
  /** What happened. */
  readonly type: 'put' | 'delete' | 'clear'
  /** The name of the collection. */
  readonly collection: string
  /** The key of the record; empty for a `clear`. */
  readonly key: string
  /** The version of the write, the delete or the clear. */
  readonly version: string
}

/** A part of the log of changes. */
export interface ChangePage {
  /** Oldest first; empty when there is nothing new, and when the log does not reach back to the cursor. */
  readonly changes: readonly LoggedChange[]
  /** Where the next part begins. Opaque. */
  readonly cursor: string
  /**
   * The log does not reach back to the cursor that was given, or that cursor is of another history: what happened in
   * between is not known, and `cursor` is that of now.
   */
  readonly isReset: boolean
}

/** Which part of the log of changes to read. */
export interface ChangesOptions {
  /** Where to begin; without it nothing is read, and the cursor of now is given. */
  readonly since?: string | undefined
  /**
   * At most this many changes, from 1 to 10,000.
   *
   * @defaultValue 500
   */
  readonly limit?: number | undefined
}

/** What a look for damage found. */
export interface CheckReport {
  /** Whether nothing is wrong. */
  readonly ok: boolean
  /** What is wrong, each as a sentence. */
  readonly problems: readonly string[]
  /** How long it took, in milliseconds. */
  readonly tookMs: number
}

/** How one kind of operation has fared. Latencies are of the last one to two minutes. */
export interface OperationMetrics {
  /** How many have ended since the storage was made. */
  readonly count: number
  /** How many of them were rejected; a failed condition counts. */
  readonly errors: number
  /** Half were faster, in milliseconds; 0 when there were none. */
  readonly p50Ms: number
  /** 95 of 100 were faster, in milliseconds. */
  readonly p95Ms: number
  /** 99 of 100 were faster, in milliseconds. */
  readonly p99Ms: number
  /** The slowest, in milliseconds. */
  readonly maxMs: number
}

/** The kinds of operation that are measured. */
export type OperationKind = 'read' | 'scan' | 'count' | 'write' | 'changes'

/** What a storage has counted. */
export interface StorageMetrics {
  /** By kind of operation. */
  readonly operations: Readonly<Record<OperationKind, OperationMetrics>>
  /** Numbers of the backend by name, such as `pool.waiting` or `journal.bytes`. */
  readonly gauges: Readonly<Record<string, number>>
}

/**
 * Something that keeps records. Every backend and every wrapper is one, so they nest.
 *
 * It opens at first use. What cannot be reached rejects; `undefined` means "not there" and nothing else.
 */
export interface Storage extends AsyncDisposable {
  /** How far its agreement reaches. */
  readonly scope: Scope
  /**
   * A named set of records.
   *
   * @param name - well-formed text of 1 to 500 bytes; names that begin with `$` belong to this package
   */
  collection<T = unknown>(name: string): Collection<T>
  /** The names of the collections that hold a record, without those that begin with `$`. */
  collections(): Promise<string[]>
  /**
   * Commits all operations or none, across collections.
   *
   * @param operations - 100,000 at most
   * @throws {@link ConflictError} when a condition does not hold
   * @throws RangeError when there are too many operations, before anything is sent
   */
  batch(operations: readonly BatchOperation[], options?: BatchOptions): Promise<BatchReceipt>
  /** Asks whether reads and writes would work now. Rejects when they would not. */
  health(options?: HealthOptions): Promise<StorageHealth>
  /**
   * Reads the log of changes, of all collections and all writers: for mirrors. {@link Collection.watch} is the easy way.
   *
   * @throws RangeError when `limit` is no whole number from 1 to 10,000
   */
  changes(options?: ChangesOptions): Promise<ChangePage>
  /**
   * Looks for damage, which may take as long as reading everything.
   *
   * @returns what is wrong. It rejects only when that cannot be found out.
   */
  check(options?: HealthOptions): Promise<CheckReport>
  /** What has been counted since it was made. */
  metrics(): StorageMetrics
  /** Opens now, rather than at first use, and rejects when that fails. May be called twice. */
  start(): Promise<void>
  /** Finishes what is under way and lets go of files and connections. May be called twice. */
  stop(): Promise<void>
}

/**
 * Records of one kind, ordered by key.
 *
 * Keys are well-formed non-empty strings of at most 2,000 bytes of UTF-8, ordered by code point on every backend.
 * Values are JSON, and copies: changing one that you read changes nothing in the storage. An expired record is absent
 * for every operation.
 */
export interface Collection<T> {
  /** Its name. */
  readonly name: string
  /** How far the agreement of its storage reaches. */
  readonly scope: Scope
  /** Who answers now: `fallback` while a `FailoverStorage` answers from its copy, and what others write is not seen. */
  readonly servedBy: 'primary' | 'fallback'
  /** The value, or `undefined` when the key is absent. */
  get(key: string): Promise<T | undefined>
  /** The value with its version and expiry, or `undefined` when the key is absent. */
  entry(key: string): Promise<Entry<T> | undefined>
  /** The values that exist, by key. */
  getMany(keys: Iterable<string>): Promise<Map<string, T>>
  /** Whether the key exists. */
  has(key: string): Promise<boolean>
  /** How many records exist. */
  count(options?: { readonly prefix?: string | undefined }): Promise<number>
  /**
   * The records in the order of their keys, read page by page.
   *
   * *Gotchas*: a scan is no snapshot. A record that is written while it runs may appear or not.
   */
  scan(options?: ScanOptions): AsyncIterable<KeyedEntry<T>>
  /**
   * Writes a record.
   *
   * @throws {@link ConflictError} when `ifVersion` or `ifAbsent` does not hold
   * @throws TypeError when JSON would change the value, naming the place inside it
   */
  set(key: string, value: T, options?: SetOptions): Promise<Receipt>
  /** Writes all records or none. */
  setMany(entries: Iterable<readonly [key: string, value: T]>, options?: ExpiryOptions): Promise<BatchReceipt>
  /**
   * Removes a record. An absent one may be removed too.
   *
   * @throws {@link ConflictError} when `ifVersion` does not hold
   */
  delete(key: string, options?: DeleteOptions): Promise<Receipt>
  /** Removes every record of this collection. */
  clear(): Promise<Receipt>
  /**
   * Reads a value, lets a function change it, and writes the result, again and again until nobody came between.
   *
   * Calls on one key queue up. The record keeps its expiry unless `ttlMs` is given.
   *
   * *Gotchas*: the function may run several times, so it should only compute. Awaiting an update of the same key
   * inside it waits for ever.
   *
   * @param change - is given a copy of the value, and returns the next one
   * @returns the receipt and the new value, or `undefined` when the key is absent and there is no `initial`
   */
  update(
    key: string,
    change: (value: T) => T | Promise<T>,
    options?: UpdateOptions<T>,
  ): Promise<UpdateReceipt<T> | undefined>
  /**
   * Writes when the record still has the expected version. Losing the race is a value here, not an error.
   *
   * @param expected - the version, or `undefined` for "must be absent"
   * @returns the receipt, or `undefined` when somebody else was first
   */
  compareAndSet(key: string, expected: string | undefined, value: T): Promise<Receipt | undefined>
  /**
   * Follows what happens to the records, whoever writes them: also other processes, as far as `scope` reaches.
   *
   * It begins with a `reset`: read what you need, and everything that changes from then on follows. A notice tells what
   * the record is now, so of several quick writes only the last may be seen. While the backend is out of reach nothing
   * comes, and the watch goes on by itself when it is back; `change` events tell of both.
   *
   * *Gotchas*: expiry is no change; a `set` tells `expiresAt`. Ends without an error when its signal aborts and when the
   * storage is stopped.
   *
   * @throws {@link UnavailableError} when the backend cannot be reached at the beginning
   */
  watch(options?: WatchOptions): AsyncIterable<Notice<T>>
}
