import { FakeClock } from '@evenkeel/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { AdaptiveLimiter } from '../admission/adaptive-limiter.js'
import { Bulkhead } from '../admission/bulkhead.js'
import { CircuitBreaker } from '../breaker/circuit-breaker.js'
import { FallbackError, ShedError, TimeoutError } from '../errors.js'
import { RetryBudget } from '../retry/retry-budget.js'
import { withSignal } from '../with-signal.js'
import { AnswerCache } from './answer-cache.js'
import type { GuardOptions } from './guard-options.js'
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

const refused = (): Error => Object.assign(new Error('ECONNREFUSED'), { code: 'ECONNREFUSED' })
const pause = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve))

/** Fails so many times, then works. */
function failing(times: number, error: () => unknown = refused) {
  let left = times
  return vi.fn(async (text: string): Promise<string> => {
    if (left-- > 0) throw error()
    return `well, ${text}`
  })
}

/** What a promise comes to, while time passes. */
async function after(ms: number, promise: Promise<unknown>): Promise<unknown> {
  const settled = promise.catch((error: unknown) => error)
  await clock.advance(ms)
  return settled
}

describe('retry', () => {
  const retry = { attempts: 2, delayMs: 100, random: () => 1 }

  it('tries again what was certainly not done, with pauses that grow', async () => {
    const fn = failing(2)
    const call = guard('call', fn, { clock, retry })
    const answer = call('tea')
    await clock.advance(99)
    expect(fn).toHaveBeenCalledTimes(1)
    await clock.advance(1)
    expect(fn).toHaveBeenCalledTimes(2)
    await clock.advance(199)
    expect(fn).toHaveBeenCalledTimes(2)
    await clock.advance(1)
    expect(await answer).toBe('well, tea')
    expect(call.stats).toMatchObject({ calls: 1, succeeded: 1, failed: 0, retries: 2 })
  })

  it('rejects with the last error when all attempts have failed', async () => {
    const fn = failing(9)
    expect(await after(10_000, guard('call', fn, { clock, retry })('tea'))).toMatchObject({ code: 'ECONNREFUSED' })
    expect(fn).toHaveBeenCalledTimes(3)
  })

  it.each<[string, () => unknown]>([
    ['may have taken effect', () => Object.assign(new Error('reset'), { code: 'ECONNRESET' })],
    ['says that it is of no use', () => Object.assign(new Error('no such word'), { retryable: false })],
    ['was turned away under load', () => new ShedError('inner', 'full', 10, '')],
    ['is the user’s own mistake', () => new RangeError('no such language')],
  ])('does not try again what %s', async (_what, error) => {
    const fn = failing(1, error)
    const options = { clock, retry, isUserError: (thrown: unknown) => thrown instanceof RangeError }
    expect(await after(10_000, guard('call', fn, options)('tea'))).toBeInstanceOf(Error)
    expect(fn).toHaveBeenCalledTimes(1)
  })

  it('asks the predicate, and takes one that throws for a no', async () => {
    const fn = failing(1)
    const isRetryable = vi.fn(() => {
      throw new Error('a bug')
    })
    await after(10_000, guard('call', fn, { clock, retry: { ...retry, isRetryable } })('tea'))
    expect(isRetryable).toHaveBeenCalledOnce()
    expect(fn).toHaveBeenCalledTimes(1)
  })

  it('tries again what timed out when that does no harm, and gives each attempt its own time', async () => {
    let calls = 0
    const aborted: unknown[] = []
    const fn = withSignal((signal: AbortSignal): Promise<string> => {
      signal.addEventListener('abort', () => aborted.push((signal.reason as TimeoutError).timeoutMs))
      return calls++ === 0 ? new Promise<string>(() => {}) : Promise.resolve('well')
    })
    const call = guard('call', fn, { clock, idempotent: true, retry: { ...retry, timeoutMs: 500 } })
    expect(await after(600, call())).toBe('well')
    expect(aborted).toEqual([500])
  })

  it('waits for as long as the error asks, and gives up at once when that is too long', async () => {
    const limited = (retryAfterMs: number) => failing(1, () => Object.assign(new Error('429'), { retryAfterMs }))
    const patient = limited(3_000)
    const answer = guard('call', patient, { clock, retry })('tea')
    await clock.advance(2_999)
    expect(patient).toHaveBeenCalledTimes(1)
    await clock.advance(1)
    expect(await answer).toBe('well, tea')
    const hopeless = limited(20_000)
    await expect(guard('call', hopeless, { clock, retry })('tea')).rejects.toThrow('429')
  })

  it('is bounded by the budget: when everything fails there is one retry for five calls', async () => {
    const budget = new RetryBudget({ ratio: 0.2, reserve: 3 })
    const fn = failing(Infinity)
    const call = guard('call', fn, { clock, retry: { ...retry, budget } })
    const answers = Array.from({ length: 100 }, () => after(0, call('tea')))
    await clock.advance(10_000)
    await Promise.all(answers)
    // All hundred paid in before the first took out, but no more than the reserve is ever there.
    expect(fn).toHaveBeenCalledTimes(103)
    fn.mockClear()
    for (let turn = 0; turn < 100; turn++) await after(10_000, call('tea'))
    expect(fn.mock.calls.length - 100).toBeLessThanOrEqual(20)
    expect(call.stats.retries).toBe(fn.mock.calls.length - 100 + 3)
  })

  it('ends with the deadline of the whole call', async () => {
    const fn = failing(Infinity)
    const call = guard('call', fn, { clock, timeoutMs: 250, retry: { attempts: 50, delayMs: 100, random: () => 1 } })
    expect(await after(100, call('tea'))).toMatchObject({ code: 'ECONNREFUSED' })
    expect(fn).toHaveBeenCalledTimes(2)
  })

  it('stops when the breaker opens meanwhile', async () => {
    const breaker = new CircuitBreaker({ clock, windowCalls: 2, minCalls: 2 })
    const fn = failing(Infinity)
    const call = guard('call', fn, { clock, breaker, retry: { attempts: 5, delayMs: 10, random: () => 1 } })
    expect(await after(1_000, call('tea'))).toMatchObject({ code: 'ECONNREFUSED' })
    expect(fn).toHaveBeenCalledTimes(2)
    expect(breaker.state).toBe('open')
  })
})

