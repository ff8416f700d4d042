import { FakeClock } from '@evenkeel/testing'
import { expect, it } from 'vitest'
import { Metrics } from '../metrics/metrics.js'
import { look } from '../test-support/look.js'
import { latencyCheck, type LatencyCheckOptions } from './latency-check.js'

const bounds = [100, 200, 400, 800, 1_600, 3_200, Infinity]

function bot(options: LatencyCheckOptions = {}) {
  const clock = new FakeClock()
  const counts = bounds.map(() => 0)
  const check = latencyCheck(() => ({ bounds, counts }), { clock, ...options })
  return {
    clock,
    counts,
    check,
    /** So many minutes pass with so many calls in each bucket; what the last look says. */
    pass: async (minutes: number, ...calls: number[]) => {
      let last = await look(check)
      for (let minute = 0; minute < minutes; minute++) {
        await clock.advance(60_000)
        for (const [bucket, count] of calls.entries()) counts[bucket] = (counts[bucket] ?? 0) + count
        last = await look(check)
      }
      return last
    },
  }
}

it('says what is missing until it can judge', async () => {
  const { pass } = bot()
  expect((await pass(0)).reason).toBe('0 calls within 60 min are too few to judge by, below 100')
  expect((await pass(90, 10)).reason).toContain('what is usual is not known yet')
})

it('is degraded with figures when calls take longer than usual, and up when the latest are as usual again', async () => {
  const { pass } = bot()
  expect(await pass(300, 80, 18, 2)).toEqual({
    status: 'up',
    reason: '95 % of 6,000 calls took up to 183 ms within 60 min, usual are 183 ms',
  })
  const seen = await pass(40, 60, 20, 15, 5)
  expect(seen.status).toBe('degraded')
  expect(seen.reason).toMatch(
    /^95 % of .* calls took up to \d+ ms within 60 min, above the usual 183 ms by more than 50 %$/,
  )
  expect((await pass(15, 80, 18, 2)).status).toBe('up')
})

it('says nothing about an increase that is sure, and too small to matter', async () => {
  const { pass } = bot({ degradedIncrease: 2 })
  await pass(300, 80, 18, 2)
  const seen = await pass(40, 60, 20, 15, 5)
  expect(seen.status).toBe('up')
  expect(seen.reason).toMatch(/took up to \d{3} ms within 60 min, usual are 183 ms$/)
})

it('says nothing about calls that are fast enough all the same', async () => {
  const { pass } = bot({ minMs: 1_000 })
  await pass(300, 80, 18, 2)
  expect((await pass(40, 60, 20, 15, 5)).status).toBe('up')
})

it('is down when too many of the latest calls take too long, also before it knows what is usual', async () => {
  const { pass } = bot()
  expect(await pass(3, 50, 0, 0, 0, 0, 0, 50)).toEqual({
    status: 'down',
    reason: '50 % of the latest 300 calls took more than 3 s, above 5 %',
  })
})

it('shows what lies above all buckets as that', async () => {
  const { pass } = bot({ downMs: Infinity })
  await pass(300, 100)
  expect((await pass(40, 50, 0, 0, 0, 0, 0, 50)).reason).toMatch(/took up to more than 3.2 s within/)
})

it('is down when it reads nonsense', async () => {
  for (const buckets of [undefined, {}, { bounds: [1], counts: [] }, { bounds: [1], counts: [NaN] }]) {
    expect((await look(latencyCheck(() => buckets as never))).status).toBe('down')
  }
})

it('reads a recorder of this package', async () => {
  const calls = new Metrics().calls('bot_command', { help: 'How long commands take.' })
  const clock = new FakeClock()
  const check = latencyCheck(() => calls.latency(), { clock })
  await look(check)
  for (let call = 0; call < 30; call++) calls.record(5_000)
  await clock.advance(60_000)
  expect((await look(check)).reason).toBe('100 % of the latest 30 calls took more than 3 s, above 5 %')
})

it.each([
  [5, {}, TypeError],
  [() => ({}), { downMs: 0 }, RangeError],
  [() => ({}), { p95: 2 }, TypeError],
])('refuses %o with %o', (read, options, kind) => {
  expect(() => latencyCheck(read as never, options as never)).toThrow(kind)
})
