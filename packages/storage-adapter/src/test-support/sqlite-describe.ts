import { describe } from 'vitest'
import { findDriver } from '../sqlite/sqlite-driver.js'

/** Whether this machine has SQLite for this Node. In continuous integration it must have, so there nothing is left out. */
function hasSqlite(): boolean {
  try {
    findDriver('auto')
    return true
  } catch (error) {
    if (process.env['CI'] !== undefined) return true
    console.warn(`TESTS OF SQLITE ARE SKIPPED: ${String(error)}`)
    return false
  }
}

/** Like `describe`, for tests that need SQLite: skipped with one loud line where there is none. */
export const describeSqlite: typeof describe | typeof describe.skip = hasSqlite() ? describe : describe.skip
