import { describe, expect, it } from 'vitest'
import { nextToken, see, timingOf, waitBeforeTaking } from './lease-decision.js'
import type { LeaseRecord, Versioned } from './lease-records.js'

function leaseOf(holder: string | null, { token = 1, leaseMs = 1_000, version = 'v1' } = {}): Versioned<LeaseRecord> {
  return { value: { token, holder, owner: 'bot-1', leaseMs, at: 0 }, version }
}

const me = { holder: 'me', leaseMs: 1_000 }

describe('whether a lease may be taken', () => {
  it.each([
    ['it never existed', undefined],
    ['it was given back', leaseOf(null)],
    ['the holder is who asks', leaseOf('me')],
  ])('at once when %s', (_, lease) => {
    expect(waitBeforeTaking(lease, me, undefined, 0)).toBe(0)
  })

  it('only when the record stood unchanged for the whole lease, as seen by the challenger', () => {
    const lease = leaseOf('other')
    const sighting = see(undefined, 'v1', 5_000)
    expect(waitBeforeTaking(lease, me, sighting, 5_000)).toBe(1_000)
    expect(waitBeforeTaking(lease, me, sighting, 5_999)).toBe(1)
    expect(waitBeforeTaking(lease, me, sighting, 6_000)).toBe(0)
  })

  it('counts from the beginning again when the record was renewed', () => {
    const sighting = see(see(undefined, 'v1', 0), 'v2', 900)
    expect(waitBeforeTaking(leaseOf('other', { version: 'v2' }), me, sighting, 1_000)).toBe(900)
  })

  it('counts from the first look, not from the last', () => {
    expect(see(see(undefined, 'v1', 10), 'v1', 500)).toEqual({ version: 'v1', sinceMs: 10 })
    expect(see(see(undefined, 'v1', 10), undefined, 500)).toBeUndefined()
  })

  it('waits for the longer of the two leases, as the holder believes by its own', () => {
    const sighting = { version: 'v1', sinceMs: 0 }
    expect(waitBeforeTaking(leaseOf('other', { leaseMs: 4_000 }), me, sighting, 1_000)).toBe(3_000)
    expect(waitBeforeTaking(leaseOf('other', { leaseMs: 100 }), me, sighting, 100)).toBe(900)
  })

  it('waits for the whole lease when the record was never seen before', () => {
    expect(waitBeforeTaking(leaseOf('other'), me, undefined, 99_999)).toBe(1_000)
    expect(waitBeforeTaking(leaseOf('other'), me, { version: 'v0', sinceMs: 0 }, 99_999)).toBe(1_000)
  })
})

describe('tokens and times', () => {
  it('gives a token above both records, so that one removed by hand lowers none', () => {
    expect(nextToken(undefined, undefined)).toBe(1)
    expect(nextToken(leaseOf(null, { token: 3 }), leaseOf(null, { token: 7 }))).toBe(8)
    expect(nextToken(undefined, leaseOf(null, { token: 7 }))).toBe(8)
  })

  it.each([50, 1_000, 15_000, 3_600_000])('fits two renewals and their retries into the belief: %i ms', (leaseMs) => {
    const { beliefMs, renewalMs, retryMs, lookMs } = timingOf(leaseMs)
    expect(beliefMs).toBeLessThan(leaseMs)
    expect(2 * renewalMs + retryMs).toBeLessThan(beliefMs)
    expect(lookMs).toBeLessThanOrEqual(1_000)
  })
})