describe('a breaker', () => {
  it('refuses without a call, and the fallback answers with the reason', async () => {
    const breaker = new CircuitBreaker({ name: 'api', clock, windowCalls: 2, minCalls: 2 })
    const fn = failing(Infinity)
    const served: unknown[] = []
    const call = guard('call', fn, {
      clock,
      breaker,
      fallback: (text) => text,
      onFallback: ({ why, severity }) => served.push([why.slice(0, 40), severity]),
    })
    for (let turn = 0; turn < 3; turn++) expect(await call('tea')).toBe('tea')
    expect(fn).toHaveBeenCalledTimes(2)
    expect(call.stats).toMatchObject({ calls: 3, failed: 2, refused: 1, fellBack: 3 })
    expect(served).toEqual([
      ['the call failed: ECONNREFUSED', 'WARNING'],
      ['the call failed: ECONNREFUSED', 'WARNING'],
      ['the breaker "api" is open: 2 of 2 calls ', 'INFO'],
    ])
    expect((await call.outcome('tea')).why).toMatch(/^the breaker "api" is open: 2 of 2 calls failed/)
  })

  it('counts a call that timed out, and none that was the user’s own mistake', async () => {
    const breaker = new CircuitBreaker({ clock, windowCalls: 10, minCalls: 10 })
    const hangs = guard('call', () => new Promise<never>(() => {}), { clock, breaker, timeoutMs: 100 })
    const wrong = guard(
      'call',
      async () => {
        throw new RangeError('no such language')
      },
      { clock, breaker, isUserError: (error) => error instanceof RangeError },
    )
    expect(await after(100, hangs())).toBeInstanceOf(TimeoutError)
    await expect(wrong()).rejects.toThrow('no such language')
    expect(breaker.counts).toEqual({ calls: 1, failures: 1, slow: 0 })
    expect(wrong.stats).toMatchObject({ userErrors: 1, failed: 0 })
    expect(hangs.stats).toMatchObject({ timedOut: 1, failed: 1 })
  })

  it('is not counted for a call that waited for a place in vain, and is asked again when there is one', async () => {
    const breaker = new CircuitBreaker({ clock, windowCalls: 2, minCalls: 2, openMs: 60_000, maxOpenMs: 60_000 })
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 2, maxWaitMs: 10_000, clock })
    const fn = vi.fn(async () => {
      await pause(100)
      throw refused()
    })
    const call = guard('call', fn, { clock, breaker, admission })
    const answers = Promise.all([call(), call(), call()].map((answer) => answer.catch((error: Error) => error.message)))
    await clock.advance(1_000)
    const messages = await answers
    expect(fn).toHaveBeenCalledTimes(2)
    expect(messages.filter((message) => message.includes('is open'))).toHaveLength(1)
    expect([admission.inFlight, admission.waiting]).toEqual([0, 0])
  })

  it('leaves the trial to another while a call waits for a place', async () => {
    const breaker = new CircuitBreaker({ clock, windowCalls: 2, minCalls: 2, trialCalls: 1, random: () => 0 })
    for (let turn = 0; turn < 2; turn++) await breaker.run(() => Promise.reject(refused())).catch(() => {})
    await clock.advance(5_000)
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 1, clock })
    void admission.run(() => new Promise(() => {}))
    const waiting = guard('waiting', failing(0), { clock, breaker, admission })('tea')
    expect(breaker.state).toBe('half-open')
    expect(await guard('other', failing(0), { clock, breaker })('tea')).toBe('well, tea')
    expect(breaker.state).toBe('recovering')
    expect(await after(1_000, waiting)).toMatchObject({ code: 'SHED' })
  })

  it('lets no storm through at a recovery, whoever waits behind the guard', async () => {
    const breaker = new CircuitBreaker({ clock, windowCalls: 5, minCalls: 5, trialCalls: 3, random: () => 0 })
    let isDown = true
    let running = 0
    let most = 0
    const fn = async (): Promise<void> => {
      running++
      most = Math.max(most, running)
      await pause(50)
      running--
      if (isDown) throw refused()
    }
    const call = guard('call', fn, { clock, breaker, fallback: () => {} })
    for (let turn = 0; turn < 5; turn++) await after(50, call())
    isDown = false
    most = 0
    await clock.advance(5_000)
    for (let tenth = 0; tenth < 10; tenth++) {
      for (let caller = 0; caller < 100; caller++) void call()
      await clock.advance(100)
    }
    expect(most).toBeLessThanOrEqual(6)
    expect(most).toBeGreaterThan(0)
  })
})

