import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { HealthStatus } from './check-result.js'
import { checkDefaults } from './options.js'
import { seeded } from './test-support/seeded.js'
import { aggregate, believe, type ComponentState, expire, nextLookMs, observe, unobserved } from './transitions.js'

type Seen = 'up' | 'degraded' | 'down'

const thresholds = { failuresToDown: 3, successesToUp: 2 }
const start = { at: 1_000, ms: 0 }

/** The state after these results, one a second. */
function after(...seen: readonly Seen[]): ComponentState {
  return seen.reduce(
    (state, status, index) =>
      observe(state, { status, reason: `${status} ${index}` }, thresholds, { at: 1_000 + index, ms: index }),
    unobserved(start),
  )
}

describe('observe', () => {
  it.each([
    { seen: [], becomes: 'unknown', why: 'nothing was seen' },
    { seen: ['up'], becomes: 'up', why: 'the first result decides alone' },
    { seen: ['down'], becomes: 'down', why: 'the first result decides alone, bad or good' },
    { seen: ['up', 'down', 'down'], becomes: 'up', why: 'two are one too few' },
    { seen: ['up', 'down', 'down', 'down'], becomes: 'down', why: 'three in a row' },
    { seen: ['up', 'down', 'down', 'up', 'down', 'down'], becomes: 'up', why: 'not in a row' },
    { seen: ['down', 'up'], becomes: 'down', why: 'one is one too few' },
    { seen: ['down', 'up', 'up'], becomes: 'up', why: 'two in a row' },
    { seen: ['up', 'down', 'degraded', 'down'], becomes: 'degraded', why: 'all three agree on that much' },
    { seen: ['down', 'up', 'degraded'], becomes: 'degraded', why: 'both agree on that much' },
    { seen: ['degraded', 'down', 'up', 'down', 'up', 'down'], becomes: 'degraded', why: 'they contradict one another' },
  ] as { seen: Seen[]; becomes: HealthStatus; why: string }[])('$seen is $becomes: $why', ({ seen, becomes }) => {
    expect(after(...seen).status).toBe(becomes)
  })

  it('keeps `since` while the status lasts, and the latest reason', () => {
    expect(after('down', 'down', 'down')).toMatchObject({ since: 1_000, reason: 'down 2' })
    expect(after('up', 'down', 'down', 'down')).toMatchObject({ since: 1_003, reason: 'down 3' })
  })

  it('gives the reason of the status, not of the last result', () => {
    expect(after('up', 'degraded', 'down', 'down').reason).toBe('degraded 1')
  })

  it('never changes on fewer results than the threshold, whatever they are', () => {
    const seen = fc.constantFrom<Seen>('up', 'degraded', 'down')
    fc.assert(
      fc.property(fc.array(seen, { maxLength: 40 }), (results) => {
        let state = unobserved(start)
        let agreeing = 0
        for (const [index, status] of results.entries()) {
          const before = state
          state = observe(state, { status, reason: '' }, thresholds, { at: index, ms: index })
          agreeing = status === before.status ? 0 : agreeing + 1
          if (before.status !== 'unknown' && state.status !== before.status) {
            expect(agreeing).toBeGreaterThanOrEqual(state.status === 'up' || before.status === 'down' ? 2 : 3)
            agreeing = 0
          }
        }
      }),
    )
  })
})

describe('expire', () => {
  const up = believe(unobserved(start), { status: 'up', reason: 'ok' }, { at: 5_000, ms: 100 })

  it('keeps a status up to its age, and not a moment longer', () => {
    expect(expire(up, 50, { at: 5_049, ms: 149 })).toBe(up)
    expect(expire(up, 50, { at: 5_050, ms: 150 })).toMatchObject({ status: 'unknown', since: 5_050 })
  })

  it('says since when nothing is known, and what was known last', () => {
    expect(expire(up, 50, { at: 9_000, ms: 350 })).toMatchObject({
      since: 8_800,
      reason: 'no result for 50 ms; the last one said up: ok',
    })
  })
})

