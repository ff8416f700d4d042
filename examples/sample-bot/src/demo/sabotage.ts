import { existsSync, renameSync, rmSync } from 'node:fs'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A database that was made unusable, and can be put back. */
export interface Sabotage {
  repair(): Promise<void>
}

/**
 * Makes the database under a path unusable while it is open, as a failing disk or a careless script would: its files
 * are moved away, and junk lies in their place.
 */
export async function breakDatabase(path: string): Promise<Sabotage> {
  const directory = dirname(path)
  const refuge = join(directory, 'moved-away')
  await mkdir(refuge)
  const files = (await readdir(directory)).filter((name) => name.startsWith(basename(path)))
  for (const name of files) await rename(join(directory, name), join(refuge, name))
  await writeFile(path, 'This is no database. '.repeat(500))
  return {
    async repair() {
      // A database that sets the junk aside must not find the good files under its hands.
      for (let tries = 0; existsSync(path) && tries < 50; tries++) await sleep(20)
      // At one go: a database without its write-ahead log is an older one.
      rmSync(path, { force: true })
      for (const name of files) renameSync(join(refuge, name), join(directory, name))
      await rm(refuge, { recursive: true })
    },
  }
}
