import { describe, expect, it } from 'vitest'
import { tellOverload, type Overload, type OverloadResult, type Spread } from '../test-support/overload.js'

// Each figure is the same at every run: chance is seeded, and time is simulated.

/** A pool of two that takes 10 ms a call, and callers who have gone after 100 ms. The limiter knows neither. */
const smallPool = {
  capacity: () => 2,
  serviceMs: () => 10,
  patienceMs: 100,
  limiter: { maxWaitMs: 60, maxWaiting: 40 },
  warmUpMs: 2_000,
  endMs: 12_000,
} as const

async function tellMany(story: Omit<Overload, 'seed'>, seeds: number): Promise<OverloadResult[]> {
  const results: OverloadResult[] = []
  for (let seed = 1; seed <= seeds; seed++) results.push(await tellOverload({ ...story, seed }))
  return results
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

describe('with many more calls than a small pool can serve', () => {
  it.each<[string, Overload['perSecond'], number]>([
    ['three times as many', { high: 120, optional: 480 }, 0.15],
    ['ten times as many', { high: 120, optional: 1_880 }, 0.03],
  ])(
    '%s: those that matter are served in time, and the pool is used well',
    async (_, perSecond, leastOptional) => {
      const results = await tellMany({ ...smallPool, perSecond }, 20)
      const high = results.map(({ by }) => by.high)
      expect(mean(high.map((served) => served?.inTimeRatio ?? 0))).toBeGreaterThanOrEqual(0.995)
      expect(mean(high.map((served) => served?.p99Ms ?? Infinity))).toBeLessThanOrEqual(50)
      expect(mean(results.map(({ useRatio }) => useRatio))).toBeGreaterThanOrEqual(0.95)
      expect(mean(results.map(({ by }) => by.optional?.inTimeRatio ?? 0))).toBeGreaterThanOrEqual(leastOptional)
    },
    60_000,
  )
})

/** More than enough for any of the pools. */
const plenty = (capacity: number) => ({ high: capacity * 20, optional: capacity * 150 })

describe('the limit', () => {
  it.each<[number, Spread, number]>([
    [1, 'equal', 0.93],
    [5, 'equal', 0.93],
    [20, 'equal', 0.93],
    [200, 'equal', 0.93],
    [5, 'exponential', 0.9],
    [20, 'exponential', 0.9],
  ])('finds a pool of %d, with %s calls', async (capacity, spread, least) => {
    const story = { ...smallPool, capacity: () => capacity, spread, perSecond: plenty(capacity) }
    const limiter = { maxWaitMs: 60, maxWaiting: Math.max(40, 2 * capacity) }
    const { useRatio, limits } = await tellOverload({ ...story, limiter, patienceMs: 200, endMs: 10_000, seed: 3 })
    expect(useRatio).toBeGreaterThanOrEqual(least)
    // No more of them than do any good wait inside.
    expect(mean(limits.slice(20))).toBeLessThanOrEqual(capacity * 1.6)
  })

  it.each<[string, Pick<Overload, 'capacity' | 'serviceMs'>]>([
    [
      'calls take three times as long, and later no longer',
      { capacity: () => 20, serviceMs: (ms) => (ms > 10_000 && ms < 20_000 ? 30 : 10) },
    ],
    [
      'most of the pool goes away, and comes back',
      { capacity: (ms) => (ms > 10_000 && ms < 20_000 ? 5 : 20), serviceMs: () => 10 },
    ],
  ])('follows when %s, within two seconds', async (_, backend) => {
    const story = { ...smallPool, ...backend, perSecond: plenty(20), patienceMs: 300, endMs: 30_000, seed: 5 }
    const { useRatio, limits } = await tellOverload(story)
    expect(useRatio).toBeGreaterThanOrEqual(0.93)
    for (const [fromMs, toMs] of [
      [12_000, 20_000],
      [22_000, 30_000],
    ] as const) {
      const capacity = backend.capacity(fromMs)
      const settled = mean(limits.slice(fromMs / 100, toMs / 100))
      expect(settled).toBeGreaterThanOrEqual(capacity * 0.9)
      expect(settled).toBeLessThanOrEqual(capacity * 1.8)
    }
  })

  it('does not drift in ten minutes', async () => {
    const story = { ...smallPool, capacity: () => 5, perSecond: plenty(5), endMs: 600_000, seed: 7 }
    const { useRatio, limits } = await tellOverload(story)
    expect(useRatio).toBeGreaterThanOrEqual(0.93)
    expect(Math.max(...limits.slice(50))).toBeLessThanOrEqual(9)
  }, 60_000)

  it('stays where it is while there are fewer calls than places', async () => {
    const story = { ...smallPool, capacity: () => 50, perSecond: { high: 100 }, endMs: 60_000, seed: 9 }
    const { limits } = await tellOverload(story)
    expect(new Set(limits)).toEqual(new Set([10]))
  })
})
