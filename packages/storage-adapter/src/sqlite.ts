import { BackendStorage, type BackendStorageOptions } from './backend-storage.js'
import { nodeFiles } from './file-ops.js'
import { checkNumber, checkOptions, checkPath } from './options.js'
import { SqliteBackend } from './sqlite-backend.js'
import type { SqliteDriverName } from './sqlite-driver.js'
import { systemClock } from './system-clock.js'

export type { SqliteDriverName } from './sqlite-driver.js'
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
}

/** The defaults of a {@link SqliteStorage}. */
export const sqliteDefaults: Readonly<Record<'driver', 'auto'> & Record<'busyTimeoutMs', number>> = {
  driver: 'auto',
  busyTimeoutMs: 5_000,
}

const DRIVERS: readonly string[] = ['auto', 'node:sqlite', 'better-sqlite3']

/**
 * Keeps records in a SQLite database, which several processes of one machine may share.
 *
 * A write is acknowledged when it is on the disk, and writes that come together share one sync.
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
   * @throws TypeError or RangeError when an option is wrong
   */
  constructor(options: SqliteStorageOptions) {
    checkOptions('SqliteStorage', options, ['path', 'driver', 'busyTimeoutMs', 'clock'])
    const { path, clock = systemClock } = options
    const { driver = sqliteDefaults.driver, busyTimeoutMs = sqliteDefaults.busyTimeoutMs } = options
    checkPath('SqliteStorage', path)
    checkNumber('busyTimeoutMs', busyTimeoutMs, 0)
    if (!DRIVERS.includes(driver)) throw new TypeError(`driver must be one of ${DRIVERS.join(', ')}, not ${driver}`)
    super(new SqliteBackend({ path, driver, busyTimeoutMs, clock, files: nodeFiles }), { clock })
  }
}
