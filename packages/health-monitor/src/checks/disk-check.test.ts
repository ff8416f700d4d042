import { describe, expect, it } from 'vitest'
import { look } from '../test-support/look.js'
import { temporaryFolder } from '../test-support/temporary-folder.js'
import { diskCheck, diskCheckDefaults, type DiskSpace, judgeDisk } from './disk-check.js'

describe('a disk', () => {
  it('is up while there is space, and says how much', async () => {
    const path = temporaryFolder()
    const seen = await look(diskCheck(path, { degradedFreeRatio: 0, downFreeRatio: 0 }))
    expect(seen.status).toBe('up')
    expect(seen.reason).toMatch(/^.* [GMT]iB \(.* %\) are free at \//)
  })

  it.each([
    [{ degradedFreeBytes: 1e18 }, 'degraded', /are free at .*, below 9\d+ TiB$|are free at .*, below \d+ TiB$/],
    [{ degradedFreeBytes: 1e18, downFreeBytes: 1e18 }, 'down', /, below \d+ TiB$/],
    [{ degradedFreeRatio: 1, downFreeRatio: 0 }, 'degraded', /are free at .*, below 100 %/],
  ])('with limits %o is %s', async (limits, status, reason) => {
    const seen = await look(diskCheck(temporaryFolder(), limits))
    expect(seen.status).toBe(status)
    expect(seen.reason).toMatch(reason)
  })

  it('that is not there is down, and says so', async () => {
    const seen = await look(diskCheck(`${temporaryFolder()}/missing`))
    expect(seen).toMatchObject({ status: 'down', reason: expect.stringContaining('ENOENT') as string })
  })
})

describe('what a disk tells', () => {
  // 1,000 blocks of which 100 are for root alone, as on ext4.
  const space = { bsize: 2 ** 20, blocks: 1_000, bfree: 300, bavail: 200, files: 100, ffree: 50 }
  const judge = (told: Partial<DiskSpace>, limits = {}) => {
    return judgeDisk('/data', { ...space, ...told }, { ...diskCheckDefaults, ...limits })
  }

  it('is shown as df shows it', () => {
    expect(judge({})).toEqual({ status: 'up', reason: '200 MiB (22.2 %) are free at /data' })
  })

  it.each([
    [{ bavail: 50 }, 'degraded', '50 MiB (6.7 %) are free at /data, below 10 %'],
    [{ bavail: 0 }, 'down', '0 bytes (0 %) are free at /data, below 2 %'],
    [{ bavail: 0, bfree: 1_000 }, 'down', '0 bytes (0 %) are free at /data, below 2 %'],
    [{ ffree: 5 }, 'degraded', '5 % of the inodes are free at /data, below 10 %'],
    [{ ffree: 1 }, 'down', '1 % of the inodes are free at /data, below 2 %'],
    [{ files: 0, ffree: 0 }, 'up', '200 MiB (22.2 %) are free at /data'],
    [{ blocks: 0, bfree: 0, bavail: 0 }, 'up', '0 bytes (100 %) are free at /data'],
  ])('%o is %s', (told, status, reason) => {
    expect(judge(told)).toEqual({ status, reason })
  })
})

it.each([
  ['', {}, TypeError],
  [undefined, {}, TypeError],
  ['.', { downFreeRatio: 0.5 }, RangeError],
  ['.', { freeRatio: 0.5 }, TypeError],
])('refuses %o with %o', (path, options, kind) => {
  expect(() => diskCheck(path as never, options as never)).toThrow(kind)
})
