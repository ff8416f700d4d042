import type { HealthCheck } from '../check-result.js'
import { resolveOptions } from './check-options.js'
import { percent, size } from './figures.js'
import { onDemand } from './on-demand.js'
import { below, together, type Verdict } from './verdict.js'

/** How {@link diskCheck} judges. */
export interface DiskCheckOptions {
  /**
   * The share of free space, and of free file names (inodes), 0 to 1, below which it is `degraded`.
   *
   * @defaultValue 0.1
   */
  readonly degradedFreeRatio?: number
  /**
   * The share of free space, and of free file names (inodes), 0 to 1, below which it is `down`.
   *
   * @defaultValue 0.02
   */
  readonly downFreeRatio?: number
  /**
   * Free bytes, from 0, below which it is `degraded`. Without it, only the share counts.
   *
   * @defaultValue 0
   */
  readonly degradedFreeBytes?: number
  /**
   * Free bytes, from 0, below which it is `down`. Without it, only the share counts.
   *
   * @defaultValue 0
   */
  readonly downFreeBytes?: number
}

/** What {@link diskCheck} uses when its options leave it open. */
export const diskCheckDefaults: Required<DiskCheckOptions> = {
  degradedFreeRatio: 0.1,
  downFreeRatio: 0.02,
  degradedFreeBytes: 0,
  downFreeBytes: 0,
}

/** What the system tells of a disk. */
export interface DiskSpace {
  /** Bytes in a block. */
  readonly bsize: number
  /** All blocks. */
  readonly blocks: number
  /** Free blocks. */
  readonly bfree: number
  /** Free blocks that an ordinary user may have. */
  readonly bavail: number
  /** All file names; 0 where they are not limited. */
  readonly files: number
  /** Free file names. */
  readonly ffree: number
}

/**
 * Looks how much space is left where a bot writes: bytes, and file names (inodes), which run out first where there are
 * many small files.
 *
 * @remarks
 * Free is what an ordinary user may have, and the share is the one that `df` shows. A path that does not exist is down.
 *
 * *Gotchas*: a network file system that hangs cannot be interrupted: the look is given up at its deadline, and no other
 * begins before it has ended.
 *
 * @param path - any file or directory on the disk
 * @param options - the limits
 * @returns the check
 * @throws TypeError when there is no path, or an option does not exist or is no number
 * @throws RangeError when a limit is out of range
 *
 * @example
 * ```ts
 * import { diskCheck, HealthMonitor } from '@evenkeel/health-monitor'
 *
 * const health = new HealthMonitor({ checks: { disk: { check: diskCheck('.', { degradedFreeBytes: 1e18 }) } } })
 * console.log((await health.check('disk')).status) // => degraded
 * ```
 */
export function diskCheck(path: string, options: DiskCheckOptions = {}): HealthCheck {
  if (typeof path !== 'string' || path === '') throw new TypeError('diskCheck: give the path of a file or directory')
  const limits = resolveOptions('diskCheck', options, diskCheckDefaults)
  return async () => {
    const { statfs } = onDemand('node:fs/promises')
    return judgeDisk(path, await statfs(path), limits)
  }
}

/** What that much space means. */
export function judgeDisk(path: string, space: DiskSpace, limits: Required<DiskCheckOptions>): Verdict {
  const { bsize, blocks, bfree, bavail, files, ffree } = space
  const freeBytes = bavail * bsize
  // Where all that is left belongs to root, nothing is left, although nothing is used.
  const freeRatio = ratio(bavail, bavail + blocks - bfree || blocks)
  const ratios = { degraded: limits.degradedFreeRatio, down: limits.downFreeRatio }
  const free = `${size(freeBytes)} (${percent(freeRatio)}) are free at ${path}`
  const byRatio = below(freeRatio, ratios, free, percent)
  const byBytes = below(freeBytes, { degraded: limits.degradedFreeBytes, down: limits.downFreeBytes }, free, size)
  const nodeRatio = ratio(ffree, files)
  const byNodes = below(nodeRatio, ratios, `${percent(nodeRatio)} of the inodes are free at ${path}`, percent)
  if ([byRatio, byBytes, byNodes].every(({ status }) => status === 'up')) return byRatio
  return together([byRatio, byBytes, byNodes])
}

/** Of nothing, nothing is missing: some file systems have no fixed number of inodes, and some no size. */
function ratio(free: number, all: number): number {
  return all > 0 ? free / all : 1
}
