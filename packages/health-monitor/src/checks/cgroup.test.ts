import { describe, expect, it } from 'vitest'
import { temporaryFolder, writeFiles } from '../test-support/temporary-folder.js'
import { readCgroup } from './cgroup.js'

const MIB = 2 ** 20

describe.each([
  {
    what: 'version 2 in a container',
    files: {
      'proc/self/cgroup': '0::/\n',
      'sys/fs/cgroup/cpu.max': '150000 100000\n',
      'sys/fs/cgroup/cpu.stat': 'usage_usec 2500000\nuser_usec 2000000\n',
      'sys/fs/cgroup/memory.max': `${512 * MIB}\n`,
    },
    limits: { processors: 1.5, usedMs: 2_500, memoryBytes: 512 * MIB },
  },
  {
    what: 'version 2, a service whose slice is tighter',
    files: {
      'proc/self/cgroup': '0::/system.slice/bot.service\n',
      'sys/fs/cgroup/system.slice/bot.service/cpu.max': 'max 100000\n',
      'sys/fs/cgroup/system.slice/bot.service/memory.max': `${900 * MIB}\n`,
      'sys/fs/cgroup/system.slice/cpu.max': '50000 100000\n',
      'sys/fs/cgroup/system.slice/cpu.stat': 'usage_usec 1000\n',
      'sys/fs/cgroup/system.slice/memory.max': `${256 * MIB}\n`,
    },
    limits: { processors: 0.5, usedMs: 1, memoryBytes: 256 * MIB },
  },
  {
    what: 'version 2 without limits',
    files: {
      'proc/self/cgroup': '0::/\n',
      'sys/fs/cgroup/cpu.max': 'max 100000\n',
      'sys/fs/cgroup/memory.max': 'max\n',
    },
    limits: { processors: undefined, usedMs: undefined, memoryBytes: undefined },
  },
  {
    what: "version 1, of which a container sees only the top, under the host's path",
    files: {
      'proc/self/cgroup': '5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n',
      'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '200000\n',
      'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      'sys/fs/cgroup/cpuacct/cpuacct.usage': '3000000000\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': `${128 * MIB}\n`,
    },
    limits: { processors: 2, usedMs: 3_000, memoryBytes: 128 * MIB },
  },
  {
    what: 'version 1 without limits',
    files: {
      'proc/self/cgroup': '5:cpu:/\n4:memory:/\n',
      'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    },
    limits: { processors: undefined, usedMs: undefined, memoryBytes: undefined },
  },
  {
    what: 'nonsense',
    files: { 'proc/self/cgroup': 'x\n0::/../..\n', 'sys/fs/cgroup/cpu.max': '', 'sys/fs/cgroup/memory.max': '' },
    limits: { processors: undefined, usedMs: undefined, memoryBytes: undefined },
  },
  { what: 'nothing', files: {}, limits: { processors: undefined, usedMs: undefined, memoryBytes: undefined } },
])('$what', ({ files, limits }) => {
  it('is read as it is meant', () => {
    const root = temporaryFolder()
    writeFiles(root, files)
    expect(readCgroup(root)).toEqual(limits)
  })
})

it('reads what this machine says without failing', () => {
  expect(readCgroup('/')).toHaveProperty('processors')
})