describe('the deadline', () => {
  it('holds for waiting for a place too, and then nothing was done', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 5, maxWaitMs: 60_000, clock })
    void admission.run(() => new Promise(() => {}))
    const fn = failing(0)
    const answer = guard('call', fn, { clock, admission, timeoutMs: 300 })('tea')
    const error = await after(300, answer)
    expect(error).toMatchObject({ code: 'SHED', applied: 'no' })
    expect((error as Error).message).toContain('no place became free in bulkhead within 300 ms')
    expect(fn).not.toHaveBeenCalled()
    expect(admission.waiting).toBe(0)
  })

  it('is one timer for all calls under way, and none when there have been none for a while', async () => {
    const call = guard('call', async () => pause(10), { clock, timeoutMs: 1_000 })
    const answers = Array.from({ length: 50 }, () => call())
    // The fifty of the work itself, and one.
    expect(clock.pending).toBe(51)
    await clock.advance(10)
    await Promise.all(answers)
    await clock.advance(1_000)
    expect(clock.pending).toBe(0)
  })

  it('ends each call at its own time', async () => {
    const call = guard('call', (_name: string) => new Promise<never>(() => {}), { clock, timeoutMs: 1_000 })
    const ended: [string, number][] = []
    const begin = (name: string): void => void call(name).catch(() => ended.push([name, clock.monotonic()]))
    begin('first')
    await clock.advance(300)
    begin('second')
    await clock.advance(1)
    begin('third')
    await clock.advance(2_000)
    expect(ended).toEqual([
      ['first', 1_000],
      ['second', 1_300],
      ['third', 1_301],
    ])
  })

  it('gives an answer that lies there already a turn of the loop when the loop was blocked', async () => {
    const timers: { run: () => void }[] = []
    let nowMs = 0
    const blocked = {
      now: () => nowMs,
      monotonic: () => nowMs,
      after: (_ms: number, run: () => void) => {
        timers.push({ run })
        return () => {}
      },
    }
    let answer!: (value: string) => void
    const call = guard('call', () => new Promise<string>((resolve) => (answer = resolve)), {
      clock: blocked,
      timeoutMs: 100,
    })
    const given = call()
    nowMs = 5_000
    timers[0]?.run()
    answer('in time, as far as anyone could see')
    expect(await given).toContain('in time')
    timers[1]?.run()
  })

  it('is the shorter one of two guards, one within the other', async () => {
    const aborted: string[] = []
    const slow = withSignal((signal: AbortSignal, _outer: AbortSignal): Promise<string> => {
      signal.addEventListener('abort', () => aborted.push((signal.reason as TimeoutError).feature))
      return new Promise(() => {})
    })
    const inner = guard('inner', slow, { clock, timeoutMs: 5_000, call: (outer: AbortSignal) => ({ signal: outer }) })
    const outer = guard(
      'outer',
      withSignal((signal: AbortSignal) => inner(signal)),
      { clock, timeoutMs: 1_000 },
    )
    const error = await after(1_000, outer())
    expect(error).toMatchObject({ code: 'TIMEOUT', feature: 'outer', timeoutMs: 1_000 })
    expect(aborted).toEqual(['outer'])
    expect(inner.stats).toMatchObject({ aborted: 1, failed: 0 })
  })
})

