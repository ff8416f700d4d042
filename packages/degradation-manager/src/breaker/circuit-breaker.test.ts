import { FakeClock } from '@evenkeel/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { ShedError } from '../errors.js'
import type { CircuitBreakerOptions } from './breaker-options.js'
import { CircuitBreaker, type BreakerChange } from './circuit-breaker.js'

let clock: FakeClock
let told: BreakerChange[]

const well = async (): Promise<string> => 'well'
const ill = async (): Promise<string> => {
  throw new Error('ECONNREFUSED')
}

beforeEach(() => {
  clock = new FakeClock()
  told = []
})

function aBreaker(options: CircuitBreakerOptions = {}): CircuitBreaker {
  const breaker = new CircuitBreaker({ clock, random: () => 0, windowCalls: 10, minCalls: 5, ...options })
  breaker.on('change', (change) => told.push(change))
  return breaker
}

async function calls(breaker: CircuitBreaker, count: number, work: () => Promise<unknown>): Promise<unknown[]> {
  const outcomes: unknown[] = []
  for (let call = 0; call < count; call++) outcomes.push(await breaker.run(work).catch((error: unknown) => error))
  return outcomes
}

/** One that has just opened for `openMs`. */
async function anOpenBreaker(options: CircuitBreakerOptions = {}): Promise<CircuitBreaker> {
  const breaker = aBreaker(options)
  await calls(breaker, 5, ill)
  expect(breaker.state).toBe('open')
  return breaker
}

/** A call that ends when told. */
function pending(): { work: () => Promise<string>; end: () => void; fail: () => void } {
  let end!: (value: string) => void
  let fail!: (error: Error) => void
  const promise = new Promise<string>((resolve, reject) => {
    end = resolve
    fail = reject
  })
  return { work: () => promise, end: () => end('late'), fail: () => fail(new Error('late')) }
}

describe('a closed CircuitBreaker', () => {
  it('lets calls through, and passes on what they give and throw', async () => {
    const breaker = aBreaker()
    expect(await breaker.run(well)).toBe('well')
    expect(await breaker.run(() => undefined)).toBeUndefined()
    await expect(breaker.run(ill)).rejects.toThrow('ECONNREFUSED')
    await expect(
      breaker.run(() => {
        throw new Error('at once')
      }),
    ).rejects.toThrow('at once')
    expect(breaker.counts).toEqual({ calls: 4, failures: 2, slow: 0 })
  })

  it('opens when the share of failures is reached, and not before there are enough calls', async () => {
    const breaker = aBreaker()
    await calls(breaker, 4, ill)
    expect(breaker.state).toBe('closed')
    await calls(breaker, 1, well)
    expect(breaker.state).toBe('closed')
    await calls(breaker, 1, ill)
    expect(breaker.state).toBe('open')
    expect(told).toMatchObject([
      {
        what: 'breaker',
        from: 'closed',
        to: 'open',
        severity: 'WARNING',
        message: 'The breaker "breaker" went from closed to open: 5 of 6 calls failed; it tries again in 5000 ms.',
      },
    ])
  })

  it('forgets calls that the window has left behind', async () => {
    const breaker = aBreaker({ failureRatio: 0.5 })
    await calls(breaker, 4, ill)
    await calls(breaker, 6, well)
    // The four that failed are pushed out one by one.
    await calls(breaker, 4, ill)
    expect(breaker.counts).toEqual({ calls: 10, failures: 4, slow: 0 })
    expect(breaker.state).toBe('closed')
  })

  it('looks at the calls of the last seconds when told so, whatever the wall clock does', async () => {
    const breaker = aBreaker({ windowCalls: undefined, windowMs: 10_000 })
    await calls(breaker, 4, ill)
    clock.jump(3_600_000)
    await clock.advance(5_000)
    expect(breaker.counts.calls).toBe(4)
    clock.jump(-7_200_000)
    await clock.advance(6_000)
    expect(breaker.counts.calls).toBe(0)
    await calls(breaker, 4, ill)
    expect(breaker.state).toBe('closed')
    await calls(breaker, 1, ill)
    expect(breaker.state).toBe('open')
  })

  it('opens for calls that are slow, though they succeed', async () => {
    const breaker = aBreaker({ slowCallMs: 1_000, slowRatio: 0.6 })
    const slow = async (): Promise<void> => clock.advance(1_000)
    await calls(breaker, 2, well)
    await calls(breaker, 3, slow)
    expect(breaker.counts).toEqual({ calls: 0, failures: 0, slow: 0 })
    expect(breaker.state).toBe('open')
    expect(told[0]?.why).toBe('3 of 5 calls took 1000 ms or longer; it tries again in 5000 ms')
  })

  it('does not open for calls that a policy further in has turned away', async () => {
    const breaker = aBreaker()
    await calls(breaker, 20, () => Promise.reject(new ShedError('inner', 'full', 10, '')))
    expect(breaker.state).toBe('closed')
    expect(breaker.counts.calls).toBe(0)
  })

  it('does not read the clock, unless the time matters', async () => {
    const breaker = aBreaker()
    clock.monotonic = () => {
      throw new Error('the clock was read')
    }
    expect(await breaker.run(well)).toBe('well')
  })
})

