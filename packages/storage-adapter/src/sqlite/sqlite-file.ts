import { randomBytes } from 'node:crypto'
import { lstatSync } from 'node:fs'
import { dirname } from 'node:path'
import { CorruptError, DriverError, UnavailableError, type Applied } from '../errors.js'
import type { Announce, StorageEvents } from '../events.js'
import type { FileIdentity, FileOps } from '../file/file-ops.js'
import type { Clock } from '../ports.js'
import { corruptsWhenShared } from './sqlite-build.js'
import { failureOf, INSTALL, type SqliteDatabase, type SqliteDriver } from './sqlite-driver.js'
import { examine } from './sqlite-examine.js'
import { SqliteOwner } from './sqlite-owner.js'
import { SqliteQuarantine } from './sqlite-quarantine.js'
import { bearsOurMark, checkSchema, createSchema, touchSchema } from './sqlite-schema.js'
import { systemClock } from '../system-clock.js'

/** How long SQLite itself waits for a lock, blocking the event loop; beyond that the caller waits without blocking. */
const BUSY_TIMEOUT_MS = 2

/** What gives a SQLite that may be shared. */
const REMEDY = `use Node 22.23 or Node 24, or run: ${INSTALL}`

/** How long a look at every file holds good, in milliseconds. */
const CONFIRM_MS = 100

/** Some systems move the time of a file forward in steps so long, in milliseconds: two changes may have one time. */
const TIME_STEP_MS = 50

/**
 * At so many pages the log is moved into the database: 5 ms in which nothing else has a turn, where SQLite's own 1,000
 * pages take 12. It is not slower for that, since each page is written there once in any case.
 */
const CHECKPOINT_PAGES = 400

/** The head of a write-ahead log, which is followed by what was not yet moved into the database. */
const LOG_HEADER_BYTES = 32

/** What a {@link SqliteFile} is opened with. */
export interface SqliteFileOptions {
  readonly path: string
  readonly files: FileOps
  readonly driver: SqliteDriver
  readonly clock: Clock
  readonly announce: Announce<StorageEvents>
  /** Whether a missing file is a new database, rather than a lost one. */
  readonly mayCreate: boolean
  /** Whether something said that it is damaged. */
  readonly isSuspect: boolean
}

/**
 * A database file, open, and the certainty that it is still the one under its path.
 *
 * SQLite goes on writing into a file that was moved or deleted, and says that all is well. So whoever acknowledges a
 * write asks first whether the path still leads to the file, and to its write-ahead log.
 */
export class SqliteFile {
  readonly database: SqliteDatabase
  readonly #path: string
  readonly #files: FileOps
  readonly #clock: Clock
  readonly #identity: FileIdentity
  /** Then the files are in another directory than the path. */
  readonly #isLinked: boolean
  /** Present when nobody else is let in. */
  #owner: SqliteOwner | undefined
  #log: FileIdentity | undefined
  /** The directory as it was when everything in it was found in place; `undefined` while that may have been too early. */
  #directory: FileIdentity | undefined
  #confirmedMs = -Infinity

  private constructor({ path, files, clock }: SqliteFileOptions, database: SqliteDatabase, identity: FileIdentity) {
    this.#path = path
    this.#files = files
    this.#clock = clock
    this.database = database
    this.#identity = identity
    this.#isLinked = lstatSync(path).isSymbolicLink()
  }

  /**
   * Opens the database, and looks for damage when the last process that had it did not close it.
   *
   * @throws CorruptError when it is damaged; then it has been set aside
   */
  static async open(options: SqliteFileOptions): Promise<SqliteFile> {
    const { path, files, driver, mayCreate } = options
    await new SqliteQuarantine(files, path).refuseIfSetAside()
    if (mayCreate && files.identify(path) === undefined) {
      refuseWhatIsLeft(files, path)
      await create(path, files, driver)
    }
    const identity = files.identify(path)
    if (identity === undefined) throw new UnavailableError(`${path} was moved or deleted; put it back`)
    // SQLite would take it for a new database, but an interrupted copy looks the same.
    if (identity.size === 0) throw new CorruptError(path, 'is empty')
    await recover(options, identity)
    try {
      return await SqliteFile.#connect(options, identity)
    } catch (error) {
      if (failureOf(error) !== 'corrupt') throw error
      // Not every damage waits for an unclean end.
      if (!options.isSuspect) return SqliteFile.open({ ...options, isSuspect: true })
      throw new CorruptError(path, 'is damaged', 'no', { cause: error })
    }
  }

