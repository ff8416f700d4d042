import { FakeClock } from '@evenkeel/testing'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { Bulkhead } from '../admission/bulkhead.js'
import { CircuitBreaker } from '../breaker/circuit-breaker.js'
import { DegradationManager } from '../degradation-manager.js'
import { withSignal } from '../with-signal.js'
import { guard } from './stand-alone.js'

let clock: FakeClock

beforeEach(() => {
  clock = new FakeClock()
})

const pause = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve))
const away = (): Error => Object.assign(new Error('away'), { code: 'ECONNREFUSED' })
const one = { attempts: 1, delayMs: 100, random: () => 1 }

/** What a promise comes to while time passes: `pending` when nothing. */
async function after(ms: number, promise: Promise<unknown>): Promise<unknown> {
  let outcome: unknown = 'pending'
  const keep = (settled: unknown): void => void (outcome = settled)
  void promise.then(keep, keep)
  await clock.advance(ms)
  return outcome
}

describe('a call that waited for a place', () => {
  it('is as slow as its work, whatever it waited', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 5, clock })
    const breaker = new CircuitBreaker({ clock, slowCallMs: 100, minCalls: 1, slowRatio: 1 })
    const call = guard('call', () => pause(50), { clock, admission, breaker })
    void admission.run(() => pause(900))
    await after(1_000, call())
    expect(breaker.counts).toEqual({ calls: 1, failures: 0, slow: 0 })
    expect(call.stats.latencyMs.p99).toBeLessThan(60)
  })

  it('is not made when its caller goes in the moment in which there is one', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 5, clock })
    const place = await admission.acquire()
    const controller = new AbortController()
    const fn = vi.fn(() => 'well')
    const call = guard('call', fn, { clock, admission, call: () => ({ signal: controller.signal }) })
    const answer = call()
    place.release()
    controller.abort(new Error('gone'))
    expect(await after(0, answer)).toMatchObject({ message: 'gone' })
    expect(fn).not.toHaveBeenCalled()
    expect([admission.inFlight, call.stats.aborted]).toEqual([0, 1])
  })

  it('is not made when its time is up in the moment in which there is one', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 5, clock })
    const place = await admission.acquire()
    const fn = vi.fn(() => 'well')
    const modes = new DegradationManager({ clock, features: { first: {}, second: {} } })
    const serve = (): string => {
      place.release()
      return 'kept'
    }
    const first = modes.guard('first', () => new Promise<string>(() => {}), {
      timeoutMs: 500,
      idempotent: true,
      fallback: serve,
    })()
    const second = modes.guard('second', fn, { timeoutMs: 500, admission })()
    const outcome = after(500, second)
    expect(await first).toBe('kept')
    expect(await outcome).toMatchObject({ code: 'SHED' })
    expect(fn).not.toHaveBeenCalled()
    expect(admission.inFlight).toBe(0)
  })

  it('leaves nothing on its signal, nor a deadline, when it is refused then', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 5, clock })
    const breaker = new CircuitBreaker({ clock })
    const { signal } = new AbortController()
    const remove = vi.spyOn(signal, 'removeEventListener')
    const call = guard('call', () => 'well', { clock, admission, breaker, call: () => ({ signal }) })
    const place = await admission.acquire()
    const answer = call()
    breaker.hold('open', { why: 'moving hosts' })
    place.release()
    expect(await after(0, answer)).toMatchObject({ code: 'SHED', feature: 'breaker' })
    expect(remove).toHaveBeenCalledOnce()
    expect(call.stats).toMatchObject({ refused: 1, failed: 0 })
  })

  it('is no mistake of the user’s when there was none, whatever the predicate takes for one', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, clock })
    const call = guard('call', () => 'well', { clock, admission, isUserError: () => true, fallback: () => 'kept' })
    const place = await admission.acquire()
    expect(await after(0, call())).toBe('kept')
    expect(call.stats).toMatchObject({ userErrors: 0, refused: 1, fellBack: 1 })
    place.release()
  })
})

