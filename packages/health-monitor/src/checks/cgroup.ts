import { join } from 'node:path'
import { onDemand } from './on-demand.js'

/** What the kernel allows to the group of processes (container, service) that this one belongs to. */
export interface Cgroup {
  /** How many processors' time it may use; a fraction, too. `undefined` when nothing limits it. */
  readonly processors: number | undefined
  /** How much processor time it has used, in ms; told only where {@link Cgroup.processors} is. */
  readonly usedMs: number | undefined
  /** How much memory it may use, in bytes. `undefined` when nothing limits it. */
  readonly memoryBytes: number | undefined
}

/** Version 1 says "unlimited" by a number that no machine has. */
const NO_LIMIT = 2 ** 60

/**
 * Reads the limits of the process's own group and of all above it: the tightest counts.
 *
 * These files are no files on a disk but answers of the kernel, so reading them never waits, and what it does not offer,
 * as outside Linux, is no limit.
 *
 * @param root - where the file system begins; `/` but for tests
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html for `cpu.max`, `cpu.stat` and `memory.max`
 * @see https://docs.kernel.org/admin-guide/cgroup-v1/index.html for `cpu.cfs_quota_us` and `memory.limit_in_bytes`
 */
export function readCgroup(root: string): Cgroup {
  const groups = (readText(join(root, 'proc/self/cgroup')) ?? '').split('\n').map((line) => line.split(':'))
  const limits: Cgroup[] = []
  for (const [, controllers = '', path = ''] of groups) {
    for (const folder of foldersUpFrom(path)) {
      if (controllers === '') limits.push(version2(join(root, 'sys/fs/cgroup', folder)))
      const names = controllers.split(',')
      if (names.includes('cpu')) limits.push(processorsOf(join(root, 'sys/fs/cgroup/cpu', folder), root, folder))
      if (names.includes('memory')) limits.push(memoryOf(join(root, 'sys/fs/cgroup/memory', folder)))
    }
  }
  const tightest = limits
    .filter(({ processors }) => processors !== undefined)
    .sort((a, b) => (a.processors ?? 0) - (b.processors ?? 0))[0]
  const memory = limits.flatMap(({ memoryBytes }) => memoryBytes ?? [])
  return {
    processors: tightest?.processors,
    usedMs: tightest?.usedMs,
    memoryBytes: memory.length === 0 ? undefined : Math.min(...memory),
  }
}

/** A group and all above it. Inside a container the path may be the host's, of which only the top is to be seen. */
function foldersUpFrom(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '..')
  return Array.from({ length: parts.length + 1 }, (_, depth) => parts.slice(0, parts.length - depth).join('/'))
}

function version2(folder: string): Cgroup {
  const [quota, period] = (readText(join(folder, 'cpu.max')) ?? '').split(' ').map(Number)
  const usedUs = /^usage_usec (\d+)$/m.exec(readText(join(folder, 'cpu.stat')) ?? '')?.[1]
  return {
    processors: share(quota, period),
    usedMs: usedUs === undefined ? undefined : Number(usedUs) / 1_000,
    memoryBytes: readNumber(join(folder, 'memory.max')),
  }
}

function processorsOf(folder: string, root: string, path: string): Cgroup {
  const quota = readNumber(join(folder, 'cpu.cfs_quota_us'))
  const usedNs = readNumber(join(root, 'sys/fs/cgroup/cpuacct', path, 'cpuacct.usage'))
  return {
    processors: share(quota, readNumber(join(folder, 'cpu.cfs_period_us'))),
    usedMs: usedNs === undefined ? undefined : usedNs / 1e6,
    memoryBytes: undefined,
  }
}

function memoryOf(folder: string): Cgroup {
  const bytes = readNumber(join(folder, 'memory.limit_in_bytes'))
  return {
    processors: undefined,
    usedMs: undefined,
    memoryBytes: bytes === undefined || bytes >= NO_LIMIT ? undefined : bytes,
  }
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
