import { randomInt } from 'node:crypto'
import type { Backend, KeyedRecord, Mutation, Range, StoredRecord } from './backend.js'
import { BusyError, CorruptError, StorageError, UnavailableError, type Applied } from './errors.js'
import type { Announce, StorageEvents } from './events.js'
import type { FileOps } from './file-ops.js'
import type { Clock } from './ports.js'
import { failureOf, findDriver, type SqliteDriver, type SqliteDriverName } from './sqlite-driver.js'
import { SqliteFile } from './sqlite-file.js'
import { SqliteStatements } from './sqlite-statements.js'
import type { Kept, Scope, StorageHealth } from './storage.js'
import { holdProcess } from './system-clock.js'

/** Commits that share one transaction; together they block the event loop. */
const MAX_GROUP = 200

/** The pause before a locked database is tried again, in milliseconds; at random, so that two do not keep colliding. */
const RETRY_MS = [1, 12] as const

interface Commit {
  readonly mutations: readonly Mutation[]
  readonly now: number
  readonly resolve: (kept: Kept) => void
  readonly reject: (error: unknown) => void
}

interface Open {
  readonly file: SqliteFile
  readonly statements: SqliteStatements
}

/** What a {@link SqliteBackend} works with. */
export interface SqliteBackendOptions {
  readonly path: string
  readonly driver: SqliteDriverName | 'auto'
  readonly busyTimeoutMs: number
  readonly clock: Clock
  readonly files: FileOps
}

/** Records in a SQLite database, which several processes of a machine may share. */
export class SqliteBackend implements Backend {
  readonly scope: Scope = 'machine'
  readonly #options: SqliteBackendOptions
  #driver: SqliteDriver | undefined
  #open: Open | undefined
  #opening: Promise<Open> | undefined
  /** Whether the database was there before: then a missing file is a loss, not a beginning. */
  #wasOpen = false
  #isClosed = true
  #queue: Commit[] = []
  #flushing: Promise<void> | undefined
  #announce: Announce<StorageEvents> = () => undefined
  #failure: string | undefined

  constructor(options: SqliteBackendOptions) {
    this.#options = options
  }

  async open(announce: Announce<StorageEvents>): Promise<void> {
    this.#announce = announce
    this.#driver ??= findDriver(this.#options.driver)
    this.#isClosed = false
    await this.#patiently(() => undefined)
  }

  async close(): Promise<void> {
    await this.#flushing
    this.#isClosed = true
    await this.#opening?.catch(() => undefined)
    this.#open?.file.close()
    this.#open = undefined
  }

  read(collection: string, keys: readonly string[], now: number): Promise<(StoredRecord | undefined)[]> {
    return this.#read((statements) => keys.map((key) => statements.find(collection, key, now)))
  }

  page(collection: string, range: Range, now: number): Promise<KeyedRecord[]> {
    return this.#read((statements) => statements.page(collection, range, now))
  }

  count(collection: string, prefix: string, now: number): Promise<number> {
    return this.#read((statements) => statements.count(collection, prefix, now))
  }

  collections(now: number): Promise<string[]> {
    return this.#read((statements) => statements.collections(now))
  }

