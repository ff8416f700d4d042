import { FakeClock } from '@evenkeel/testing'
import { expect, it } from 'vitest'
import { Metrics } from '../metrics/metrics.js'
import { look } from '../test-support/look.js'
import { errorRateCheck, type ErrorRateCheckOptions } from './error-rate-check.js'

function bot(options: ErrorRateCheckOptions = {}) {
  const clock = new FakeClock()
  const counted = { calls: 0, failures: 0 }
  const check = errorRateCheck(() => counted, { clock, ...options })
  return {
    clock,
    counted,
    check,
    /** So many minutes pass with 100 calls each, so many of which fail; what the last look says. */
    pass: async (minutes: number, failing: number) => {
      let last = await look(check)
      for (let minute = 0; minute < minutes; minute++) {
        await clock.advance(60_000)
        counted.calls += 100
        counted.failures += failing
        last = await look(check)
      }
      return last
    },
  }
}

it('says what is missing until it can judge', async () => {
  const { check, pass } = bot()
  expect(await look(check)).toEqual({
    status: 'up',
    reason: '0 calls within 60 min are too few to judge by, below 100',
  })
  expect(await pass(90, 2)).toEqual({
    status: 'up',
    reason: 'what is usual is not known yet: it takes 60 min and 100 calls before the last 60 min',
  })
})

it('is degraded with figures when more fail than usual, and up when the latest calls are as usual again', async () => {
  const { pass } = bot()
  expect((await pass(300, 2)).reason).toBe('120 of 6,000 calls failed within 60 min (2 %), usual are 2 %')
  const seen = await pass(30, 6)
  expect(seen.status).toBe('degraded')
  expect(seen.reason).toMatch(
    /^\d+ of 6,\d00 calls failed within 60 min \([34].* %\), above the usual 2 % by more than 20 %$/,
  )
  expect((await pass(15, 2)).status).toBe('up')
  expect((await pass(60, 2)).status).toBe('up')
})

it('says nothing about an increase that is too small to matter', async () => {
  const little = bot({ degradedIncrease: 2 })
  await little.pass(300, 2)
  expect((await little.pass(60, 5)).status).toBe('up')
  const rare = bot({ minRatio: 0.1 })
  await rare.pass(300, 2)
  expect((await rare.pass(60, 6)).status).toBe('up')
})

it('is down when most of the latest calls fail, also before it knows what is usual', async () => {
  const { pass } = bot()
  expect(await pass(3, 80)).toEqual({
    status: 'down',
    reason: '240 of the latest 300 calls failed (80 %), above 50 %',
  })
  expect((await pass(15, 0)).status).toBe('up')
})

it('counts from anew when the counters begin anew, and after a pause of hours', async () => {
  const { clock, counted, pass } = bot()
  await pass(300, 2)
  counted.calls = 0
  counted.failures = 0
  expect((await pass(10, 2)).status).toBe('up')
  clock.jump(-3_600_000)
  await clock.advance(5 * 3_600_000)
  counted.calls += 30_000
  counted.failures += 20_000
  expect((await pass(1, 2)).status).toBe('up')
})

it.each([[{ calls: 5, failures: 6 }], [{ calls: NaN, failures: 0 }], [{ calls: 5 }], [undefined]])(
  'is down when it reads nonsense such as %o',
  async (counts) => {
    const { status } = await look(errorRateCheck(() => counts as never))
    expect(status).toBe('down')
  },
)

it('reads a recorder of this package', async () => {
  const calls = new Metrics().calls('bot_command', { help: 'How long commands take.' })
  for (let call = 0; call < 30; call++) calls.record(5, true)
  const clock = new FakeClock()
  const check = errorRateCheck(() => calls.errors(), { clock })
  await look(check)
  for (let call = 0; call < 30; call++) calls.record(5, true)
  await clock.advance(60_000)
  expect((await look(check)).reason).toBe('30 of the latest 30 calls failed (100 %), above 50 %')
})

it.each([
  [5, {}, TypeError],
  [() => ({}), { windowMs: 0 }, RangeError],
  [() => ({}), { downRatio: 2 }, RangeError],
  [() => ({}), { increase: 2 }, TypeError],
])('refuses %o with %o', (read, options, kind) => {
  expect(() => errorRateCheck(read as never, options as never)).toThrow(kind)
})