describe('the caller’s own signal', () => {
  const withCaller = (options: Partial<GuardOptions<(signal: AbortSignal) => Promise<string>>> = {}) => ({
    clock,
    call: (signal: AbortSignal) => ({ signal }),
    ...options,
  })

  it('ends the call with its reason, and no fallback serves', async () => {
    const fallback = vi.fn(() => 'sorry')
    const breaker = new CircuitBreaker({ clock })
    const call = guard('call', (_: AbortSignal) => new Promise<string>(() => {}), withCaller({ fallback, breaker }))
    const controller = new AbortController()
    const answer = call(controller.signal)
    const reason = { why: 'the member left' }
    controller.abort(reason)
    await expect(answer).rejects.toBe(reason)
    expect(fallback).not.toHaveBeenCalled()
    expect(breaker.counts.calls).toBe(0)
    expect(call.stats).toMatchObject({ aborted: 1, failed: 0 })
  })

  it('ends it before it begins', async () => {
    const fn = vi.fn(async (_: AbortSignal) => 'well')
    const reason = new Error('gone already')
    await expect(guard('call', fn, withCaller())(AbortSignal.abort(reason))).rejects.toBe(reason)
    expect(fn).not.toHaveBeenCalled()
  })

  it('ends it while it waits for a place, and while it pauses', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 5, clock })
    const held = await admission.acquire()
    const controller = new AbortController()
    const waiting = guard('call', async (_: AbortSignal) => 'well', withCaller({ admission }))(controller.signal)
    const fails = vi.fn(async (_: AbortSignal): Promise<string> => {
      throw refused()
    })
    const retry = { attempts: 3, delayMs: 1_000, random: () => 1 }
    const pausing = guard('call', fails, withCaller({ retry }))(controller.signal)
    const both = Promise.allSettled([waiting, pausing])
    await clock.advance(10)
    controller.abort(new Error('gone'))
    const settled = await both
    expect(settled.map((result) => String((result as PromiseRejectedResult).reason))).toEqual([
      'Error: gone',
      'Error: gone',
    ])
    expect(fails).toHaveBeenCalledTimes(1)
    expect(admission.waiting).toBe(0)
    held.release()
    expect(admission.inFlight).toBe(0)
  })

  it('is let go when the call has ended, so that a long-lived one does not collect listeners', async () => {
    const { signal } = new AbortController()
    const add = vi.spyOn(signal, 'addEventListener')
    const remove = vi.spyOn(signal, 'removeEventListener')
    const call = guard('call', async (_: AbortSignal) => 'well', withCaller())
    for (let turn = 0; turn < 20; turn++) await call(signal)
    expect(add).toHaveBeenCalledTimes(20)
    expect(remove).toHaveBeenCalledTimes(20)
  })
})

