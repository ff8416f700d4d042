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
  const name = `quarantine-${new Date(now).toISOString().replaceAll(':', '-')}.jsonl`
  await replaceFile(files, directory, name, [Buffer.concat(damage.map(({ bytes }) => bytes))])
  return { path: `${directory}/${name}`, records: Math.max(missing, damage.length) }
}
