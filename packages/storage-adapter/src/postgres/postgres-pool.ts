import { StorageTimeoutError, UnavailableError, type StorageError } from '../errors.js'
import {
  loadPostgresDriver,
  type PostgresClient,
  type PostgresDriver,
  type PostgresPoolClient,
  type PostgresPoolLike,
  type PostgresQuery,
  type PostgresResult,
} from './postgres-driver.js'
import { isBroken, isReadOnly, toStorageError } from './postgres-errors.js'
import type { PostgresTarget } from './postgres-target.js'
import type { Clock } from '../ports.js'
import { holdProcess } from '../system-clock.js'

/** Of its deadline, a statement has this share on the server, which then says for certain that it did nothing. */
const SERVER_SHARE = 0.9

/** Routers forget connections on which nothing is heard, and tell nobody. */
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelayMillis: 10_000 } as const

/** What an operator sees in `pg_stat_activity`, unless the address says otherwise. */
const NAME = { fallback_application_name: 'evenkeel' } as const

/** How long a connection beyond the first is kept without use, in milliseconds. */
const IDLE_MS = 60_000

/** The longest timeout that PostgreSQL takes, in milliseconds. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** A connection that has not answered for so long may be dead, in milliseconds: a firewall may have dropped it. */
const SILENT_MS = 50

/** What a {@link PostgresPool} works with. */
export interface PostgresPoolOptions {
  readonly target: PostgresTarget
  /** A ready-made one, which is not ended. */
  readonly pool: PostgresPoolLike | undefined
  readonly poolSize: number
  readonly timeoutMs: number
  readonly connectTimeoutMs: number
  /** Whether connections keep statements prepared. */
  readonly prepare: boolean
  readonly clock: Clock
  /** The server did what it was asked for. */
  readonly onAnswer: (effect: PostgresEffect) => void
  /** The server is out of reach, said nothing until the deadline, or refused what it should do. */
  readonly onFailure: (error: StorageError, isRefused: boolean) => void
}

/** What a statement does: when it is lost, a read is no loss. */
export type PostgresEffect = 'read' | 'write'

/** A connection of its own, beside the pool. */
export interface PostgresConnection {
  readonly client: PostgresClient
  readonly end: () => void
}

/**
 * Connections, each lent for one statement. Every statement is a transaction of its own and has a deadline, and so has
 * the wait for a connection.
 */
export class PostgresPool {
  readonly #options: PostgresPoolOptions
  #pool: PostgresPoolLike | undefined
  readonly #running = new Set<Promise<PostgresResult>>()
  readonly #onIdleError = (): void => undefined

  constructor(options: PostgresPoolOptions) {
    this.#options = options
  }

  /** @throws DriverError when pg is not installed */
  open(): void {
    this.#pool ??= this.#options.pool ?? this.#create()
    // A connection that ends while it is idle is nobody's failure; without a listener it would end the process.
    this.#pool.on('error', this.#onIdleError)
  }

  async close(): Promise<void> {
    const pool = this.#pool
    // A pool that is ended never serves who still waits for a connection.
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
    this.#pool = undefined
    if (pool === undefined) return
    // Our own keeps the listener: connections that are being ended may still fail.
    if (this.#options.pool === undefined) await pool.end()
    else pool.removeListener('error', this.#onIdleError)
  }

  /** How many connections there are, how many of them are idle, and how many callers wait for one. */
  gauges(): Record<string, number> {
    const { totalCount = 0, idleCount = 0, waitingCount = 0 } = this.#pool ?? {}
    return { 'pool.size': totalCount, 'pool.idle': idleCount, 'pool.waiting': waitingCount }
  }

  /**
   * Runs a statement. A read whose connection is lost is tried once more, on another one.
   *
   * @throws StorageError that says whether the statement took effect; its `cause` has the code of PostgreSQL
   */
  run(query: PostgresQuery, effect: PostgresEffect): Promise<PostgresResult> {
    return this.#note(this.#run(query, effect, this.#options.clock.monotonic(), effect === 'write'))
  }

  /**
   * Like `run`, for a read that tells whether the server is well: it does not wait until others are done with their
   * connections, nor believe an old connection that stays silent.
   */
  async runAside(query: PostgresQuery): Promise<PostgresResult> {
    const { pool, poolSize } = this.#options
    const { totalCount, idleCount, waitingCount } = this.#use()
    if (pool !== undefined) return this.run(query, 'read')
    const isFree = idleCount + poolSize - totalCount > waitingCount
    return isFree ? this.#runTwice(query) : this.#note(this.#runAside(query))
  }

  /** Opens a connection that is not shared; of a ready-made pool it is lent until it is ended. */
  async connect(): Promise<PostgresConnection> {
    const { pool, connectTimeoutMs, clock } = this.#options
    const startedMs = clock.monotonic()
    try {
      if (pool !== undefined) {
        const lent = await pool.connect()
        let isLent = true
        const end = (): void => {
          if (isLent) lent.release(true)
          isLent = false
        }
        return { client: lent, end }
      }
      const { Client } = this.#driver()
      const client = new Client({
        ...this.#settings(),
        connectionTimeoutMillis: Math.min(MAX_TIMEOUT_MS, connectTimeoutMs),
      })
      client.on('error', ignore)
      await client.connect()
      client.unref()
      return { client, end: () => void client.end().catch(ignore) }
    } catch (error) {
      throw this.#translate(error, 'connect', startedMs)
    }
  }

  /** Notes it down as under way. */
  #note(run: Promise<PostgresResult>): Promise<PostgresResult> {
    this.#running.add(run)
    const end = (): unknown => this.#running.delete(run)
    run.then(end, end)
    return run
  }

  /** On a connection of the pool and, when that is silent, on a new one too: one answer is enough. */
  #runTwice(query: PostgresQuery): Promise<PostgresResult> {
    return new Promise((resolve, reject) => {
      const again = (): void => void this.#note(this.#runAside(query)).then(resolve, ignore)
      const cancel = this.#options.clock.after(SILENT_MS, again)
      this.run(query, 'read').then(resolve, reject).finally(cancel)
    })
  }

