import { memoryLimit } from './cgroup.js'
import { checkedPressure, checkedRoot, clipped, type PressureOptions } from './check-pressure.js'
import { nodeModule } from './node-module.js'

/** How {@link memoryPressure} measures. */
export interface MemoryPressureOptions extends PressureOptions {
  /**
   * Where the file system begins of which `proc/self/cgroup` and `sys/fs/cgroup` are read.
   *
   * @defaultValue `'/'`
   */
  readonly root?: string | undefined
}

/** The defaults of {@link memoryPressure}. */
export const memoryPressureDefaults: Readonly<Record<'windowMs', number>> = { windowMs: 10_000 }

/**
 * How much this process fills of the memory that it may use: of its container or machine, where the kernel would kill it,
 * or of its heap, where Node would give up; the larger counts.
 *
 * @remarks
 * A heap fills and is swept again and again, so of the heap the least that it was in the last `windowMs` counts: what
 * could not be swept.
 *
 * *Gotchas*: what other processes of the machine occupy is not seen. In a worker thread the heap is the thread's.
 *
 * @param options - the window
 * @returns what `pressures` takes; a rule that names `memory` has one without it
 * @throws TypeError or RangeError when an option does not exist or is out of range
 *
 * @example
 * ```ts
 * import { memoryPressure } from '@evenkeel/degradation-manager'
 *
 * const memory = memoryPressure()
 * console.log(memory() > 0, memory() < 1) // => true true
 * ```
 */
export function memoryPressure(options: MemoryPressureOptions = {}): () => number {
  const { windowMs, clock } = checkedPressure('memoryPressure', options, memoryPressureDefaults, ['root'])
  const root = checkedRoot('memoryPressure', options.root)
  let heaps: { takenMs: number; ratio: number }[] = []
  return () => {
    const takenMs = clock.monotonic()
    const { used_heap_size: used, heap_size_limit: limit } = nodeModule('node:v8').getHeapStatistics()
    heaps = [...heaps.filter((heap) => heap.takenMs > takenMs - windowMs), { takenMs, ratio: used / limit }]
    const heap = Math.min(...heaps.map(({ ratio }) => ratio))
    return clipped(Math.max(heap, process.memoryUsage.rss() / allowedBytes(root)))
  }
}

/** Node itself knows only the limit of the process's own group, and says 0 or a number that no machine has for none. */
function allowedBytes(root: string): number {
  const known = process.constrainedMemory() ?? 0
  return Math.min(nodeModule('node:os').totalmem(), known > 0 ? known : Infinity, memoryLimit(root))
}
