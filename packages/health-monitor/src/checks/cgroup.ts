import { join } from 'node:path'
import { onDemand } from './on-demand.js'

/** A limit of processor time. */
export interface ProcessorLimit {
  /** Which group of processes it holds for: its path. */
  readonly group: string
  /** How many processors' time the group may use; a fraction, too. */
  readonly processors: number
  /** How much processor time it has used, in ms; `undefined` where nothing tells. */
  readonly usedMs: number | undefined
}

/** A limit of memory. */
export interface MemoryLimit {
  /** How much memory a group of processes may use, in bytes. */
  readonly bytes: number
  /** How much it uses that the kernel cannot take back at will, as it can caches of files; `undefined` where nothing tells. */
  readonly usedBytes: number | undefined
}

/** What the kernel allows to the groups of processes (container, service, slice) that this one belongs to. */
export interface Cgroup {
  /** Innermost first; empty when nothing limits it. */
  readonly processors: readonly ProcessorLimit[]
  /** Innermost first; empty when nothing limits it. */
  readonly memory: readonly MemoryLimit[]
}

/** Version 1 says "unlimited" by a number that no machine has. */
const NO_LIMIT = 2 ** 60

/**
 * Reads the limits of the process's own group and of all above it.
 *
 * These files are no files on a disk but answers of the kernel, so reading them never waits, and what it does not offer,
 * as outside Linux, is no limit.
 *
 * @param root - where the file system begins; `/` but for tests
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html for `cpu.max`, `cpu.stat` and `memory.max`
 * @see https://docs.kernel.org/admin-guide/cgroup-v1/index.html for `cpu.cfs_quota_us` and `memory.limit_in_bytes`
 */
export function readCgroup(root: string): Cgroup {
  const processors: (ProcessorLimit | undefined)[] = []
  const memory: (MemoryLimit | undefined)[] = []
  for (const line of (readText(join(root, 'proc/self/cgroup')) ?? '').split('\n')) {
    // A path may have colons of its own, as those of containerd do.
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    const names = controllers.split(',')
    for (const group of path === '' ? [] : groupsUpFrom(path)) {
      if (controllers === '') {
        const folder = join(root, 'sys/fs/cgroup', group)
        processors.push(processorsOf2(folder, group))
        memory.push(memoryOf2(folder))
      }
      if (names.includes('cpu')) processors.push(processorsOf1(root, group))
      if (names.includes('memory')) memory.push(memoryOf1(join(root, 'sys/fs/cgroup/memory', group)))
    }
  }
  return {
    processors: processors.filter((limit) => limit !== undefined),
    memory: memory.filter((limit) => limit !== undefined),
  }
}

/**
 * The numbers of the processors that the process may use, whatever its share of their time; `undefined` where the system
 * does not tell.
 *
 * @param root - where the file system begins; `/` but for tests
 */
export function usableProcessors(root: string): ReadonlySet<number> | undefined {
  const list = /^Cpus_allowed_list:[\t ]*([\d,-]+)$/m.exec(readText(join(root, 'proc/self/status')) ?? '')?.[1]
  if (list === undefined) return undefined
  const ranges = list.split(',').map((range) => range.split('-').map(Number))
  return new Set(
    ranges.flatMap(([first = 0, last = first]) => Array.from({ length: last - first + 1 }, (_, at) => first + at)),
  )
}

/** A group and all above it. Inside a container the path may be the host's, of which only the top is to be seen. */
function groupsUpFrom(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '..')
  return Array.from({ length: parts.length + 1 }, (_, depth) => parts.slice(0, parts.length - depth).join('/'))
}

function processorsOf2(folder: string, group: string): ProcessorLimit | undefined {
  const [quota, period] = (readText(join(folder, 'cpu.max')) ?? '').split(' ').map(Number)
  const processors = share(quota, period)
  if (processors === undefined) return undefined
  const usedUs = figure(readText(join(folder, 'cpu.stat')), 'usage_usec')
  return { group, processors, usedMs: usedUs === undefined ? undefined : usedUs / 1_000 }
}

function processorsOf1(root: string, group: string): ProcessorLimit | undefined {
  const folder = join(root, 'sys/fs/cgroup/cpu', group)
  const processors = share(readNumber(join(folder, 'cpu.cfs_quota_us')), readNumber(join(folder, 'cpu.cfs_period_us')))
  if (processors === undefined) return undefined
  const usedNs = readNumber(join(root, 'sys/fs/cgroup/cpuacct', group, 'cpuacct.usage'))
  return { group, processors, usedMs: usedNs === undefined ? undefined : usedNs / 1e6 }
}

function memoryOf2(folder: string): MemoryLimit | undefined {
  const bytes = readNumber(join(folder, 'memory.max'))
  if (bytes === undefined) return undefined
  const takeable = ['inactive_file', 'active_file', 'slab_reclaimable']
  return { bytes, usedBytes: usedBytes(join(folder, 'memory.current'), join(folder, 'memory.stat'), takeable) }
}

function memoryOf1(folder: string): MemoryLimit | undefined {
  const bytes = readNumber(join(folder, 'memory.limit_in_bytes'))
  if (bytes === undefined || bytes >= NO_LIMIT) return undefined
  const takeable = ['total_inactive_file', 'total_active_file']
  return { bytes, usedBytes: usedBytes(join(folder, 'memory.usage_in_bytes'), join(folder, 'memory.stat'), takeable) }
}

/** Without the one or the other nothing is known: with its caches, a group that is well may be full. */
function usedBytes(usage: string, stat: string, takeable: readonly string[]): number | undefined {
  const bytes = readNumber(usage)
  const text = readText(stat)
  if (bytes === undefined || text === undefined) return undefined
  return takeable.reduce((used, name) => used - (figure(text, name) ?? 0), bytes)
}

/** A line of a file of names and numbers. */
function figure(text: string | undefined, name: string): number | undefined {
  const value = new RegExp(`^${name} (\\d+)$`, 'm').exec(text ?? '')?.[1]
  return value === undefined ? undefined : Number(value)
}

/** `max` and -1 mean that there is no quota. */
function share(quota: number | undefined, period: number | undefined): number | undefined {
  if (quota === undefined || period === undefined) return undefined
  return quota > 0 && period > 0 ? quota / period : undefined
}

function readNumber(file: string): number | undefined {
  const text = readText(file) ?? ''
  const value = Number(text)
  return text !== '' && Number.isFinite(value) ? value : undefined
}

function readText(file: string): string | undefined {
  try {
    return onDemand('node:fs').readFileSync(file, 'utf8').trim()
  } catch {
    return undefined
  }
}
