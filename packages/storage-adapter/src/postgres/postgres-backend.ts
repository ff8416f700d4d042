import { randomInt } from 'node:crypto'
import type { Backend, KeyedRecord, Mutation, Range, StoredRecord } from '../backend.js'
import { BusyError, ConflictError, UnavailableError, type StorageError } from '../errors.js'
import type { Announce, StorageEvents } from '../events.js'
import { lookForDamage } from '../look-for-damage.js'
import { describeOutage } from '../outage.js'
import { onlyPuts, planBatch } from './postgres-batch.js'
import type { PostgresPoolLike, PostgresQuery, PostgresResult } from './postgres-driver.js'
import { PostgresHints } from './postgres-hints.js'
import { PostgresLog } from './postgres-log.js'
import { PostgresPool, type PostgresEffect } from './postgres-pool.js'
import { prepareSchema, quoteName } from './postgres-schema.js'
import { PostgresStatements } from './postgres-statements.js'
import type { PostgresTarget } from './postgres-target.js'
import type { Clock } from '../ports.js'
import type { Kept, Scope, StorageHealth } from '../storage.js'
import { holds } from '../tables.js'

/** How often a condition is judged again when others change the record each time. */
const MAX_ATTEMPTS = 5

/** How often old changes and expired records are removed, in milliseconds. */
const TEND_MS = 60_000

/** How many are removed at once. */
const TEND_ROWS = 5_000

/** Records that expired so long ago are removed: the clocks of the processes that share a database differ. */
const SWEEP_AFTER_MS = 60 * 60 * 1_000

/** What the server must be set to. */
const SETTINGS = ['transaction_read_only', 'synchronous_commit', 'fsync'] as const

interface Row {
  readonly value: string
  readonly version: string
  readonly expires_at: number | null
}

/** What a {@link PostgresBackend} works with. */
export interface PostgresBackendOptions {
  readonly target: PostgresTarget
  /** A ready-made one, which is not ended. */
  readonly pool: PostgresPoolLike | undefined
  readonly schema: string
  readonly poolSize: number
  readonly timeoutMs: number
  readonly connectTimeoutMs: number
  readonly prepare: boolean
  readonly keepChanges: number
  readonly clock: Clock
}

/** Records in a PostgreSQL database, which any number of processes and machines may share. */
export class PostgresBackend implements Backend {
  readonly scope: Scope = 'cluster'
  readonly log: PostgresLog
  readonly #options: PostgresBackendOptions
  readonly #pool: PostgresPool
  readonly #statements: PostgresStatements
  readonly #hints: PostgresHints
  #announce: Announce<StorageEvents> = () => undefined
  #isDown = false
  /** It is down because the server refused something: then it is up when it does a write, not when it answers. */
  #isRefused = false
  #isOpen = false
  #cancelTending: () => void = () => undefined

