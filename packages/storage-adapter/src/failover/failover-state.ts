import type { News, StorageEvents } from '../events.js'

/** How complete the local copy is. */
export interface MirrorState {
  /**
   * `copying`: it is compared with the primary. `fresh`: it follows the primary. `stale`: it could not be written, or
   * has never been complete.
   */
  readonly status: 'copying' | 'fresh' | 'stale'
  /** Why, as a sentence. */
  readonly reason: string
  /** Since when, in epoch milliseconds. */
  readonly since: number
  /** The collections that can be read in an outage: all of them, or those named. */
  readonly covered: 'all' | readonly string[]
  /**
   * How long ago, in milliseconds, the copy was known to have everything, also what others write. While nobody else
   * writes, 0 as long as the copy is `fresh`; `undefined` when it has never been known.
   */
  readonly lagMs: number | undefined
}

/** Why the primary that came back is not the one that went. */
export interface Divergence {
  /**
   * `other store`: it has another id, or none. `less history`: it is the right store, but lacks writes that it had
   * acknowledged, as an older backup does, or a replica that was behind.
   */
  readonly kind: 'other store' | 'less history'
  /** The id that the primary had; `undefined` when it had none. */
  readonly expected: string | undefined
  /** The id that it has now; `undefined` when it has none. */
  readonly found: string | undefined
  /** Since when, in epoch milliseconds. */
  readonly since: number
}

/** Where a `FailoverStorage` stands. */
export interface FailoverState {
  /** Who serves reads and takes writes. */
  readonly on: 'primary' | 'fallback'
  /** Why, as a sentence. */
  readonly reason: string
  /** Since when, in epoch milliseconds. */
  readonly since: number
  /** How complete the local copy is. */
  readonly mirror: MirrorState
  /** How many times the fallback has taken over since the storage was opened. */
  readonly failovers: number
  /** How many batches wait to be replayed. */
  readonly journalLength: number
  /** How many batches the current or the last recovery has replayed. */
  readonly replayed: number
  /** How many batches are kept as conflicts. */
  readonly conflicts: number
  /** Set when the primary that came back is another one: recovery has stopped, and waits for a person. */
  readonly diverged: Divergence | undefined
}

/** What every change of a journaled batch says. */
export interface RecordChange {
  /** The collection. */
  readonly collection: string
  /** The key. */
  readonly key: string
  /** The version that the write was given, and keeps. */
  readonly version: string
  /** The version that the write replaced; `null` when the key was absent. */
  readonly base: string | null
  /** When what it replaced would have expired, in epoch milliseconds. */
  readonly baseExpiresAt?: number | undefined
  /** The value that the write replaced; kept only for a collection with a `merge`. */
  readonly baseValue?: unknown
  /** Whether an earlier write of unknown outcome may have removed the record from the primary. */
  readonly isDoubtful: boolean
}

/** A record that a journaled batch writes. */
export interface SetChange extends RecordChange {
  /** What it does. */
  readonly type: 'set'
  /** The value. */
  readonly value: unknown
  /** When it ceases to exist, in epoch milliseconds. */
  readonly expiresAt?: number | undefined
}

/** A record that a journaled batch removes. */
export interface DeleteChange extends RecordChange {
  /** What it does. */
  readonly type: 'delete'
}

/** A change of one record in a journaled batch. */
export type JournalChange = SetChange | DeleteChange

/** A batch that was acknowledged in an outage. */
export interface JournalEntry {
  /** Its place in the order of all batches of this writer. */
  readonly sequence: number
  /** When it was acknowledged, in epoch milliseconds. */
  readonly at: number
  /** What it changes. */
  readonly changes: readonly JournalChange[]
}

/** A batch that was not replayed, because somebody else changed the primary meanwhile. */
export interface Conflict extends JournalEntry {
  /** Why it was not replayed. */
  readonly why: string
  /** What the primary has for each change; `null` for nothing. Its value stands. */
  readonly found: readonly (string | null)[]
}

/** A conflict, told. */
export interface ConflictNews extends News {
  /** The batch that was kept aside. */
  readonly conflict: Conflict
}

/** A recovery, told. */
export interface ReplayedNews extends News {
  /** How many batches were replayed. */
  readonly replayed: number
  /** How many batches became conflicts. */
  readonly conflicts: number
}

/** The events of a `FailoverStorage`. */
export interface FailoverEvents extends StorageEvents {
  /** The journal is empty again, and the primary serves. */
  replayed: [news: ReplayedNews]
  /** A batch could not be replayed and was kept aside. */
  conflict: [news: ConflictNews]
  /** The primary that came back is another one. Recovery has stopped. */
  diverged: [news: News]
  /** Another writer has claimed the primary; this one may not write to it any more. */
  fenced: [news: News]
}
