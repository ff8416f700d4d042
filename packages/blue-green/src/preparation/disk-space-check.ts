import { statfs } from 'node:fs/promises'
import { messageOf } from '../bounded.js'
import { requireKnown } from '../checked-options.js'
import { checkBy, CheckFailedError, found, type PreparationCheck } from './check.js'

/** What {@link diskSpaceCheck} needs to be free. */
export interface DiskSpaceOptions {
  /** Free bytes that there must be: what the backup, the migration and the new version write, and some more. Above 0. */
  readonly minFreeBytes: number
}

/**
 * Looks whether the disk has room, without what is kept back for the administrator. Quotas are not seen: {@link pathsCheck}, which
 * really writes, meets a full one.
 *
 * @param path - a file or folder on that disk
 * @param options - how much must be free
 * @throws RangeError when `minFreeBytes` is no number of bytes above 0
 *
 * @example
 * ```ts
 * import { tmpdir } from 'node:os'
 * import { diskSpaceCheck } from '@evenkeel/blue-green/preparation'
 *
 * const check = diskSpaceCheck(tmpdir(), { minFreeBytes: 1 })
 * console.log((await check({ signal: AbortSignal.timeout(1_000) })).ok) // => true
 * ```
 */
export function diskSpaceCheck(path: string, options: DiskSpaceOptions): PreparationCheck {
  if (typeof path !== 'string' || path === '') throw new TypeError(`diskSpaceCheck: path must be a path, not ${path}`)
  requireKnown('diskSpaceCheck', options, ['minFreeBytes'])
  const { minFreeBytes } = options
  if (!(minFreeBytes > 0) || !Number.isFinite(minFreeBytes)) {
    throw new RangeError(`diskSpaceCheck: minFreeBytes must be bytes above 0, not ${minFreeBytes}`)
  }
  return checkBy(async () => {
    const { bavail, bsize } = await statfs(path).catch((error: unknown) => {
      throw new CheckFailedError(`the disk of ${path} cannot be asked: ${messageOf(error)}`, error)
    })
    const freeBytes = bavail * bsize
    const free = `${megabytes(freeBytes)} MB are free at ${path}`
    if (freeBytes < minFreeBytes) throw new CheckFailedError(`${free}, less than ${megabytes(minFreeBytes)} MB`)
    return found(free)
  })
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toLocaleString('en-US', { maximumFractionDigits: 1 })
}
