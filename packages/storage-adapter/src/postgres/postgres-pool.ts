import { randomInt } from 'node:crypto'
import { StorageTimeoutError, UnavailableError, type StorageError } from '../errors.js'
import { Deadlines } from './postgres-deadlines.js'
import {
  loadPostgresDriver,
  type PostgresClient,
  type PostgresDriver,
  type PostgresOwnClient,
  type PostgresOwnPool,
  type PostgresPoolClient,
  type PostgresPoolLike,
  type PostgresQuery,
  type PostgresResult,
} from './postgres-driver.js'
import { isBroken, isCollision, isReadOnly, noConnection, toStorageError } from './postgres-errors.js'
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

/** The pause before another attempt, in milliseconds; at random, so that two do not keep colliding. */
const RETRY_MS = [1, 20] as const

/**
 * A database may begin transactions as `serializable`: then writes that do not depend on each other fail for each
 * other. Nothing is set where nothing has to be, as a pooler may lend the connection to others.
 */
const ISOLATE = `SELECT set_config('default_transaction_isolation', 'read committed', false)
  WHERE current_setting('default_transaction_isolation') <> 'read committed'`

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

type Settings = Readonly<Record<string, unknown>>

/** What a statement does: when it is lost, a read is no loss. */
export type PostgresEffect = 'read' | 'write'

/** A connection of its own, beside the pool. */
export interface PostgresConnection {
  readonly client: PostgresClient
  readonly end: () => void
}

/** A statement for somebody who waits. */
interface Errand {
  readonly query: PostgresQuery
  readonly effect: PostgresEffect
  readonly startedMs: number
  /** How many answers there had been when it began. */
  readonly answers: number
  /** Its connection was lost before. */
  wasLost: boolean
  readonly resolve: (result: PostgresResult) => void
  readonly reject: (error: unknown) => void
}

/**
 * Connections, each lent for one statement. Every statement is a transaction of its own and has a deadline, and so has
 * the wait for a connection.
 */
export class PostgresPool {
  readonly #options: PostgresPoolOptions
  readonly #deadlines: Deadlines
  /** Our own, or the ready-made one. */
  #pool: PostgresPoolLike | undefined
  #own: PostgresOwnPool | undefined
  #running = 0
  #onIdle: (() => void) | undefined
  /** How often the server answered, be it with an error. */
  #answers = 0

  constructor(options: PostgresPoolOptions) {
    this.#options = options
    this.#deadlines = new Deadlines(options.clock, options.timeoutMs)
  }

