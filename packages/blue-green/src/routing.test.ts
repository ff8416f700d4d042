import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bucketOf, hash, makeRoute, versionFor } from './routing.js'

/** Any string, lone surrogates too, and ids as chat platforms make them. */
const anyId = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '__proto__', '\0', '\ud800', 'é', 'e\u0301', '💥'),
  fc.bigInt({ min: 0n, max: 2n ** 64n }).map(String),
)
const anyPercentage = fc.oneof(fc.double({ min: 0, max: 100, noNaN: true }), fc.constantFrom(0, 1, 50, 100))

describe('routing', () => {
  it('never moves a guild back when the percentage rises', () => {
    fc.assert(
      fc.property(anyId, fc.string(), anyPercentage, anyPercentage, (id, salt, a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)]
        const isGreenAt = (share: number): boolean =>
          versionFor(makeRoute('blue', 'green', share, salt), id) === 'green'
        return !isGreenAt(low) || isGreenAt(high)
      }),
      { numRuns: 2_000 },
    )
  })

  it('gives an id the same version each time', () => {
    fc.assert(
      fc.property(anyId, fc.string(), anyPercentage, (id, salt, share) => {
        const version = versionFor(makeRoute('blue', 'green', share, salt), id)
        expect(versionFor(makeRoute('blue', 'green', share, salt), id)).toBe(version)
      }),
    )
  })

  it('takes 0 for nobody and 100 for everybody', () => {
    fc.assert(
      fc.property(anyId, fc.string(), (id, salt) => {
        expect(versionFor(makeRoute('blue', 'green', 0, salt), id)).toBe('blue')
        expect(versionFor(makeRoute('blue', 'green', 100, salt), id)).toBe('green')
      }),
    )
  })

  it('takes the buckets below the threshold, and not the threshold itself', () => {
    const saltHash = hash('salt')
    const threshold = bucketOf('a', saltHash)
    const route = { blue: 'blue', green: 'green', saltHash, first: undefined }
    expect(versionFor({ ...route, threshold }, 'a')).toBe('blue')
    expect(versionFor({ ...route, threshold: threshold + 1 }, 'a')).toBe('green')
  })

  it.each([
    ['snowflakes of one shard', (i: number) => String((BigInt(i) * 4096n + 175928847299117063n) << 3n)],
    ['numbers in a row', String],
    ['names with a tail', (i: number) => `guild-${'x'.repeat(40)}-${i}`],
  ])('spreads %s evenly, and anew for each salt', (_what, idOf) => {
    const ids = Array.from({ length: 20_000 }, (_, i) => idOf(i))
    const greens = ['one', 'two', 'three'].map((salt) => {
      const route = makeRoute('blue', 'green', 10, salt)
      return new Set(ids.filter((id) => versionFor(route, id) === 'green'))
    })
    // Five standard deviations of a binomial draw: 2,000 +- 212.
    for (const green of greens) expect(Math.abs(green.size - 2_000)).toBeLessThan(212)
    const [first, second] = greens as [Set<string>, Set<string>]
    const shared = [...first].filter((id) => second.has(id)).length
    expect(Math.abs(shared - 200)).toBeLessThan(70)
  })

  it('keeps its buckets between releases, or a restart with an upgrade would move guilds', () => {
    expect(hash('a')).toBe(0xe40c292c)
    expect(hash('foobar')).toBe(0xbf9cf968)
    expect(bucketOf('81384788765712384', hash('salt'))).toBe(2579251031)
  })
})
