import { describe, expect, it } from 'vitest'
import { CallSites } from './call-sites.js'

/** Chance that comes the same in every run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
}

/** Lets a place call so often; how often it was looked at. */
function call(sites: CallSites, place: string, times = 1): number {
  let looks = 0
  for (let i = 0; i < times; i++) {
    if (!sites.isLookDue()) continue
    looks++
    sites.note(place)
  }
  return looks
}

describe('the calling places of a function', () => {
  it('are all found while few calls have been made', () => {
    const sites = new CallSites(50, seeded(7))
    for (let i = 0; i < 10; i++) for (const place of ['a', 'b', 'c']) call(sites, place)
    expect(sites.places).toEqual(['a', 'b', 'c'])
  })

  it('are looked for on every call until 32 in a row were known, then ever more rarely', () => {
    const sites = new CallSites(50, seeded(7))
    expect(call(sites, 'a', 33)).toBe(33)
    expect(call(sites, 'a', 2_000)).toBeLessThan(20)
    expect(call(sites, 'a', 1_024_000)).toBeGreaterThan(900)
    expect(call(sites, 'a', 1_024_000)).toBeLessThan(1_100)
  })

  it('are looked for on every call again once a new one is found', () => {
    const sites = new CallSites(50, seeded(7))
    call(sites, 'a', 100_000)
    for (let i = 0; sites.places.length < 2; i++) call(sites, 'b')
    expect(call(sites, 'b', 32)).toBe(32)
  })

  it.each([0, 1, 2, 3])('are found however regular their turn: the rare one is call %i of 4', (turn) => {
    const sites = new CallSites(50, seeded(7))
    call(sites, 'busy', 100_000)
    for (let i = 0; i < 100_000; i++) call(sites, i % 4 === turn ? 'rare' : 'busy')
    expect(sites.places).toEqual(['busy', 'rare'])
  })

  it('are not looked for once there are as many as are kept', () => {
    const sites = new CallSites(1, seeded(7))
    expect([call(sites, 'a', 1_000), sites.isFull]).toEqual([1, true])
    expect(call(new CallSites(0, seeded(7)), 'a', 1_000)).toBe(0)
  })
})
