import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
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

  it('compares of each of 10,000 names only the letters that can still be near', () => {
    const names = Array.from({ length: 10_000 }, (_, i) => `feature-of-the-bot-${i}`)
    const looks = vi.spyOn(String.prototype, 'charCodeAt')
    const sought = 'feature-of-teh-bot-500'
    expect(nearest(sought, names)[0]).toBe('feature-of-the-bot-500')
    const compared = looks.mock.calls.length
    looks.mockRestore()
    // With three that differ by two letters at most, each letter is held against five others; all of them would be four times as many.
    expect(compared).toBeGreaterThan(0)
    expect(compared).toBeLessThan(names.length * sought.length * 6)
  })
})
