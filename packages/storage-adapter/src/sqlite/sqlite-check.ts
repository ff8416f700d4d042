import { checksumOf } from './sqlite-checksum.js'
import type { SqliteDatabase, SqliteStatement } from './sqlite-driver.js'
import { toText } from './sqlite-text.js'

/** How many records are looked at without a pause. */
const PAGE = 256

/** The record that brings them to so many characters is the last of its page. */
const MAX_CHARACTERS = 8_000_000

interface CheckedRow {
  readonly collection_bytes: Uint8Array
  readonly key_bytes: Uint8Array
  readonly value: string
  readonly version: string
  readonly expires_at: number | null
  readonly checksum: number
}

/** A place in the order of all records, behind the one that is named. */
export interface Place {
  readonly collection: string
  readonly key: string
}

/** Compares records with their checksums. */
export class SqliteCheck {
  readonly #page: SqliteStatement

  constructor(database: SqliteDatabase) {
    const names = 'CAST(collection AS BLOB) AS collection_bytes, CAST(key AS BLOB) AS key_bytes'
    this.#page = database.prepare(
      `SELECT ${names}, value, version, expires_at, checksum FROM records
       WHERE (collection, key) > (?, ?) ORDER BY collection, key LIMIT ${PAGE}`,
    )
  }

  /** @returns what is wrong, and where to go on; `undefined` behind the last record */
  page({ collection, key }: Place): { readonly problems: readonly string[]; readonly next: Place | undefined } {
    const problems: string[] = []
    let next: Place | undefined
    let characters = 0
    for (const row of this.#page.iterate(collection, key) as Iterable<CheckedRow>) {
      next = placeOf(row)
      const { value: json, version, expires_at: expiresAt } = row
      if (checksumOf({ ...next, json, version, expiresAt: expiresAt ?? undefined }) !== row.checksum) {
        const place = `${JSON.stringify(next.key)} in ${JSON.stringify(next.collection)}`
        problems.push(`${place} is not what was written: its checksum differs.`)
      }
      if ((characters += json.length) >= MAX_CHARACTERS) break
    }
    return { problems, next }
  }
}

function placeOf(row: CheckedRow): Place {
  return { collection: toText(row.collection_bytes), key: toText(row.key_bytes) }
}
