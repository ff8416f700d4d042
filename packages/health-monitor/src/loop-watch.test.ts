import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { HealthMonitor } from './health-monitor.js'
import type { LoopTurns } from './loop-turns.js'
import { type LoopNews, LoopWatch, type LoopWatchOptions } from './loop-watch.js'

/** An event loop that turns when told to, working or waiting for as long as the test says. */
class FakeLoop implements LoopTurns {
  readonly clock = new FakeClock()
  #activeMs = 0
  #listener: (() => void) | undefined

  monotonic(): number {
    return this.clock.monotonic()
  }
  activeMs(): number {
    return this.#activeMs
  }
  onTurn(run: () => void): () => void {
    this.#listener = run
    return () => (this.#listener = undefined)
  }
  get isFelt(): boolean {
    return this.#listener !== undefined
  }
  /** One turn that works, after having waited. */
  async turn({ workMs, waitMs = 0 }: { workMs: number; waitMs?: number }): Promise<void> {
    await this.clock.advance(waitMs + workMs)
    this.#activeMs += workMs
    this.#listener?.()
  }
}

async function felt(options: LoopWatchOptions = {}) {
  const loop = new FakeLoop()
  const news: LoopNews[] = []
  const watch = new LoopWatch(loop.clock, loop, options, (each) => news.push(each))
  watch.start()
  await loop.turn({ workMs: 1, waitMs: 1_000 })
  return { loop, watch, news }
}

describe('an event loop', () => {
  it('that stood still is news at the end of that turn, with the length', async () => {
    const { loop, watch, news } = await felt()
    await loop.turn({ workMs: 5_000, waitMs: 600 })
    expect(news).toEqual([
      {
        what: 'event loop',
        from: 'running',
        to: 'blocked',
        at: loop.clock.now(),
        why: 'for 5.0 s',
        severity: 'WARNING',
        message: 'The event loop was blocked for 5.0 s: nothing else ran meanwhile.',
        blockedMs: 5_000,
        longestMs: 5_000,
      },
    ])
    const since = loop.clock.now() - 5_000
    expect(watch.health).toEqual({ isBlocked: true, since, blockedMs: 5_000, longestMs: 5_000 })
  })

  it.each([80, 100, 150, 199])(
    'that turns only every %i ms is news within 0.3 s, or at its second turn',
    async (ms) => {
      const { loop, news } = await felt()
      const startedMs = loop.monotonic()
      while (news.length === 0 && loop.monotonic() < startedMs + 2_000) await loop.turn({ workMs: ms, waitMs: 1 })
      expect(loop.monotonic() - startedMs).toBeLessThanOrEqual(Math.max(300, 2 * ms + 2))
    },
  )

  it('that hardly breathes between its blocks is news as well', async () => {
    const { loop, news } = await felt()
    for (let turn = 0; turn < 3; turn++) {
      await loop.turn({ workMs: 100 })
      await loop.turn({ workMs: 1, waitMs: 10 })
    }
    expect(news).toHaveLength(1)
  })

  it('that is blocked again and again is told once, and once more when it has been calm', async () => {
    const { loop, watch, news } = await felt()
    for (let second = 0; second < 10; second++) await loop.turn({ workMs: 300, waitMs: 700 })
    expect(news).toHaveLength(1)
    await loop.clock.advance(5_000)
    expect(news.map(({ to, severity }) => [to, severity])).toEqual([
      ['blocked', 'WARNING'],
      ['running', 'INFO'],
    ])
    expect(news[1]?.message).toBe('The event loop runs again: it was blocked for 3.0 s in all, 0.3 s at the longest.')
    expect([watch.health.isBlocked, loop.clock.pending]).toEqual([false, 0])
  })

  it('that is saturated for a minute counts every block once', async () => {
    const { loop, watch } = await felt()
    for (let turn = 0; turn < 600; turn++) await loop.turn({ workMs: 100 })
    expect(watch.health).toMatchObject({ blockedMs: 60_000, longestMs: 60_000 })
  })

  it.each([1, 50, 100, 199])('that pauses for %i ms now and then is no news', async (workMs) => {
    const { loop, news } = await felt()
    for (let second = 0; second < 60; second++) await loop.turn({ workMs, waitMs: 1_000 })
    expect(news).toEqual([])
  })

  it('that is busy with many short things is no news', async () => {
    const { loop, news } = await felt()
    for (let turn = 0; turn < 5_000; turn++) await loop.turn({ workMs: 5 })
    expect(news).toEqual([])
  })

  it('that sleeps, or whose process is suspended in its sleep, is no news', async () => {
    const { loop, news } = await felt()
    await loop.turn({ workMs: 1, waitMs: 3_600_000 })
    expect(news).toEqual([])
  })

  it('is no longer felt once nobody wants to know', async () => {
    const { loop, watch, news } = await felt()
    await loop.turn({ workMs: 400 })
    watch.stop()
    expect([loop.isFelt, loop.clock.pending, watch.health.isBlocked]).toEqual([false, 0, false])
    await loop.turn({ workMs: 5_000 })
    watch.start()
    await loop.turn({ workMs: 1, waitMs: 100 })
    expect(news).toHaveLength(1)
  })
})

describe('the option loop', () => {
  it('says that nobody wants to know; so does a clock of its own, for the loop lives in real time', () => {
    expect(new HealthMonitor({ checks: {}, loop: false }).loop).toBeUndefined()
    expect(new HealthMonitor({ checks: {}, clock: new FakeClock() }).loop).toBeUndefined()
    expect(new HealthMonitor({ checks: {} }).loop?.isBlocked).toBe(false)
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