describe('nextLookMs', () => {
  it('looks soon after a surprise, then later and later, never later than usual', () => {
    const timing = { intervalMs: 5_000, recheckMs: 2_000 }
    const patient = { failuresToDown: 9, successesToUp: 9 }
    let state = believe(unobserved(start), { status: 'up', reason: 'ok' }, start)
    const delays = [nextLookMs(state, timing)]
    for (let look = 0; look < 3; look++) {
      state = observe(state, { status: 'down', reason: '' }, patient, start)
      delays.push(nextLookMs(state, timing))
    }
    expect(delays).toEqual([5_000, 2_000, 4_000, 5_000])
  })

  it('looks soon while nothing is known', () => {
    expect(nextLookMs(unobserved(start), { intervalMs: 10_000, recheckMs: 2_000 })).toBe(2_000)
    expect(nextLookMs(unobserved(start), { intervalMs: 500, recheckMs: 2_000 })).toBe(500)
  })
})

describe('aggregate', () => {
  const critical = (status: HealthStatus) => ({ status, critical: true })
  const optional = (status: HealthStatus) => ({ status, critical: false })

  it.each([
    { of: [], is: 'unknown' },
    { of: [critical('up'), optional('up')], is: 'up' },
    { of: [critical('up'), optional('down')], is: 'degraded' },
    { of: [critical('up'), optional('unknown')], is: 'degraded' },
    { of: [critical('degraded'), optional('up')], is: 'degraded' },
    { of: [critical('unknown'), optional('down')], is: 'unknown' },
    { of: [critical('unknown'), critical('down')], is: 'down' },
    { of: [optional('unknown'), optional('unknown')], is: 'unknown' },
    { of: [optional('unknown'), optional('down')], is: 'degraded' },
  ] as { of: { status: HealthStatus; critical: boolean }[]; is: HealthStatus }[])('$of is $is', ({ of, is }) => {
    expect(aggregate(of)).toBe(is)
  })
})

describe('flapping, with the defaults, over 20 days', () => {
  const DAY_MS = 86_400_000
  const DAYS = 20

  /** How often a component changes its status a day, when it is probed as the monitor does. */
  function flipsADay(isUp: (ms: number) => boolean): number {
    let state = believe(unobserved(start), { status: 'up', reason: '' }, start)
    let flips = 0
    for (let ms = 0; ms < DAYS * DAY_MS; ms += nextLookMs(state, checkDefaults)) {
      const before = state.status
      const status = isUp(ms) ? 'up' : 'down'
      state = observe(state, { status, reason: '' }, checkDefaults, { at: ms, ms })
      if (state.status !== before) flips++
    }
    return flips / DAYS
  }

  it.each([1, 2, 3])('changes at most once in two days when one look in twenty fails at random (seed %i)', (seed) => {
    const random = seeded(seed)
    expect(flipsADay(() => random() >= 0.05)).toBeLessThanOrEqual(0.5)
  })

  it.each([1, 2, 3])('changes at most once in two days with 20 blips of 2 s an hour (seed %i)', (seed) => {
    const random = seeded(seed)
    const exponential = (mean: number): number => -mean * Math.log(1 - random())
    let blip = { from: 0, to: 0 }
    const isUp = (ms: number): boolean => {
      while (blip.to < ms) {
        const from = blip.to + exponential(3_600_000 / 20)
        blip = { from, to: from + exponential(2_000) }
      }
      return ms < blip.from
    }
    expect(flipsADay(isUp)).toBeLessThanOrEqual(0.5)
  })

  it('sees an outage after 19 s on average', () => {
    const { intervalMs, recheckMs, failuresToDown } = checkDefaults
    const confirmationMs = recheckMs * (2 ** (failuresToDown - 1) - 1)
    expect(intervalMs / 2 + confirmationMs).toBe(19_000)
  })
})
