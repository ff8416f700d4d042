import type { KeyedRecord, Mutation, Range, StoredRecord } from './backend.js'
import { ConflictError } from './errors.js'
import { endOfPrefix } from './keys.js'
import type { SqliteDatabase, SqliteStatement, SqliteValue } from './sqlite-driver.js'
import { holds } from './tables.js'

/** Records that expired so long ago are removed: the clocks of the processes that share a database differ. */
const SWEEP_AFTER_MS = 60 * 60 * 1_000

const IS_LIVE = '(expires_at IS NULL OR expires_at > ?)'
const FIELDS = 'value, version, expires_at'

interface Row {
  readonly value: string
  readonly version: string
  readonly expires_at: number | null
}

/** Names are read as bytes: the `node:sqlite` of Node 22 cuts text at a NUL. Values are JSON, which escapes it. */
interface KeyedRow extends Row {
  readonly key_bytes: Uint8Array
}

/** What is asked of an open database, in SQL. */
export class SqliteStatements {
  readonly #database: SqliteDatabase
  readonly #prepared = new Map<string, SqliteStatement>()

  constructor(database: SqliteDatabase) {
    this.#database = database
  }

  find(collection: string, key: string, now: number): StoredRecord | undefined {
    const sql = `SELECT ${FIELDS} FROM records WHERE collection = ? AND key = ? AND ${IS_LIVE}`
    const row = this.#prepare(sql).get(collection, key, now) as Row | undefined
    return row && toRecord(row)
  }

  /** SQLite compares text by its UTF-8 bytes, which is the order of code points. */
  page(collection: string, range: Range, now: number): KeyedRecord[] {
    const { prefix = '', after, before, reverse = false, limit } = range
    const conditions: [sql: string, value: string | undefined][] = [
      ['key >= ?', prefix === '' ? undefined : prefix],
      ['key < ?', prefix === '' ? undefined : endOfPrefix(prefix)],
      ['key > ?', after],
      ['key < ?', before],
    ]
    const used = conditions.filter((condition): condition is [string, string] => condition[1] !== undefined)
    const where = ['collection = ?', IS_LIVE, ...used.map(([sql]) => sql)].join(' AND ')
    const fields = `CAST(key AS BLOB) AS key_bytes, ${FIELDS}`
    const sql = `SELECT ${fields} FROM records WHERE ${where} ORDER BY key ${reverse ? 'DESC' : 'ASC'} LIMIT ?`
    const rows = this.#prepare(sql).all(collection, now, ...used.map(([, value]) => value), limit) as KeyedRow[]
    return rows.map((row) => ({ key: toText(row.key_bytes), ...toRecord(row) }))
  }

  count(collection: string, prefix: string, now: number): number {
    const end = prefix === '' ? undefined : endOfPrefix(prefix)
    const beyond = end === undefined ? '' : 'AND key < ?'
    const sql = `SELECT count(*) AS n FROM records WHERE collection = ? AND ${IS_LIVE} AND key >= ? ${beyond}`
    const values: SqliteValue[] = end === undefined ? [prefix] : [prefix, end]
    return (this.#prepare(sql).get(collection, now, ...values) as { n: number }).n
  }

  /** Leaps from one name to the next, rather than reading every record. */
  collections(now: number): string[] {
    const following = 'FROM records WHERE collection > ? ORDER BY collection LIMIT 1'
    const next = this.#prepare(`SELECT CAST(collection AS BLOB) AS name_bytes ${following}`)
    const any = this.#prepare(`SELECT 1 FROM records WHERE collection = ? AND ${IS_LIVE} LIMIT 1`)
    const names: string[] = []
    for (let name = ''; ;) {
      const row = next.get(name) as { name_bytes: Uint8Array } | undefined
      if (row === undefined) return names
      name = toText(row.name_bytes)
      if (any.get(name, now) !== undefined) names.push(name)
    }
  }

  /** @throws ConflictError for the first condition that does not hold */
  judge(mutations: readonly Mutation[], now: number): void {
    for (const mutation of mutations) {
      if (mutation.type === 'clear' || mutation.expected === undefined) continue
      const { collection, key, expected } = mutation
      const found = this.find(collection, key, now)
      if (!holds(expected, found)) throw new ConflictError(collection, key, expected ?? undefined, found?.version)
    }
  }

  apply(mutation: Mutation): void {
    const { collection } = mutation
    switch (mutation.type) {
      case 'put': {
        const sql =
          'INSERT OR REPLACE INTO records (collection, key, value, version, expires_at) VALUES (?, ?, ?, ?, ?)'
        const { key, json, version, expiresAt } = mutation
        this.#prepare(sql).run(collection, key, json, version, expiresAt ?? null)
        return
      }
      case 'delete':
        this.#prepare('DELETE FROM records WHERE collection = ? AND key = ?').run(collection, mutation.key)
        return
      case 'clear':
        this.#prepare('DELETE FROM records WHERE collection = ?').run(collection)
        return
      case 'check':
    }
  }

  /** Removes a few of the records that expired long ago. */
  sweep(now: number): void {
    const expired = 'SELECT collection, key FROM records WHERE expires_at < ? LIMIT 20'
    this.#prepare(`DELETE FROM records WHERE (collection, key) IN (${expired})`).run(now - SWEEP_AFTER_MS)
  }

  #prepare(sql: string): SqliteStatement {
    let statement = this.#prepared.get(sql)
    if (statement === undefined) this.#prepared.set(sql, (statement = this.#database.prepare(sql)))
    return statement
  }
}

function toRecord({ value, version, expires_at }: Row): StoredRecord {
  return { json: value, version, expiresAt: expires_at ?? undefined }
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}
