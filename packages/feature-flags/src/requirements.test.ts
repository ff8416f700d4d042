import { describe, expect, it } from 'vitest'
import { orderByRequirement } from './requirements.js'

const order = (requires: Record<string, string[]>): string[] => orderByRequirement(new Map(Object.entries(requires)))

describe('orderByRequirement', () => {
  it('puts each flag after all that it requires', () => {
    expect(order({ c: ['b', 'a'], a: [], b: ['a'], d: ['c'] })).toEqual(['a', 'b', 'c', 'd'])
  })

  it('refuses a circle by the names of those in it, and of no other', () => {
    expect(() => order({ x: ['a'], a: ['b'], b: ['c'], c: ['a'] })).toThrow(
      'Flags require one another in a circle: "a" -> "b" -> "c" -> "a"',
    )
    expect(() => order({ a: ['a'] })).toThrow('"a" -> "a"')
  })

  it('takes two ways to one flag for what it is, not for a circle', () => {
    expect(order({ a: [], b: ['a'], c: ['a'], d: ['b', 'c'] })).toEqual(['a', 'b', 'c', 'd'])
  })

  it('names a required flag that is missing, and what may have been meant', () => {
    expect(() => order({ search: [], b: ['serach'] })).toThrow(
      'Flag "b" requires "serach", which is not declared; did you mean "search"?',
    )
  })

  it('orders a chain of 100,000 flags, and shortens the message about so long a circle', () => {
    const chain = new Map(Array.from({ length: 100_000 }, (_, i) => [`f${i}`, i === 0 ? [] : [`f${i - 1}`]]))
    expect(orderByRequirement(new Map([...chain].reverse()))[99_999]).toBe('f99999')
    chain.set('f0', ['f99999'])
    expect(() => orderByRequirement(chain)).toThrow(/circle: "f0" -> .+ -> 99992 more -> .+ -> "f0"; remove/)
  })
})
