import { randomUUID } from 'node:crypto'
import { access, constants, open, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { requireKnown } from '../checked-options.js'
import { messageOf } from '../bounded.js'
import { checkBy, CheckFailedError, found, type PreparationCheck } from './check.js'

/** What {@link pathsCheck} looks at. */
export interface PathRules {
  /** Files and folders that must be readable. */
  readonly read?: readonly string[] | undefined
  /** Folders in which files must be makeable, and files that must be writable, and be replaceable in their folder. They must exist. */
  readonly write?: readonly string[] | undefined
}

/**
 * Looks whether files and folders can be read and written by this process. In a folder a file is really made, written, synced
 * and deleted, which also sees a full disk, a read-only mount and a quota; for a file that is done beside it, and the file itself is not
 * touched.
 *
 * @throws TypeError when there is nothing to look at
 *
 * @example
 * ```ts
 * import { tmpdir } from 'node:os'
 * import { pathsCheck } from '@evenkeel/blue-green/preparation'
 *
 * const check = pathsCheck({ read: ['config.json'], write: [tmpdir()] })
 * await check({ signal: AbortSignal.timeout(1_000) }).catch(({ message }) => console.log(message))
 * // => config.json cannot be read (ENOENT)
 * ```
 */
export function pathsCheck(rules: PathRules): PreparationCheck {
  requireKnown('pathsCheck', rules, ['read', 'write'])
  const [read, write] = [readPaths('read', rules.read), readPaths('write', rules.write)]
  if (read.length + write.length === 0) throw new TypeError('pathsCheck: name at least one path to read or to write')
  return checkBy(async (signal) => {
    const faults: string[] = []
    for (const path of read) {
      signal.throwIfAborted()
      await access(path, constants.R_OK).catch((error: unknown) =>
        faults.push(`${path} cannot be read${codeOf(error)}`),
      )
    }
    for (const path of write) {
      signal.throwIfAborted()
      await tryToWrite(path).catch((error: unknown) => faults.push(`${path} cannot be written${codeOf(error)}`))
    }
    if (faults.length > 0) throw new CheckFailedError(faults.join('; '))
    return found(`${read.length} can be read, ${write.length} can be written`)
  })
}

async function tryToWrite(path: string): Promise<void> {
  if ((await stat(path)).isDirectory()) return tryToWriteIn(path)
  await access(path, constants.W_OK)
  // A file is replaced by another one beside it, and a database has its journal there.
  await tryToWriteIn(dirname(resolve(path)))
}

async function tryToWriteIn(folder: string): Promise<void> {
  const probe = join(folder, `.evenkeel-probe-${randomUUID()}`)
  const file = await open(probe, 'wx', 0o600)
  try {
    await file.writeFile('evenkeel')
    await file.sync()
  } finally {
    await file.close().finally(() => rm(probe, { force: true }))
  }
}

function readPaths(name: string, paths: unknown): readonly string[] {
  if (paths === undefined) return []
  const isFine = Array.isArray(paths) && paths.every((path) => typeof path === 'string' && path !== '')
  if (!isFine) throw new TypeError(`pathsCheck: ${name} must be a list of paths, not ${JSON.stringify(paths)}`)
  return paths as readonly string[]
}

function codeOf(error: unknown): string {
  const { code } = Object(error) as { code?: unknown }
  return ` (${typeof code === 'string' ? code : messageOf(error)})`
}
