import { FakeClock } from '@evenkeel/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Bulkhead } from '../admission/bulkhead.js'
import { CircuitBreaker } from '../breaker/circuit-breaker.js'
import { DegradationManager } from '../degradation-manager.js'
import { withSignal } from '../with-signal.js'
import { guard } from './stand-alone.js'

let clock: FakeClock
const unhandled = vi.fn()

beforeEach(() => {
  clock = new FakeClock()
  unhandled.mockClear()
  process.on('unhandledRejection', unhandled)
})

afterEach(async () => {
  await clock.advance(0)
  process.off('unhandledRejection', unhandled)
  expect(unhandled).not.toHaveBeenCalled()
})

const pause = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve))

/** What a promise comes to while time passes: `pending` when nothing. */
async function after(ms: number, promise: Promise<unknown>): Promise<unknown> {
  let outcome: unknown = 'pending'
  const keep = (settled: unknown): void => void (outcome = settled)
  void promise.then(keep, keep)
  await clock.advance(ms)
  return outcome
}

const retry = { attempts: 1, delayMs: 100, random: () => 1 }

describe('a retry', () => {
  it('is not asked for by an error that throws when it is read', async () => {
    const unreadable = Object.defineProperty(new Error('odd'), 'retryAfterMs', {
      get() {
        throw new Error('not even that')
      },
    })
    const call = guard('call', () => Promise.reject(unreadable), { clock, retry })
    expect(await after(10_000, call())).toBe(unreadable)
  })

  it('that finds no place leaves the caller with what the call failed with, not with a word that nothing was done', async () => {
    const reset = Object.assign(new Error('reset'), { code: 'ECONNRESET' })
    const admission = new Bulkhead({ maxConcurrent: 1, clock })
    const call = guard('call', () => Promise.reject(reset), { clock, retry, admission, idempotent: true })
    const answer = call()
    await clock.advance(50)
    void admission.run(() => pause(1_000))
    expect(await after(2_000, answer)).toBe(reset)
  })

  it('that waits for a place until the deadline does so too', async () => {
    const reset = Object.assign(new Error('reset'), { code: 'ECONNRESET' })
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 5, maxWaitMs: 60_000, clock })
    const call = guard('call', () => Promise.reject(reset), {
      clock,
      retry,
      admission,
      idempotent: true,
      timeoutMs: 500,
    })
    const answer = call()
    await clock.advance(50)
    void admission.run(() => pause(1_000))
    expect(await after(500, answer)).toBe(reset)
    await clock.advance(1_000)
    expect([admission.inFlight, admission.waiting]).toEqual([0, 0])
  })

  it('does not come for an answer that lies there already when the loop was blocked', async () => {
    const timers: (() => void)[] = []
    let nowMs = 0
    const blocked = {
      now: () => nowMs,
      monotonic: () => nowMs,
      after: (ms: number, run: () => void) => {
        if (ms <= 100) timers.push(run)
        return () => {}
      },
    }
    let answer!: (value: string) => void
    const fn = vi.fn(() => new Promise<string>((resolve) => (answer = resolve)))
    const call = guard('call', fn, { clock: blocked, idempotent: true, retry: { ...retry, timeoutMs: 100 } })
    const given = call()
    nowMs = 5_000
    timers[0]?.()
    answer('in time, as far as anyone could see')
    expect(await given).toContain('in time')
    timers[1]?.()
    expect(fn).toHaveBeenCalledTimes(1)
  })
})

describe('a signal of the caller', () => {
  it('ends a call whose function aborts it itself', async () => {
    const controller = new AbortController()
    const hangs = (): Promise<never> => {
      controller.abort(new Error('gone'))
      return new Promise(() => {})
    }
    const call = guard('call', hangs, { clock, timeoutMs: Infinity, call: () => ({ signal: controller.signal }) })
    expect(await after(1_000, call())).toMatchObject({ message: 'gone' })
    expect(call.stats).toMatchObject({ aborted: 1, failed: 0 })
  })

  it('that was aborted before counts as one, and so does asking for the call that throws', async () => {
    const call = guard('call', (_x: unknown) => 'well', {
      clock,
      call: (x) => ({ signal: (x as () => AbortSignal)() }),
    })
    await call(() => AbortSignal.abort(new Error('gone'))).catch(() => {})
    await call('no function').catch(() => {})
    expect(call.stats).toMatchObject({ calls: 2, aborted: 1, failed: 1 })
  })

  it('ends a fallback as well: no other is asked', async () => {
    const controller = new AbortController()
    const second = vi.fn(() => 'second')
    let inner: AbortSignal | undefined
    const first = withSignal(async (signal: AbortSignal): Promise<string> => {
      inner = signal
      await pause(1_000)
      throw new Error('first is away')
    })
    const call = guard('call', (): Promise<string> => Promise.reject(new Error('away')), {
      clock,
      call: () => ({ signal: controller.signal }),
      fallback: [first, second],
    })
    const answer = call()
    await clock.advance(100)
    controller.abort(new Error('gone'))
    expect(await after(0, answer)).toMatchObject({ message: 'gone' })
    expect(inner?.aborted).toBe(true)
    await clock.advance(5_000)
    expect(second).not.toHaveBeenCalled()
    expect(call.stats.fellBack).toBe(0)
  })

  it('that was aborted before asks no fallback, also where the call is refused', async () => {
    const breaker = new CircuitBreaker({ clock })
    breaker.hold('open', { why: 'moving' })
    const fallback = vi.fn(() => 'kept')
    const call = guard('call', () => 'well', {
      clock,
      breaker,
      fallback,
      call: () => ({ signal: AbortSignal.abort(new Error('gone')) }),
    })
    expect(await after(0, call())).toMatchObject({ message: 'gone' })
    expect(fallback).not.toHaveBeenCalled()
  })
})

