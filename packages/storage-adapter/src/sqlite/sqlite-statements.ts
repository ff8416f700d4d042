import type { KeyedRecord, Mutation, PutMutation, Range, StoredRecord } from '../backend.js'
import { ConflictError } from '../errors.js'
import { endOfPrefix } from '../keys.js'
import type { SqliteDatabase, SqliteStatement, SqliteValue } from './sqlite-driver.js'
import { checksumOf } from './sqlite-checksum.js'
import { toText } from './sqlite-text.js'
import { holds } from '../tables.js'

/** Records that expired so long ago are removed: the clocks of the processes that share a database differ. */
const SWEEP_AFTER_MS = 60 * 60 * 1_000

/** So many rows are written at a time: a call of the driver costs about as much as SQLite's work on one. */
const ROWS = 10

/**
 * Longer values are written one at a time. A statement of many rows can be undone in the middle, for which SQLite copies
 * each page before it changes it; beyond 64 KB into a file.
 */
const SHORT = 1_000

const IS_LIVE = '(expires_at IS NULL OR expires_at > ?)'
const FIELDS = 'value, version, expires_at'

/** In its place: OR REPLACE would remove the old row from its page first, and move its neighbours twice. */
const OVERWRITE =
  'ON CONFLICT (collection, key) DO UPDATE SET value = excluded.value, version = excluded.version, ' +
  'expires_at = excluded.expires_at, checksum = excluded.checksum'

interface Row {
  readonly value: string
  readonly version: string
  readonly expires_at: number | null
  /** Only where it was asked for. */
  readonly key_bytes: Uint8Array
}

/** The same, as `node:sqlite` gives it in less time. */
type ArrayRow = readonly [Row['value'], Row['version'], Row['expires_at'], Row['key_bytes']]

/** What is asked of the records, in SQL. */
export class SqliteStatements {
  readonly #database: SqliteDatabase
  /** Those that take many shapes. */
  readonly #prepared = new Map<string, SqliteStatement>()
  readonly #find: SqliteStatement
  readonly #put: SqliteStatement
  readonly #delete: SqliteStatement
  readonly #clear: SqliteStatement
  readonly #log: SqliteStatement
  /** The same for {@link ROWS} of them. */
  readonly #putMany: SqliteStatement
  readonly #logMany: SqliteStatement
  readonly #expired: SqliteStatement
  readonly #sweep: SqliteStatement
  readonly #beginReading: SqliteStatement
  readonly #endReading: SqliteStatement

  constructor(database: SqliteDatabase) {
    this.#database = database
    const put = 'INSERT INTO records (collection, key, value, version, expires_at, checksum) VALUES'
    const log = 'INSERT INTO changes (type, collection, key, version) VALUES'
    this.#find = preferArrays(database.prepare(`SELECT ${FIELDS} FROM records WHERE collection = ? AND key = ?`))
    this.#put = database.prepare(`${put} (?, ?, ?, ?, ?, ?) ${OVERWRITE}`)
    this.#delete = database.prepare('DELETE FROM records WHERE collection = ? AND key = ?')
    this.#clear = database.prepare('DELETE FROM records WHERE collection = ?')
    this.#log = database.prepare(`${log} (?, ?, ?, ?)`)
    this.#putMany = database.prepare(`${put} ${rows('(?, ?, ?, ?, ?, ?)')} ${OVERWRITE}`)
    this.#logMany = database.prepare(`${log} ${rows('(0, ?, ?, ?)')}`)
    this.#beginReading = database.prepare('BEGIN')
    this.#endReading = database.prepare('COMMIT')
    const expired = 'SELECT collection, key FROM records WHERE expires_at < ? LIMIT ?'
    this.#expired = database.prepare(expired)
    this.#sweep = database.prepare(`DELETE FROM records WHERE (collection, key) IN (${expired})`)
  }

  find(collection: string, key: string, now: number): StoredRecord | undefined {
    const row = this.#find.get(collection, key) as Row | ArrayRow | undefined
    if (row === undefined) return undefined
    const record = toRecord(row)
    return record.expiresAt === undefined || record.expiresAt > now ? record : undefined
  }

  findMany(collection: string, keys: readonly string[], now: number): (StoredRecord | undefined)[] {
    if (keys.length === 1) return [this.find(collection, keys[0] as string, now)]
    // In one transaction, or a batch of another process might be seen by half.
    this.#beginReading.run()
    try {
      return keys.map((key) => this.find(collection, key, now))
    } finally {
      this.#endReading.run()
    }
  }

