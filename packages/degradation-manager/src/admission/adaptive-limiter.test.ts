import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { ShedError } from '../errors.js'
import { AdaptiveLimiter } from './adaptive-limiter.js'
import type { AdmissionChange } from './admission-events.js'
import type { AdmissionOptions, Place } from './admission.js'
import type { AdaptiveLimiterOptions } from './limiter-options.js'

/** A limiter with one place, which is taken. */
async function takenPlace(options: AdaptiveLimiterOptions = {}) {
  const clock = new FakeClock()
  const limiter = new AdaptiveLimiter({ initialLimit: 1, maxLimit: 1, clock, ...options })
  const place = await limiter.acquire()
  const served: string[] = []
  const refused: string[] = []
  const errors: unknown[] = []
  const held: Place[] = [place]
  const ask = (name: string, admission: AdmissionOptions): void => {
    void limiter.acquire(admission).then(
      (next) => {
        served.push(name)
        held.push(next)
      },
      (error: unknown) => {
        refused.push(name)
        errors.push(error)
      },
    )
  }
  /** Serves one after the other until nobody waits. */
  const serveAll = async (): Promise<void> => {
    for (let next = held.shift(); next !== undefined; next = held.shift()) {
      next.release()
      await clock.advance(0)
    }
  }
  return { clock, limiter, ask, serveAll, served, refused, errors }
}

