import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isSameData } from './same-data.js'

/** Data that contains itself. */
function circle(): Record<string, unknown> {
  const data: Record<string, unknown> = { a: 1 }
  data['self'] = data
  return data
}

describe('isSameData', () => {
  it('says what Node says, of whatever is compared', () => {
    const anything = fc.anything({ maxDepth: 3, withDate: true, withNullPrototype: true, withMap: true })
    fc.assert(
      fc.property(anything, anything, (one, other) => {
        expect(isSameData(one, other)).toBe(isDeepStrictEqual(one, other))
        expect(isSameData(one, structuredClone(one))).toBe(isDeepStrictEqual(one, structuredClone(one)))
      }),
    )
  })

  it.each([
    [
      { a: 1, b: [2, { c: null }] },
      { b: [2, { c: null }], a: 1 },
    ],
    [{ a: undefined }, {}],
    [{ a: undefined }, { b: undefined }],
    [JSON.parse('{"__proto__":{}}'), { a: {} }],
    [{ a: {} }, JSON.parse('{"__proto__":{}}')],
    [[], {}],
    [[1], [1, undefined]],
    [0, -0],
    [Number.NaN, Number.NaN],
    [{ at: new Date(0) }, { at: new Date(0) }],
    [{ at: new Date(0) }, { at: new Date(1) }],
    [{ only: /a/ }, { only: /b/ }],
    [{}, Object.create(null)],
    [circle(), circle()],
  ])('says of %j and %j what Node says', (one: unknown, other: unknown) => {
    expect(isSameData(one, other)).toBe(isDeepStrictEqual(one, other))
  })
})
