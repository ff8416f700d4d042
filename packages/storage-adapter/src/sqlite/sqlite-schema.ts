import { closeSync, openSync, readSync } from 'node:fs'
import { FormatError } from '../errors.js'
import type { SqliteDatabase } from './sqlite-driver.js'

/** "Evkl": tells our databases from those of other programs. */
const APPLICATION_ID = 0x45766b6c
const FORMAT_VERSION = 1
/** Where SQLite's file format keeps the application id. */
const APPLICATION_ID_OFFSET = 68

/**
 * The first row of the log stands for the beginning. Since its newest row is never removed, SQLite gives each row a higher
 * number than all before it, also without AUTOINCREMENT, which would cost another write.
 */
const SCHEMA = `
  CREATE TABLE records (
    collection TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    version TEXT NOT NULL,
    expires_at REAL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (collection, key)
  ) WITHOUT ROWID;
  CREATE INDEX records_by_expiry ON records (expires_at) WHERE expires_at IS NOT NULL;
  CREATE TABLE changes (
    sequence INTEGER PRIMARY KEY,
    type INTEGER NOT NULL,
    collection TEXT NOT NULL,
    key TEXT NOT NULL,
    version TEXT NOT NULL
  );
  INSERT INTO changes (type, collection, key, version) VALUES (2, '', '', '');
  CREATE TABLE store (id TEXT NOT NULL);
  INSERT INTO store (id) VALUES (hex(randomblob(12)));
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${FORMAT_VERSION};
`

/** Makes the tables of a new database. */
export function createSchema(database: SqliteDatabase): void {
  // Kept by the file, so that nobody needs the whole database for itself later to change it.
  database.exec('PRAGMA journal_mode = WAL')
  database.exec(SCHEMA)
}

/** @throws FormatError when it is the database of another program or of a newer version */
export function checkSchema(path: string, database: SqliteDatabase): void {
  const application = readPragma(database, 'application_id')
  const version = readPragma(database, 'user_version')
  if (application !== APPLICATION_ID) throw new FormatError(path, 'of another program', String(FORMAT_VERSION))
  if (version !== FORMAT_VERSION) throw new FormatError(path, String(version), String(FORMAT_VERSION))
}

/** Writes what is written there already, which SQLite takes for a change. */
export function touchSchema(database: SqliteDatabase): void {
  database.exec(`PRAGMA user_version = ${FORMAT_VERSION}`)
}

/** Whether the file says that it is ours, however damaged the rest of it may be. */
export function bearsOurMark(path: string): boolean {
  const bytes = Buffer.alloc(4)
  const file = openSync(path, 'r')
  try {
    return readSync(file, bytes, 0, 4, APPLICATION_ID_OFFSET) === 4 && bytes.readUInt32BE() === APPLICATION_ID
  } finally {
    closeSync(file)
  }
}

function readPragma(database: SqliteDatabase, name: string): unknown {
  const row = database.prepare(`PRAGMA ${name}`).get() as Record<string, unknown>
  return row[name]
}