  constructor(options: PostgresBackendOptions) {
    const { schema, clock } = options
    this.#options = options
    this.#pool = new PostgresPool({
      ...options,
      onAnswer: (effect) => this.#recover(effect),
      onFailure: (error, isRefused) => this.#fail(error, isRefused),
    })
    this.#statements = new PostgresStatements(schema)
    this.#hints = new PostgresHints(this.#pool, schema, clock)
    this.log = new PostgresLog({ schema, hints: this.#hints, clock, read: (query) => this.#read(query) })
  }

  async open(announce: Announce<StorageEvents>): Promise<void> {
    const { target, schema } = this.#options
    this.#announce = announce
    this.#pool.open()
    try {
      // Whatever it does may be done twice.
      await prepareSchema((query) => this.#read(query), target.place, schema)
    } catch (error) {
      await this.#pool.close()
      if (!(error instanceof BusyError)) throw error
      // There is nothing yet that others could be in the way of.
      const failure = new UnavailableError(`${target.place} cannot be opened: ${error.message}`, 'no', { cause: error })
      this.#fail(failure, false)
      throw failure
    }
    this.#isOpen = true
    this.#hints.open()
    this.#tendLater()
  }

  async close(): Promise<void> {
    this.#isOpen = false
    this.#cancelTending()
    this.log.close()
    await this.#hints.close()
    await this.#pool.close()
  }

  async read(collection: string, keys: readonly string[], now: number): Promise<(StoredRecord | undefined)[]> {
    const [only] = keys
    if (only === undefined) return []
    const isOne = keys.length === 1
    const { rows } = await this.#read(
      isOne ? this.#statements.find(collection, only, now) : this.#statements.findMany(collection, keys, now),
    )
    const records = new Array<StoredRecord | undefined>(keys.length).fill(undefined)
    for (const row of rows as (Row & { n: number })[]) records[row.n - 1] = toRecord(row)
    return records
  }

  async page(collection: string, range: Range, now: number): Promise<KeyedRecord[]> {
    const { rows } = await this.#read(this.#statements.page(collection, range, now))
    return (rows as (Row & { key: Buffer })[]).map((row) => ({ key: row.key.toString('utf8'), ...toRecord(row) }))
  }

  async count(collection: string, prefix: string, now: number): Promise<number> {
    const { rows } = await this.#read(this.#statements.count(collection, prefix, now))
    return (rows[0] as { n: number }).n
  }

  async collections(now: number): Promise<string[]> {
    const { rows } = await this.#read(this.#statements.collections(now))
    return (rows as { collection: Buffer }[]).map((row) => row.collection.toString('utf8'))
  }

  async commit(mutations: readonly Mutation[], now: number): Promise<Kept> {
    const [only] = mutations
    if (mutations.length === 1 && only !== undefined && (await this.#commitOne(only, now))) return this.#kept()
    const puts = onlyPuts(mutations)
    if (puts !== undefined) await this.#write(this.#statements.putMany(puts))
    else await this.#commitBatch(mutations, now)
    return this.#kept()
  }

  async health(): Promise<StorageHealth> {
    const { target, schema } = this.#options
    const settings = SETTINGS.map((name) => `current_setting('${name}') AS ${name}`).join(', ')
    const wasDown = this.#isDown
    // Of a table of ours, so that it fails where they are missing.
    const text = `SELECT ${settings} FROM ${quoteName(schema)}.meta LIMIT 1`
    const { rows } = await this.#pool.runAside({ text })
    const [found] = rows as Record<(typeof SETTINGS)[number], string>[]
    if (found?.transaction_read_only === 'on') {
      throw new UnavailableError(`${target.place} is read-only, perhaps a standby; connect to the primary`)
    }
    // Nothing but a write tells whether writing works again.
    if (wasDown) await this.#prove()
    const loose = (['synchronous_commit', 'fsync'] as const).find((name) => found?.[name] === 'off')
    if (loose === undefined) return { status: 'up', reason: `${target.place} answers.` }
    const reason = `${target.place} has ${loose} off: what it acknowledged may be lost when it crashes.`
    return { status: 'degraded', reason }
  }

  gauges(): Readonly<Record<string, number>> {
    return this.#pool.gauges()
  }

  async check(signal: AbortSignal | undefined): Promise<readonly string[]> {
    const problems = [...(await lookForDamage(this, this.#options.clock.now(), signal))]
    const { rows } = await this.#read({
      text: `SELECT c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND NOT (i.indisvalid AND i.indisready)`,
      values: [this.#options.schema],
    })
    for (const { name } of rows as { name: string }[]) problems.push(`The index ${name} is not valid; reindex it.`)
    return problems
  }

  /** Removes changes beyond those to keep, and records that expired long ago, a bounded number at a time. */
  async tend(): Promise<void> {
    const { schema, keepChanges, clock } = this.#options
    const text = `SELECT ${quoteName(schema)}.tend($1, $2, $3)::int AS n`
    for (let removed = TEND_ROWS; removed >= TEND_ROWS;) {
      const values = [clock.now() - SWEEP_AFTER_MS, keepChanges, TEND_ROWS]
      const { rows } = await this.#write({ text, values })
      removed = (rows[0] as { n: number }).n
    }
  }

  /** In one statement, if it can be done so; that is a transaction of its own. */
  async #commitOne(mutation: Mutation, now: number): Promise<boolean> {
    if (mutation.type === 'clear' || mutation.type === 'check') return false
    if (mutation.type === 'delete' && mutation.expected === null) return false
    const { collection, key, expected } = mutation
    const statements = this.#statements
    const query = mutation.type === 'put' ? statements.put(mutation, now) : statements.delete(mutation, now)
    for (let attempt = 1; ; attempt++) {
      const { rowCount } = await this.#write(query)
      if (rowCount !== 0) return true
      const [found] = await this.read(collection, [key], now)
      // When it holds by now, somebody came between, and there is nothing yet to tell the caller.
      if (!holds(expected, found) || attempt >= MAX_ATTEMPTS) {
        throw new ConflictError(collection, key, expected ?? undefined, found?.version)
      }
    }
  }

  async #commitBatch(mutations: readonly Mutation[], now: number): Promise<void> {
    const plan = planBatch(mutations)
    const { rows } = await this.#write(this.#statements.batch(plan, now))
    const [conflict] = rows as { failed: number; met: string | null }[]
    const condition = conflict && plan.judged[conflict.failed - 1]
    if (condition === undefined) return
    const { collection, key, expected } = condition
    throw new ConflictError(collection, key, expected ?? undefined, conflict?.met ?? undefined)
  }

  #kept(): Kept {
    this.#hints.tell()
    return 'primary'
  }

  #read(query: PostgresQuery): Promise<PostgresResult> {
    return this.#pool.run(query, 'read')
  }

  #write(query: PostgresQuery): Promise<PostgresResult> {
    return this.#pool.run(query, 'write')
  }

  async #prove(): Promise<void> {
    const text = `INSERT INTO ${quoteName(this.#options.schema)}.meta (name, value) VALUES ('proof', now()::text)
      ON CONFLICT (name) DO UPDATE SET value = excluded.value`
    await this.#write({ text })
  }

  #tendLater(): void {
    if (!this.#isOpen) return
    // Not all processes at once.
    const delayMs = TEND_MS + randomInt(TEND_MS / 4)
    this.#cancelTending = this.#options.clock.after(delayMs, () => {
      // What could not be removed now is removed the next time.
      void this.tend()
        .catch(() => undefined)
        .finally(() => this.#tendLater())
    })
  }

  #fail(error: StorageError, isRefused: boolean): void {
    this.#isRefused ||= isRefused
    if (this.#isDown) return
    this.#isDown = true
    const why = error.message
    const message = describeOutage(this.#options.target.place, error)
    this.#announce('change', { what: 'postgres', from: 'up', to: 'down', why, severity: 'CRITICAL', message })
  }

  #recover(effect: PostgresEffect): void {
    if (!this.#isDown || (this.#isRefused && effect === 'read')) return
    this.#isDown = false
    this.#isRefused = false
    const message = `${this.#options.target.place} can be used again.`
    const why = 'it answered'
    this.#announce('change', { what: 'postgres', from: 'down', to: 'up', why, severity: 'INFO', message })
  }
}

function toRecord({ value, version, expires_at }: Row): StoredRecord {
  return { json: value, version, expiresAt: expires_at ?? undefined }
}
