import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import { CorruptError, FormatError, UnavailableError, type Applied } from './errors.js'
import type { FileIdentity, FileOps } from './file-ops.js'
import { failureOf, type SqliteDatabase, type SqliteDriver } from './sqlite-driver.js'

/** "Evkl": tells our databases from those of other programs. */
const APPLICATION_ID = 0x45766b6c
const FORMAT_VERSION = 1

const SCHEMA = `
  CREATE TABLE records (
    collection TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    version TEXT NOT NULL,
    expires_at REAL,
    PRIMARY KEY (collection, key)
  ) WITHOUT ROWID;
  CREATE INDEX records_by_expiry ON records (expires_at) WHERE expires_at IS NOT NULL;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${FORMAT_VERSION};
`

/** How long SQLite itself waits for a lock, blocking the event loop; beyond that the caller waits without blocking. */
const BUSY_TIMEOUT_MS = 2

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
  readonly #identity: FileIdentity
  #log: FileIdentity | undefined

  private constructor(path: string, files: FileOps, database: SqliteDatabase, identity: FileIdentity) {
    this.#path = path
    this.#files = files
    this.database = database
    this.#identity = identity
  }

  /**
   * Opens the database.
   *
   * @param mayCreate - whether a missing file is a new database, rather than a lost one
   */
  static async open(path: string, files: FileOps, driver: SqliteDriver, mayCreate: boolean): Promise<SqliteFile> {
    if (mayCreate && files.identify(path) === undefined) await create(path, files, driver)
    const identity = files.identify(path)
    if (identity === undefined) throw new UnavailableError(`${path} was moved or deleted; put it back`)
    // SQLite would take it for a new database, but an interrupted copy looks the same.
    if (identity.size === 0) throw new CorruptError(path, 'is empty')
    const database = driver.open(path)
    try {
      prepare(path, database)
    } catch (error) {
      database.close()
      throw failureOf(error) === 'corrupt' ? new CorruptError(path, 'is not a database', 'no', { cause: error }) : error
    }
    const file = new SqliteFile(path, files, database, identity)
    file.confirm('no')
    return file
  }

  /** @throws UnavailableError when the path leads elsewhere */
  confirm(applied: Applied): void {
    const logPath = `${this.#path}-wal`
    const log = this.#files.identify(logPath)
    this.#log ??= log
    const main = this.#files.identify(this.#path)
    if (isSame(main, this.#identity) && main?.size !== 0 && isSame(log, this.#log)) return
    throw new UnavailableError(`${this.#path} was moved, deleted or replaced while it was open; put it back`, applied)
  }

  /**
   * Closes a database whose path leads elsewhere. What only its log holds is moved into the file first, wherever that
   * is now, so that it is whole, and so that the log cannot be taken for that of its successor.
   */
  abandon(): void {
    try {
      this.database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    } catch {
      // It is as whole as it can be.
    }
    this.close()
  }

  close(): void {
    try {
      this.database.close()
    } catch {
      // There is nothing left to be done with it.
    }
  }
}

function prepare(path: string, database: SqliteDatabase): void {
  database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
  const application = readPragma(database, 'application_id')
  const version = readPragma(database, 'user_version')
  if (application !== APPLICATION_ID) throw new FormatError(path, 'of another program', String(FORMAT_VERSION))
  if (version !== FORMAT_VERSION) throw new FormatError(path, String(version), String(FORMAT_VERSION))
  database.exec('PRAGMA journal_mode = WAL')
  database.exec('PRAGMA synchronous = FULL')
}

function readPragma(database: SqliteDatabase, name: string): unknown {
  const row = database.prepare(`PRAGMA ${name}`).get() as Record<string, unknown>
  return row[name]
}

/** A new database appears under its path complete, or not at all; who is second uses that of the first. */
async function create(path: string, files: FileOps, driver: SqliteDriver): Promise<void> {
  const directory = dirname(path)
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  await files.makeDirectory(directory)
  const database = driver.open(draft)
  try {
    // Kept by the file, so that nobody needs the whole database for itself later to change it.
    database.exec('PRAGMA journal_mode = WAL')
    database.exec(SCHEMA)
  } finally {
    database.close()
  }
  try {
    await files.link(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await files.remove(draft)
  }
  await files.syncDirectory(directory)
}

function isSame(a: FileIdentity | undefined, b: FileIdentity | undefined): boolean {
  return a?.ino === b?.ino && a?.dev === b?.dev
}
