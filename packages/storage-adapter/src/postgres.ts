import { BackendStorage, type BackendStorageOptions } from './backend-storage.js'
import { checkNumber, checkOptions } from './options.js'
import { PostgresBackend } from './postgres/postgres-backend.js'
import type { PostgresPoolLike } from './postgres/postgres-driver.js'
import { targetOfPool, toTarget } from './postgres/postgres-target.js'
import { systemClock } from './system-clock.js'

export type { BackendStorageOptions } from './backend-storage.js'
export type {
  PostgresClient,
  PostgresPoolClient,
  PostgresPoolLike,
  PostgresQuery,
  PostgresResult,
} from './postgres/postgres-driver.js'

/** The options of a {@link PostgresStorage}. Give it a `url` or a `pool`. */
export interface PostgresStorageOptions extends BackendStorageOptions {
  /** Where the server is: `postgres://user:password@host:5432/database`, with the parameters that pg knows. */
  readonly url?: string | undefined
  /**
   * A `Pool` of pg that is used as it is, and never ended: its `statement_timeout` and its size are yours. Watches hold
   * none of its connections: they make one of their own, in the same way. The way to go behind PgBouncer, which refuses
   * the `statement_timeout` that is sent otherwise.
   */
  readonly pool?: PostgresPoolLike | undefined
  /**
   * The schema that holds the tables, which is made when it is not there; at most 63 bytes, without `$`.
   *
   * @defaultValue 'evenkeel'
   */
  readonly schema?: string | undefined
  /**
   * How many connections there are at most. A watch takes one more.
   *
   * @defaultValue 10
   */
  readonly poolSize?: number | undefined
  /**
   * How long a read or a write may take, in milliseconds, and how long it may wait for a connection before. The server is
   * given nine tenths of it, and then says for certain that nothing was written; a server that says nothing at all leaves
   * a write `unknown`.
   *
   * @defaultValue 5_000
   */
  readonly timeoutMs?: number | undefined
  /**
   * How long a new connection may take, in milliseconds.
   *
   * @defaultValue 5_000
   */
  readonly connectTimeoutMs?: number | undefined
  /** Whether and how to encrypt: the `ssl` of pg. Overrules what the address says. */
  readonly tls?: boolean | Readonly<Record<string, unknown>> | undefined
  /** The password, or a function that is asked for it at each new connection, for one that changes. */
  readonly password?: string | (() => string | Promise<string>) | undefined
  /**
   * Whether each connection keeps its statements prepared, which saves a third of a read. `false` for a PgBouncer before
   * 1.21 that pools transactions.
   *
   * @defaultValue true
   */
  readonly prepare?: boolean | undefined
  /**
   * How many changes the log keeps at least, for watches that come back. Older ones are removed now and then.
   *
   * @defaultValue 100_000
   */
  readonly keepChanges?: number | undefined
}

/** The defaults of a {@link PostgresStorage}. */
export const postgresDefaults: Readonly<
  Record<'schema', string> &
    Record<'prepare', boolean> &
    Record<'poolSize' | 'timeoutMs' | 'connectTimeoutMs' | 'keepChanges', number>
> = {
  schema: 'evenkeel',
  poolSize: 10,
  timeoutMs: 5_000,
  connectTimeoutMs: 5_000,
  prepare: true,
  keepChanges: 100_000,
}

const OWN = ['url', 'poolSize', 'connectTimeoutMs', 'tls', 'password'] as const
const OPTIONS = [...OWN, 'pool', 'schema', 'timeoutMs', 'prepare', 'keepChanges', 'clock']

/** The longest name that PostgreSQL does not cut, in bytes. */
const MAX_SCHEMA_BYTES = 63

/**
 * Keeps records in a PostgreSQL database (13 or later), which any number of processes and machines may share. Needs the
 * package pg (`npm install pg`).
 *
 * A write is acknowledged when the server has committed it. Each is one statement, so no transaction stays open when a
 * process is frozen, and the deadlines hold.
 *
 * *Gotchas*: a watch hears of a change when all transactions that began to write before it have ended, on the whole
 * server: one that stays open for an hour delays watches for an hour, never the data. A server with
 * `synchronous_commit` off may lose what it acknowledged; `health()` says so.
 *
 * @example
 * ```ts
 * import { PostgresStorage } from '@evenkeel/storage-adapter/postgres'
 *
 * const storage = new PostgresStorage({ url: process.env['DATABASE_URL'] ?? 'postgres://localhost/bot' })
 * const notes = storage.collection<{ text: string }>('notes')
 * console.log(notes.scope) // => cluster
 * await storage.stop()
 * ```
 */
export class PostgresStorage extends BackendStorage {
  /**
   * @param options - where, and how
   * @throws TypeError or RangeError when an option is wrong; no message repeats the address or a password
   */
  constructor(options: PostgresStorageOptions) {
    checkOptions('PostgresStorage', options, OPTIONS)
    const { url, pool, tls, password, clock = systemClock } = options
    const {
      schema = postgresDefaults.schema,
      poolSize = postgresDefaults.poolSize,
      timeoutMs = postgresDefaults.timeoutMs,
      connectTimeoutMs = postgresDefaults.connectTimeoutMs,
      prepare = postgresDefaults.prepare,
      keepChanges = postgresDefaults.keepChanges,
    } = options
    checkSource(options)
    // A $ would end the quotes around the functions that are made in it.
    if (typeof schema !== 'string' || schema === '' || /[\0$]/.test(schema)) {
      throw new TypeError('schema must be a name that is not empty, without $')
    }
    if (Buffer.byteLength(schema) > MAX_SCHEMA_BYTES) {
      throw new RangeError(`schema ${schema} has more than ${MAX_SCHEMA_BYTES} bytes; shorten it`)
    }
    checkWhole('poolSize', poolSize)
    checkNumber('timeoutMs', timeoutMs, 1)
    checkNumber('connectTimeoutMs', connectTimeoutMs, 1)
    checkWhole('keepChanges', keepChanges)
    if (!['string', 'function', 'undefined'].includes(typeof password)) {
      throw new TypeError('password must be a string or a function')
    }
    if (typeof prepare !== 'boolean') throw new TypeError('prepare must be a boolean')
    if (tls !== undefined && typeof tls !== 'boolean' && (typeof tls !== 'object' || tls === null)) {
      throw new TypeError('tls must be a boolean or the ssl options of pg')
    }
    const target = url === undefined ? targetOfPool() : toTarget(url, { tls, password })
    const settings = { schema, poolSize, timeoutMs, connectTimeoutMs, prepare, keepChanges }
    super(new PostgresBackend({ target, pool, clock, ...settings }), { clock })
  }
}

function checkSource({ url, pool, ...others }: PostgresStorageOptions): void {
  if (pool === undefined) {
    if (typeof url === 'string' && url !== '') return
    throw new TypeError('PostgresStorage needs a url or a pool; is the environment variable of the url set?')
  }
  if (typeof pool !== 'object' || typeof pool?.connect !== 'function') throw new TypeError('pool must be a Pool of pg')
  for (const name of OWN) {
    const value = name === 'url' ? url : others[name]
    if (value !== undefined)
      throw new TypeError(`${name} belongs to the pool, which is ready-made; give one of the two`)
  }
}

function checkWhole(name: string, value: unknown): void {
  checkNumber(name, value, 1)
  if (!Number.isSafeInteger(value)) throw new RangeError(`${name} must be a whole number, not ${String(value)}`)
}
