import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LogBuckets, percentileOf } from './log-buckets.js'

describe('LogBuckets', () => {
  it('has bounds from the first to the last that are told, eight for each doubling', () => {
    const { bounds, coarseBounds } = new LogBuckets(1, 8)
    expect(bounds.slice(0, 10)).toEqual([1, 1.125, 1.25, 1.375, 1.5, 1.625, 1.75, 1.875, 2, 2.25])
    expect(bounds.slice(-2)).toEqual([8, Infinity])
    expect(coarseBounds).toEqual([1, 2, 4, 8, Infinity])
  })

  it.each([
    [3, 100, 2, 128],
    [0.001, 1, 2 ** -10, 1],
    [2 ** 29, 2 ** 31, 2 ** 29, 2 ** 31],
  ])('rounds %s .. %s to powers of two', (smallest, largest, first, last) => {
    const { coarseBounds } = new LogBuckets(smallest, largest)
    expect([coarseBounds[0], coarseBounds.at(-2)]).toEqual([first, last])
  })

  it('puts every number into the first bucket whose bound is not below it', () => {
    const buckets = new LogBuckets(0.25, 4_096)
    const { bounds } = buckets
    const sizes = fc.oneof(
      fc.double({ min: 0, max: 10_000, noNaN: true }),
      fc.constantFrom(...bounds.slice(0, -1)),
      fc.constantFrom(0, 5e-324, Number.MAX_VALUE),
    )
    fc.assert(
      fc.property(sizes, (value) => {
        expect(buckets.indexOf(value)).toBe(bounds.findIndex((bound) => value <= bound))
      }),
      { numRuns: 2_000 },
    )
  })

  it('loses nothing when it sums up for a page', () => {
    const buckets = new LogBuckets(1, 64)
    const values = fc.array(fc.double({ min: 0, max: 200, noNaN: true }), { maxLength: 200 })
    fc.assert(
      fc.property(values, (all) => {
        const counts = new Float64Array(buckets.bounds.length)
        for (const value of all) counts[buckets.indexOf(value)] = (counts[buckets.indexOf(value)] ?? 0) + 1
        let below = 0
        buckets.coarse(counts).forEach((count, index) => {
          below += count
          const bound = buckets.coarseBounds[index] ?? NaN
          expect(below).toBe(all.filter((value) => value <= bound).length)
        })
      }),
    )
  })
})

describe('a percentile', () => {
  const buckets = new LogBuckets(1, 4_096)

  it('lies in the bucket of the truth: within an eighth of it, above the first bound', () => {
    const sizes = fc.oneof(fc.double({ min: 0, max: 4_096, noNaN: true }), fc.constantFrom(0, 1, 1.125, 4_096))
    const values = fc.array(sizes, { minLength: 1, maxLength: 300 })
    fc.assert(
      fc.property(values, fc.integer({ min: 0, max: 100 }), (all, percentage) => {
        const counts = new Float64Array(buckets.bounds.length)
        for (const value of all) counts[buckets.indexOf(value)] = (counts[buckets.indexOf(value)] ?? 0) + 1
        const rank = Math.max(1, Math.ceil((percentage / 100) * all.length))
        const truth = [...all].sort((a, b) => a - b)[rank - 1] ?? NaN
        const told = percentileOf(buckets.bounds, counts, percentage) ?? NaN
        const bucket = buckets.indexOf(truth)
        expect(told).toBeGreaterThan(buckets.bounds[bucket - 1] ?? 0)
        expect(told).toBeLessThanOrEqual(buckets.bounds[bucket] ?? NaN)
        if (bucket > 0) expect(Math.abs(told - truth) / truth).toBeLessThanOrEqual(0.125)
      }),
    )
  })

  it('of nothing is none, and above the last bound it is only known to be larger', () => {
    expect(percentileOf([1, 2, Infinity], [0, 0, 0], 50)).toBeUndefined()
    expect(percentileOf([1, 2, Infinity], [1, 0, 1], 100)).toBe(Infinity)
  })
})
