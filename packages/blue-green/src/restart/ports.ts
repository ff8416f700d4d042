import type { StateStore, StoredVersion } from '../ports.js'

/** The condition of a write, and how long the record lives. */
export interface ClaimWrite {
  /** Write only when the key is absent. */
  readonly ifAbsent?: boolean | undefined
  /** Write only when the record has this version. */
  readonly ifVersion?: string | undefined
  /** Milliseconds from now until the record is gone. */
  readonly ttlMs?: number | undefined
}

/**
 * Where processes meet: a collection of `@evenkeel/storage-adapter`, on SQLite for one machine, on PostgreSQL or Redis for
 * several. A condition that does not hold rejects with the code `STORAGE_CONFLICT`, and nothing is written.
 */
export interface SharedStore extends StateStore {
  /** Writes a record that expires by itself. */
  set(key: string, value: unknown, options?: ClaimWrite): Promise<StoredVersion>
}
