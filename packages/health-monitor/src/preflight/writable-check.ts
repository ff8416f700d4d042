import { randomUUID } from 'node:crypto'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { HealthCheck } from '../check-result.js'

/**
 * Looks whether a directory can be written, by doing it: a file is written, synced to the disk, and removed. A right that
 * is granted and a disk that is full look alike until then.
 *
 * @param directory - the directory; it is made when there is none, as the bot would
 * @returns the check
 *
 * @example
 * ```ts
 * import { runSteps, writableCheck } from '@evenkeel/health-monitor/preflight'
 *
 * const { status } = await runSteps({ data: writableCheck('data') })
 * console.log(status) // => up
 * ```
 */
export function writableCheck(directory: string): HealthCheck {
  if (typeof directory !== 'string' || directory === '') throw new TypeError('writableCheck: give a directory')
  return async () => {
    await mkdir(directory, { recursive: true })
    const path = join(directory, `.evenkeel-preflight-${randomUUID()}`)
    const file = await open(path, 'wx')
    try {
      await file.writeFile('can this be written?\n')
      await file.sync()
    } finally {
      await file.close()
      await rm(path, { force: true })
    }
    return { status: 'up', reason: `${directory} can be written` }
  }
}
