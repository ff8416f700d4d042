import { cpuLimit } from './cgroup.js'
import { checkedPressure, checkedRoot, clipped, type PressureOptions } from './check-pressure.js'
import { nodeModule } from './node-module.js'

/** How {@link cpuPressure} measures. */
export interface CpuPressureOptions extends PressureOptions {
  /**
   * Where the file system begins of which `proc/self/cgroup` and `sys/fs/cgroup` are read.
   *
   * @defaultValue `'/'`
   */
  readonly root?: string | undefined
}

/** The defaults of {@link cpuPressure}. */
export const cpuPressureDefaults: Readonly<Record<'windowMs', number>> = { windowMs: 5_000 }

/** After so many windows without a look, what was seen before says nothing about the present one. */
const windowsToForget = 10

/** Counters that only grow, in ms. */
interface Used {
  readonly takenMs: number
  readonly ownMs: number
  readonly groupMs: number | undefined
  readonly group: string | undefined
  readonly busyMs: number
  readonly allMs: number
}

/**
 * How busy the processors are that this process may use: its container's where that is limited, else the machine's.
 *
 * @remarks
 * 1 means that all of it is used. It is the average over the last `windowMs`, and 0 until so much has been seen: a single
 * sample of a processor's load says nothing.
 *
 * *Gotchas*: one thread can use one processor. On a machine of eight a blocked event loop is 0.125 here:
 * {@link loopDelayPressure} sees that.
 *
 * @param options - the window
 * @returns what `pressures` takes; a rule that names `cpu` has one without it
 * @throws TypeError or RangeError when an option does not exist or is out of range
 *
 * @example
 * ```ts
 * import { cpuPressure, DegradationManager } from '@evenkeel/degradation-manager'
 *
 * const modes = new DegradationManager({
 *   features: { remind: { priority: 'critical' } },
 *   pressures: { cpu: cpuPressure({ windowMs: 10_000 }) },
 *   rules: [{ pressure: 'cpu', enter: 0.9, leave: 0.7, mode: 'DEGRADED' }],
 * })
 * console.log(modes.mode) // => FULL
 * ```
 */
export function cpuPressure(options: CpuPressureOptions = {}): () => number {
  const { windowMs, clock } = checkedPressure('cpuPressure', options, cpuPressureDefaults, ['root'])
  const root = checkedRoot('cpuPressure', options.root)
  let seen: Used[] = []
  return () => {
    const takenMs = clock.monotonic()
    const limit = cpuLimit(root)
    const now: Used = { takenMs, ownMs: ownMs(), groupMs: limit?.usedMs, group: limit?.group, ...machine() }
    if (takenMs - (seen.at(-1)?.takenMs ?? takenMs) > windowsToForget * windowMs) seen = []
    const base = seen.findLast((before) => before.takenMs <= takenMs - windowMs)
    // The base stays: the next look may come before a younger one is old enough.
    seen = [...(base === undefined ? seen : seen.slice(seen.indexOf(base))), now]
    return base === undefined ? 0 : clipped(shareOf(base, now, limit?.processors))
  }
}

function shareOf(base: Used, now: Used, limit: number | undefined): number {
  const spanMs = now.takenMs - base.takenMs
  const processors = Math.min(limit ?? Infinity, nodeModule('node:os').availableParallelism())
  const own = (now.ownMs - base.ownMs) / spanMs / processors
  if (limit === undefined) {
    const allMs = now.allMs - base.allMs
    return allMs > 0 ? Math.max(own, (now.busyMs - base.busyMs) / allMs) : own
  }
  if (now.groupMs === undefined || base.groupMs === undefined || now.group !== base.group) return own
  return Math.max(own, (now.groupMs - base.groupMs) / spanMs / processors)
}

function ownMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

function machine(): { busyMs: number; allMs: number } {
  let [busyMs, allMs] = [0, 0]
  for (const { times } of nodeModule('node:os').cpus()) {
    const busy = times.user + times.nice + times.sys + times.irq
    busyMs += busy
    allMs += busy + times.idle
  }
  return { busyMs, allMs }
}
