import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it, vi } from 'vitest'
import { ShedError } from '../errors.js'
import { guard } from '../guard/stand-alone.js'
import { priorities } from '../priority.js'
import { withSignal } from '../with-signal.js'
import { Bulkhead, type BulkheadOptions } from './bulkhead.js'

const forever = (): Promise<never> => new Promise(() => {})

describe('a Bulkhead', () => {
  it('lets in so many at once, and refuses more when nobody may wait', async () => {
    const bulkhead = new Bulkhead({ maxConcurrent: 2 })
    void bulkhead.run(forever)
    void bulkhead.run(forever)
    const error = await bulkhead.run(() => 'third').catch((error: unknown) => error)
    expect(error).toBeInstanceOf(ShedError)
    expect(error).toMatchObject({ feature: 'bulkhead', retryAfterMs: 1_000 })
    expect(bulkhead.inFlight).toBe(2)
  })

  it('says by how quickly calls leave when to come again', async () => {
    const clock = new FakeClock()
    const bulkhead = new Bulkhead({ maxConcurrent: 1, clock })
    const retryAfterMs: (number | undefined)[] = []
    for (let call = 0; call < 50; call++) {
      void bulkhead.run(() => new Promise<void>((resolve) => clock.after(100, resolve)))
      await bulkhead.run(() => 'second').catch((error: ShedError) => retryAfterMs.push(error.retryAfterMs))
      await clock.advance(100)
    }
    expect(retryAfterMs[0]).toBe(1_000)
    expect(retryAfterMs.at(-1)).toBe(100)
  })

  it('goes by how quickly calls leave now, not by how many left in a quiet night', async () => {
    const clock = new FakeClock()
    const bulkhead = new Bulkhead({ maxConcurrent: 1, clock })
    const turnedAway = async (): Promise<number | undefined> => {
      const slow = bulkhead.run(() => new Promise<void>((resolve) => clock.after(100, resolve)))
      await clock.advance(1)
      const refused = await bulkhead.run(() => 'second').catch((error: unknown) => error)
      await clock.advance(99)
      await slow
      return (refused as ShedError).retryAfterMs
    }
    for (let call = 0; call < 1_000; call++) await bulkhead.run(() => 'quick')
    // Nothing is known yet; then the hundred ms that each took, and not the thousand that were quick.
    expect(await turnedAway()).toBe(1_000)
    expect(await turnedAway()).toBe(100)
    await clock.advance(8 * 3_600_000)
    expect(await turnedAway()).toBe(1_000)
  })

  it('notices within seconds that calls leave more quickly', async () => {
    const clock = new FakeClock()
    const bulkhead = new Bulkhead({ maxConcurrent: 1, clock })
    let last: number | undefined
    for (const [tookMs, calls] of [
      [500, 20],
      [50, 100],
    ] as const) {
      for (let call = 0; call < calls; call++) {
        void bulkhead.run(() => new Promise<void>((resolve) => clock.after(tookMs, resolve)))
        await bulkhead.run(() => 'second').catch((error: ShedError) => (last = error.retryAfterMs))
        await clock.advance(tookMs)
      }
      expect(last).toBe(tookMs)
    }
  })

  it('does not serve who has waited too long, though its timer is late', async () => {
    let nowMs = 0
    const lateTimers = { now: () => nowMs, monotonic: () => nowMs, after: () => () => {} }
    const bulkhead = new Bulkhead({ maxConcurrent: 1, maxWaiting: 5, maxWaitMs: 100, clock: lateTimers })
    const place = await bulkhead.acquire()
    const waits = bulkhead.run(() => 'served')
    nowMs = 5_000
    place.release()
    await expect(waits).rejects.toMatchObject({ code: 'SHED' })
    expect(bulkhead.counts.expired).toBe(1)
  })

  it('leaves nothing on the signal of whoever has waited, and one timer for all who wait', async () => {
    const clock = new FakeClock()
    const bulkhead = new Bulkhead({
      maxConcurrent: 1,
      maxWaiting: 1_000,
      maxWaitMs: { critical: 100, high: 200, normal: 400, optional: 800 },
      clock,
    })
    const place = await bulkhead.acquire()
    const { signal } = new AbortController()
    const add = vi.spyOn(signal, 'addEventListener')
    const remove = vi.spyOn(signal, 'removeEventListener')
    const waits = [...priorities].reverse().map((priority) => bulkhead.acquire({ priority, signal }))
    expect(clock.pending).toBe(1)
    place.release()
    ;(await waits[3])?.release()
    ;(await waits[2])?.release()
    await waits[1]
    const refused = expect(waits[0]).rejects.toMatchObject({ code: 'SHED' })
    await clock.advance(800)
    await refused
    expect([add.mock.calls.length, remove.mock.calls.length]).toEqual([4, 4])
  })

  it('reads no clock for a call that finds a place', async () => {
    const clock = new FakeClock()
    const bulkhead = new Bulkhead({ maxConcurrent: 1, clock })
    clock.monotonic = () => {
      throw new Error('the clock was read')
    }
    expect(await bulkhead.run(() => 'served')).toBe('served')
  })

  it.each<[BulkheadOptions, string]>([
    [{ maxConcurrent: 0 }, 'maxConcurrent is 0; give a whole number, 1 or more'],
    [{} as BulkheadOptions, 'maxConcurrent is undefined; give a whole number, 1 or more'],
    [{ maxConcurrent: 1, maxOverdueMs: 0 }, 'maxOverdueMs is 0; give ms, more than 0'],
    [{ maxConcurrent: 1, queue: 3 } as BulkheadOptions, 'A Bulkhead cannot have "queue"'],
  ])('refuses %o', (options, message) => {
    expect(() => new Bulkhead(options)).toThrow(message)
  })
})

