import { describe, expect, it } from 'vitest'
import { FeatureFlags, type FlagDefinitions } from './index.js'
import { snowflakes } from './test-support/snowflakes.js'

const why = 'a test'
const ids = snowflakes(10_000)
const names = Array.from({ length: 200 }, (_, i) => `feature${i}`)

/*
 * Ids and names are fixed, so nothing here is left to chance: a check passes always or never. The bounds are those that a
 * hash with nothing wrong keeps for nearly all ids and names that one may think of: a root mean square of 200 deviations,
 * or of 19,900, lies near 1, and their largest near 3 or 4.
 */

/** Who has it, as the numbers of ids. */
function chosen(flags: FeatureFlags, name: string): number[] {
  const has: number[] = []
  for (const [i, guildId] of ids.entries()) if (flags.isEnabled(name as never, { guildId })) has.push(i)
  return has
}

function flagsOf(definitions: FlagDefinitions): FeatureFlags {
  return new FeatureFlags({ flags: definitions as never, environment: {} }) as unknown as FeatureFlags
}

/** How far a count lies from what is expected, in standard deviations of a fair draw. */
function deviation(count: number, of: number, ratio: number): number {
  return (count - of * ratio) / Math.sqrt(of * ratio * (1 - ratio))
}

function rootMeanSquare(numbers: readonly number[]): number {
  return Math.sqrt(numbers.reduce((sum, z) => sum + z * z, 0) / numbers.length)
}

/** The numbers that are in both. */
function both(a: readonly number[], b: ReadonlySet<number>): number {
  return a.reduce((sum, i) => sum + (b.has(i) ? 1 : 0), 0)
}

function expectFair(deviations: readonly number[], within: number, largest: number): void {
  expect(rootMeanSquare(deviations)).toBeGreaterThan(1 - within)
  expect(rootMeanSquare(deviations)).toBeLessThan(1 + within)
  expect(Math.max(...deviations.map(Math.abs))).toBeLessThan(largest)
}

describe('200 flags at 5 % of 10,000 guilds', () => {
  const flags = flagsOf(Object.fromEntries(names.map((name) => [name, { percentage: 5 }])))
  const on = names.map((name) => chosen(flags, name))
  const sets = on.map((each) => new Set(each))

  it('are each on for as many as chance would choose', () => {
    expectFair(
      on.map(({ length }) => deviation(length, ids.length, 0.05)),
      0.15,
      4,
    )
  })

  it('meet in as many as chance would have it, each two of them', () => {
    const overlaps: number[] = []
    for (const [i, a] of on.entries()) {
      for (const b of sets.slice(i + 1)) overlaps.push(deviation(both(a, b), ids.length, 0.05 * 0.05))
    }
    expect(overlaps).toHaveLength(19_900)
    expectFair(overlaps, 0.1, 5)
  })

  it('favour no guild: how many of the flags one has is spread as by chance', () => {
    const has = new Float64Array(ids.length)
    for (const each of on) for (const i of each) has[i] = (has[i] ?? 0) + 1
    const deviations = [...has].map((count) => deviation(count, names.length, 0.05))
    expect(rootMeanSquare(deviations)).toBeGreaterThan(0.95)
    expect(rootMeanSquare(deviations)).toBeLessThan(1.05)
    // Someone must have many of them: of 10,000, the luckiest have about 25 of 200.
    expect(Math.max(...has)).toBeLessThan(30)
  })

  it('favour no age of guilds: the newest tenth has its tenth', () => {
    const newest = new Set(
      [...ids.keys()].sort((a, b) => (BigInt(ids[a] as string) < BigInt(ids[b] as string) ? 1 : -1)).slice(0, 1_000),
    )
    expectFair(
      on.map((each) => deviation(both(each, newest), newest.size, 0.05)),
      0.15,
      4,
    )
  })
})

describe('a percentage', () => {
  const steps = [5, 10, 25, 50, 75, 100]

  it('only ever adds guilds on its way up, and on its way down leaves those that came first', () => {
    for (const name of names.slice(0, 20)) {
      const flags = flagsOf({ [name]: { percentage: 0 } })
      const at = (percentage: number): number[] => {
        void flags.setPercentage(name, percentage, { why })
        return chosen(flags, name)
      }
      expect(at(0)).toEqual([])
      const up = steps.map(at)
      for (const [i, has] of up.entries()) {
        const before = new Set(up[i - 1])
        expect(both(has, before)).toBe(before.size)
        const ratio = (steps[i] as number) / 100
        if (ratio < 1) expect(Math.abs(deviation(has.length, ids.length, ratio))).toBeLessThan(4)
      }
      expect(up.at(-1)).toHaveLength(ids.length)
      expect([...steps].reverse().map(at)).toEqual([...up].reverse())
      expect(at(0)).toEqual([])
    }
  })

  it('adds as many of one half of the guilds as of the other', () => {
    const flags = flagsOf(Object.fromEntries(names.map((name) => [name, { percentage: 50 }])))
    const half = new Set(Array.from({ length: ids.length / 2 }, (_, i) => i * 2))
    expectFair(
      names.map((name) => deviation(both(chosen(flags, name), half), half.size, 0.5)),
      0.15,
      4,
    )
  })
})

describe('the split of variants', () => {
  const tests = names.slice(0, 100)
  const split = { default: 'none', variants: ['none', 'plain', 'cards'], weights: { plain: 50, cards: 50 } } as const

  /** Of those who have the rollout, how far the number with cards lies from a half. */
  function cardsAmong(definitions: FlagDefinitions, rollout: string, test: string): number {
    const flags = flagsOf(definitions)
    const has = chosen(flags, rollout)
    const cards = has.filter((i) => flags.variant(test as never, { guildId: ids[i] }) === ('cards' as never))
    return deviation(cards.length, has.length, 0.5)
  }

  it.each([5, 25, 75])('is a half of those who have another flag at %d percent', (percentage) => {
    const deviations = tests.map((name) =>
      cardsAmong({ rollout: { percentage }, [`${name}-look`]: split }, 'rollout', `${name}-look`),
    )
    expectFair(deviations, 0.25, 4)
  })

  it.each([5, 25, 75])('is a half of those who have the flag that it requires at %d percent', (percentage) => {
    const deviations = tests.map((name) =>
      cardsAmong({ [name]: { percentage }, [`${name}-look`]: { ...split, requires: [name] } }, name, `${name}-look`),
    )
    expectFair(deviations, 0.25, 4)
  })

  it('is a half of each half of another split', () => {
    const deviations = tests.map((name) => {
      const flags = flagsOf({ [`${name}-look`]: split, [`${name}-words`]: split })
      const looks = (id: string): [unknown, unknown] => [
        flags.variant(`${name}-look` as never, { guildId: id }),
        flags.variant(`${name}-words` as never, { guildId: id }),
      ]
      const cards = ids.map(looks).filter(([look]) => look === 'cards')
      return deviation(cards.filter(([, words]) => words === 'cards').length, cards.length, 0.5)
    })
    expectFair(deviations, 0.25, 4)
  })
})
