import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { look } from '../test-support/look.js'
import { memoryGrowthCheck, type MemoryGrowthCheckOptions } from './memory-growth-check.js'

const MIB = 2 ** 20
const HOUR = 3_600_000

/** A process whose memory follows a rule, by hours; looked at every minute. */
function watch(memory: (hours: number) => number, options: MemoryGrowthCheckOptions = {}) {
  const clock = new FakeClock()
  const check = memoryGrowthCheck({ clock, read: () => memory(clock.monotonic() / HOUR) * MIB, ...options })
  return {
    clock,
    check,
    /** What it says after so many hours of looks, and whatever it said on the way. */
    pass: async (hours: number) => {
      const statuses = new Set<string>()
      let last = await look(check)
      for (let minute = 0; minute < hours * 60; minute++) {
        await clock.advance(60_000)
        last = await look(check)
        statuses.add(last.status)
      }
      return { ...last, statuses: [...statuses] }
    },
  }
}

describe('memory that grows', () => {
  it('by 40 % in 4 h is degraded, once a warm-up and a window have been seen', async () => {
    const { check, pass } = watch((hours) => 200 * (1 + 0.1 * hours))
    expect((await look(check)).reason).toBe('0 ms of the first 5 h have been seen')
    expect((await pass(4.9)).statuses).toEqual(['up'])
    expect(await pass(0.2)).toMatchObject({
      status: 'degraded',
      reason: 'memory has grown by 38.1 % in 4 h, from 210 MiB to 290 MiB, above 30 %',
    })
  })

  it('to more than three times as much is down', async () => {
    expect((await watch((hours) => 40 + 100 * hours).pass(6)).status).toBe('down')
  })

  it('by a job that leaks every hour is degraded', async () => {
    expect((await watch((hours) => 200 + 30 * Math.floor(hours)).pass(6)).status).toBe('degraded')
  })

  it('is up again a window after it has been mended', async () => {
    const { pass } = watch((hours) => 200 * (1 + 0.1 * Math.min(hours, 6)))
    expect((await pass(6)).status).toBe('degraded')
    expect((await pass(4)).status).toBe('up')
  })
})

describe('memory that does not keep growing', () => {
  it.each([
    ['the saw-tooth of the garbage collector', (hours: number) => 200 + 200 * ((hours * 7) % 1)],
    ['a tooth that is as long as an eighth of the window', (hours: number) => 200 + 200 * ((hours * 2) % 1)],
    ['a warm-up', (hours: number) => 100 + 300 * Math.min(1, hours * 2)],
    ['a cache that is filled once', (hours: number) => (hours < 3 ? 200 : 350)],
    ['growth of a little', (hours: number) => 20 + 3 * hours],
    ['growth below the limit', (hours: number) => 400 * (1 + 0.05 * hours)],
    ['memory that shrinks', (hours: number) => 400 - 10 * hours],
  ])('is up: %s', async (_what, memory) => {
    expect((await watch(memory).pass(14)).statuses).toEqual(['up'])
  })

  it('is up with noise', async () => {
    let state = 7
    const random = (): number => (state = (state * 48_271) % 0x7fffffff) / 0x7fffffff
    expect((await watch(() => 200 + 300 * random()).pass(24)).statuses).toEqual(['up'])
  })
})

it('begins anew after a pause, and not because the wall clock was moved', async () => {
  const { clock, pass } = watch((hours) => 200 * (1 + 0.1 * hours))
  await pass(3)
  clock.jump(-HOUR)
  expect((await pass(2.1)).status).toBe('degraded')
  await clock.advance(2 * HOUR)
  expect((await pass(0)).reason).toBe('0 ms of the first 5 h have been seen')
  expect((await pass(4.9)).statuses).toEqual(['up'])
})

it('is not confused by two monitors that look in turn', async () => {
  const { check, clock } = watch((hours) => 200 * (1 + 0.1 * hours))
  let last = ''
  for (let minute = 0; minute < 6 * 60; minute++) {
    await look(check)
    await clock.advance(60_000)
    last = (await look(check)).status
  }
  expect(last).toBe('degraded')
})

it('is down when what it reads is no number of bytes', async () => {
  const { pass } = watch(() => NaN, { warmUpMs: 1 })
  expect(await pass(1)).toMatchObject({
    status: 'down',
    reason: expect.stringContaining('read returned NaN') as string,
  })
})

describe("the process's own memory", () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (options?: { type: 'minor' }) => void
  const options = { windowMs: 8_000, warmUpMs: 1, degradedGrowth: 0.01, minGrowthBytes: 1_000_000 }

  async function pass(collectNow: () => void) {
    const clock = new FakeClock()
    const check = memoryGrowthCheck({ clock, ...options })
    const leak: unknown[][] = []
    let last = await look(check)
    for (let part = 0; part < 11; part++) {
      leak.push(Array.from({ length: 200_000 }, (_, index) => ({ index })))
      for (let ms = 0; ms < 1_000; ms += 250) {
        await clock.advance(250)
        // A `WeakRef` is held until the turn of the loop ends in which it was asked.
        await new Promise((resolve) => setImmediate(resolve))
        if (ms === 250) collectNow()
        last = await look(check)
      }
    }
    expect(leak).toHaveLength(11)
    return last
  }

  it('that leaks is found by full collections', async () => {
    expect((await pass(() => collect())).status).not.toBe('up')
  })

  it('says nothing without them, since all of it may be garbage', async () => {
    const seen = await pass(() => collect({ type: 'minor' }))
    expect(seen).toEqual({
      status: 'up',
      reason: 'there was too little garbage collection to tell growth from garbage',
    })
  })
})

it.each([
  [{ windowMs: 0 }, RangeError],
  [{ degradedGrowth: -1 }, RangeError],
  [{ read: 5 }, TypeError],
  [{ growth: 5 }, TypeError],
])('refuses %o', (options, kind) => {
  expect(() => memoryGrowthCheck(options as never)).toThrow(kind)
})
