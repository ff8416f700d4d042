import { createHash } from 'node:crypto'
import type { DeleteMutation, PutMutation, Range } from '../backend.js'
import { endOfPrefix } from '../keys.js'
import { toNumberArray, toTextArray } from './postgres-arrays.js'
import type { BatchPlan } from './postgres-batch.js'
import type { PostgresQuery } from './postgres-driver.js'
import { quoteName } from './postgres-schema.js'

const FIELDS = 'value, version, expires_at'
const REPLACE = 'SET value = excluded.value, version = excluded.version, expires_at = excluded.expires_at'

/** What is asked of the tables, in SQL. Every statement is a transaction of its own, and has a name to be prepared by. */
export class PostgresStatements {
  /** By name: a text that is the same string each time is compared and sent for nothing. */
  readonly #texts = new Map<string, Pick<PostgresQuery, 'name' | 'text'>>()
  readonly #records: string
  readonly #changes: string
  readonly #schema: string
  readonly #prefix: string

  /** @param schema - the name of the schema */
  constructor(schema: string) {
    this.#schema = quoteName(schema)
    this.#records = `${this.#schema}.records`
    this.#changes = `${this.#schema}.changes`
    // A ready-made pool may serve several schemas, and the names of statements are short.
    this.#prefix = createHash('sha256').update(schema).digest('hex').slice(0, 12)
  }