describe('a fallback that failed', () => {
  it('leaves it open whether the call took effect where any before it did', async () => {
    const reset = (): Promise<never> => Promise.reject(Object.assign(new Error('reset'), { code: 'ECONNRESET' }))
    const plainly = (): Promise<never> => Promise.reject(new Error('no'))
    const idempotent = guard('call', plainly, { clock, idempotent: true, fallback: [reset, plainly] })
    expect(await after(0, idempotent())).toMatchObject({ code: 'FALLBACK_FAILED', applied: 'unknown' })
    const failed = guard('call', plainly, { clock, fallback: [plainly, plainly] })
    expect(await after(0, failed())).toMatchObject({ code: 'FALLBACK_FAILED', applied: 'no' })
    const lost = guard('call', reset, { clock, idempotent: true, fallback: plainly })
    expect(await after(0, lost())).toMatchObject({ code: 'FALLBACK_FAILED', applied: 'unknown' })
  })
})

describe('a guarded function', () => {
  it('leaves what it has beside being a function to itself, and not to what is bound of it', async () => {
    const call = guard('call', async (text: string) => text, { clock })
    const bound = call.bind({})
    expect(await after(0, bound('tea'))).toBe('tea')
    expect([bound.outcome, bound.drill, bound.stats]).toEqual([undefined, undefined, undefined])
    const frozen = Object.freeze(guard('call', async (text: string) => text, { clock }))
    expect(await after(0, frozen.outcome('tea'))).toMatchObject({ value: 'tea', degraded: false })
    expect(frozen.stats.calls).toBe(1)
  })
})

describe('a feature', () => {
  it('that is limited is not lost to work that never ends, and counts it once when it ends after all', async () => {
    const modes = new DegradationManager({
      clock,
      features: { search: { in: { DEGRADED: { maxConcurrent: 1 } } } },
    })
    await modes.setMode('DEGRADED', { why: 'a test' })
    const ends: (() => void)[] = []
    const search = modes.guard('search', () => new Promise<void>((resolve) => ends.push(resolve)), { timeoutMs: 1_000 })
    expect(await after(1_000, search())).toMatchObject({ code: 'TIMEOUT' })
    expect(await after(299_999, search())).toMatchObject({ code: 'SHED' })
    await clock.advance(1)
    const second = search()
    expect([ends.length, modes.feature('search').inFlight]).toEqual([2, 1])
    ends[0]?.()
    ends[1]?.()
    expect(await after(0, second)).toBe(undefined)
    expect(modes.feature('search').inFlight).toBe(0)
  })

  it('that is limited runs no more at once than that, also of calls that waited for a place', async () => {
    const modes = new DegradationManager({
      clock,
      features: { search: { in: { DEGRADED: { maxConcurrent: 2 } } } },
    })
    await modes.setMode('DEGRADED', { why: 'a test' })
    const admission = new Bulkhead({ maxConcurrent: 5, maxWaiting: 50, clock })
    const others = Array.from({ length: 5 }, () => admission.run(() => pause(100)))
    let [running, most] = [0, 0]
    const search = modes.guard(
      'search',
      async () => {
        most = Math.max(most, ++running)
        await pause(10)
        running--
      },
      { admission },
    )
    const calls = Promise.allSettled(Array.from({ length: 5 }, () => search()))
    await clock.advance(500)
    await Promise.all(others)
    const outcomes = await calls
    expect(most).toBe(2)
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(3)
    expect([admission.inFlight, modes.feature('search').inFlight]).toEqual([0, 0])
    expect(search.stats).toMatchObject({ calls: 5, succeeded: 2, refused: 3, failed: 0 })
  })

  it('that is switched off while a call waits, or pauses, is not called any more', async () => {
    const modes = new DegradationManager({ clock, features: { translate: { priority: 'optional' } } })
    const served: unknown[] = []
    modes.on('fallback', ({ error, severity }) => served.push([error, severity]))
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 5, clock })
    void admission.run(() => pause(100))
    const fn = vi.fn(async (): Promise<string> => 'called')
    const waits = modes.guard('translate', fn, { admission, fallback: () => 'kept' })()
    const away = new Error('away')
    const pausing = vi.fn((): Promise<string> => Promise.reject(away))
    const pauses = modes
      .guard('translate', pausing, { retry })()
      .catch((error: unknown) => error)
    await clock.advance(0)
    await modes.setMode('DEGRADED', { why: 'a test' })
    expect(await after(500, waits)).toBe('kept')
    expect(fn).not.toHaveBeenCalled()
    expect(served).toEqual([[undefined, 'INFO']])
    expect(await after(500, pauses)).toBe(away)
    expect(pausing).toHaveBeenCalledTimes(1)
    expect(admission.inFlight).toBe(0)
  })
})