describe('an open CircuitBreaker', () => {
  it('refuses calls at once and says when it tries again', async () => {
    const breaker = await anOpenBreaker({ name: 'translation' })
    await clock.advance(2_000)
    const error = await breaker.run(well).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(ShedError)
    expect(error).toMatchObject({ code: 'SHED', feature: 'translation', retryAfterMs: 3_000, applied: 'no' })
    expect((error as ShedError).message).toContain('the breaker "translation" is open: 5 of 5 calls failed')
    expect(clock.pending).toBe(0)
  })

  it('stays open for longer after each trial that fails, but not for longer than told', async () => {
    const breaker = await anOpenBreaker({ openMs: 1_000, maxOpenMs: 3_000 })
    for (const openMs of [1_000, 2_000, 3_000, 3_000]) {
      await clock.advance(openMs - 1)
      await expect(breaker.run(well)).rejects.toBeInstanceOf(ShedError)
      await clock.advance(1)
      await expect(breaker.run(ill)).rejects.toThrow('ECONNREFUSED')
      expect(breaker.state).toBe('open')
    }
  })

  it('tries again up to a fifth later by chance, so that many do not try at once', async () => {
    const breaker = await anOpenBreaker({ random: () => 0.999 })
    await clock.advance(5_900)
    await expect(breaker.run(well)).rejects.toBeInstanceOf(ShedError)
    await clock.advance(100)
    expect(await breaker.run(well)).toBe('well')
  })

  it('opens and tries again on time though the wall clock is stepped by an hour', async () => {
    const breaker = await anOpenBreaker()
    clock.jump(-3_600_000)
    await clock.advance(4_999)
    await expect(breaker.run(well)).rejects.toBeInstanceOf(ShedError)
    clock.jump(7_200_000)
    await expect(breaker.run(well)).rejects.toBeInstanceOf(ShedError)
    await clock.advance(1)
    expect(await breaker.run(well)).toBe('well')
  })

  it('does not count what was begun before it opened', async () => {
    const breaker = aBreaker()
    const early = pending()
    const answer = breaker.run(early.work)
    await calls(breaker, 5, ill)
    await clock.advance(5_000)
    await calls(breaker, 3, well)
    expect(breaker.state).toBe('recovering')
    early.fail()
    await expect(answer).rejects.toThrow('late')
    expect(breaker.counts).toEqual({ calls: 0, failures: 0, slow: 0 })
  })
})

