import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it, vi } from 'vitest'
import { HealthMonitor } from './health-monitor.js'
import type { HealthSnapshot, WatchOptions } from './watch.js'

/** A monitor of one component that fails when told to, and a watch over it that somebody reads. */
async function watched(options: WatchOptions = {}) {
  const clock = new FakeClock()
  let isBroken = false
  const health = new HealthMonitor({ checks: { db: { check: () => !isBroken } }, clock, random: () => 0 })
  await health.start()
  await clock.advance(0)
  const idleTimers = clock.pending
  const seen: HealthSnapshot<'db'>[] = []
  const read = (): Promise<void> =>
    (async () => {
      for await (const snapshot of health.watch(options)) seen.push(snapshot)
    })()
  return { clock, health, seen, read, idleTimers, breakTheDatabase: () => void (isBroken = true) }
}

describe('a watch', () => {
  it('gives a snapshot at once, then every so often, and ends with its time', async () => {
    const { clock, seen, read, idleTimers } = await watched({ everyMs: 30_000, forMs: 100_000 })
    const reading = read()
    await clock.advance(100_000)
    await reading
    expect(seen.map(({ elapsedMs, leftMs, isLast }) => [elapsedMs, leftMs, isLast])).toEqual([
      [0, 100_000, false],
      [30_000, 70_000, false],
      [60_000, 40_000, false],
      [90_000, 10_000, false],
      [100_000, 0, true],
    ])
    expect(seen[0]).toMatchObject({ status: 'up', isFailure: false })
    expect(seen[0]?.components.get('db')?.status).toBe('up')
    expect(clock.pending).toBe(idleTimers)
  })

  it('ends at once when the whole is down for certain, and says so', async () => {
    const { clock, seen, read, idleTimers, breakTheDatabase } = await watched()
    const reading = read()
    await clock.advance(35_000)
    breakTheDatabase()
    await clock.advance(5_000 + 14_000)
    await reading
    expect(seen.map(({ elapsedMs, status, isFailure, isLast }) => [elapsedMs, status, isFailure, isLast])).toEqual([
      [0, 'up', false, false],
      [30_000, 'up', false, false],
      [54_000, 'down', true, true],
    ])
    expect(clock.pending).toBe(idleTimers)
  })

  it('ends at once also when a listener of somebody else throws', async () => {
    const { clock, health, seen, read, breakTheDatabase } = await watched()
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    health.on('change', () => {
      throw new Error('not mine')
    })
    const reading = read()
    await clock.advance(35_000)
    breakTheDatabase()
    await clock.advance(5_000 + 14_000)
    await reading
    expect(seen.at(-1)).toMatchObject({ elapsedMs: 54_000, isFailure: true })
    expect(warn).toHaveBeenCalled()
    warn.mockRestore()
  })

  it('forgives what is down in the time of grace, and nothing when that is over', async () => {
    const { clock, health, seen, read } = await watched({ graceMs: 45_000, everyMs: 30_000 })
    health.report('db', 'down', 'still warming up')
    const reading = read()
    await clock.advance(1_000)
    health.report('db', 'down', 'hangs')
    await health.stop().then(() => health.start())
    await clock.advance(0)
    await reading
    expect(seen).toHaveLength(1)
    health.report('db', 'down', 'still warming up')
    const again = read()
    for (let second = 0; second < 45; second++) {
      health.report('db', 'down', 'still warming up')
      await clock.advance(1_000)
    }
    await again
    expect(seen.slice(1).map(({ elapsedMs, isFailure }) => [elapsedMs, isFailure])).toEqual([
      [0, false],
      [30_000, false],
      [45_000, true],
    ])
  })

  it('ends by its signal, and when the monitor stops, without another snapshot', async () => {
    const controller = new AbortController()
    const { clock, health, seen, read, idleTimers } = await watched({ signal: controller.signal })
    const reading = read()
    await clock.advance(40_000)
    controller.abort()
    await reading
    expect([seen.length, clock.pending]).toEqual([2, idleTimers])
    const aborted = read()
    await aborted
    expect(seen).toHaveLength(2)
    const watch = health.watch()
    await watch.next()
    const waiting = watch.next()
    await health.stop()
    expect(await waiting).toEqual({ done: true, value: undefined })
    expect(clock.pending).toBe(0)
  })

  it('leaves nothing behind when its reader leaves, even while it waits', async () => {
    const { clock, health, idleTimers } = await watched()
    for await (const { status } of health.watch()) if (status === 'up') break
    expect([clock.pending, health.listenerCount('change')]).toEqual([idleTimers, 0])
    const watch = health.watch()
    await watch.next()
    const waiting = watch.next()
    await clock.advance(1_000)
    expect(clock.pending).toBe(idleTimers + 1)
    await watch.return()
    expect(await waiting).toEqual({ done: true, value: undefined })
    expect([clock.pending, health.listenerCount('change')]).toEqual([idleTimers, 0])
    expect(await watch.next()).toEqual({ done: true, value: undefined })
  })

  it('keeps its step when its reader is slow', async () => {
    const { clock, health } = await watched()
    const watch = health.watch({ everyMs: 1_000 })
    await watch.next()
    await clock.advance(3_500)
    const late = await watch.next()
    const next = watch.next()
    await clock.advance(500)
    expect([late.value?.elapsedMs, (await next).value?.elapsedMs]).toEqual([3_500, 4_000])
  })

  it('answers in order when several are asked for at once', async () => {
    const { clock, health } = await watched()
    const watch = health.watch({ everyMs: 1_000, forMs: 1_000 })
    const all = Promise.all([watch.next(), watch.next(), watch.next()])
    await clock.advance(2_000)
    expect((await all).map(({ value }) => value?.elapsedMs)).toEqual([0, 1_000, undefined])
  })

  it.each([
    [{ everyMs: 0 }, RangeError],
    [{ forMs: -1 }, RangeError],
    [{ graceMs: NaN }, RangeError],
    [{ every: 5 }, TypeError],
  ])('refuses %o', async (options, kind) => {
    const { health } = await watched()
    expect(() => health.watch(options as WatchOptions)).toThrow(kind)
  })

  it('refuses a monitor that was not started', () => {
    const health = new HealthMonitor({ checks: {} })
    expect(() => health.watch()).toThrow('nothing happens before start()')
  })
})