describe('a fallback', () => {
  it('is told of with the reason for which it was asked, though the breaker is closed when it answers', async () => {
    const breaker = new CircuitBreaker({ name: 'service', clock })
    breaker.hold('open', { why: 'moving hosts' })
    const told: string[] = []
    const call = guard('call', async () => 'well', {
      clock,
      breaker,
      fallback: () => pause(1_000).then(() => 'kept'),
      onFallback: ({ why }) => told.push(why),
    })
    const answer = call()
    breaker.release({ why: 'moved' })
    expect(await after(1_000, answer)).toBe('kept')
    expect(told).toEqual(['the breaker "service" is open: held by hand: moving hosts'])
  })

  it('shares its place with a guard further in that is handed its signal', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, clock })
    const inner = guard('inner', (_signal: AbortSignal) => 'kept', { clock, admission, call: (signal) => ({ signal }) })
    const serve = withSignal((signal: AbortSignal) => inner(signal))
    const call = guard(
      'call',
      (): string => {
        throw new Error('away')
      },
      { clock, fallback: { serve, admission } },
    )
    expect(await after(0, call())).toBe('kept')
    expect(admission.inFlight).toBe(0)
  })
})

describe('a place', () => {
  it('is not shared any more when the call that held it has ended', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, clock })
    let [running, most] = [0, 0]
    const inner = guard(
      'inner',
      async (_signal: AbortSignal) => {
        most = Math.max(most, ++running)
        await pause(100)
        running--
      },
      { clock, admission, call: (signal) => ({ signal }) },
    )
    let kept: AbortSignal | undefined
    const outer = guard(
      'outer',
      withSignal(async (signal: AbortSignal) => void (kept = signal)),
      { clock, admission },
    )
    await outer()
    const calls = Promise.allSettled([inner(kept as AbortSignal), inner(kept as AbortSignal)])
    await clock.advance(200)
    expect((await calls).map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(most).toBe(1)
  })

  it('comes back once from a promise that settles twice, or throws when it is waited for', async () => {
    const admission = new Bulkhead({ maxConcurrent: 2, clock })
    const twice = Object.assign(Promise.resolve('first'), {
      // oxlint-disable-next-line unicorn/no-thenable
      then(resolve: (value: string) => void) {
        resolve('first')
        resolve('second')
      },
    })
    const throws = Object.assign(Promise.resolve('first'), {
      // oxlint-disable-next-line unicorn/no-thenable
      then() {
        throw new Error('a bug')
      },
    })
    for (const timeoutMs of [Infinity, 1_000]) {
      for (const promise of [twice, throws]) {
        const call = guard('call', () => promise as Promise<string>, { clock, admission, timeoutMs })
        expect(await after(0, call())).toBe('first')
        expect(admission.inFlight).toBe(0)
      }
    }
  })

  it('that is waited for in vain is given up once, though another who is turned away ends the call', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 5, maxWaitMs: 100, clock })
    void admission.run(() => pause(1_000))
    const controller = new AbortController()
    const first = guard('first', () => 'well', {
      clock,
      admission,
      fallback: () => {
        controller.abort(new Error('gone'))
        return 'kept'
      },
    })
    const second = guard('second', () => 'well', { clock, admission, call: () => ({ signal: controller.signal }) })
    const answers = [first(), second().catch((error: unknown) => error)]
    await clock.advance(200)
    expect(await Promise.all(answers)).toMatchObject(['kept', { message: 'gone' }])
    expect(second.stats).toMatchObject({ calls: 1, aborted: 1, refused: 0 })
  })
})

describe('a deadline', () => {
  it('of any length leaves nothing behind when its call has ended', async () => {
    const maps = vi.spyOn(Map.prototype, 'set')
    const modes = new DegradationManager({ clock, features: { search: {} } })
    maps.mockClear()
    for (let call = 0; call < 100; call++) {
      await modes.run('search', () => 'well', { timeoutMs: 2_000 + call / 128, fallback: async () => 'kept' })
    }
    const kept = maps.mock.calls.filter(([key]) => typeof key === 'number' && !Number.isInteger(key))
    maps.mockRestore()
    expect(kept).toEqual([])
  })
})