describe('a retry that waits for a place', () => {
  async function aRetryThatWaits(signal?: AbortSignal) {
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 5, maxWaitMs: 60_000, clock })
    const breaker = new CircuitBreaker({ clock })
    const error = away()
    const fn = vi.fn((): Promise<string> => Promise.reject(error))
    const fallback = vi.fn(() => 'kept')
    const common = { clock, admission, breaker, retry: one }
    const call = guard('call', fn, signal === undefined ? common : { ...common, fallback, call: () => ({ signal }) })
    const answer = call()
    await clock.advance(50)
    const place = await admission.acquire()
    await clock.advance(50)
    expect(admission.waiting).toBe(1)
    return { call, answer, place, breaker, error, fn, fallback, admission }
  }

  it('and is refused then rejects with what the call failed with', async () => {
    const { answer, place, breaker, error, fn, call } = await aRetryThatWaits()
    breaker.hold('open', { why: 'moving hosts' })
    place.release()
    expect(await after(0, answer)).toBe(error)
    expect(fn).toHaveBeenCalledTimes(1)
    expect(call.stats).toMatchObject({ failed: 1, refused: 0 })
  })

  it('and whose caller goes asks no fallback', async () => {
    const controller = new AbortController()
    const { answer, fallback, call, admission } = await aRetryThatWaits(controller.signal)
    controller.abort(new Error('gone'))
    expect(await after(0, answer)).toMatchObject({ message: 'gone' })
    expect(fallback).not.toHaveBeenCalled()
    expect(call.stats).toMatchObject({ aborted: 1, failed: 0 })
    expect(admission.waiting).toBe(0)
  })
})

describe('an attempt', () => {
  it('has its own time, and nothing is left of the one before', async () => {
    let attempts = 0
    const fn = async (): Promise<string> => {
      if (attempts++ === 0) throw away()
      await pause(250)
      return 'well'
    }
    const call = guard('call', fn, { clock, idempotent: true, retry: { ...one, timeoutMs: 300 } })
    expect(await after(400, call())).toBe('well')
    expect(attempts).toBe(2)
    // The pause and the attempt before it are no part of how long this one took.
    expect(call.stats.latencyMs.p99).toBeLessThan(280)
  })

  it('that failed in the turn after a blocked loop is tried again', async () => {
    const timers: (() => void)[] = []
    let nowMs = 0
    const blocked = {
      now: () => nowMs,
      monotonic: () => nowMs,
      after: (ms: number, run: () => void) => {
        let isOn = true
        if (ms <= 100) timers.push(() => isOn && run())
        return () => void (isOn = false)
      },
    }
    let fail!: (error: Error) => void
    const fn = vi.fn(() => new Promise<string>((_resolve, reject) => (fail = reject)))
    const call = guard('call', fn, { clock: blocked, idempotent: true, retry: { ...one, timeoutMs: 100 } })
    const answer = call().catch((error: unknown) => error)
    nowMs = 5_000
    timers[0]?.()
    fail(away())
    await clock.advance(0)
    timers[1]?.()
    timers[2]?.()
    expect(fn).toHaveBeenCalledTimes(2)
    fail(new Error('again'))
    expect(await answer).toMatchObject({ message: 'again' })
  })

  it.each([5, 50])('is the last when the caller goes after %i ms, and no timer stays', async (ms) => {
    const controller = new AbortController()
    const fn = vi.fn(async (): Promise<string> => {
      await pause(10)
      throw away()
    })
    const call = guard('call', fn, {
      clock,
      timeoutMs: Infinity,
      retry: { ...one, timeoutMs: 60_000 },
      call: () => ({ signal: controller.signal }),
    })
    const answer = call().catch((error: unknown) => error)
    await clock.advance(ms)
    controller.abort(new Error('gone'))
    expect(await answer).toMatchObject({ message: 'gone' })
    await clock.advance(200)
    expect(fn).toHaveBeenCalledTimes(1)
    expect(clock.pending).toBe(0)
  })
})

describe('a feature counts', () => {
  it('a call that has timed out until its work has ended', async () => {
    const modes = new DegradationManager({ clock, features: { search: {} } })
    const search = modes.feature('search')
    expect(
      await after(
        100,
        modes.run('search', () => pause(300), { timeoutMs: 100 }),
      ),
    ).toMatchObject({ code: 'TIMEOUT' })
    expect(search.inFlight).toBe(1)
    await clock.advance(200)
    expect(search.inFlight).toBe(0)
  })

  it('a call without a deadline, a signal or a retry too', async () => {
    const modes = new DegradationManager({ clock, features: { search: {} } })
    const search = modes.feature('search')
    for (const work of [() => pause(10), () => pause(10).then(() => Promise.reject(away()))]) {
      const answer = modes.run('search', work, { timeoutMs: Infinity }).catch(() => {})
      expect(search.inFlight).toBe(1)
      await clock.advance(10)
      await answer
      expect(search.inFlight).toBe(0)
    }
  })
})

