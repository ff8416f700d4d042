import type { SqliteDatabase, SqliteStatement } from './sqlite-driver.js'
import { toText } from './sqlite-text.js'
import type { ChangePage, LoggedChange } from '../storage.js'

/** How many changes are kept at least: a watch that is further behind begins anew. */
const KEPT = 100_000

/** How the kinds of change are written. */
const TYPES: readonly LoggedChange['type'][] = ['put', 'delete', 'clear']

/** Names are read as bytes: the `node:sqlite` of Node 22 cuts text at a NUL. */
interface ChangeRow {
  readonly sequence: number
  readonly type: number
  readonly collection_bytes: Uint8Array
  readonly key_bytes: Uint8Array
  readonly version: string
}

/**
 * The rows of the log of changes.
 *
 * SQLite has one writer at a time, so the order of the rows is that of the commits, and none appears late. A cursor is
 * the number of the last row that was read with its version, and the id of the store: so it is noticed when that row is
 * gone, or is another one because an older backup was put in place.
 */
export class SqliteChangeLog {
  readonly #storeId: string
  readonly #from: SqliteStatement
  readonly #head: SqliteStatement
  readonly #first: SqliteStatement
  readonly #prune: SqliteStatement

  constructor(database: SqliteDatabase) {
    this.#storeId = (database.prepare('SELECT id FROM store').get() as { id: string }).id
    const names = 'CAST(collection AS BLOB) AS collection_bytes, CAST(key AS BLOB) AS key_bytes'
    this.#from = database.prepare(
      `SELECT sequence, type, ${names}, version FROM changes WHERE sequence >= ? ORDER BY sequence LIMIT ?`,
    )
    this.#head = database.prepare('SELECT sequence, version FROM changes ORDER BY sequence DESC LIMIT 1')
    this.#first = database.prepare('SELECT sequence FROM changes ORDER BY sequence LIMIT 1')
    this.#prune = database.prepare('DELETE FROM changes WHERE sequence < ?')
  }

  /** @see ChangeLog.changes */
  read(cursor: string | undefined, limit: number): ChangePage {
    if (cursor === undefined) return { changes: [], cursor: this.#now(), isReset: false }
    const { storeId, sequence, version } = parseCursor(cursor)
    // With the row of the cursor itself, in one statement: nobody can prune between two.
    const rows = storeId === this.#storeId ? (this.#from.all(sequence, limit + 1) as ChangeRow[]) : []
    const [known, ...news] = rows
    if (known?.sequence !== sequence || known.version !== version) {
      return { changes: [], cursor: this.#now(), isReset: true }
    }
    return { changes: news.map(toChange), cursor: this.#cursorOf(news.at(-1) ?? known), isReset: false }
  }

  /**
   * Removes the oldest rows beyond those that are kept.
   *
   * @param most - so many of them at most
   */
  prune(most: number): void {
    const first = (this.#first.get() as { sequence: number }).sequence
    const head = (this.#head.get() as { sequence: number }).sequence
    if (head - first >= KEPT) this.#prune.run(Math.min(head - KEPT + 1, first + most))
  }

  #now(): string {
    return this.#cursorOf(this.#head.get() as Pick<ChangeRow, 'sequence' | 'version'>)
  }

  #cursorOf({ sequence, version }: Pick<ChangeRow, 'sequence' | 'version'>): string {
    return `${this.#storeId}.${sequence}.${version}`
  }
}

/** The version comes last, because it may hold any character. */
function parseCursor(cursor: string): { storeId: string; sequence: number; version: string } {
  const [, storeId = '', sequence = '', version = ''] = /^([0-9A-F]+)\.([1-9][0-9]{0,15})\.(.*)$/s.exec(cursor) ?? []
  return { storeId, sequence: Number(sequence), version }
}

function toChange({ type, collection_bytes, key_bytes, version }: ChangeRow): LoggedChange {
  return { type: TYPES[type] ?? 'put', collection: toText(collection_bytes), key: toText(key_bytes), version }
}
