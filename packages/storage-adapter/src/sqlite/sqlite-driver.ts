import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { DriverError } from '../errors.js'

/** A value as SQLite takes and gives it. */
export type SqliteValue = string | number | null

/** A prepared statement. */
export interface SqliteStatement {
  run(...values: SqliteValue[]): unknown
  get(...values: SqliteValue[]): unknown
  all(...values: SqliteValue[]): unknown[]
  iterate(...values: SqliteValue[]): Iterable<unknown>
  /** Gives rows as arrays from now on; newer versions of `node:sqlite` have it. */
  setReturnArrays?(isOn: boolean): void
}

/** An open database; both drivers have this shape. */
export interface SqliteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SqliteStatement
  close(): unknown
}

/** One way to SQLite. */
export interface SqliteDriver {
  readonly name: SqliteDriverName
  /** Of SQLite itself, such as `3.53.2`. */
  readonly version: string
  open(path: string): SqliteDatabase
}

/** The drivers that are known. */
export type SqliteDriverName = 'node:sqlite' | 'better-sqlite3'

/** SQLite's result codes, as far as they are told apart. `value` is about what was to be written, not about the database. */
export type SqliteFailure = 'busy' | 'corrupt' | 'value' | 'other'

const BUSY = new Set([5, 6])
const CORRUPT = new Set([11, 26])
const TOO_BIG = 18
/** From this version on better-sqlite3 needs a Node-API that older versions of Node lack, and ends the process. */
const NEEDS_NAPI_10 = 13

/** What installs a driver that every supported Node can load. */
export const INSTALL = 'npm install better-sqlite3@12'

/**
 * Finds a driver. Nothing is loaded before it is known to be safe.
 *
 * @throws DriverError that names the command to run
 */
export function findDriver(wanted: SqliteDriverName | 'auto'): SqliteDriver {
  const builtIn = wanted === 'better-sqlite3' ? undefined : findBuiltIn()
  if (builtIn !== undefined) return builtIn
  if (wanted === 'node:sqlite') {
    throw new DriverError(`Node ${process.version} has no node:sqlite; use Node 22.13 or later, or run: ${INSTALL}`)
  }
  return findBetterSqlite()
}

/** What kind of failure a driver threw. */
export function failureOf(error: unknown): SqliteFailure {
  const { code, errcode } = (error ?? {}) as { code?: unknown; errcode?: unknown }
  // node:sqlite gives the number, whose low byte is the kind; better-sqlite3 gives the name.
  const primary = typeof errcode === 'number' ? errcode & 0xff : -1
  const name = typeof code === 'string' ? code : ''
  if (BUSY.has(primary) || name.startsWith('SQLITE_BUSY') || name.startsWith('SQLITE_LOCKED')) return 'busy'
  if (CORRUPT.has(primary) || name.startsWith('SQLITE_CORRUPT') || name === 'SQLITE_NOTADB') return 'corrupt'
  // better-sqlite3 looks at the length of a text itself.
  if (primary === TOO_BIG || name === 'SQLITE_TOOBIG' || error instanceof RangeError) return 'value'
  return 'other'
}

/**
 * Whether this better-sqlite3 can be loaded by this Node at all.
 *
 * @throws DriverError when loading it would end the process
 */
export function checkBetterSqlite(version: string, napi: string | undefined): void {
  const major = Number(version.split('.')[0])
  if (major < NEEDS_NAPI_10 || Number(napi) >= 10) return
  throw new DriverError(
    `better-sqlite3 ${version} would crash Node ${process.version}, which has Node-API ${napi}; run: ${INSTALL}`,
  )
}

function findBuiltIn(): SqliteDriver | undefined {
  const { getBuiltinModule } = process as { getBuiltinModule?: (name: string) => unknown }
  const sqlite = getBuiltinModule?.('node:sqlite') as { DatabaseSync: new (path: string) => SqliteDatabase } | undefined
  if (sqlite === undefined) return undefined
  const open = (path: string): SqliteDatabase => new sqlite.DatabaseSync(path)
  return { name: 'node:sqlite', version: versionOf(open(':memory:')), open }
}

function findBetterSqlite(): SqliteDriver {
  // The one of the two that exists tells where this file is.
  const require = createRequire(typeof __filename === 'string' ? __filename : import.meta.url)
  const entry = resolve(require)
  checkBetterSqlite(packageVersionOf(entry), process.versions['napi'])
  const { Database, version } = load(require)
  // Its own choice would be to wait for locks for five seconds, blocking the event loop.
  return { name: 'better-sqlite3', version, open: (path) => new Database(path, { timeout: 0 }) }
}

function resolve(require: NodeJS.Require): string {
  try {
    return require.resolve('better-sqlite3')
  } catch (cause) {
    throw new DriverError(
      `There is no SQLite driver: Node ${process.version} has no node:sqlite, and better-sqlite3 is not installed; ` +
        `use Node 22.13 or later, or run: ${INSTALL}`,
      { cause },
    )
  }
}

type BetterSqlite = new (path: string, options?: { readonly timeout: number }) => SqliteDatabase

function load(require: NodeJS.Require): { readonly Database: BetterSqlite; readonly version: string } {
  try {
    const Database = require('better-sqlite3') as BetterSqlite
    // Its native part is loaded with the first database only, and may be missing.
    return { Database, version: versionOf(new Database(':memory:')) }
  } catch (cause) {
    throw new DriverError(`better-sqlite3 is installed but cannot be loaded; run: npm rebuild better-sqlite3`, {
      cause,
    })
  }
}

/** Asked of a database in memory: to ask a file would read it. */
function versionOf(memory: SqliteDatabase): string {
  try {
    return (memory.prepare('SELECT sqlite_version() AS version').get() as { version: string }).version
  } finally {
    memory.close()
  }
}

/** Read from its manifest, because loading the package is what must not happen yet. */
function packageVersionOf(entry: string): string {
  for (let directory = dirname(entry); directory !== dirname(directory); directory = dirname(directory)) {
    try {
      const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Record<string, unknown>
      if (manifest['name'] === 'better-sqlite3') return String(manifest['version'])
    } catch {
      // No manifest here; it is further up.
    }
  }
  throw new DriverError(`The version of better-sqlite3 at ${entry} is not known; run: ${INSTALL}`)
}
