/** A record as a scan yields it. */
export interface ScannedRecord {
  /** The key. */
  readonly key: string
  /** A JSON value. */
  readonly value: unknown
  /** When it ceases to exist, in epoch ms; `undefined` for never. */
  readonly expiresAt?: number | undefined
}

/** A named set of records that can be read: a collection of `@evenkeel/storage-adapter`, or anything of this shape. */
export interface ReadableCollection {
  /** The value, or `undefined` when the key is absent. */
  get(key: string): Promise<unknown>
  /** All records, in the order of their keys. */
  scan(): AsyncIterable<ScannedRecord>
}

/** A store that is only read here. */
export interface ReadableStorage {
  /** A named set of records. */
  collection(name: string): ReadableCollection
  /** The names of the collections that hold a record. */
  collections(): Promise<string[]>
}

/** A record to write. */
export interface RecordToWrite {
  /** What to do. */
  readonly type: 'set'
  /** The name of the collection. */
  readonly collection: string
  /** The key of the record. */
  readonly key: string
  /** A JSON value. */
  readonly value: unknown
  /** When it ceases to exist, in epoch ms. */
  readonly expiresAt?: number | undefined
}

/** A named set of records that can be written too. */
export interface WritableCollection extends ReadableCollection {
  /** Writes a record. */
  set(key: string, value: unknown): Promise<unknown>
  /** Removes a record, which may be absent. */
  delete(key: string): Promise<unknown>
}

/** A store that is written: every storage of `@evenkeel/storage-adapter`, or anything of this shape. */
export interface WritableStorage extends ReadableStorage {
  /** A named set of records. */
  collection(name: string): WritableCollection
  /** Writes all records or none. */
  batch(operations: readonly RecordToWrite[]): Promise<unknown>
  /** Lets go of files and connections; called when the store is needed no more. */
  stop?(): Promise<unknown>
}
