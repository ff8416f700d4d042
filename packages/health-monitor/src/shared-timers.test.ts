import { FakeClock } from '@evenkeel/testing'
import { expect, it } from 'vitest'
import { SharedTimers } from './shared-timers.js'

it('rings again at a time at which it has rung', async () => {
  const clock = new FakeClock()
  const timers = new SharedTimers(clock)
  let rang = 0
  timers.at(1_000, () => rang++)
  await clock.advance(1_000)
  timers.at(1_000, () => rang++)
  await clock.advance(0)
  expect([rang, clock.pending]).toEqual([2, 0])
})

it('wakes once for those that are due together, and not for what was cancelled', async () => {
  const clock = new FakeClock()
  const timers = new SharedTimers(clock)
  const rang: string[] = []
  const cancels = ['a', 'b', 'c'].map((name) => timers.at(1_000, () => void rang.push(name)))
  expect(clock.pending).toBe(1)
  cancels[1]?.()
  await clock.advance(1_000)
  expect(rang).toEqual(['a', 'c'])
  timers.at(2_000, () => void rang.push('never'))()
  expect(clock.pending).toBe(0)
})