describe('a half-open CircuitBreaker', () => {
  it('lets so many trial calls through at once, and refuses the others', async () => {
    const breaker = await anOpenBreaker({ trialCalls: 3 })
    await clock.advance(5_000)
    const trials = [pending(), pending(), pending()]
    const answers = trials.map(({ work }) => breaker.run(work))
    await expect(breaker.run(well)).rejects.toBeInstanceOf(ShedError)
    expect(breaker.state).toBe('half-open')
    for (const { end } of trials) end()
    await Promise.all(answers)
    expect(breaker.state).toBe('recovering')
  })

  it('opens again when one of them fails, and does not listen to the others any more', async () => {
    const breaker = await anOpenBreaker({ trialCalls: 2 })
    await clock.advance(5_000)
    const [first, second] = [pending(), pending()]
    const answers = [breaker.run(first.work), breaker.run(second.work).catch(() => {})]
    second.fail()
    await answers[1]
    expect(breaker.state).toBe('open')
    first.end()
    await answers[0]
    expect(breaker.state).toBe('open')
  })

  it('opens again when a trial call is slow, though it succeeds', async () => {
    const breaker = await anOpenBreaker({ slowCallMs: 1_000 })
    await clock.advance(5_000)
    await breaker.run(async () => clock.advance(1_000))
    expect(breaker.state).toBe('open')
    expect(told.at(-1)?.why).toBe('a trial call was slow; it tries again in 10000 ms')
  })

  it('gives the place of a trial back that says nothing, such as one that was turned away further in', async () => {
    const breaker = await anOpenBreaker({ trialCalls: 1 })
    await clock.advance(5_000)
    await calls(breaker, 5, () => Promise.reject(new ShedError('inner', 'full', 10, '')))
    expect(breaker.state).toBe('half-open')
    expect(await breaker.run(well)).toBe('well')
    expect(breaker.state).toBe('recovering')
  })

  it('is not stuck when a trial call never ends', async () => {
    const breaker = await anOpenBreaker({ trialCalls: 1, openMs: 1_000 })
    await clock.advance(1_000)
    void breaker.run(pending().work)
    await clock.advance(1_000)
    await expect(breaker.run(well)).rejects.toBeInstanceOf(ShedError)
    expect(breaker.state).toBe('open')
    expect(told.at(-1)?.why).toBe('trial calls did not end within 1000 ms; it tries again in 2000 ms')
    await clock.advance(2_000)
    expect(await breaker.run(well)).toBe('well')
  })
})

describe('a recovering CircuitBreaker', () => {
  it('lets no more than twice the trials through at once in the first second, of a thousand who wait', async () => {
    const breaker = await anOpenBreaker({ trialCalls: 5 })
    let running = 0
    let most = 0
    const work = async (): Promise<void> => {
      running++
      most = Math.max(most, running)
      await new Promise<void>((resolve) => clock.after(20, resolve))
      running--
    }
    await clock.advance(5_000)
    const peaks: number[] = []
    for (let tenth = 0; tenth < 40; tenth++) {
      most = 0
      for (let caller = 0; caller < 1_000; caller++) void breaker.run(work).catch(() => {})
      await clock.advance(100)
      peaks.push(most)
    }
    expect(Math.max(...peaks.slice(0, 10))).toBe(10)
    // Twice as many after each second that went well.
    expect(peaks[15]).toBe(20)
    expect(peaks[25]).toBe(40)
  })

  it('is closed when nobody was refused for a whole step', async () => {
    const breaker = await anOpenBreaker()
    await clock.advance(5_000)
    await calls(breaker, 3, well)
    expect(breaker.state).toBe('recovering')
    await clock.advance(1_000)
    await calls(breaker, 1, well)
    expect(breaker.state).toBe('closed')
    expect(told.map(({ to }) => to)).toEqual(['open', 'half-open', 'recovering', 'closed'])
  })

  it('stays open as briefly as ever when it has been closed in between', async () => {
    const breaker = await anOpenBreaker({ openMs: 1_000 })
    await clock.advance(1_000)
    await calls(breaker, 1, ill)
    await clock.advance(2_000)
    await calls(breaker, 3, well)
    await clock.advance(1_000)
    await calls(breaker, 1, well)
    expect(breaker.state).toBe('closed')
    await calls(breaker, 5, ill)
    expect(told.at(-1)?.why).toContain('it tries again in 1000 ms')
  })

  it('opens again after few failures, for it was too early', async () => {
    const early = aBreaker({ minCalls: 20, windowCalls: 100, trialCalls: 2 })
    await calls(early, 20, ill)
    await clock.advance(5_000)
    await calls(early, 2, well)
    await calls(early, 4, ill)
    expect(early.state).toBe('open')
  })
})

