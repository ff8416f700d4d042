import { afterEach, expect, it, vi } from 'vitest'
import { systemClock } from './system-clock.js'

afterEach(() => {
  vi.useRealTimers()
})

it('waits for longer than a timer of Node can, and not at all when it is cancelled', () => {
  vi.useFakeTimers()
  const month = 30 * 86_400_000
  const rang: string[] = []
  systemClock.after(month, () => void rang.push('a month'))
  const cancel = systemClock.after(month, () => void rang.push('never'))
  vi.advanceTimersByTime(month - 1)
  expect(rang).toEqual([])
  cancel()
  vi.advanceTimersByTime(1)
  expect([rang, vi.getTimerCount()]).toEqual([['a month'], 0])
})
