import { describe, expect, it } from 'vitest'
import { HealthMonitor } from './health-monitor.js'
import type { LoopNews, LoopWatchOptions } from './loop-watch.js'
import { BlockableClock } from './test-support/blockable-clock.js'

async function watched(loop: LoopWatchOptions = {}) {
  const clock = new BlockableClock()
  const health = new HealthMonitor({ checks: {}, clock, loop })
  const news: LoopNews[] = []
  health.on('blocked', (each) => news.push(each))
  await health.start()
  await clock.advance(1_020)
  return { clock, health, news }
}

describe('an event loop', () => {
  it('that stood still is news at its first turn, with the length', async () => {
    const { clock, health, news } = await watched()
    clock.block(5_000)
    await clock.advance(30)
    expect(news).toEqual([
      {
        what: 'event loop',
        from: 'running',
        to: 'blocked',
        at: clock.now(),
        why: 'for 5.0 s',
        severity: 'WARNING',
        message: 'The event loop was blocked for 5.0 s: nothing else ran meanwhile.',
        blockedMs: 5_050,
        longestMs: 5_050,
      },
    ])
    expect(health.loop).toEqual({ isBlocked: true, since: clock.now() - 5_050, blockedMs: 5_050, longestMs: 5_050 })
  })

  it('that turns only every 100 ms is news within 0.3 s', async () => {
    const { clock, news } = await watched()
    const startedMs = clock.monotonic()
    for (let turn = 0; turn < 20 && news.length === 0; turn++) {
      clock.block(99)
      await clock.advance(1)
      // A timer that fell due in the meantime runs at the end of its turn.
      await clock.advance(49)
      clock.block(-49)
    }
    expect(news).toHaveLength(1)
    expect(clock.monotonic() - startedMs).toBeLessThanOrEqual(300)
  })

  it('that is blocked again and again is told once, and once more when it has been calm', async () => {
    const { clock, health, news } = await watched()
    for (let second = 0; second < 10; second++) {
      clock.block(300)
      await clock.advance(1_000)
    }
    expect(news).toHaveLength(1)
    await clock.advance(5_000)
    expect(news.map(({ to, severity }) => [to, severity])).toEqual([
      ['blocked', 'WARNING'],
      ['running', 'INFO'],
    ])
    expect(news[1]?.message).toMatch(
      /^The event loop runs again: it was blocked for 3\.\d s in all, 0\.\d s at the longest\.$/,
    )
    expect(health.loop?.isBlocked).toBe(false)
  })

  it.each([1, 50, 100, 130])('that pauses for %i ms now and then is no news', async (ms) => {
    const { clock, news } = await watched()
    for (let second = 0; second < 60; second++) {
      clock.block(ms)
      await clock.advance(1_000)
    }
    expect(news).toEqual([])
  })

  it('is no longer felt once the monitor is stopped', async () => {
    const { clock, health, news } = await watched()
    await health.stop()
    expect(clock.pending).toBe(0)
    clock.block(5_000)
    await clock.advance(1_000)
    expect(news).toEqual([])
    await health.start()
    await clock.advance(1_000)
    expect(news).toEqual([])
  })

  it('is not watched when nobody wants it', async () => {
    const clock = new BlockableClock()
    const health = new HealthMonitor({ checks: {}, clock, loop: false })
    await health.start()
    expect([clock.pending, health.loop]).toEqual([0, undefined])
  })

  it.each([
    [{ blockedAfterMs: 50 }, RangeError],
    [{ calmAfterMs: '5s' }, TypeError],
    [{ threshold: 1 }, TypeError],
    [true, TypeError],
  ])('refuses %o', (loop, kind) => {
    expect(() => new HealthMonitor({ checks: {}, loop: loop as never })).toThrow(kind)
  })
})
