import { nodeModule } from './node-module.js'

/** How many processors' time the process's group may use, and how much it has used, in ms. */
export interface CpuLimit {
  readonly processors: number
  readonly usedMs: number | undefined
  /** Whose limit it is: what one group has used says nothing of another. */
  readonly group: string
}

/** Version 1 says "unlimited" by a number that no machine has. */
const noLimit = 2 ** 60

/**
 * The tightest limit on processor time among the process's own group and all above it; undefined when there is none.
 *
 * @param root - where the file system begins; `/` but for tests
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html for `cpu.max` and `cpu.stat`
 */
export function cpuLimit(root: string): CpuLimit | undefined {
  const limits = foldersOf(root, 'cpu').flatMap(({ folder, path, version }): CpuLimit[] => {
    if (version === 2) {
      const [quota, period] = (text(`${folder}/cpu.max`) ?? '').split(' ').map(Number)
      const usedUs = /^usage_usec (\d+)$/m.exec(text(`${folder}/cpu.stat`) ?? '')?.[1]
      return limit(folder, quota, period, usedUs === undefined ? undefined : Number(usedUs) / 1_000)
    }
    const usedNs = number(`${root}/sys/fs/cgroup/cpuacct/${path}/cpuacct.usage`)
    const usedMs = usedNs === undefined ? undefined : usedNs / 1e6
    return limit(folder, number(`${folder}/cpu.cfs_quota_us`), number(`${folder}/cpu.cfs_period_us`), usedMs)
  })
  return limits.sort((one, other) => one.processors - other.processors)[0]
}

/**
 * The tightest limit on memory, in bytes, among the process's own group and all above it; Infinity when there is none.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html for `memory.max`
 */
export function memoryLimit(root: string): number {
  const limits = foldersOf(root, 'memory').map(({ folder, version }) => {
    const bytes = number(`${folder}/${version === 2 ? 'memory.max' : 'memory.limit_in_bytes'}`)
    return bytes === undefined || bytes <= 0 || bytes >= noLimit ? Infinity : bytes
  })
  return Math.min(Infinity, ...limits)
}

/** "max" is no number, and -1 means none: then nothing is limited. */
function limit(
  group: string,
  quota: number | undefined,
  period: number | undefined,
  usedMs: number | undefined,
): CpuLimit[] {
  const isLimited = quota !== undefined && period !== undefined && quota > 0 && period > 0
  return isLimited ? [{ processors: quota / period, usedMs, group }] : []
}

interface Folder {
  readonly folder: string
  readonly path: string
  readonly version: 1 | 2
}

/** Inside a container the group's path may be the host's, of which only the top is to be seen: all above it are tried. */
function foldersOf(root: string, controller: string): Folder[] {
  const groups = (text(`${root}/proc/self/cgroup`) ?? '').split('\n').map((line) => line.split(':'))
  return groups.flatMap(([, controllers = '', ...names]) => {
    const path = names.join(':')
    const isVersion2 = controllers === ''
    if (!isVersion2 && !controllers.split(',').includes(controller)) return []
    const top = `${root}/sys/fs/cgroup${isVersion2 ? '' : `/${controller}`}`
    const parts = path.split('/').filter((part) => part !== '' && part !== '..')
    return Array.from({ length: parts.length + 1 }, (_, up): Folder => {
      const at = parts.slice(0, parts.length - up).join('/')
      return { folder: `${top}/${at}`, path: at, version: isVersion2 ? 2 : 1 }
    })
  })
}

function number(file: string): number | undefined {
  const found = text(file)
  const value = Number(found)
  return found === undefined || found === '' || !Number.isFinite(value) ? undefined : value
}

/** The kernel's answer, which never waits for a disk; what it does not offer, as outside Linux, is undefined. */
function text(file: string): string | undefined {
  try {
    return nodeModule('node:fs').readFileSync(file, 'utf8').trim()
  } catch {
    return undefined
  }
}
