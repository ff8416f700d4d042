import { checksumOf } from './sqlite-checksum.js'
import type { SqliteDatabase, SqliteStatement } from './sqlite-driver.js'
import { toText } from './sqlite-text.js'

/** How many records are looked at without a pause. */
const PAGE = 256

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
    const rows = this.#page.all(collection, key) as CheckedRow[]
    const problems = rows.flatMap((row) => {
      const { collection, key } = placeOf(row)
      const { value: json, version, expires_at: expiresAt } = row
      if (checksumOf({ collection, key, json, version, expiresAt: expiresAt ?? undefined }) === row.checksum) return []
      return [`${JSON.stringify(key)} in ${JSON.stringify(collection)} is not what was written: its checksum differs.`]
    })
    const last = rows.at(-1)
    return { problems, next: last && placeOf(last) }
  }
}

function placeOf(row: CheckedRow): Place {
  return { collection: toText(row.collection_bytes), key: toText(row.key_bytes) }
}
