import type { SqliteDatabase } from './sqlite-driver.js'

/** So many kinds of damage are listed at most. */
const MOST = 20

/**
 * Lets SQLite look at every page, which blocks the event loop for about a second per gigabyte.
 *
 * @param depth - `quick` leaves out whether indexes and tables agree
 * @returns what is wrong, nothing when all is well
 * @throws what the driver throws, also when the damage is too great to look at
 */
export function examine(database: SqliteDatabase, depth: 'quick' | 'integrity'): readonly string[] {
  const rows = database.prepare(`PRAGMA ${depth}_check(${MOST})`).all() as Record<string, string>[]
  const lines = rows.flatMap((row) => String(Object.values(row)[0]).split('\n'))
  // A heading, and all it says when nothing is wrong.
  return lines.filter((line) => !line.startsWith('***') && line !== 'ok')
}