describe('a place whose caller has gone at its deadline', () => {
  it('stays taken until the work has really ended', async () => {
    const clock = new FakeClock()
    const admission = new Bulkhead({ maxConcurrent: 1, clock })
    let end!: () => void
    let running = 0
    const work = async (): Promise<void> => {
      running++
      await new Promise<void>((resolve) => (end = resolve))
      running--
    }
    const call = guard('work', work, { timeoutMs: 100, admission, clock })
    const first = expect(call()).rejects.toMatchObject({ code: 'TIMEOUT' })
    await clock.advance(100)
    await first
    await expect(call()).rejects.toMatchObject({ code: 'SHED' })
    expect([running, admission.inFlight]).toEqual([1, 1])
    end()
    await clock.advance(0)
    expect([running, admission.inFlight]).toEqual([0, 0])
    const second = call()
    end()
    await second
    expect(admission.inFlight).toBe(0)
  })

  it('is given to somebody else when the work never ends, and given back once', async () => {
    const clock = new FakeClock()
    const admission = new Bulkhead({ maxConcurrent: 1, maxOverdueMs: 60_000, clock })
    const ends: (() => void)[] = []
    const work = (): Promise<void> => new Promise<void>((resolve) => ends.push(resolve))
    const call = guard('work', work, { timeoutMs: 100, admission, clock })
    const first = expect(call()).rejects.toMatchObject({ code: 'TIMEOUT' })
    await clock.advance(60_099)
    await first
    await expect(call()).rejects.toMatchObject({ code: 'SHED' })
    await clock.advance(1)
    const second = call()
    expect(admission.counts.reclaimed).toBe(1)
    expect(admission.inFlight).toBe(1)
    ends[0]?.()
    await clock.advance(0)
    expect(admission.inFlight).toBe(1)
    ends[1]?.()
    await second
    expect(admission.inFlight).toBe(0)
  })
})

describe('guards on one bulkhead, one within the other', () => {
  it('share the place when the outer one hands its signal on, however deep they lie', async () => {
    const clock = new FakeClock()
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 10, clock })
    const options = { admission, clock, timeoutMs: 1_000 }
    const inner = guard(
      'inner',
      withSignal(async (_: AbortSignal, depth: number, _outer: AbortSignal) => depth),
      {
        ...options,
        call: (_depth: number, signal: AbortSignal) => ({ signal }),
      },
    )
    const middle = guard(
      'middle',
      withSignal(async (signal: AbortSignal, depth: number, _outer: AbortSignal) => {
        await Promise.resolve()
        return inner(depth + 1, signal)
      }),
      { ...options, call: (_depth: number, signal: AbortSignal) => ({ signal }) },
    )
    const outer = guard(
      'outer',
      withSignal(async (signal: AbortSignal, depth: number) => {
        await Promise.resolve()
        return middle(depth + 1, signal)
      }),
      options,
    )
    const answers = [outer(0), outer(10), outer(20)]
    await clock.advance(0)
    expect(await Promise.all(answers)).toEqual([2, 12, 22])
    expect(admission.inFlight).toBe(0)
  })

  it('do not wait for ever when it does not: the inner one is turned away in time', async () => {
    const clock = new FakeClock()
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 10, maxWaitMs: 500, clock })
    const inner = guard('inner', async () => 'in', { admission, clock })
    const outer = guard('outer', async () => inner(), { admission, clock })
    const refused = expect(outer()).rejects.toMatchObject({ code: 'SHED', applied: 'no' })
    await clock.advance(500)
    await refused
    expect([admission.inFlight, admission.waiting]).toEqual([0, 0])
  })
})
