import { describe, expect, it } from 'vitest'
import { compareGuilds, type Compared } from './compare-guilds.js'
import { noStrangers, type Active } from './strangers.js'

const nothing: Compared = { history: {}, strangers: noStrangers }

const guilds = (from: number, to: number, isGreen: boolean, failing = 0): Active[] =>
  Array.from({ length: to - from }, (_, i) => ({ id: String(from + i), isGreen, isAffected: i < failing }))

const window = (before: Compared, active: Active[], chosen: string[] = []) => compareGuilds(before, 1, chosen, active)

describe('guilds', () => {
  it('are known after three windows on the old path, also while others are on the new one', () => {
    let before: Compared = nothing
    for (let i = 0; i < 3; i++) before = window(before, [...guilds(0, 5, true), ...guilds(5, 100, false, 9)])
    expect(before.history['50']).toEqual([3, 0])
    expect(before.history['0']).toEqual([0.3, 0])
    // Those that come to the new path now are compared with themselves, and are more than those that came before.
    const { samples } = window(before, [...guilds(0, 20, true), ...guilds(20, 100, false, 9)])
    expect(samples.whole.green.affected + samples.whole.blue.affected).toBe(9)
    expect(samples.whole.green.expected).toBeGreaterThan(1)
    expect(samples.whole.green.expected).not.toBe(Math.round(samples.whole.green.expected))
  })

  it('of which nothing is known count by who fails first', () => {
    const first = window(nothing, [...guilds(0, 10, true, 2), ...guilds(10, 100, false, 9)])
    expect(first.samples.whole).toEqual({ green: { affected: 2, expected: 10 }, blue: { affected: 9, expected: 90 } })
    const second = window(first, [...guilds(0, 10, true, 2), ...guilds(10, 100, false, 9)])
    expect(second.samples.whole).toEqual({ green: { affected: 0, expected: 8 }, blue: { affected: 0, expected: 81 } })
  })

  it('that are on the new path by choice are compared with nobody until something is known of them', () => {
    const active = [...guilds(0, 10, true, 10), ...guilds(10, 100, false, 9)]
    const chosen = guilds(0, 10, true).map(({ id }) => id)
    const { samples } = window(nothing, active, chosen)
    expect(samples.whole.green).toEqual({ affected: 0, expected: 0 })
    const known = Object.fromEntries(active.map(({ id }) => [id, [10, 5] as const]))
    expect(window({ ...nothing, history: known }, active, chosen).samples.whole.green.affected).toBe(10)
  })
})
