import type { HealthCheck } from '../check-result.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { readCgroup } from './cgroup.js'
import { requireClock, resolveOptions } from './check-options.js'
import { duration, percent } from './figures.js'
import { onDemand } from './on-demand.js'
import { Readings } from './readings.js'
import { above } from './verdict.js'

/** How {@link cpuCheck} judges. */
export interface CpuCheckOptions {
  /**
   * Milliseconds over which the load is averaged, so that a spike is nothing.
   *
   * @defaultValue 60_000
   */
  readonly windowMs?: number
  /**
   * The share of the processor time, 0 to 1, above which it is `degraded`.
   *
   * @defaultValue 0.8
   */
  readonly degradedRatio?: number
  /**
   * The share of the processor time, 0 to 1, above which it is `down`; 1 for never.
   *
   * @defaultValue 0.95
   */
  readonly downRatio?: number
  /**
   * Where the file system begins of which `proc/self/cgroup` and `sys/fs/cgroup` are read.
   *
   * @defaultValue `'/'`
   */
  readonly root?: string
  /** The clock to measure with; the machine's unless a test brings another. */
  readonly clock?: Clock
}

/** What {@link cpuCheck} uses when its options leave it open. */
export const cpuCheckDefaults: Required<Omit<CpuCheckOptions, 'clock'>> = {
  windowMs: 60_000,
  degradedRatio: 0.8,
  downRatio: 0.95,
  root: '/',
}

/** Processor time since some beginning, in ms. */
interface Used {
  readonly processMs: number
  readonly groupMs: number | undefined
  readonly machine: { readonly busyMs: number; readonly allMs: number }
}

/**
 * Looks how busy the processors are that this process may use: by itself, and by all that share them with it.
 *
 * @remarks
 * In a container with a limit, "all" are the processes of the container, and 100 % is its limit; otherwise they are all
 * processes of the machine. The limit is read at each look, so it may be changed while the bot runs. Windows of the load
 * follow one another: nothing is an average since the start.
 *
 * *Gotchas*: one thread can use one processor. On a machine of eight, a blocked event loop is 12.5 % here: `loopCheck`
 * sees that.
 *
 * @param options - the window and the limits
 * @returns the check; until it has seen a whole window it is up, and says so
 * @throws TypeError when an option does not exist, or is of another type
 * @throws RangeError when a limit or the window is out of range
 *
 * @example
 * ```ts
 * import { cpuCheck, HealthMonitor } from '@evenkeel/health-monitor'
 *
 * const health = new HealthMonitor({ checks: { cpu: { check: cpuCheck({ windowMs: 30_000 }), critical: false } } })
 * console.log((await health.check('cpu')).reason) // => 0 ms of the first 30 s have been seen
 * ```
 */
export function cpuCheck(options: CpuCheckOptions = {}): HealthCheck {
  const resolved = resolveOptions('cpuCheck', options, cpuCheckDefaults, ['clock'])
  const { windowMs, degradedRatio, downRatio, root, clock = systemClock } = resolved
  requireClock('cpuCheck', clock)
  if (typeof root !== 'string') throw new TypeError('cpuCheck: root must be a path')
  const readings = new Readings<Used>(windowMs)
  return () => {
    const nowMs = clock.monotonic()
    const { processors: limit, usedMs: groupMs } = readCgroup(root)
    const used = { processMs: processMs(), groupMs, machine: machine() }
    const base = readings.take(nowMs, used)
    if (base === undefined) {
      const seen = duration(readings.coveredMs(nowMs))
      return { status: 'up', reason: `${seen} of the first ${duration(windowMs)} have been seen` }
    }
    const before = base.value
    const spanMs = nowMs - base.takenMs
    const processors = Math.min(limit ?? Infinity, onDemand('node:os').availableParallelism())
    const own = (used.processMs - before.processMs) / spanMs / processors
    const over = `over ${duration(spanMs)}, by this process to ${percent(own)}`
    const limits = { degraded: degradedRatio, down: downRatio }
    if (limit === undefined) {
      const allMs = used.machine.allMs - before.machine.allMs
      const busy = allMs > 0 ? (used.machine.busyMs - before.machine.busyMs) / allMs : 0
      const all = Math.max(own, busy)
      return above(all, limits, `the machine's processors are used to ${percent(all)} ${over}`, percent)
    }
    const group = groupMs === undefined ? own : (groupMs - (before.groupMs ?? groupMs)) / spanMs / processors
    const all = Math.max(own, group)
    return above(all, limits, `the time of ${plain(processors)} processors is used to ${percent(all)} ${over}`, percent)
  }
}

function processMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

function machine(): Used['machine'] {
  let [busyMs, allMs] = [0, 0]
  for (const { times } of onDemand('node:os').cpus()) {
    const busy = times.user + times.nice + times.sys + times.irq
    busyMs += busy
    allMs += busy + times.idle
  }
  return { busyMs, allMs }
}

function plain(value: number): string {
  return String(Number(value.toFixed(2)))
}