  static async #connect(options: SqliteFileOptions, identity: FileIdentity): Promise<SqliteFile> {
    const { path, files, driver } = options
    const database = driver.open(path)
    const file = new SqliteFile(options, database, identity)
    const { version } = driver
    const isAlone = corruptsWhenShared(version)
    try {
      database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
      if (isAlone) takeAll(database)
      checkSchema(path, database)
      // Where no memory can be shared SQLite stays with another journal, whose last commit a power cut may undo.
      const { journal_mode: mode } = database.prepare('PRAGMA journal_mode = WAL').get() as { journal_mode: string }
      if (mode !== 'wal') {
        throw new UnavailableError(`${path} is on a file system that takes no write-ahead log; use a local disk`)
      }
      // On macOS a plain sync leaves what was written in the cache of the disk.
      database.exec('PRAGMA synchronous = FULL; PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1')
      database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
      if (isAlone) await file.#keepToOneself(version)
      file.confirm('no')
      return file
    } catch (error) {
      await file.close()
      if (failureOf(error) !== 'busy') throw error
      await new SqliteOwner(files, path).refuseIfKept()
      if (!isAlone) throw error
      throw new DriverError(`Another process has ${path}, and ${dangerOf(version)}; stop the other, ${REMEDY}`, {
        cause: error,
      })
    }
  }

  /** @throws UnavailableError when the path leads elsewhere */
  confirm(applied: Applied): void {
    const directory = this.#files.identify(dirname(this.#path))
    const log = this.#files.identify(`${this.#path}-wal`)
    this.#log ??= log
    const main = this.#files.identify(this.#path)
    if (!isSame(main, this.#identity) || main?.size === 0 || !isSame(log, this.#log)) {
      throw new UnavailableError(`${this.#path} was moved, deleted or replaced while it was open; put it back`, applied)
    }
    this.#directory = isSettled(directory) && !this.#isLinked ? directory : undefined
    this.#confirmedMs = this.#clock.monotonic()
  }

  /**
   * The same, by one look at the directory. Whatever is moved, deleted or replaced in it changes it. And to look at the
   * log is dear: where file times are exact, a sync after it must write its time too, which doubles its cost.
   *
   * @throws UnavailableError when the path leads elsewhere
   */
  confirmQuickly(applied: Applied): void {
    const before = this.#directory
    if (before !== undefined && this.#clock.monotonic() - this.#confirmedMs < CONFIRM_MS) {
      const now = this.#files.identify(dirname(this.#path))
      if (isSame(now, before) && now?.changedMs === before.changedMs) return
    }
    this.confirm(applied)
  }

  /**
   * The same, unless it was done a moment ago: to look costs as much as to read.
   *
   * @throws UnavailableError when the path leads elsewhere
   */
  confirmNowAndThen(): void {
    if (this.#clock.monotonic() - this.#confirmedMs >= CONFIRM_MS) this.confirm('no')
  }

  /**
   * Closes a database whose path leads elsewhere. What only its log holds is moved into the file first, wherever that
   * is now, so that it is whole, and so that the log cannot be taken for that of its successor.
   */
  async abandon(): Promise<void> {
    try {
      this.database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    } catch {
      // It is as whole as it can be.
    }
    await this.close()
  }

  /** Writes a page, and changes nothing by it. */
  touch(): void {
    touchSchema(this.database)
  }

  async close(): Promise<void> {
    // First, because from the close on another process may write its own.
    await this.#owner?.remove().catch(() => undefined)
    this.#owner = undefined
    try {
      this.database.close()
    } catch {
      // There is nothing left to be done with it.
    }
  }

  async #keepToOneself(version: string): Promise<void> {
    this.#owner = new SqliteOwner(this.#files, this.#path)
    await this.#owner.write(this.#clock.now(), version)
    process.emitWarning(`${dangerOf(version)}, so ${this.#path} is kept from all others; to share it ${REMEDY}`, {
      code: 'EVENKEEL_SQLITE_ALONE',
    })
  }
}

/**
 * Takes the lock on the whole database, for as long as it is open.
 *
 * @throws what the driver throws when it is busy, because others have it open
 */
