import { describe, expect, it } from 'vitest'
import { temporaryFolder, writeFiles } from '../test-support/temporary-folder.js'
import { readCgroup, usableProcessors } from './cgroup.js'

const MIB = 2 ** 20

describe.each([
  {
    what: 'version 2 in a container',
    files: {
      'proc/self/cgroup': '0::/\n',
      'sys/fs/cgroup/cpu.max': '150000 100000\n',
      'sys/fs/cgroup/cpu.stat': 'usage_usec 2500000\nuser_usec 2000000\n',
      'sys/fs/cgroup/memory.max': `${512 * MIB}\n`,
      'sys/fs/cgroup/memory.current': `${400 * MIB}\n`,
      'sys/fs/cgroup/memory.stat': `anon 5\ninactive_file ${200 * MIB}\nactive_file ${90 * MIB}\nslab_reclaimable ${10 * MIB}\n`,
    },
    limits: {
      processors: [{ group: '', processors: 1.5, usedMs: 2_500 }],
      memory: [{ bytes: 512 * MIB, usedBytes: 100 * MIB }],
    },
  },
  {
    what: 'version 2, a service with a slice around it',
    files: {
      'proc/self/cgroup': '0::/system.slice/bot.service\n',
      'sys/fs/cgroup/system.slice/bot.service/cpu.max': '200000 100000\n',
      'sys/fs/cgroup/system.slice/bot.service/memory.max': `${900 * MIB}\n`,
      'sys/fs/cgroup/system.slice/cpu.max': '50000 100000\n',
      'sys/fs/cgroup/system.slice/cpu.stat': 'usage_usec 1000\n',
      'sys/fs/cgroup/system.slice/memory.max': `${256 * MIB}\n`,
    },
    limits: {
      processors: [
        { group: 'system.slice/bot.service', processors: 2, usedMs: undefined },
        { group: 'system.slice', processors: 0.5, usedMs: 1 },
      ],
      memory: [
        { bytes: 900 * MIB, usedBytes: undefined },
        { bytes: 256 * MIB, usedBytes: undefined },
      ],
    },
  },
  {
    what: 'version 2, under a name with colons',
    files: {
      'proc/self/cgroup': '0::/kubepods-pod1.slice:cri-containerd:abc\n',
      'sys/fs/cgroup/kubepods-pod1.slice:cri-containerd:abc/cpu.max': '50000 100000\n',
    },
    limits: {
      processors: [{ group: 'kubepods-pod1.slice:cri-containerd:abc', processors: 0.5, usedMs: undefined }],
      memory: [],
    },
  },
  {
    what: 'version 2 without limits',
    files: {
      'proc/self/cgroup': '0::/\n',
      'sys/fs/cgroup/cpu.max': 'max 100000\n',
      'sys/fs/cgroup/memory.max': 'max\n',
    },
    limits: { processors: [], memory: [] },
  },
  {
    what: "version 1, of which a container sees only the top, under the host's path",
    files: {
      'proc/self/cgroup': '5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n',
      'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '200000\n',
      'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      'sys/fs/cgroup/cpuacct/cpuacct.usage': '3000000000\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': `${128 * MIB}\n`,
      'sys/fs/cgroup/memory/memory.usage_in_bytes': `${64 * MIB}\n`,
      'sys/fs/cgroup/memory/memory.stat': `inactive_file 1\ntotal_inactive_file ${4 * MIB}\ntotal_active_file ${10 * MIB}\n`,
    },
    limits: {
      processors: [{ group: '', processors: 2, usedMs: 3_000 }],
      memory: [{ bytes: 128 * MIB, usedBytes: 50 * MIB }],
    },
  },
  {
    what: 'version 1 without limits',
    files: {
      'proc/self/cgroup': '5:cpu:/\n4:memory:/\n',
      'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    },
    limits: { processors: [], memory: [] },
  },
  {
    what: 'nonsense',
    files: { 'proc/self/cgroup': 'x\n0::/../..\n', 'sys/fs/cgroup/cpu.max': '', 'sys/fs/cgroup/memory.max': '' },
    limits: { processors: [], memory: [] },
  },
  { what: 'nothing', files: {}, limits: { processors: [], memory: [] } },
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

it.each([
  ['0\n', [0]],
  ['0-2,5\n', [0, 1, 2, 5]],
  ['', undefined],
  ['none\n', undefined],
])('knows which processors the process may use: %o', (list, usable) => {
  const root = temporaryFolder()
  writeFiles(root, { 'proc/self/status': `Name:\tbot\nCpus_allowed_list:\t${list}Mems_allowed:\t1\n` })
  const seen = usableProcessors(root)
  expect(seen === undefined ? undefined : [...seen]).toEqual(usable)
})
