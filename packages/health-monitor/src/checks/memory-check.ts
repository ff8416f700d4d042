import type { HealthCheck } from '../check-result.js'
import { type MemoryLimit, readCgroup } from './cgroup.js'
import { resolveOptions } from './check-options.js'
import { percent, size } from './figures.js'
import { onDemand } from './on-demand.js'
import { above, together } from './verdict.js'

/** How {@link memoryCheck} judges. */
export interface MemoryCheckOptions {
  /**
   * The share of what the process may use, 0 to 1, above which it is `degraded`.
   *
   * @defaultValue 0.75
   */
  readonly degradedRatio?: number
  /**
   * The share of what the process may use, 0 to 1, above which it is `down`; 1 for never.
   *
   * @defaultValue 0.9
   */
  readonly downRatio?: number
  /**
   * Where the file system begins of which `proc/self/cgroup` and `sys/fs/cgroup` are read.
   *
   * @defaultValue `'/'`
   */
  readonly root?: string
}

/** What {@link memoryCheck} uses when its options leave it open. */
export const memoryCheckDefaults: Required<MemoryCheckOptions> = { degradedRatio: 0.75, downRatio: 0.9, root: '/' }

/**
 * Looks at the memory that the process occupies, beside what its container or machine gives it, and at its heap, beside
 * what the heap may grow to. At the one limit the kernel kills it, at the other Node gives up.
 *
 * @remarks
 * `os.totalmem()` is the host's, also inside a container: it counts only where nothing tighter does. The kernel counts all
 * that shares a container's limit together, other processes and files in memory too, so that is looked at besides; caches,
 * which it gives up when memory is short, are left out.
 *
 * *Gotchas*: in a worker thread the heap is the thread's, and the memory the whole process's.
 *
 * @param options - the limits
 * @returns the check
 * @throws TypeError when an option does not exist, or is of another type
 * @throws RangeError when a limit is not from 0 to 1
 *
 * @example
 * ```ts
 * import { HealthMonitor, memoryCheck } from '@evenkeel/health-monitor'
 *
 * const health = new HealthMonitor({ checks: { memory: { check: memoryCheck({ degradedRatio: 0.001 }) } } })
 * console.log((await health.check('memory')).status) // => degraded
 * ```
 */
export function memoryCheck(options: MemoryCheckOptions = {}): HealthCheck {
  const { degradedRatio, downRatio, root } = resolveOptions('memoryCheck', options, memoryCheckDefaults)
  if (typeof root !== 'string') throw new TypeError('memoryCheck: root must be a path')
  const limits = { degraded: degradedRatio, down: downRatio }
  const judge = (what: string, bytes: number, limit: number): ReturnType<typeof above> => {
    const ratio = bytes / limit
    return above(ratio, limits, `${what} ${size(bytes)} of ${size(limit)} (${percent(ratio)})`, percent)
  }
  return () => {
    const { used_heap_size: heap, heap_size_limit: heapLimit } = onDemand('node:v8').getHeapStatistics()
    const { memory } = readCgroup(root)
    const shared = fullest(memory)
    return together([
      judge('the process occupies', process.memoryUsage.rss(), memoryLimit(memory)),
      ...(shared === undefined ? [] : [judge('all that share its limit use', shared.usedBytes, shared.bytes)]),
      judge('its heap uses', heap, heapLimit),
    ])
  }
}

/** Node itself knows only the limit of the process's own group, and says 0 or a number that no machine has for none. */
function memoryLimit(limits: readonly MemoryLimit[]): number {
  const known = process.constrainedMemory() ?? 0
  const machine = onDemand('node:os').totalmem()
  return Math.min(machine, known > 0 ? known : Infinity, ...limits.map(({ bytes }) => bytes))
}

/** The limit that is nearest, as far as anything tells. */
function fullest(limits: readonly MemoryLimit[]): { readonly bytes: number; readonly usedBytes: number } | undefined {
  return limits
    .flatMap(({ bytes, usedBytes }) => (usedBytes === undefined ? [] : [{ bytes, usedBytes }]))
    .sort((a, b) => b.usedBytes / b.bytes - a.usedBytes / a.bytes)[0]
}