describe('admission', () => {
  it('serves by the priority and in the name that the call asks for', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 10, clock })
    const order: string[] = []
    const call = guard(
      'call',
      async (name: string, _priority: 'high' | 'optional') => {
        order.push(name)
        await pause(10)
      },
      { clock, admission, call: (name, priority) => ({ priority, key: name }) },
    )
    const all = [call('first', 'optional'), call('unimportant', 'optional'), call('important', 'high')]
    await clock.advance(100)
    await Promise.all(all)
    expect(order).toEqual(['first', 'important', 'unimportant'])
  })

  it('lets ten thousand quick calls that waited through without a deep stack', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, maxWaiting: 10_000, maxWaitMs: 60_000, clock })
    const place = await admission.acquire()
    const call = guard('call', () => 'quick', { clock, admission })
    const answers = Array.from({ length: 10_000 }, () => call())
    place.release()
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['quick']))
    expect(admission.inFlight).toBe(0)
  })

  it.each([10_000, Infinity])(
    'learns nothing from the user’s own mistakes, with a deadline of %i ms',
    async (timeoutMs) => {
      const admission = new AdaptiveLimiter({ clock, initialLimit: 2 })
      const release = vi.spyOn(admission, 'leave')
      const wrong = guard(
        'call',
        async () => {
          throw new RangeError('no such language')
        },
        { clock, admission, timeoutMs, isUserError: () => true },
      )
      await expect(wrong()).rejects.toThrow('no such language')
      expect(release).toHaveBeenCalledWith(expect.any(Number), true)
    },
  )

  it('rejects with what asking for the call threw, and a priority that does not exist', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, clock })
    const bug = (): never => {
      throw new Error('no guild')
    }
    await expect(guard('call', async () => 1, { clock, admission, call: bug })()).rejects.toThrow('no guild')
    const urgent = { clock, admission, call: () => ({ priority: 'urgent' as 'high' }) }
    await expect(guard('call', async () => 1, urgent)()).rejects.toThrow('priority is urgent')
    expect(admission.inFlight).toBe(0)
  })
})