describe('a fallback', () => {
  const fails = (): Promise<string> => Promise.reject(away())

  it('that throws at once gives its place back', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, clock })
    const serve = (): never => {
      throw new Error('a bug')
    }
    const call = guard('call', fails, { clock, fallback: { serve, admission } })
    expect(await after(0, call())).toMatchObject({ code: 'FALLBACK_FAILED' })
    expect(admission.inFlight).toBe(0)
  })

  it('that has answered is left alone by its deadline and by the caller’s signal', async () => {
    const controller = new AbortController()
    const remove = vi.spyOn(controller.signal, 'removeEventListener')
    let own: AbortSignal | undefined
    const serve = withSignal(async (signal: AbortSignal): Promise<string> => {
      own = signal
      await pause(10)
      return 'kept'
    })
    const call = guard('call', fails, {
      clock,
      timeoutMs: 500,
      fallback: serve,
      call: () => ({ signal: controller.signal }),
    })
    expect(await after(20, call())).toBe('kept')
    expect(remove).toHaveBeenCalledTimes(2)
    await clock.advance(1_000)
    expect(own?.aborted).toBe(false)
  })

  it('that ends the call itself is not waited for', async () => {
    const controller = new AbortController()
    const serve = (): Promise<string> => {
      controller.abort(new Error('gone'))
      return new Promise(() => {})
    }
    const call = guard('call', fails, { clock, fallback: serve, call: () => ({ signal: controller.signal }) })
    expect(await after(0, call())).toMatchObject({ message: 'gone' })
  })
})

describe('a signal that is handed on through another bulkhead', () => {
  const setUp = () => {
    const outer = new Bulkhead({ name: 'outer', maxConcurrent: 1, clock })
    const middle = new Bulkhead({ name: 'middle', maxConcurrent: 1, clock })
    const call = (signal: AbortSignal) => ({ signal })
    const inner = guard('inner', (_signal: AbortSignal) => 'well', { clock, admission: outer, call })
    const handsOn = withSignal((own: AbortSignal, _outer: AbortSignal) => inner(own))
    return { outer, middle, call, inner, handsOn }
  }

  it('shares the places of both', async () => {
    const { outer, middle, call, handsOn } = setUp()
    const between = guard('between', handsOn, { clock, admission: middle, call })
    const whole = guard(
      'whole',
      withSignal((signal: AbortSignal) => between(signal)),
      { clock, admission: outer },
    )
    expect(await after(0, whole())).toBe('well')
  })

  it('shares them through a fallback too', async () => {
    const { outer, middle, call, handsOn } = setUp()
    const fails = (_signal: AbortSignal): Promise<string> => Promise.reject(away())
    const between = guard('between', fails, { clock, call, fallback: { serve: handsOn, admission: middle } })
    const whole = guard(
      'whole',
      withSignal((signal: AbortSignal) => between(signal)),
      { clock, admission: outer },
    )
    expect(await after(0, whole())).toBe('well')
  })

  it('shares none any more when the work of the outer call has ended, though late', async () => {
    const { outer, middle, call, inner } = setUp()
    let kept: AbortSignal | undefined
    const hands = withSignal((own: AbortSignal, _outer: AbortSignal) => void (kept = own))
    const between = guard('between', hands, { clock, admission: middle, call })
    const slow = withSignal(async (signal: AbortSignal) => {
      await between(signal)
      await pause(500)
    })
    expect(await after(100, guard('whole', slow, { clock, admission: outer, timeoutMs: 100 })())).toBeInstanceOf(Error)
    await clock.advance(1_000)
    const place = await outer.acquire()
    expect(await after(0, inner(kept as AbortSignal))).toMatchObject({ code: 'SHED', feature: 'outer' })
    place.release()
  })
})

it('a predicate that answers with a promise, which is always truthy, has not said yes', async () => {
  const isUserError = (async () => false) as unknown as () => boolean
  const call = guard('call', (): Promise<string> => Promise.reject(away()), {
    clock,
    isUserError,
    fallback: () => 'kept',
  })
  expect(await after(0, call())).toBe('kept')
})
