import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { HealthStatus } from './check-result.js'
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