describe('a chain of fallbacks', () => {
  const fn = async (_text: string): Promise<string> => {
    throw refused()
  }

  it('asks one after the other until one answers', async () => {
    const asked: string[] = []
    const call = guard('call', fn, {
      clock,
      fallback: [
        () => {
          asked.push('first')
          throw new Error('down too')
        },
        {
          name: 'the other bot',
          serve: async (text) => {
            asked.push('second')
            return `${text} by another`
          },
        },
        () => 'never asked',
      ],
    })
    expect(await call.outcome('tea')).toEqual({
      value: 'tea by another',
      degraded: true,
      why: 'the call failed: ECONNREFUSED',
      ageMs: undefined,
    })
    expect(asked).toEqual(['first', 'second'])
  })

  it('gives each its own time, and says which was last', async () => {
    const hangs = (): Promise<string> => new Promise(() => {})
    const call = guard('call', fn, {
      clock,
      idempotent: true,
      fallback: [
        { serve: hangs, timeoutMs: 200 },
        { serve: hangs, timeoutMs: 300, name: 'the other bot' },
      ],
    })
    const answer = call('tea')
    const error = await after(500, answer)
    expect(error).toBeInstanceOf(FallbackError)
    expect(error).toMatchObject({ applied: 'unknown', cause: { code: 'TIMEOUT', timeoutMs: 300 } })
    expect((error as Error).message).toContain('The fallback "the other bot" of "call" was not done within 300 ms')
  })

  it('stops where nobody knows whether one has taken effect, unless that does no harm', async () => {
    const last = vi.fn(() => 'last')
    const lost = (): never => {
      throw Object.assign(new Error('reset'), { code: 'ECONNRESET' })
    }
    await expect(guard('call', fn, { clock, fallback: [lost, last] })('tea')).rejects.toMatchObject({
      code: 'FALLBACK_FAILED',
      applied: 'unknown',
    })
    expect(last).not.toHaveBeenCalled()
    expect(await guard('call', fn, { clock, fallback: [lost, last], idempotent: true })('tea')).toBe('last')
  })

  it('does not crush a fallback: more calls than it may serve go on to the next', async () => {
    const admission = new Bulkhead({ maxConcurrent: 2, clock })
    const call = guard('call', fn, {
      clock,
      fallback: [{ serve: async (text) => pause(50).then(() => `${text} by another`), admission }, () => 'sorry'],
    })
    const answers = Promise.all([call('a'), call('b'), call('c'), call('d')])
    await clock.advance(50)
    expect(await answers).toEqual(['a by another', 'b by another', 'sorry', 'sorry'])
    expect(admission.inFlight).toBe(0)
  })

  it('keeps the place of a fallback taken until it has really ended', async () => {
    const admission = new Bulkhead({ maxConcurrent: 1, clock })
    let end!: () => void
    const serve = (): Promise<string> => new Promise((resolve) => (end = () => resolve('late')))
    const call = guard('call', fn, {
      clock,
      idempotent: true,
      fallback: [{ serve, admission, timeoutMs: 100 }, () => 'sorry'],
    })
    expect(await after(100, call('tea'))).toBe('sorry')
    expect(admission.inFlight).toBe(1)
    expect(await call('tea')).toBe('sorry')
    end()
    await clock.advance(0)
    expect(admission.inFlight).toBe(0)
  })

  it('gives the last good answer with its age, and goes on when there is none', async () => {
    let isDown = false
    const weather = async (city: string): Promise<string> => {
      if (isDown) throw refused()
      return `sunny in ${city}`
    }
    const cache = new AnswerCache<string, [city: string]>({
      key: (city) => city,
      maxAgeMs: 60_000,
      maxEntries: 2,
      clock,
    })
    const call = guard('call', weather, { clock, fallback: [cache, () => 'look out of the window'] })
    for (const city of ['Oslo', 'Rome', 'Bonn']) await call(city)
    expect(cache.size).toBe(2)
    isDown = true
    await clock.advance(35_000)
    expect(await call.outcome('Rome')).toMatchObject({ value: 'sunny in Rome', degraded: true, ageMs: 35_000 })
    expect(await call('Oslo')).toBe('look out of the window')
    await clock.advance(25_001)
    expect(await call('Rome')).toBe('look out of the window')
    expect(cache.size).toBe(1)
  })

  it('passes a mistake of the user’s on that a fallback finds', async () => {
    const wrong = (): never => {
      throw new RangeError('no such language')
    }
    const options = { clock, fallback: [wrong, () => 'never'], isUserError: (e: unknown) => e instanceof RangeError }
    await expect(guard('call', fn, options)('tea')).rejects.toThrow('no such language')
  })
})

describe('a fallback drill', () => {
  it('runs every fallback on request, and tells which of them work', async () => {
    const call = guard('call', failing(0), {
      clock,
      fallback: [
        () => 'works',
        {
          name: 'the other bot',
          serve: () => {
            throw new Error('no such table')
          },
        },
      ],
    })
    const report = await call.drill('tea')
    expect(report).toEqual({
      works: false,
      steps: [
        { name: 'fallback 1', works: true, tookMs: 0, error: undefined },
        { name: 'the other bot', works: false, tookMs: 0, error: new Error('no such table') },
      ],
    })
    expect(call.stats).toMatchObject({ calls: 0, fellBack: 0 })
  })

  it('is held on a schedule with the arguments of a call that went well, and disturbs nobody', async () => {
    const fallback = vi.fn((_text: string): string => {
      throw new Error('no such table')
    })
    const call = guard('call', failing(0), { clock, fallback, drillEveryMs: 60_000 })
    expect(await call('one')).toBe('well, one')
    await clock.advance(60_000)
    expect(await call('two')).toBe('well, two')
    expect(await call('three')).toBe('well, three')
    await clock.advance(0)
    expect(fallback.mock.calls).toEqual([['two']])
  })

  it('needs a fallback', () => {
    expect(() => guard('call', failing(0), { drillEveryMs: 1_000 })).toThrow('no fallback to drill')
  })
})

