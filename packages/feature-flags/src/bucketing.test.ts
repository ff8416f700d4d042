import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bucketOf, cuts, EVERYONE, NOBODY, placeOf, thresholdOf } from './bucketing.js'
import { murmur3 } from './murmur3.js'

const bucket = (id: string, salt: string): number => bucketOf(murmur3(id), murmur3(salt))

/** Ids as Discord gives them out: milliseconds since 2015, worker, process, and a count that is nearly always zero. */
function snowflakes(count: number): string[] {
  let seed = 20260101
  const next = (below: number): bigint => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return BigInt(Math.floor((seed / 2 ** 32) * below))
  }
  const ids = new Set<string>()
  while (ids.size < count) {
    const ms = next(2 ** 31) * 150n
    ids.add(String((ms << 22n) | (next(4) << 17n) | (next(2) << 12n) | (next(20) === 0n ? 1n : 0n)))
  }
  return [...ids]
}

describe('buckets', () => {
  // Computed from the definition by a program in another language. They never change: every process, and every
  // later version, puts an id in the same place.
  it.each([
    ['81384788765712384', 'search', 0xd9fc7b9f],
    ['81384788765712384', 'newSearch', 0x1630bc12],
    ['53908099506183680', 'search', 0x780cf88d],
    ['53908099506183680', 'newSearch', 0x4e714dda],
    ['-1001234567890', 'search', 0x14aed60],
    ['-1001234567890', 'newSearch', 0xbff8d143],
    ['1', 'search', 0xec111190],
    ['1', 'newSearch', 0x39c014c4],
    ['café', 'search', 0xc4f0dae3],
    ['日本', 'newSearch', 0xfb79755f],
    ['U024BE7LH', 'newSearch', 0x7bce74d9],
  ])('put %s in its place for %s', (id, salt, hash) => {
    expect(bucket(id, salt) + 2 ** 31).toBe(hash)
    expect(placeOf(bucket(id, salt))).toBe((hash / 2 ** 32) * 100)
  })

  it('are in nobody at 0 %, in everybody at 100 %, and never leave as the percentage rises', () => {
    const percentage = fc.double({ min: 0, max: 100, noNaN: true })
    fc.assert(
      fc.property(fc.string(), fc.string(), percentage, percentage, (id, salt, a, b) => {
        const place = bucket(id, salt)
        expect(place < thresholdOf(0)).toBe(false)
        expect(place < thresholdOf(100)).toBe(true)
        if (place < thresholdOf(Math.min(a, b))) expect(place < thresholdOf(Math.max(a, b))).toBe(true)
      }),
    )
    expect([thresholdOf(0), thresholdOf(100)]).toEqual([NOBODY, EVERYONE])
    expect([NOBODY < thresholdOf(0), EVERYONE - 1 < thresholdOf(100)]).toEqual([false, true])
  })

  it('spread real-looking ids evenly: each share is as large as chance lets it be', () => {
    const ids = snowflakes(20_000)
    const percentage = 5
    const expected = ids.length * 0.05
    const deviation = Math.sqrt(ids.length * 0.05 * 0.95)
    const deviations = Array.from({ length: 100 }, (_, flag) => {
      const share = ids.filter((id) => bucket(id, `flag${flag}`) < thresholdOf(percentage)).length
      return (share - expected) / deviation
    })
    const spread = Math.sqrt(deviations.reduce((sum, z) => sum + z * z, 0) / deviations.length)
    // One on average for a fair draw; with 100 draws it lies within 0.2 of that.
    expect(spread).toBeGreaterThan(0.8)
    expect(spread).toBeLessThan(1.2)
    expect(Math.max(...deviations.map(Math.abs))).toBeLessThan(4.5)
  })

  it('are independent between flags: two of 20 % meet in 4 % of all ids', () => {
    const ids = snowflakes(20_000)
    const chosen = Array.from({ length: 25 }, (_, flag) => ids.map((id) => bucket(id, `flag${flag}`) < thresholdOf(20)))
    const deviations: number[] = []
    for (const [i, a] of chosen.entries()) {
      for (const b of chosen.slice(i + 1)) {
        const both = a.filter((isIn, at) => isIn && b[at] === true).length
        deviations.push((both - ids.length * 0.04) / Math.sqrt(ids.length * 0.04 * 0.96))
      }
    }
    const spread = Math.sqrt(deviations.reduce((sum, z) => sum + z * z, 0) / deviations.length)
    expect(spread).toBeGreaterThan(0.8)
    expect(spread).toBeLessThan(1.2)
    expect(Math.max(...deviations.map(Math.abs))).toBeLessThan(5)
  })

  it('are cut by weights without a gap at either end', () => {
    expect(cuts([1, 1])).toEqual([0, EVERYONE])
    expect(cuts([0, 3, 0])).toEqual([NOBODY, EVERYONE, EVERYONE])
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.001, max: 1e6, noNaN: true }), { minLength: 1 }), (weights) => {
        const thresholds = cuts(weights)
        expect(thresholds.at(-1)).toBe(EVERYONE)
        expect(thresholds).toEqual([...thresholds].sort((a, b) => a - b))
      }),
    )
  })
})
