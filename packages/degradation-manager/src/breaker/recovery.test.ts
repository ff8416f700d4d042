import { FakeClock } from '@evenkeel/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import type { CircuitBreakerOptions } from './breaker-options.js'
import { CircuitBreaker, type BreakerChange } from './circuit-breaker.js'

let clock: FakeClock
let told: BreakerChange[]
let running: number
let most: number

beforeEach(() => {
  clock = new FakeClock()
  told = []
  running = 0
  most = 0
})

const ill = (): Promise<never> => Promise.reject(new Error('ECONNREFUSED'))

/** Takes so long, no time at all or for ever. */
const taking = (ms: number) => async (): Promise<void> => {
  most = Math.max(most, ++running)
  if (ms > 0) await new Promise<void>((resolve) => (ms === Infinity ? undefined : clock.after(ms, resolve)))
  running--
}

/** One that has just opened. */
async function anOpenBreaker(options: CircuitBreakerOptions = {}): Promise<CircuitBreaker> {
  const breaker = new CircuitBreaker({ clock, random: () => 0, windowCalls: 10, minCalls: 5, ...options })
  breaker.on('change', (change) => told.push(change))
  for (let call = 0; call < 5; call++) await breaker.run(ill).catch(() => {})
  expect(breaker.state).toBe('open')
  return breaker
}

const clockedFailure = async (): Promise<never> => {
  await new Promise<void>((resolve) => clock.after(10, resolve))
  throw new Error('ECONNREFUSED')
}

/** Ten callers a second. */
async function callers(breaker: CircuitBreaker, work: () => Promise<void>, forMs: number): Promise<void> {
  for (let passedMs = 0; passedMs < forMs; passedMs += 100) {
    void breaker.run(work).catch(() => {})
    await clock.advance(100)
  }
}

describe('a CircuitBreaker before a service that works again', () => {
  it('lets it back though each call takes longer than openMs', async () => {
    const breaker = await anOpenBreaker()
    await callers(breaker, taking(8_000), 90_000)
    expect(breaker.state).toBe('closed')
    expect(told.map(({ to }) => to)).toEqual(['open', 'half-open', 'open', 'half-open', 'recovering', 'closed'])
  })

  it('lets no more calls through while none of those that it let through has ended', async () => {
    const breaker = await anOpenBreaker()
    await clock.advance(5_000)
    for (let call = 0; call < 3; call++) await breaker.run(taking(0))
    expect(breaker.state).toBe('recovering')
    most = 0
    await callers(breaker, taking(Infinity), 5_000)
    expect([most, breaker.state]).toEqual([6, 'recovering'])
    await callers(breaker, taking(Infinity), 1_000)
    expect([most, breaker.state]).toEqual([6, 'open'])
    expect(told.at(-1)?.why).toBe('calls did not end within 5000 ms; it tries again in 10000 ms')
  })

  it('is closed after the first step in which nobody was refused, though some were in the one before', async () => {
    const breaker = await anOpenBreaker()
    await clock.advance(5_000)
    for (let call = 0; call < 3; call++) await breaker.run(taking(0))
    for (let call = 0; call < 10; call++) void breaker.run(taking(100)).catch(() => {})
    await clock.advance(1_000)
    await breaker.run(taking(0))
    expect(breaker.state).toBe('recovering')
    await clock.advance(1_000)
    await breaker.run(taking(0))
    expect(breaker.state).toBe('closed')
  })

  it('is not closed because a single call went on for a whole step, but when one has ended', async () => {
    const breaker = await anOpenBreaker()
    await clock.advance(5_000)
    for (let call = 0; call < 3; call++) await breaker.run(taking(0))
    void breaker.run(taking(3_000))
    await clock.advance(2_000)
    void breaker.run(taking(3_000))
    expect(breaker.state).toBe('recovering')
    await clock.advance(1_000)
    await breaker.run(() => 'well')
    expect(breaker.state).toBe('closed')
  })
})

describe('a CircuitBreaker that tries again', () => {
  it('makes no more trial calls than told, also one after the other', async () => {
    const breaker = await anOpenBreaker()
    await clock.advance(5_000)
    await breaker.run(taking(0))
    await breaker.run(taking(0))
    most = 0
    for (let call = 0; call < 3; call++) void breaker.run(taking(Infinity)).catch(() => {})
    expect(most).toBe(1)
  })
})

describe('a CircuitBreaker that is held by hand', () => {
  it('while it recovers stays so, whatever time passes', async () => {
    const breaker = await anOpenBreaker()
    await clock.advance(5_000)
    for (let call = 0; call < 3; call++) await breaker.run(taking(0))
    breaker.hold('open', { why: 'moving hosts' })
    await clock.advance(60_000)
    await expect(breaker.run(taking(0))).rejects.toMatchObject({ code: 'SHED' })
    expect(told.map(({ to }) => to)).toEqual(['open', 'half-open', 'recovering', 'open'])
  })

  it('does not listen to calls that were begun before', async () => {
    const breaker = new CircuitBreaker({ clock, windowCalls: 5, minCalls: 1 })
    const failures = Array.from({ length: 5 }, () => breaker.run(() => clockedFailure()).catch(() => {}))
    breaker.hold('closed', { why: 'a test' })
    breaker.on('change', (change) => told.push(change))
    await clock.advance(10)
    await Promise.all(failures)
    expect(told).toEqual([])
    expect(breaker.counts.calls).toBe(0)
  })

  it('says so also where it was open already', async () => {
    const breaker = await anOpenBreaker()
    breaker.hold('open', { why: 'moving hosts' })
    const error = await breaker.run(ill).catch((thrown: unknown) => String(thrown))
    expect(error).toContain('is open: held by hand: moving hosts')
    expect(error).not.toContain('tries again')
  })

  it('by a listener at the moment when it would try again lets no call through', async () => {
    const breaker = await anOpenBreaker({ trialCalls: 1 })
    breaker.on('change', ({ to }) => {
      if (to === 'half-open') breaker.hold('open', { why: 'not before the backup is done' })
    })
    await clock.advance(5_000)
    await expect(breaker.run(taking(0))).rejects.toMatchObject({ code: 'SHED', retryAfterMs: undefined })
    expect([most, breaker.state]).toEqual([0, 'open'])
    breaker.release({ why: 'it is' })
    await breaker.run(() => 'well')
    expect(breaker.state).toBe('closed')
  })

  it('again by a listener when the time is over stays so', async () => {
    const breaker = await anOpenBreaker()
    breaker.hold('open', { why: 'moving hosts', forMs: 1_000 })
    breaker.on('change', ({ to }) => {
      if (to === 'closed') breaker.hold('open', { why: 'still moving' })
    })
    await clock.advance(1_000)
    await expect(breaker.run(taking(0))).rejects.toMatchObject({ code: 'SHED' })
    expect(most).toBe(0)
  })
})