describe('a guard without a deadline', () => {
  it('gives every place back, and counts for the breaker what says something about the service', async () => {
    const admission = new Bulkhead({ maxConcurrent: 2, maxWaiting: 1, clock })
    const breaker = new CircuitBreaker({ clock })
    const ends: ((error?: Error) => void)[] = []
    const fn = (): Promise<string> =>
      new Promise((resolve, reject) => ends.push((error) => (error === undefined ? resolve('well') : reject(error))))
    const call = guard('call', fn, {
      clock,
      timeoutMs: Infinity,
      admission,
      breaker,
      isUserError: (error) => error instanceof RangeError,
    })
    const outcomes: unknown[] = []
    const ask = (): void =>
      void call().then(
        (value) => outcomes.push(value),
        (error: Error) => outcomes.push(error.message),
      )
    for (const [began, how] of [
      [2, undefined],
      [1, refused()],
      [1, new RangeError('no such language')],
      [1, new ShedError('inner', 'full', 10, '')],
    ] as const) {
      for (let turn = 0; turn < began; turn++) ask()
      ends.shift()?.(how)
      await clock.advance(0)
    }
    ask()
    ask()
    ask()
    await clock.advance(0)
    expect([admission.inFlight, admission.waiting]).toEqual([2, 1])
    while (ends.length > 0) {
      ends.shift()?.()
      await clock.advance(0)
    }
    expect([admission.inFlight, admission.waiting]).toEqual([0, 0])
    expect(breaker.counts).toEqual({ calls: 5, failures: 1, slow: 0 })
    const { calls, succeeded, failed, userErrors, refused: notBegun } = call.stats
    expect({ calls, succeeded, failed, userErrors, notBegun }).toEqual({
      calls: 8,
      succeeded: 4,
      failed: 2,
      userErrors: 1,
      notBegun: 1,
    })
    expect(outcomes).toHaveLength(8)
  })

  it('turns a synchronous throw into a rejection, and gives an answer at once', async () => {
    const options = { clock, timeoutMs: Infinity }
    const throws = guard(
      'call',
      () => {
        throw new Error('out of ink')
      },
      options,
    )
    await expect(throws()).rejects.toThrow('out of ink')
    expect(await guard('call', () => 5, options)()).toBe(5)
    expect(await guard('call', failing(1), { ...options, fallback: (text) => text })('tea')).toBe('tea')
  })
})

describe('what a guard has seen', () => {
  it('is counted, and how long calls took is known within a tenth', async () => {
    const call = guard('call', async (ms: number) => pause(ms), { clock })
    for (let ms = 1; ms <= 200; ms++) await after(ms, call(ms))
    const { calls, succeeded, latencyMs } = call.stats
    expect([calls, succeeded, latencyMs.count]).toEqual([200, 200, 200])
    for (const [measured, real] of [
      [latencyMs.p50, 100],
      [latencyMs.p95, 190],
      [latencyMs.p99, 198],
    ] as const) {
      expect(Math.abs(measured / real - 1)).toBeLessThan(0.1)
    }
  })
})

it.each<[GuardOptions<(text: string) => Promise<string>>, string]>([
  [{ timeoutMs: 0 }, 'timeoutMs of "call" is 0'],
  [{ retry: { attempts: 0 } }, 'attempts is 0; give a whole number, 1 or more'],
  [{ breaker: {} as CircuitBreaker }, 'The breaker of "call" must be a CircuitBreaker'],
  [{ admission: 5 as unknown as Bulkhead }, 'The admission of "call" must be a Bulkhead'],
  [{ fallback: 'sorry' as never }, 'to answer with a value, pass () => value'],
  [{ fallback: { serve: () => 'x', timeoutMs: -1 } }, 'timeoutMs of the fallback of "call" is -1'],
  [{ retries: 3 } as never, 'The guard of "call" cannot have "retries"'],
])('refuses %o', (options, message) => {
  expect(() => guard('call', async (text: string) => text, options)).toThrow(message)
})