  /** SQLite compares text by its UTF-8 bytes, which is the order of code points. */
  page(collection: string, range: Range, now: number): KeyedRecord[] {
    const { prefix = '', after, before, reverse = false, limit, maxCharacters = Infinity } = range
    const conditions: [sql: string, value: string | undefined][] = [
      ['key >= ?', prefix === '' ? undefined : prefix],
      ['key < ?', prefix === '' ? undefined : endOfPrefix(prefix)],
      ['key > ?', after],
      ['key < ?', before],
    ]
    const used = conditions.filter((condition): condition is [string, string] => condition[1] !== undefined)
    const where = ['collection = ?', IS_LIVE, ...used.map(([sql]) => sql)].join(' AND ')
    const order = `FROM records WHERE ${where} ORDER BY key ${reverse ? 'DESC' : 'ASC'} LIMIT ?`
    const values = [collection, now, ...used.map(([, value]) => value), limit]
    const rows = preferArrays(this.#prepare(`SELECT ${FIELDS}, CAST(key AS BLOB) AS key_bytes ${order}`))
    // To take row by row costs up to twice as much as to take all at once; to ask how long they are costs next to nothing.
    const isShort = maxCharacters === Infinity || this.#bytesOf(order, values) <= maxCharacters
    const page: KeyedRecord[] = []
    let characters = 0
    for (const row of (isShort ? rows.all(...values) : rows.iterate(...values)) as Iterable<Row | ArrayRow>) {
      const record = { key: toText('value' in row ? row.key_bytes : row[3]), ...toRecord(row) }
      page.push(record)
      if ((characters += record.json.length) >= maxCharacters) break
    }
    return page
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

  /** Writes the changes and, for each of them, its row of the log. */
  apply(mutations: readonly Mutation[]): void {
    const [first] = mutations
    if (mutations.length === 1 && first?.type === 'put') return this.#applyPut(first)
    let puts: PutMutation[] = []
    for (const mutation of mutations) {
      if (mutation.type === 'put') {
        puts.push(mutation)
      } else {
        this.#applyPuts(puts)
        puts = []
        this.#applyRemoval(mutation)
      }
    }
    this.#applyPuts(puts)
  }

  /**
   * Removes some of the records that expired long ago. That is no change: they were absent already.
   *
   * @param most - so many of them at most
   */
  sweep(now: number, most: number): void {
    const before = now - SWEEP_AFTER_MS
    // To find nothing costs next to nothing; a DELETE that finds nothing takes a hundred times as long.
    if (this.#expired.get(before, 1) !== undefined) this.#sweep.run(before, most)
  }

  #applyPuts(puts: readonly PutMutation[]): void {
    let done = 0
    for (let next = ROWS; next <= puts.length; next += ROWS) {
      const records: SqliteValue[] = []
      const changes: SqliteValue[] = []
      const areOne = areNeighbours(puts, done, next)
      for (; done < next; done++) {
        const put = puts[done] as PutMutation
        if (areOne) records.push(put.collection, put.key, put.json, put.version, put.expiresAt ?? null, checksumOf(put))
        else this.#putOne(put)
        changes.push(put.collection, put.key, put.version)
      }
      if (areOne) this.#putMany.run(...records)
      // All of them go to the end of the log.
      this.#logMany.run(...changes)
    }
    for (; done < puts.length; done++) this.#applyPut(puts[done] as PutMutation)
  }

  #putOne(put: PutMutation): void {
    this.#put.run(put.collection, put.key, put.json, put.version, put.expiresAt ?? null, checksumOf(put))
  }

  #applyPut(put: PutMutation): void {
    this.#putOne(put)
    this.#log.run(0, put.collection, put.key, put.version)
  }

  #applyRemoval(mutation: Exclude<Mutation, PutMutation>): void {
    const { type, collection } = mutation
    if (type === 'check') return
    if (type === 'delete') this.#delete.run(collection, mutation.key)
    else this.#clear.run(collection)
    const [code, key] = type === 'delete' ? [1, mutation.key] : [2, '']
    this.#log.run(code, collection, key, mutation.version)
  }

  /** How many bytes the values have together, which is no less than their characters. */
  #bytesOf(order: string, values: readonly SqliteValue[]): number {
    const sql = `SELECT total(bytes) AS bytes FROM (SELECT octet_length(value) AS bytes ${order})`
    return (this.#prepare(sql).get(...values) as { bytes: number }).bytes
  }

  #prepare(sql: string): SqliteStatement {
    let statement = this.#prepared.get(sql)
    if (statement === undefined) this.#prepared.set(sql, (statement = this.#database.prepare(sql)))
    return statement
  }
}

function rows(one: string): string {
  return Array.from({ length: ROWS }, () => one).join(', ')
}

/** Whether they are short and in order, as are those of an import: then they share a few pages, as a rule. */
function areNeighbours(puts: readonly PutMutation[], from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const { key, json } = puts[i] as PutMutation
    if (json.length > SHORT || (i > from && key <= (puts[i - 1] as PutMutation).key)) return false
  }
  return true
}

/** `node:sqlite` takes a third of a read to make an object of a row. */
function preferArrays(statement: SqliteStatement): SqliteStatement {
  statement.setReturnArrays?.(true)
  return statement
}

function toRecord(row: Row | ArrayRow): StoredRecord {
  if ('value' in row) return { json: row.value, version: row.version, expiresAt: row.expires_at ?? undefined }
  return { json: row[0], version: row[1], expiresAt: row[2] ?? undefined }
}