  async #runAside(query: PostgresQuery): Promise<PostgresResult> {
    const { clock, timeoutMs } = this.#options
    // A connection of its own keeps no process alive, but somebody waits for this.
    const letGo = holdProcess()
    try {
      const { client, end } = await this.connect()
      const startedMs = clock.monotonic()
      return await new Promise<PostgresResult>((resolve, reject) => {
        const cancel = clock.after(timeoutMs, () => reject(new StorageTimeoutError(timeoutMs, 'no')))
        const fail = (error: unknown): void => reject(this.#translate(error, 'read', startedMs))
        void client.query(query).then(resolve, fail).finally(cancel)
      }).finally(end)
    } finally {
      letGo()
    }
  }

  #run(query: PostgresQuery, effect: PostgresEffect, startedMs: number, isLast: boolean): Promise<PostgresResult> {
    const { clock, timeoutMs, prepare, onAnswer, onFailure } = this.#options
    const pool = this.#use()
    return new Promise((resolve, reject) => {
      let client: PostgresPoolClient | undefined
      let isOver = false
      const settle = (destroy: boolean): boolean => {
        if (isOver) return false
        isOver = true
        cancel()
        client?.removeListener('error', ignore)
        client?.release(destroy)
        return true
      }
      const giveUp = (): void => {
        const wasSent = client !== undefined
        const failure = new StorageTimeoutError(timeoutMs, wasSent && effect === 'write' ? 'unknown' : 'no')
        // The answer may still come, so nobody else may be lent this connection.
        if (!settle(true)) return
        // Waiting for others is no failure of the server.
        if (wasSent) onFailure(failure, false)
        reject(failure)
      }
      const fail = (error: unknown): void => {
        const broken = isBroken(error)
        if (!settle(broken || isReadOnly(error))) return
        const mayRepeat = broken && client !== undefined && !isLast && this.#pool !== undefined
        if (mayRepeat) return resolve(this.#run(query, effect, startedMs, true))
        const failure = this.#translate(error, client === undefined ? 'connect' : effect, startedMs)
        if (failure instanceof UnavailableError) onFailure(failure, !broken)
        reject(failure)
      }
      let cancel = clock.after(timeoutMs, giveUp)
      lend(pool).then((lent) => {
        if (isOver) return lent.release()
        client = lent
        // Begun anew: had the wait for the connection used it up, the server would not give up before we do.
        cancel()
        cancel = clock.after(timeoutMs, giveUp)
        client.on('error', ignore)
        client.query(prepare ? query : { ...query, name: undefined }).then((result) => {
          if (!settle(false)) return
          onAnswer(effect)
          resolve(result)
        }, fail)
      }, fail)
    })
  }

  #use(): PostgresPoolLike {
    if (this.#pool !== undefined) return this.#pool
    throw new UnavailableError(`${this.#options.target.place} is closed`)
  }

  #create(): PostgresPoolLike {
    const { poolSize, connectTimeoutMs } = this.#options
    const { Pool, Client } = this.#driver()
    return new Pool({
      ...this.#settings(),
      Client,
      max: poolSize,
      connectionTimeoutMillis: Math.min(MAX_TIMEOUT_MS, connectTimeoutMs),
      // Making a connection takes longer than most statements, so one stays for whoever comes after a pause.
      min: 1,
      idleTimeoutMillis: IDLE_MS,
      // A connection that nobody uses keeps no process alive.
      allowExitOnIdle: true,
    })
  }

  /** What all connections of our own have in common. */
  #settings(): Readonly<Record<string, unknown>> {
    const { target, timeoutMs } = this.#options
    const deadlineMs = Math.min(MAX_TIMEOUT_MS, Math.max(1, Math.floor(timeoutMs * SERVER_SHARE)))
    return { ...target.config, ...KEEP_ALIVE, ...NAME, statement_timeout: deadlineMs }
  }

  /** The driver, whose connections ask for the password if a function gives it. */
  #driver(): PostgresDriver {
    const driver = loadPostgresDriver()
    const { password } = this.#options.target
    if (password === undefined) return driver
    const Client = class extends driver.Client {
      constructor(config: Readonly<Record<string, unknown>>) {
        super(config)
        // Set afterwards: that of the address, even an empty one, would overrule it.
        this.password = password
      }
    }
    return { ...driver, Pool: driver.Pool, Client }
  }

  #translate(error: unknown, step: 'connect' | PostgresEffect, startedMs: number): StorageError {
    const { target, timeoutMs, clock } = this.#options
    const waitedMs = clock.monotonic() - startedMs
    return toStorageError(error, { place: target.place, step, timeoutMs, waitedMs, hide: target.hide })
  }
}

/** A pool throws at once when it cannot even begin: a certificate that the address names may be missing. */
async function lend(pool: PostgresPoolLike): Promise<PostgresPoolClient> {
  return pool.connect()
}

/** An error of a connection in use is also told to the statement that runs on it. */
function ignore(): void {}
