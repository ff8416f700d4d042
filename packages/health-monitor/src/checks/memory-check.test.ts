import { getHeapStatistics } from 'node:v8'
import { expect, it } from 'vitest'
import { look } from '../test-support/look.js'
import { temporaryFolder, writeFiles } from '../test-support/temporary-folder.js'
import { memoryCheck } from './memory-check.js'

/** A container in which this process fills so much of its memory. */
function containAt(ratio: number): string {
  const root = temporaryFolder()
  const limit = Math.round(process.memoryUsage.rss() / ratio)
  writeFiles(root, { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/memory.max': `${limit}\n` })
  return root
}

it.each([
  { ratio: 0.3, status: 'up', reason: /^the process occupies .* MiB of .* MiB \(.* %\); its heap uses / },
  { ratio: 0.82, status: 'degraded', reason: /^the process occupies .* MiB of .* MiB \(8\d.* %\), above 75 %$/ },
  { ratio: 0.97, status: 'down', reason: /^the process occupies .* MiB of .* MiB \(\d{2,3}(?:\.\d)? %\), above 90 %$/ },
])('is $status when the process fills $ratio of its container', async ({ ratio, status, reason }) => {
  const seen = await look(memoryCheck({ root: containAt(ratio) }))
  expect(seen.status).toBe(status)
  expect(seen.reason).toMatch(reason)
})

it('looks at all that shares its limit, for the kernel counts that together; not at caches, which it gives up', async () => {
  const root = containAt(0.2)
  const limit = process.memoryUsage.rss() / 0.2
  const fill = (ratio: number, cached: number): void =>
    writeFiles(root, {
      'sys/fs/cgroup/memory.current': `${Math.round(ratio * limit)}\n`,
      'sys/fs/cgroup/memory.stat': `inactive_file ${Math.round(cached * limit)}\nactive_file 0\nslab_reclaimable 0\n`,
    })
  const check = memoryCheck({ root })
  fill(0.99, 0.6)
  expect(await look(check)).toMatchObject({ status: 'up' })
  fill(0.99, 0.05)
  const seen = await look(check)
  expect(seen.status).toBe('down')
  expect(seen.reason).toMatch(/^all that share its limit use .* MiB of .* MiB \(9\d.* %\), above 90 %$/)
})

it('looks at the heap beside what it may grow to, not beside what it is', async () => {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
  const ratio = used / limit
  const root = temporaryFolder()
  const rss = process.memoryUsage.rss()
  writeFiles(root, { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/memory.max': `${rss * 1e6}\n` })
  const seen = await look(memoryCheck({ root, degradedRatio: ratio / 2, downRatio: 1 }))
  expect(seen.reason).toContain('its heap uses')
  expect(seen.status).toBe('degraded')
})

it.each([
  [{ degradedRatio: 2 }, RangeError],
  [{ root: 1 }, TypeError],
  [{ ratio: 1 }, TypeError],
])('refuses %o', (options, kind) => {
  expect(() => memoryCheck(options as never)).toThrow(kind)
})
