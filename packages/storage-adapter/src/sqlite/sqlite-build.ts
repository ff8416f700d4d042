/** The last version before this one that may corrupt a shared database. */
const FIXED = [3, 51, 3] as const

/** Older lines into which the repair was taken, and since which patch. */
const PATCHED: Readonly<Record<string, number>> = { '3.44': 6, '3.50': 7 }

/**
 * Whether this version of SQLite may corrupt a database in WAL mode when one process starts its log anew while another
 * writes to it.
 *
 * @see https://sqlite.org/wal.html#walresetbug
 */
export function corruptsWhenShared(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  const patchedFrom = PATCHED[`${major}.${minor}`]
  if (patchedFrom !== undefined) return patch < patchedFrom
  if (major !== FIXED[0]) return major < FIXED[0]
  return minor === FIXED[1] ? patch < FIXED[2] : minor < FIXED[1]
}