describe('a CircuitBreaker that is held by hand', () => {
  it('refuses everything while it is held open, and begins closed when it is released', async () => {
    const breaker = aBreaker()
    breaker.hold('open', { why: 'the provider has announced an outage' })
    expect(breaker.state).toBe('open')
    await expect(breaker.run(well)).rejects.toMatchObject({ retryAfterMs: undefined })
    breaker.release({ why: 'it is over' })
    expect(await breaker.run(well)).toBe('well')
    expect(told.map(({ from, to, why }) => [from, to, why])).toEqual([
      ['closed', 'open', 'held by hand: the provider has announced an outage'],
      ['open', 'closed', 'released by hand: it is over'],
    ])
  })

  it('lets everything through while it is held closed', async () => {
    const breaker = await anOpenBreaker()
    breaker.hold('closed', { why: 'a test', forMs: 60_000 })
    await calls(breaker, 100, ill)
    expect(breaker.state).toBe('closed')
    await clock.advance(60_000)
    await calls(breaker, 5, ill)
    expect(breaker.state).toBe('open')
  })

  it('decides by itself when the time is over', async () => {
    const breaker = aBreaker()
    breaker.hold('open', { why: 'a test', forMs: 1_000 })
    await expect(breaker.run(well)).rejects.toMatchObject({ retryAfterMs: 1_000 })
    await clock.advance(1_000)
    expect(await breaker.run(well)).toBe('well')
    expect(told.at(-1)?.why).toBe('the time for which it was held by hand is over')
  })

  it('wants a reason', () => {
    expect(() => aBreaker().hold('open', { why: ' ' })).toThrow('hold needs a why')
    expect(() => aBreaker().hold('half-open' as 'open', { why: 'a test' })).toThrow('hold takes open or closed')
  })
})

it('survives a listener that throws', async () => {
  const breaker = aBreaker()
  breaker.on('change', () => {
    throw new Error('a bug of the listener')
  })
  await calls(breaker, 5, ill)
  expect(breaker.state).toBe('open')
})

it.each<[CircuitBreakerOptions, string]>([
  [{ windowCalls: 0 }, 'windowCalls is 0; give a whole number, 1 or more'],
  [{ windowCalls: 2_000_000 }, 'windowCalls is 2000000; give 1000000 at most, or windowMs instead'],
  [{ windowCalls: 10, windowMs: 5 }, 'A CircuitBreaker looks either at windowCalls or at windowMs; leave one out'],
  [{ windowCalls: 10, minCalls: 11 }, 'minCalls is 11, but windowCalls only 10'],
  [{ failureRatio: 50 }, 'failureRatio is 50; give a share, more than 0 and at most 1'],
  [{ openMs: 90_000, maxOpenMs: 60_000 }, 'openMs is 90000, above maxOpenMs, 60000'],
  [{ name: '' }, 'name must be a string that is not empty'],
  [{ threshold: 3 } as CircuitBreakerOptions, 'A CircuitBreaker cannot have "threshold"'],
])('refuses %o', (options, message) => {
  expect(() => new CircuitBreaker(options)).toThrow(message)
})