  commit(mutations: readonly Mutation[], now: number): Promise<Kept> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ mutations, now, resolve, reject })
      this.#flushing ??= this.#flush()
    })
  }

  async health(): Promise<StorageHealth> {
    await this.#read((statements) => statements.collections(0))
    // Nothing but a write tells whether writing works again.
    if (this.#failure !== undefined) await this.#prove()
    return { status: 'up', reason: `${this.#options.path} is open.` }
  }

  #read<T>(query: (statements: SqliteStatements) => T): Promise<T> {
    return this.#patiently(({ file, statements }) => {
      file.confirm('no')
      return query(statements)
    })
  }

  async #prove(): Promise<void> {
    await this.commit([{ type: 'delete', collection: '$health', key: 'k', version: '-', expected: undefined }], 0)
  }

  async #flush(): Promise<void> {
    // Whoever commits in this same turn of the event loop joins the first group.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const group = this.#queue.splice(0, MAX_GROUP)
      try {
        await this.#commitGroup(group)
        this.#recover()
      } catch (error) {
        this.#fail(error)
        for (const { reject } of group) reject(error)
      }
    }
    // In the same turn as the last look at the queue: a commit that comes now must find nobody flushing.
    this.#flushing = undefined
  }

  async #commitGroup(group: readonly Commit[]): Promise<void> {
    const open = await this.#begin()
    // From here to the COMMIT nothing is awaited: other code must not slip into the transaction.
    let outcomes: (() => void)[]
    let applied: Applied = 'no'
    try {
      outcomes = group.map((commit) => this.#apply(open, commit))
      applied = 'unknown'
      open.file.database.exec('COMMIT')
      open.file.confirm('unknown')
    } catch (error) {
      rollBack(open)
      throw this.#drop(open, error, applied)
    }
    for (const tell of outcomes) tell()
  }

  /** Takes the write lock. */
  #begin(): Promise<Open> {
    return this.#patiently((open) => {
      open.file.confirm('no')
      open.file.database.exec('BEGIN IMMEDIATE')
      return open
    })
  }

  /** Uses the database; while another process has it, waits without blocking the event loop. */
  async #patiently<T>(use: (open: Open) => T): Promise<T> {
    const { clock, busyTimeoutMs, path } = this.#options
    const startedAt = clock.monotonic()
    for (;;) {
      let open: Open | undefined
      try {
        open = await this.#use()
        return use(open)
      } catch (error) {
        if (failureOf(error) !== 'busy') throw open === undefined ? error : this.#drop(open, error, 'no')
        const waitedMs = clock.monotonic() - startedAt
        if (waitedMs >= busyTimeoutMs) throw new BusyError(path, waitedMs, { cause: error })
      }
      const letGo = holdProcess()
      await new Promise<void>((resolve) => clock.after(randomInt(...RETRY_MS), resolve))
      letGo()
    }
  }

  /** One caller's part of the transaction; what fails in it undoes this part alone. */
  #apply({ file, statements }: Open, { mutations, now, resolve, reject }: Commit): () => void {
    file.database.exec('SAVEPOINT caller')
    try {
      statements.judge(mutations, now)
      for (const mutation of mutations) statements.apply(mutation)
      statements.sweep(now)
      file.database.exec('RELEASE caller')
      return () => resolve('primary')
    } catch (error) {
      if (failureOf(error) === 'corrupt') throw error
      // Throws when SQLite has given up the whole transaction, as it does on some errors of the disk.
      file.database.exec('ROLLBACK TO caller')
      file.database.exec('RELEASE caller')
      const failure = this.#translate(error, 'no')
      return () => reject(failure)
    }
  }

  /** The database, open; after a failure it is opened anew, at first use. */
  async #use(): Promise<Open> {
    if (this.#isClosed) throw new UnavailableError(`${this.#options.path} is closed`)
    if (this.#open !== undefined) return this.#open
    this.#opening ??= this.#reopen().finally(() => (this.#opening = undefined))
    return this.#opening
  }

  async #reopen(): Promise<Open> {
    const { path, files } = this.#options
    const driver = this.#driver ?? findDriver(this.#options.driver)
    try {
      const file = await SqliteFile.open(path, files, driver, !this.#wasOpen)
      this.#open = { file, statements: new SqliteStatements(file.database) }
      this.#wasOpen = true
      return this.#open
    } catch (error) {
      if (failureOf(error) === 'busy') throw error
      const failure = this.#translate(error, 'no')
      this.#fail(failure)
      throw failure
    }
  }

  /** Lets go of a database that failed, unless that was done, and says what its failure means. */
  #drop(open: Open, error: unknown, applied: Applied): unknown {
    const failure = this.#translate(error, applied)
    if (this.#open === open) {
      this.#open = undefined
      if (error instanceof UnavailableError) open.file.abandon()
      else open.file.close()
    }
    this.#fail(failure)
    return failure
  }

  #translate(error: unknown, applied: Applied): unknown {
    if (error instanceof StorageError) return error
    const { path } = this.#options
    if (failureOf(error) === 'corrupt') return new CorruptError(path, 'is damaged', applied, { cause: error })
    const why = error instanceof Error ? error.message : String(error)
    return new UnavailableError(`${path} cannot be used (${why})`, applied, { cause: error })
  }

  #fail(error: unknown): void {
    // Others are only using it.
    if (error instanceof BusyError) return
    const why = error instanceof Error ? error.message : String(error)
    const isNews = this.#failure === undefined
    this.#failure = why
    if (!isNews) return
    const message = `The database ${this.#options.path} cannot be used: ${why}.`
    this.#announce('change', { what: 'sqlite', from: 'up', to: 'down', why, severity: 'CRITICAL', message })
  }

  #recover(): void {
    if (this.#failure === undefined) return
    this.#failure = undefined
    const message = `The database ${this.#options.path} can be used again.`
    const why = 'a write succeeded'
    this.#announce('change', { what: 'sqlite', from: 'down', to: 'up', why, severity: 'INFO', message })
  }
}

function rollBack({ file }: Open): void {
  try {
    file.database.exec('ROLLBACK')
  } catch {
    // SQLite has rolled back by itself, or the handle is beyond use; it is closed in either case.
  }
}
