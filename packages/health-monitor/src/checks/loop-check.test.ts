import { FakeClock } from '@evenkeel/testing'
import { expect, it } from 'vitest'
import { BlockableClock } from '../test-support/blockable-clock.js'
import { look } from '../test-support/look.js'
import { loopCheck } from './loop-check.js'

/** Keeps the event loop really busy. */
function burn(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

const onlyDelay = { degradedRatio: 1, downRatio: 1 }
const onlyBusy = { degradedDelayMs: Infinity, downDelayMs: Infinity }

it('says first that it has not seen a whole window, and is up when the loop is on time', async () => {
  const clock = new BlockableClock()
  const check = loopCheck({ clock, ...onlyDelay })
  expect((await look(check)).reason).toBe('0 ms of the first 60 s have been seen')
  await clock.advance(60_000)
  const { status, reason } = await look(check)
  expect(status).toBe('up')
  expect(reason).toMatch(/^1 event in 100 waits 0 ms or longer .* over 60 s; the event loop is busy .* over 60 s$/)
})

it('takes one short block a minute for nothing', async () => {
  const clock = new BlockableClock()
  const check = loopCheck({ clock, ...onlyDelay })
  await look(check)
  for (let minute = 0; minute < 5; minute++) {
    await clock.advance(59_600)
    clock.block(400)
    await clock.advance(200)
    expect((await look(check)).status).toBe('up')
  }
})

it('counts a long block for every moment that it lasted, although only one timer was late', async () => {
  const clock = new BlockableClock()
  const check = loopCheck({ clock, ...onlyDelay })
  await look(check)
  await clock.advance(55_000)
  clock.block(5_000)
  await clock.advance(200)
  const { status, reason } = await look(check)
  expect(status).toBe('down')
  expect(reason).toMatch(/^1 event in 100 waits 4\.\d s or longer for the event loop over 60.2 s, above 1 s$/)
})

it('is degraded by many blocks of 300 ms, and up again a window after they have ended', async () => {
  const clock = new BlockableClock()
  const check = loopCheck({ clock, ...onlyDelay })
  await look(check)
  for (let second = 0; second < 60; second++) {
    clock.block(300)
    await clock.advance(1_000)
  }
  expect(await look(check)).toMatchObject({ status: 'degraded' })
  await clock.advance(61_000)
  expect(await look(check)).toMatchObject({ status: 'up' })
})

it('sees a busy window after an idle life, unlike a mean since the start', async () => {
  const clock = new FakeClock()
  const check = loopCheck({ clock, windowMs: 1_000, ...onlyBusy })
  await look(check)
  for (let window = 0; window < 3; window++) {
    burn(100)
    await clock.advance(1_000)
    const { status, reason } = await look(check)
    expect(reason).toMatch(/^the event loop is busy (?:9\d|100).* % of the time over 1 s, above/)
    expect(status).not.toBe('up')
  }
})

it('begins anew after the whole process stood still, and blames nobody', async () => {
  const clock = new BlockableClock()
  const check = loopCheck({ clock, ...onlyDelay })
  await look(check)
  await clock.advance(60_000)
  clock.block(7_200_000)
  await clock.advance(400)
  expect((await look(check)).reason).toBe('0 ms of the first 60 s have been seen')
  await clock.advance(60_000)
  expect((await look(check)).status).toBe('up')
})

it('starts nothing before the first look, and stops when nobody looks any more', async () => {
  const clock = new FakeClock()
  const check = loopCheck({ clock })
  expect(clock.pending).toBe(0)
  await look(check)
  await look(check)
  expect(clock.pending).toBe(1)
  await clock.advance(181_000)
  expect(clock.pending).toBe(0)
  expect((await look(check)).reason).toBe('0 ms of the first 60 s have been seen')
  expect(clock.pending).toBe(1)
})

it.each([
  [{ windowMs: -1 }, RangeError],
  [{ degradedDelayMs: 2_000 }, RangeError],
  [{ delayMs: 2_000 }, TypeError],
])('refuses %o', (options, kind) => {
  expect(() => loopCheck(options as never)).toThrow(kind)
})