  /** @throws DriverError when pg is not installed */
  open(): void {
    if (this.#pool !== undefined) return
    const { pool } = this.#options
    this.#own = pool === undefined ? this.#create() : undefined
    this.#pool = pool ?? this.#own
    // A connection that ends while it is idle is nobody's failure; without a listener it would end the process.
    this.#pool?.on('error', ignore)
  }

  async close(): Promise<void> {
    const pool = this.#pool
    // A pool that is ended never serves who still waits for a connection.
    while (this.#running > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
    this.#pool = undefined
    if (pool === undefined) return
    // Our own keeps the listener: connections that are being ended may still fail.
    if (this.#own !== undefined) await pool.end()
    else pool.removeListener('error', ignore)
  }

  /** How many connections there are, how many of them are idle, and how many callers wait for one. */
  gauges(): Record<string, number> {
    const { totalCount = 0, idleCount = 0, waitingCount = 0 } = this.#pool ?? {}
    return { 'pool.size': totalCount, 'pool.idle': idleCount, 'pool.waiting': waitingCount }
  }

  /** Whether there can be connections beside the pool: one that is ready-made need not tell how it makes its own. */
  get canConnect(): boolean {
    const { pool } = this.#options
    return pool === undefined || (typeof pool.Client === 'function' && pool.options !== undefined)
  }

  /**
   * Runs a statement. A read whose connection is lost is tried once more, on another one, and what collides with others
   * and so did nothing is tried until the deadline.
   *
   * @throws StorageError that says whether the statement took effect; its `cause` has the code of PostgreSQL
   */
  run(query: PostgresQuery, effect: PostgresEffect): Promise<PostgresResult> {
    const startedMs = this.#options.clock.monotonic()
    return new Promise((resolve, reject) => {
      this.#use()
      this.#running++
      this.#attempt({ query, effect, startedMs, answers: this.#answers, wasLost: false, resolve, reject })
    })
  }

  /**
   * Like `run`, for a read that tells whether the server is well: it does not wait until others are done with their
   * connections, nor believe an old connection that stays silent.
   */
  async runAside(query: PostgresQuery): Promise<PostgresResult> {
    const { pool, poolSize } = this.#options
    const { totalCount, idleCount, waitingCount } = this.#use()
    if (!this.canConnect) return this.run(query, 'read')
    const size = pool === undefined ? poolSize : (pool.options?.max ?? 0)
    const isFree = idleCount + size - totalCount > waitingCount
    return isFree ? this.#runTwice(query) : this.#runAside(query)
  }

  /** Opens a connection that is not shared, and keeps no process alive. */
  async connect(): Promise<PostgresConnection> {
    const { connectTimeoutMs, clock } = this.#options
    const startedMs = clock.monotonic()
    try {
      const client = this.#newClient(Math.min(MAX_TIMEOUT_MS, connectTimeoutMs))
      client.on('error', ignore)
      await client.connect()
      client.unref()
      return { client, end: () => void client.end().catch(ignore) }
    } catch (error) {
      throw this.#translate(error, 'connect', startedMs)
    }
  }

  #newClient(connectionTimeoutMillis: number): PostgresOwnClient {
    const { pool } = this.#options
    if (pool === undefined) {
      const { Client } = this.#driver()
      return new Client({ ...this.#settings(), connectionTimeoutMillis })
    }
    const Client = pool.Client as unknown as PostgresDriver['Client']
    // With what cannot be enumerated: pg hides the password. A pool may have no deadline of its own.
    const options = Object.defineProperties({}, Object.getOwnPropertyDescriptors(pool.options)) as Settings
    return new Client(Object.assign(options, { connectionTimeoutMillis }))
  }

  /** On a connection of the pool and, when that is silent, on a new one too: one answer is enough. */
  #runTwice(query: PostgresQuery): Promise<PostgresResult> {
    return new Promise((resolve, reject) => {
      const again = (): void => void this.#runAside(query).then(resolve, ignore)
      const cancel = this.#options.clock.after(SILENT_MS, again)
      this.run(query, 'read').then(resolve, reject).finally(cancel)
    })
  }

  async #runAside(query: PostgresQuery): Promise<PostgresResult> {
    const { clock, timeoutMs } = this.#options
    this.#running++
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
      this.#finish()
    }
  }

  #attempt(errand: Errand): void {
    const { prepare, onAnswer } = this.#options
    const { query, effect } = errand
    const own = this.#own
    let client: PostgresPoolClient | undefined
    let isOver = false
    const settle = (destroy: boolean): boolean => {
      if (isOver) return false
      isOver = true
      this.#deadlines.meet(deadline)
      if (own === undefined) client?.removeListener('error', ignore)
      client?.release(destroy)
      return true
    }
    const giveUp = (): void => {
      const isWaiting = client === undefined
      // The answer may still come, so nobody else may be lent this connection.
      if (settle(true)) this.#giveUp(errand, isWaiting)
    }
    const fail = (error: unknown): void => {
      const isWaiting = client === undefined
      if (settle(isBroken(error) || isReadOnly(error))) this.#fail(errand, error, isWaiting)
    }
    const succeed = (result: PostgresResult): void => {
      if (!settle(false)) return
      this.#answers++
      this.#finish()
      onAnswer(effect)
      errand.resolve(result)
    }
    const send = (lent: PostgresPoolClient): boolean => {
      if (isOver) {
        lent.release()
        return false
      }
      client = lent
      // Begun anew: had the wait for the connection used it up, the server would not give up before we do.
      this.#deadlines.meet(deadline)
      deadline = this.#deadlines.begin(giveUp)
      return true
    }
    const statement = prepare ? query : { ...query, name: undefined }
    let deadline = this.#deadlines.begin(giveUp)
    if (own === undefined) {
      lend(this.#use()).then((lent) => {
        if (!send(lent)) return
        lent.on('error', ignore)
        lent.query(statement).then(succeed, fail)
      }, fail)
      return
    }
    try {
      own.connect((error, lent) => {
        if (error !== undefined && error !== null) return fail(error)
        if (!send(lent)) return
        lent.query(statement, (failure, result) => (failure ? fail(failure) : succeed(result)))
      })
    } catch (error) {
      // A pool throws at once when it cannot even begin: a certificate that the address names may be missing.
      fail(error)
    }
  }

  #giveUp({ effect, answers, reject }: Errand, isWaiting: boolean): void {
    const { pool, target, timeoutMs, onFailure } = this.#options
    const isQueued = isWaiting && (this.#pool?.waitingCount ?? 0) > 0
    this.#finish()
    // Nobody knows what those do who have the connections of a ready-made pool. Of our own, one at least must be alive.
    if (isQueued && (pool !== undefined || this.#answers > answers))
      return reject(noConnection(target.place, timeoutMs))
    const failure = new StorageTimeoutError(timeoutMs, !isWaiting && effect === 'write' ? 'unknown' : 'no')
    // To wait for a connection is no failure of the server.
    if (!isWaiting) onFailure(failure, false)
    reject(failure)
  }

  #fail(errand: Errand, error: unknown, isWaiting: boolean): void {
    const { clock, timeoutMs, onFailure } = this.#options
    const { effect, startedMs } = errand
    const isLost = isBroken(error)
    if (!isLost) this.#answers++
    const isOpen = this.#pool !== undefined
    if (isOpen && isLost && !isWaiting && effect === 'read' && !errand.wasLost) {
      errand.wasLost = true
      return this.#attempt(errand)
    }
    if (isOpen && isCollision(error) && clock.monotonic() - startedMs < timeoutMs) return this.#attemptLater(errand)
    const failure = this.#translate(error, isWaiting ? 'connect' : effect, startedMs)
    this.#finish()
    if (failure instanceof UnavailableError) onFailure(failure, !isLost)
    errand.reject(failure)
  }

  #attemptLater(errand: Errand): void {
    const letGo = holdProcess()
    this.#options.clock.after(randomInt(...RETRY_MS), () => {
      letGo()
      this.#attempt(errand)
    })
  }

  #finish(): void {
    if (--this.#running === 0) this.#onIdle?.()
  }

  #use(): PostgresPoolLike {
    if (this.#pool !== undefined) return this.#pool
    throw new UnavailableError(`${this.#options.target.place} is closed`)
  }

  #create(): PostgresOwnPool {
    const { poolSize, connectTimeoutMs } = this.#options
    const { Pool, Client } = this.#driver()
    return new Pool({
      ...this.#settings(),
      Client: isolated(Client),
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
  #settings(): Settings {
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
      constructor(config: Settings) {
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

/** Connections whose transactions see what others have committed, whatever the database begins them as. */
function isolated(Client: PostgresDriver['Client']): unknown {
  return class extends Client {
    override connect(): Promise<unknown>
    override connect(callback: (error: unknown) => void): void
    override connect(callback?: (error: unknown) => void): Promise<unknown> | void {
      if (callback === undefined) return super.connect()
      // An error of a connection in use is also told to the statement that runs on it.
      this.on('error', ignore)
      super.connect((error) => {
        if (error !== undefined && error !== null) return callback(error)
        this.query({ text: ISOLATE }, (failure) => {
          if (failure) void this.end().catch(ignore)
          callback(failure)
        })
      })
    }
  }
}

/** Rejects also when the pool throws at once. */
async function lend(pool: PostgresPoolLike): Promise<PostgresPoolClient> {
  return pool.connect()
}

function ignore(): void {}
