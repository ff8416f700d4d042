import { BackendStorage, type BackendStorageOptions } from './backend-storage.js'
import { nodeFiles } from './file/file-ops.js'
import { checkNumber, checkOptions, checkPath } from './options.js'
import { SqliteBackend } from './sqlite/sqlite-backend.js'
import type { SqliteDriverName } from './sqlite/sqlite-driver.js'
import { SqliteWorkerBackend } from './sqlite/sqlite-worker-backend.js'
import { systemClock } from './system-clock.js'

export type { SqliteDriverName } from './sqlite/sqlite-driver.js'
export type { BackendStorageOptions } from './backend-storage.js'

/** The options of a {@link SqliteStorage}. */
export interface SqliteStorageOptions extends BackendStorageOptions {
  /** The database file; it is made when it is not there. */
  readonly path: string
  /**
   * Which driver: `node:sqlite`, which comes with Node 22.13 and later, or the package better-sqlite3. `auto` takes the
   * first of the two that there is.
   *
   * @defaultValue 'auto'
   */
  readonly driver?: SqliteDriverName | 'auto' | undefined
  /**
   * How long a write waits for another process to finish its transaction, in milliseconds.
   *
   * @defaultValue 5_000
   */
  readonly busyTimeoutMs?: number | undefined
  /**
   * Runs SQLite in a thread of its own, so that neither its work nor the disk holds up the event loop. Each operation
   * takes about 0.05 ms longer for that. Waits for locks then go by the clock of the machine, whatever `clock` is.
   *
   * @defaultValue false
   */
  readonly worker?: boolean | undefined
}

/** The defaults of a {@link SqliteStorage}. */
export const sqliteDefaults: Readonly<
  Record<'driver', 'auto'> & Record<'busyTimeoutMs', number> & Record<'worker', boolean>
> = {
  driver: 'auto',
  busyTimeoutMs: 5_000,
  worker: false,
}

/** @internal */
export interface SqliteInternals {
  /** The program of the thread. */
  readonly workerFile?: string | undefined
}

const DRIVERS: readonly string[] = ['auto', 'node:sqlite', 'better-sqlite3']

/**
 * Keeps records in a SQLite database, which several processes of one machine may share.
 *
 * A write is acknowledged when it is on the disk, and writes that come together share one sync.
 *
 * *Gotchas*: a database that was moved, deleted or replaced while it is open is noticed by every write, and by reads within
 * 100 ms. A read, and most writes, are done when they are called: a long loop of awaited reads holds up the event loop,
 * unless `worker` is set. A damaged database is set aside and
 * refused, never replaced by an empty one. With a SQLite before 3.51.3 the database is kept from other processes, because to
 * share it could corrupt it.
 *
 * @example
 * ```ts
 * import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
 *
 * const storage = new SqliteStorage({ path: 'data/bot.db' })
 * const notes = storage.collection<{ text: string }>('notes')
 * await notes.set('7:1', { text: 'tea' })
 * console.log(await notes.get('7:1')) // => { text: 'tea' }
 * await storage.stop()
 * ```
 */
export class SqliteStorage extends BackendStorage {
  /**
   * @param options - where, and by which driver
   * @param internals - for the tests of this package
   * @throws TypeError or RangeError when an option is wrong
   */
  constructor(options: SqliteStorageOptions, internals: SqliteInternals = {}) {
    checkOptions('SqliteStorage', options, ['path', 'driver', 'busyTimeoutMs', 'worker', 'clock'])
    const { path, clock = systemClock, worker = sqliteDefaults.worker } = options
    const { driver = sqliteDefaults.driver, busyTimeoutMs = sqliteDefaults.busyTimeoutMs } = options
    checkPath('SqliteStorage', path)
    checkNumber('busyTimeoutMs', busyTimeoutMs, 0)
    if (!DRIVERS.includes(driver)) throw new TypeError(`driver must be one of ${DRIVERS.join(', ')}, not ${driver}`)
    if (typeof worker !== 'boolean') throw new TypeError(`worker must be true or false, not ${String(worker)}`)
    const all = { path, driver, busyTimeoutMs, clock, files: nodeFiles, ...internals }
    super(worker ? new SqliteWorkerBackend(all) : new SqliteBackend(all), { clock })
  }
}
