import { randomBytes } from 'node:crypto'
import { replaceFile, type FileOps } from './file-ops.js'
import type { Loaded } from './load-files.js'

/** What was set aside. */
export interface Quarantined {
  readonly path: string
  /** How many records were damaged or missing. */
  readonly records: number
}

/**
 * Copies what is damaged into a file of its own, where a person may look at it.
 *
 * @returns `undefined` when nothing is damaged or missing
 */
export async function quarantine(
  files: FileOps,
  directory: string,
  { damage, missing }: Loaded,
  now: number,
): Promise<Quarantined | undefined> {
  if (damage.length === 0 && missing === 0) return undefined
  const path = await copyAside(files, directory, 'quarantine', Buffer.concat(damage.map(({ bytes }) => bytes)), now)
  return { path, records: Math.max(missing, damage.length) }
}

/**
 * Copies what a crash cut short into a file of its own before it is cut off. It was never acknowledged, unless a flipped
 * bit looks like a cut: then this is the only copy of it.
 *
 * @returns `undefined` when nothing was cut short
 */
export async function keepTorn(
  files: FileOps,
  directory: string,
  { torn }: Loaded,
  now: number,
): Promise<string | undefined> {
  return torn.length === 0 ? undefined : copyAside(files, directory, 'torn', torn, now)
}

async function copyAside(
  files: FileOps,
  directory: string,
  what: 'quarantine' | 'torn',
  bytes: Buffer,
  now: number,
): Promise<string> {
  // A clock may show one time twice, and this may be the only copy.
  const name = `${what}-${new Date(now).toISOString().replaceAll(':', '-')}-${randomBytes(4).toString('hex')}.jsonl`
  await replaceFile(files, directory, name, [bytes])
  return `${directory}/${name}`
}