describe('an AdaptiveLimiter', () => {
  it('lets in as many as there are places, and the next when one is given back', async () => {
    const limiter = new AdaptiveLimiter({ initialLimit: 2 })
    const first = await limiter.acquire()
    await limiter.acquire()
    const third = limiter.acquire()
    expect([limiter.inFlight, limiter.waiting, limiter.pressure]).toEqual([2, 1, 1])
    first.release()
    first.release()
    await third
    expect([limiter.inFlight, limiter.waiting]).toEqual([2, 0])
  })

  it('serves the most important first, and of those the oldest', async () => {
    const { ask, serveAll, served } = await takenPlace()
    ask('optional', { priority: 'optional' })
    ask('high 1', { priority: 'high' })
    ask('normal', {})
    ask('critical', { priority: 'critical' })
    ask('high 2', { priority: 'high' })
    await serveAll()
    expect(served).toEqual(['critical', 'high 1', 'high 2', 'normal', 'optional'])
  })

  it('serves the newest of those that need not be served, for their caller is still there', async () => {
    const { ask, serveAll, served } = await takenPlace()
    for (const name of ['first', 'second', 'third']) ask(name, { priority: 'optional' })
    await serveAll()
    expect(served).toEqual(['third', 'second', 'first'])
  })

  it('gives every guild its turn, however much one of them asks for', async () => {
    const { ask, serveAll, served } = await takenPlace()
    for (let call = 1; call <= 4; call++) ask(`noisy ${call}`, { priority: 'high', key: 'noisy' })
    ask('quiet 1', { priority: 'high', key: 'quiet' })
    ask('quiet 2', { priority: 'high', key: 'quiet' })
    await serveAll()
    expect(served).toEqual(['noisy 1', 'quiet 1', 'noisy 2', 'quiet 2', 'noisy 3', 'noisy 4'])
  })

  it('lets nobody starve: one place in fifty goes to whoever was passed over longest', async () => {
    const { ask, serveAll, served } = await takenPlace()
    ask('optional', { priority: 'optional' })
    for (let call = 0; call < 120; call++) ask('high', { priority: 'high' })
    await serveAll()
    expect(served.indexOf('optional')).toBe(49)
  })

  it('turns the least important away when too many wait, and of those the guild that has the most', async () => {
    const { ask, refused, errors, limiter, clock } = await takenPlace({ maxWaiting: 3 })
    ask('noisy 1', { priority: 'optional', key: 'noisy' })
    ask('noisy 2', { priority: 'optional', key: 'noisy' })
    ask('quiet', { priority: 'optional', key: 'quiet' })
    ask('high', { priority: 'high', key: 'noisy' })
    await clock.advance(0)
    expect(refused).toEqual(['noisy 1'])
    expect(errors[0]).toBeInstanceOf(ShedError)
    expect(errors[0]).toMatchObject({ code: 'SHED', retryable: true, applied: 'no', feature: 'limiter' })
    expect((errors[0] as ShedError).retryAfterMs).toBeGreaterThan(0)
    expect(limiter.counts).toEqual({ admitted: 1, refused: 1, expired: 0, aborted: 0, reclaimed: 0 })
  })

  it('turns the newcomer away when everyone who waits is more important', async () => {
    const { ask, refused, clock } = await takenPlace({ maxWaiting: 1 })
    ask('critical', { priority: 'critical' })
    ask('optional', { priority: 'optional' })
    await clock.advance(0)
    expect(refused).toEqual(['optional'])
  })

  it('turns away whoever has waited for so long that nobody cares any more', async () => {
    const { ask, refused, clock, limiter } = await takenPlace({ maxWaitMs: { optional: 50, high: 200 } })
    ask('high', { priority: 'high' })
    ask('optional', { priority: 'optional' })
    await clock.advance(49)
    expect(refused).toEqual([])
    await clock.advance(1)
    expect(refused).toEqual(['optional'])
    await clock.advance(150)
    expect(refused).toEqual(['optional', 'high'])
    expect(limiter.waiting).toBe(0)
    expect(limiter.counts.expired).toBe(2)
  })

  it('lets a waiting call go at once when its signal aborts, with the reason', async () => {
    const { ask, errors, served, limiter, clock, serveAll } = await takenPlace()
    const controller = new AbortController()
    ask('gone', { signal: controller.signal })
    ask('stays', {})
    const reason = new Error('the member left')
    controller.abort(reason)
    await clock.advance(0)
    expect(errors).toEqual([reason])
    expect(limiter.waiting).toBe(1)
    await serveAll()
    expect(served).toEqual(['stays'])
    await expect(limiter.acquire({ signal: controller.signal })).rejects.toBe(reason)
  })

  it('holds the place until the work has really ended, also when it fails', async () => {
    const limiter = new AdaptiveLimiter({ initialLimit: 1, maxLimit: 1 })
    let fail!: (error: Error) => void
    const work = limiter.run(() => new Promise((_, reject) => (fail = reject)))
    const next = limiter.run(() => 'next')
    expect([limiter.inFlight, limiter.waiting]).toEqual([1, 1])
    fail(new Error('broken'))
    await expect(work).rejects.toThrow('broken')
    expect(await next).toBe('next')
    await expect(limiter.run(() => Promise.reject(new Error('again')))).rejects.toThrow('again')
    await expect(
      limiter.run(() => {
        throw new Error('at once')
      }),
    ).rejects.toThrow('at once')
    await expect(limiter.run(() => 'well')).resolves.toBe('well')
    expect(limiter.inFlight).toBe(0)
  })

  it.each([
    ['ignored', 10],
    [undefined, expect.any(Number)],
  ] as const)('learns from calls unless they are %s', async (outcome, expected) => {
    const clock = new FakeClock()
    const limiter = new AdaptiveLimiter({ clock, maxWaiting: 1_000, maxWaitMs: 600_000 })
    const work = async (): Promise<void> => {
      for (let call = 0; call < 50; call++) {
        const place = await limiter.acquire()
        await new Promise<void>((resolve) => clock.after(10, resolve))
        place.release(outcome)
      }
    }
    const all = Promise.all(Array.from({ length: 40 }, work))
    await clock.advance(3_000)
    await all
    // As quick with more of them at once: there is room.
    expect(limiter.limit).toEqual(expected)
    expect(limiter.limit > 10).toBe(outcome === undefined)
  })

  it('tells when it begins to turn calls away, and when nobody was for ten seconds', async () => {
    const { ask, limiter, clock } = await takenPlace({ name: 'database', maxWaiting: 0 })
    const told: AdmissionChange[] = []
    limiter.on('change', (change) => told.push(change))
    ask('first', {})
    ask('second', {})
    await clock.advance(6_000)
    ask('third', {})
    await clock.advance(9_999)
    expect(told.map(({ from, to, severity }) => [from, to, severity])).toEqual([['up', 'degraded', 'WARNING']])
    await clock.advance(1)
    expect(told.at(-1)).toMatchObject({
      what: 'database',
      to: 'up',
      message: 'database lets everyone in again: nobody was turned away for 10 s.',
    })
  })

  it('survives a listener that throws', async () => {
    const { ask, limiter, refused, clock } = await takenPlace({ maxWaiting: 0 })
    limiter.on('change', () => {
      throw new Error('a bug of the listener')
    })
    ask('first', {})
    await clock.advance(0)
    expect(refused).toEqual(['first'])
  })

  it.each<[AdaptiveLimiterOptions, string]>([
    [{ minLimit: 0 }, 'minLimit is 0; give a whole number, 1 or more'],
    [{ maxLimit: 2.5 }, 'maxLimit is 2.5; give a whole number, 1 or more'],
    [{ initialLimit: 20, maxLimit: 10 }, 'initialLimit is 20, above maxLimit, 10'],
    [{ maxWaitMs: { high: 0 } }, 'maxWaitMs is 0 for high; give ms, more than 0 and at most 2147483647'],
    [{ maxWaiting: -1 }, 'maxWaiting is -1; give a whole number, 0 or more'],
    [{ name: '' }, 'name must be a string that is not empty'],
    [{ limit: 3 } as AdaptiveLimiterOptions, 'An AdaptiveLimiter cannot have "limit"'],
  ])('refuses %o', (options, message) => {
    expect(() => new AdaptiveLimiter(options)).toThrow(message)
  })

  it('refuses a priority that does not exist', () => {
    const limiter = new AdaptiveLimiter()
    expect(() => limiter.acquire({ priority: 'urgent' as 'high' })).toThrow('priority is urgent; it can be critical,')
  })
})
