import { performance } from 'node:perf_hooks'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { didYouMean, nearest } from './nearest.js'

/** Levenshtein's distance by its definition. */
function distanceOf(a: string, b: string, known = new Map<string, number>()): number {
  if (a === '' || b === '') return a.length + b.length
  const key = `${a}\n${b}`
  const found = known.get(key)
  if (found !== undefined) return found
  const [shorterA, shorterB] = [a.slice(1), b.slice(1)]
  const distance = Math.min(
    distanceOf(shorterA, shorterB, known) + (a[0] === b[0] ? 0 : 1),
    distanceOf(shorterA, b, known) + 1,
    distanceOf(a, shorterB, known) + 1,
  )
  known.set(key, distance)
  return distance
}

describe('nearest', () => {
  it('finds those that differ by few letters, nearest first and three at most', () => {
    expect(nearest('serach', ['search', 'sear', 'sarch', 'reach', 'other', 'SERACH'])).toEqual([
      'SERACH',
      'search',
      'sarch',
    ])
    expect(nearest('x', ['abcdef'])).toEqual([])
    expect(didYouMean('flag', ['flags'])).toBe('; did you mean "flags"?')
  })

  it('agrees with the distance by its definition', () => {
    const aName = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 12 })
    fc.assert(
      fc.property(aName, aName, (name, known) => {
        const isNear = distanceOf(name, known) <= Math.max(2, Math.floor(known.length / 3))
        expect(nearest(name, [known])).toEqual(isNear ? [known] : [])
      }),
      { numRuns: 2_000 },
    )
  })

  it('looks through 10,000 names about as quickly as they can be read', () => {
    const names = Array.from({ length: 10_000 }, (_, i) => `feature-of-the-bot-${i}`)
    const tookMs = (): number => {
      const start = performance.now()
      nearest('feature-of-teh-bot-500', names)
      return performance.now() - start
    }
    // The best of several: other work on the machine only ever adds.
    expect(Math.min(...Array.from({ length: 10 }, tookMs))).toBeLessThan(20)
  })
})