  /** One row, with 1 for `n`. */
  find(collection: string, key: string, now: number): PostgresQuery {
    return this.#query('find', [bytes(collection), bytes(key), now], () => {
      return `SELECT 1 AS n, ${FIELDS} FROM ${this.#records} WHERE collection = $1 AND key = $2 AND ${live('$3')}`
    })
  }

  /** The rows that exist, with the number of their key, from 1, for `n`. */
  findMany(collection: string, keys: readonly string[], now: number): PostgresQuery {
    return this.#query('find many', [bytes(collection), toTextArray('bytea', keys), now], () => {
      // The limit keeps it to one look at the index for each key, also if there were few records when it was planned.
      const one = `SELECT ${FIELDS} FROM ${this.#records} r WHERE collection = $1 AND r.key = k.key AND ${live('$3')} LIMIT 1`
      return `SELECT k.n::int, r.* FROM unnest($2::bytea[]) WITH ORDINALITY AS k(key, n), LATERAL (${one}) r`
    })
  }

  page(collection: string, { prefix = '', after, before, reverse = false, limit }: Range, now: number): PostgresQuery {
    const bounds: [sql: string, value: string | undefined][] = [
      ['key >=', prefix === '' ? undefined : prefix],
      ['key <', prefix === '' ? undefined : endOfPrefix(prefix)],
      ['key >', after],
      ['key <', before],
    ]
    const used = bounds.filter((bound): bound is [string, string] => bound[1] !== undefined)
    const values = [bytes(collection), now, limit, ...used.map(([, value]) => bytes(value))]
    const order = reverse ? 'DESC' : 'ASC'
    return this.#query(`page ${used.map(([sql]) => sql).join()} ${order}`, values, () => {
      const where = ['collection = $1', live('$2'), ...used.map(([sql], i) => `${sql} $${i + 4}`)].join(' AND ')
      return `SELECT key, ${FIELDS} FROM ${this.#records} WHERE ${where} ORDER BY key ${order} LIMIT $3`
    })
  }

  count(collection: string, prefix: string, now: number): PostgresQuery {
    const end = prefix === '' ? undefined : endOfPrefix(prefix)
    const values = [bytes(collection), now, bytes(prefix), ...(end === undefined ? [] : [bytes(end)])]
    return this.#query(end === undefined ? 'count' : 'count prefix', values, () => {
      const where = `collection = $1 AND ${live('$2')} AND key >= $3 ${end === undefined ? '' : 'AND key < $4'}`
      return `SELECT count(*)::float8 AS n FROM ${this.#records} WHERE ${where}`
    })
  }

  /** Leaps from one name to the next, rather than reading every record. */
  collections(now: number): PostgresQuery {
    return this.#query('collections', [now], () => {
      const next = (where: string): string =>
        `SELECT collection FROM ${this.#records} ${where} ORDER BY collection LIMIT 1`
      return `WITH RECURSIVE names AS (
          (${next('')})
          UNION ALL
          SELECT (${next('WHERE collection > n.collection')}) FROM names n WHERE n.collection IS NOT NULL
        )
        SELECT collection FROM names
        WHERE EXISTS (SELECT FROM ${this.#records} r WHERE r.collection = names.collection AND ${live('$1')})`
    })
  }

  /** Writes one row and the change, if the condition holds; else none. */
  put({ collection, key, json, version, expiresAt, expected }: PutMutation, now: number): PostgresQuery {
    const values = [bytes(collection), bytes(key), json, version, expiresAt ?? null]
    const insert = (): string => `INSERT INTO ${this.#records} AS r (collection, key, ${FIELDS})
      VALUES ($1, $2, $3, $4, $5) ON CONFLICT (collection, key) DO UPDATE ${REPLACE}`
    const logged = (write: string): string => this.#logged(write, 'put', '$4')
    if (expected === undefined) return this.#query('put', values, () => logged(insert()))
    if (expected === null) {
      const text = (): string => logged(`${insert()} WHERE NOT ${live('$6', 'r.')}`)
      return this.#query('put if absent', [...values, now], text)
    }
    return this.#query('put if version', [...values, now, expected], () => {
      return logged(`UPDATE ${this.#records} SET value = $3, version = $4, expires_at = $5
        WHERE collection = $1 AND key = $2 AND version = $7 AND ${live('$6')}`)
    })
  }

  /** Removes one row and writes the change, if the condition holds; without one, also if there is no row. */
  delete({ collection, key, version, expected }: DeleteMutation, now: number): PostgresQuery {
    const remove = `DELETE FROM ${this.#records} WHERE collection = $1 AND key = $2`
    const values = [bytes(collection), bytes(key), version]
    if (typeof expected === 'string') {
      const text = (): string => this.#logged(`${remove} AND version = $5 AND ${live('$4')}`, 'delete', '$3')
      return this.#query('delete if version', [...values, now, expected], text)
    }
    return this.#query('delete', values, () => {
      const log = `INSERT INTO ${this.#changes} (type, collection, key, version) VALUES ('delete', $1, $2, $3)`
      return `WITH removed AS (${remove}) ${log}`
    })
  }

  /** Writes many rows, in the order that is given, so that two batches never wait for each other. */
  putMany(puts: readonly PutMutation[]): PostgresQuery {
    const [collections, keys] = toNameArrays(puts)
    const values = [collections, keys, ...toValueArrays(puts)]
    return this.#query('put many', values, () => {
      return `WITH given AS (
          SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::text[], $5::float8[])
            AS t(collection, key, ${FIELDS})
        ), written AS (
          INSERT INTO ${this.#records} (collection, key, ${FIELDS}) SELECT * FROM given
          ON CONFLICT (collection, key) DO UPDATE ${REPLACE}
        )
        INSERT INTO ${this.#changes} (type, collection, key, version) SELECT 'put', collection, key, version FROM given`
    })
  }

  /** Commits anything else; gives the number of the condition that failed, from 1, and the version that was met. */
  batch({ cleared, shared, touched, judged }: BatchPlan, now: number): PostgresQuery {
    const clearVersions = cleared.map(({ version }) => version)
    const types = touched.map(({ type }) => type)
    const expected = judged.map((condition) => condition.expected)
    const own = judged.map(({ ownVersion }) => ownVersion ?? null)
    const values = [
      ...[now, toTextArray('bytea', Array.from(cleared, nameOfCollection)), toTextArray('text', clearVersions)],
      ...[...toNameArrays(shared), shared.map(({ after }) => after)],
      ...[...toNameArrays(touched), toTextArray('text', types), ...toValueArrays(touched)],
      ...[...toNameArrays(judged), toTextArray('text', expected), toTextArray('text', own)],
    ]
    return this.#query('batch', values, () => {
      return `SELECT failed::int, met FROM ${this.#schema}.commit_batch($1, $2, $3, $4, $5,
        $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`
    })
  }

  #query(name: string, values: unknown[], toText: () => string): PostgresQuery {
    let query = this.#texts.get(name)
    if (query === undefined) this.#texts.set(name, (query = { name: `${this.#prefix} ${name}`, text: toText() }))
    return { name: query.name, text: query.text, values }
  }

  #logged(write: string, type: 'put' | 'delete', version: string): string {
    const log = `INSERT INTO ${this.#changes} (type, collection, key, version)`
    return `WITH written AS (${write} RETURNING 1) ${log} SELECT '${type}', $1, $2, ${version} FROM written`
  }
}

function live(now: string, table = ''): string {
  return `(${table}expires_at IS NULL OR ${table}expires_at > ${now})`
}

/** Names are bytes in the tables. */
function bytes(text: string): Buffer {
  return Buffer.from(text)
}

function toNameArrays(rows: readonly { readonly collection: string; readonly key: string }[]): [Buffer, Buffer] {
  const keys = rows.map(({ key }) => key)
  return [toTextArray('bytea', rows.map(nameOfCollection)), toTextArray('bytea', keys)]
}

function toValueArrays(rows: readonly Pick<PutMutation, 'json' | 'version' | 'expiresAt'>[]): [Buffer, Buffer, Buffer] {
  const values = rows.map(({ json }) => json)
  const versions = rows.map(({ version }) => version)
  const expiries = rows.map(({ expiresAt }) => expiresAt)
  return [toTextArray('text', values), toTextArray('text', versions), toNumberArray(expiries)]
}

function nameOfCollection({ collection }: { readonly collection: string }): string {
  return collection
}