function takeAll(database: SqliteDatabase): void {
  // Newer versions of SQLite take it when they first write.
  database.exec('PRAGMA locking_mode = EXCLUSIVE')
  database.exec('BEGIN IMMEDIATE')
  database.exec('ROLLBACK')
}

function dangerOf(version: string): string {
  return `SQLite ${version} of Node ${process.version} may corrupt a database that several processes share`
}

/**
 * Lets SQLite recover what the last process left in the log, and looks for damage. The database is taken from all others
 * meanwhile; when others have it open, they have seen to it.
 */
async function recover(options: SqliteFileOptions, identity: FileIdentity): Promise<void> {
  const { path, files, driver, clock, announce, mayCreate, isSuspect } = options
  const logBytes = files.identify(`${path}-wal`)?.size ?? 0
  const isUnclean = logBytes > LOG_HEADER_BYTES
  if (!isUnclean && !isSuspect) return
  const problems = inspect(driver, path, isSuspect)
  if (problems === 'shared') return
  if (problems.length === 0) {
    if (!isUnclean) return
    const message =
      `${path} was not closed by the last process that had it. What was in its write-ahead log (${logBytes} bytes) ` +
      'was recovered, and a look at every page found no damage.'
    const why = 'the last process ended without closing it'
    announce('repaired', { what: 'sqlite', from: 'unclean', to: 'up', why, severity: 'INFO', message })
    return
  }
  // What never was ours is for its owner to move. Opened beside SQLite only now that it is of no use to anybody: to close
  // a file drops all locks that this process has on it.
  if (mayCreate && !bearsOurMark(path)) throw new CorruptError(path, 'is not a database')
  const failure = await new SqliteQuarantine(files, path).setAside(identity, problems, clock.now())
  announce('quarantined', {
    what: 'sqlite',
    from: 'up',
    to: 'down',
    why: problems.join('; '),
    severity: 'CRITICAL',
    message: `The database ${path} is damaged (${problems[0]}). It was set aside as ${failure.path}, and no empty one takes its place.`,
    path: failure.path,
    records: problems.length,
  })
  throw failure
}

/** @returns what is wrong; `shared` when others have it open, and it is not suspect */
function inspect(driver: SqliteDriver, path: string, isSuspect: boolean): readonly string[] | 'shared' {
  const database = driver.open(path)
  try {
    database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
    try {
      takeAll(database)
    } catch (error) {
      if (failureOf(error) !== 'busy') throw error
      if (!isSuspect) return 'shared'
      database.exec('PRAGMA locking_mode = NORMAL')
    }
    checkSchema(path, database)
    return examine(database, 'quick')
  } catch (error) {
    if (failureOf(error) !== 'corrupt') throw error
    return [error instanceof Error ? error.message : String(error)]
  } finally {
    database.close()
  }
}

/**
 * A write-ahead log without its database is what is left of a lost one. SQLite would pour it into the new database.
 *
 * @throws CorruptError when there is one
 */
function refuseWhatIsLeft(files: FileOps, path: string): void {
  const logBytes = files.identify(`${path}-wal`)?.size ?? 0
  // Another process may just have made the database.
  if (logBytes === 0 || files.identify(path) !== undefined) return
  throw new CorruptError(path, 'is missing beside its write-ahead log')
}

/** A new database appears under its path complete, or not at all; who is second uses that of the first. */
async function create(path: string, files: FileOps, driver: SqliteDriver): Promise<void> {
  const directory = dirname(path)
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  await files.makeDirectory(directory)
  const database = driver.open(draft)
  try {
    createSchema(database)
  } catch (error) {
    database.close()
    // On a full disk each attempt would leave another one.
    for (const end of ['', '-wal', '-shm']) await files.remove(`${draft}${end}`).catch(() => undefined)
    throw error
  }
  database.close()
  try {
    await files.link(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await files.remove(draft)
  }
  await files.syncDirectory(directory)
}

/** Whether a change from now on would give it another time. */
function isSettled(directory: FileIdentity | undefined): boolean {
  // The times of files are those of the machine, whatever clock the storage was given.
  const ageMs = systemClock.now() - (directory?.changedMs ?? Infinity)
  return ageMs > TIME_STEP_MS
}

function isSame(a: FileIdentity | undefined, b: FileIdentity | undefined): boolean {
  return a?.ino === b?.ino && a?.dev === b?.dev
}
