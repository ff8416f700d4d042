import type { HealthCheck } from '../check-result.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { type ProcessorLimit, readCgroup, usableProcessors } from './cgroup.js'
import { requireClock, resolveOptions } from './check-options.js'
import { duration, percent } from './figures.js'
import { onDemand } from './on-demand.js'
import { Readings } from './readings.js'
import { above, type Verdict } from './verdict.js'

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
  readonly groups: readonly ProcessorLimit[]
  readonly machine: { readonly busyMs: number; readonly allMs: number }
}

/**
 * Looks how busy the processors are that this process may use: by itself, and by all that share them with it.
 *
 * @remarks
 * In a container with a limit, "all" are the processes of the container, and 100 % is its limit; of several limits around
 * it, the one that is used up most counts. Otherwise they are all processes of the machine. The limit is read at each look, so it may be changed while the bot runs. Windows of the load
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
    const { processors: groups } = readCgroup(root)
    const usable = usableProcessors(root)
    const used = { processMs: processTime(), groups, machine: machine(usable) }
    const base = readings.take(nowMs, used)
    if (base === undefined) {
      const seen = duration(readings.coveredMs(nowMs))
      return { status: 'up', reason: `${seen} of the first ${duration(windowMs)} have been seen` }
    }
    const before = base.value
    const spanMs = nowMs - base.takenMs
    // Not `availableParallelism()`, which is a quota rounded down on some versions of Node.
    const atMost = usable?.size ?? onDemand('node:os').cpus().length
    const processMs = used.processMs - before.processMs
    const limits = { degraded: degradedRatio, down: downRatio }
    const judge = (what: string, all: number, own: number): Verdict => {
      const over = `over ${duration(spanMs)}, by this process to ${percent(own)}`
      return above(Math.max(own, all), limits, `${what} used to ${percent(Math.max(own, all))} ${over}`, percent)
    }
    if (groups.length === 0) {
      const allMs = used.machine.allMs - before.machine.allMs
      const busy = allMs > 0 ? (used.machine.busyMs - before.machine.busyMs) / allMs : 0
      return judge("the machine's processors are", busy, processMs / spanMs / atMost)
    }
    const shares = groups.map(({ group, processors: quota, usedMs }) => {
      const processors = Math.min(quota, atMost)
      const beforeMs = before.groups.find((other) => other.group === group)?.usedMs
      const groupMs = usedMs === undefined || beforeMs === undefined ? 0 : usedMs - beforeMs
      return { processors, own: processMs / spanMs / processors, all: groupMs / spanMs / processors }
    })
    const fullest = shares.reduce((a, b) => (Math.max(b.own, b.all) > Math.max(a.own, a.all) ? b : a))
    return judge(`the time of ${plain(fullest.processors)} processors is`, fullest.all, fullest.own)
  }
}

function processTime(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

/** Of a machine some processors of which are switched off, nobody can tell which is which. */
function machine(usable: ReadonlySet<number> | undefined): Used['machine'] {
  let [busyMs, allMs] = [0, 0]
  const cpus = onDemand('node:os').cpus()
  const isKnown = usable !== undefined && [...usable].every((number) => number < cpus.length)
  for (const [number, { times }] of cpus.entries()) {
    if (isKnown && !usable.has(number)) continue
    const busy = times.user + times.nice + times.sys + times.irq
    busyMs += busy
    allMs += busy + times.idle
  }
  return { busyMs, allMs }
}

function plain(value: number): string {
  return String(Number(value.toFixed(2)))
}
