import type { Announce, StorageEvents } from './events.js'
import type { ChangePage, Kept, ScanOptions, Scope, StorageHealth } from './storage.js'

/** A record as a backend keeps it: the value is JSON text already. */
export interface StoredRecord {
  /** The value as JSON text without line breaks. */
  readonly json: string
  /** Made by the storage layer; a backend keeps it as it is. */
  readonly version: string
  /** Epoch milliseconds; `undefined` for never. */
  readonly expiresAt: number | undefined
}

/** A record with its key. */
export interface KeyedRecord extends StoredRecord {
  /** Its key. */
  readonly key: string
}

/** What must hold before a commit: a version, `null` for "absent", or `undefined` for anything. */
export type Expected = string | null | undefined

/** Writes a record. */
export interface PutMutation extends KeyedRecord {
  /** What to do. */
  readonly type: 'put'
  /** The name of the collection. */
  readonly collection: string
  /** What must hold. */
  readonly expected: Expected
}

/** Removes a record. */
export interface DeleteMutation {
  /** What to do. */
  readonly type: 'delete'
  /** The name of the collection. */
  readonly collection: string
  /** The key of the record. */
  readonly key: string
  /** The version of the delete itself. */
  readonly version: string
  /** What must hold. */
  readonly expected: Expected
}

/** Removes every record of a collection. */
export interface ClearMutation {
  /** What to do. */
  readonly type: 'clear'
  /** The name of the collection. */
  readonly collection: string
  /** The version of the clear itself. */
  readonly version: string
}

/** Changes nothing, but must hold. */
export interface CheckMutation {
  /** What to do. */
  readonly type: 'check'
  /** The name of the collection. */
  readonly collection: string
  /** The key of the record. */
  readonly key: string
  /** What must hold. */
  readonly expected: string | null
}

/** One change of a commit. */
export type Mutation = PutMutation | DeleteMutation | ClearMutation | CheckMutation

/**
 * The log of changes of a backend that several processes share. Changes are written with the data, in its transaction,
 * and read in an order in which none appears late before one that was read already.
 */
export interface ChangeLog {
  /**
   * The changes after the cursor.
   *
   * @param cursor - where to begin; `undefined` for now, which gives no changes and a cursor
   * @param limit - at most this many changes
   */
  changes(cursor: string | undefined, limit: number): Promise<ChangePage>
  /**
   * Calls back when there may be new changes. It is a hint, which may come too often, and may be lost.
   *
   * @returns ends it
   */
  onHint(wake: () => void): () => void
}

/**
 * The little that a backend has to do. Hand one to a {@link BackendStorage} to get the whole `Storage`: validation,
 * expiry, updates, receipts and `once` are done there, the same for every backend.
 *
 * Every method is given the time by which expiry is judged. An expired record is absent, also for conditions.
 * Keys are ordered by code point.
 */
export interface Backend<Events extends StorageEvents = StorageEvents> {
  /** How far its agreement reaches. */
  readonly scope: Scope
  /** Who answers now, where something may stand in for it; else always the primary. */
  readonly servedBy?: 'primary' | 'fallback'
  /**
   * Opens files or connections. Called before anything else, and again after `close`.
   *
   * @param announce - tells news as an event of the storage
   * @param origin - what the versions that this storage makes begin with, up to the first dot
   */
  open(announce: Announce<Events>, origin: string): Promise<void>
  /** Finishes what is under way and lets go. */
  close(): Promise<void>
  /** One result per key, in the same order. */
  read(collection: string, keys: readonly string[], now: number): Promise<(StoredRecord | undefined)[]>
  /** The first records in the range, at most `limit` of them. */
  page(collection: string, range: Range, now: number): Promise<KeyedRecord[]>
  /** How many records begin with the prefix; an empty prefix counts all. */
  count(collection: string, prefix: string, now: number): Promise<number>
  /** The names of all collections that hold a record. */
  collections(now: number): Promise<string[]>
  /**
   * Makes all changes durable, or none. Conditions are all judged, in order, before the first change.
   *
   * @throws ConflictError for the first condition that does not hold
   */
  commit(mutations: readonly Mutation[], now: number): Promise<Kept>
  /** Rejects when reads or writes would fail. */
  health(signal: AbortSignal | undefined): Promise<StorageHealth>
  /**
   * The log of changes. A backend that only this process writes to leaves it out: then the storage keeps one itself, in
   * memory.
   */
  readonly log?: ChangeLog | undefined
  /**
   * Looks for damage; without it every record is read.
   *
   * @returns what is wrong, each as a sentence
   */
  check?(signal: AbortSignal | undefined): Promise<readonly string[]>
  /** Numbers worth watching, such as `pool.waiting` or `journal.bytes`, by name. */
  gauges?(): Readonly<Record<string, number>>
}

/** A part of a collection, in order. */
export interface Range extends ScanOptions {
  /** At most this many records. */
  readonly limit: number
  /**
   * Where values are large: a backend may end the page with the record whose JSON brings it to so many characters. What is
   * shorter than that, and than `limit`, is the end of the range.
   */
  readonly maxCharacters?: number | undefined
}
