import { describe, expect, it } from 'vitest'
import {
  errorStory,
  guildStory,
  incident,
  latencyStory,
  manyMetricsStory,
  seeded,
  simulate,
  type GuildModel,
} from './test-support/simulation.js'

// Each figure is the same at every run: chance is seeded.
const plain = { green: 200, blue: 1_800 }

describe('of a thousand rollouts', () => {
  it.each([
    ['errors, 240 looks', 240, errorStory(seeded(1), { ...plain, ratio: 1 })],
    ['few errors, 240 looks', 240, errorStory(seeded(2), { green: 20, blue: 180, ratio: 1 })],
    [
      'the share of the traffic grows, and the whole platform fails four times as often for twenty minutes',
      60,
      errorStory(seeded(3), { ...plain, ...incident, ratio: 1 }),
    ],
    ['four metrics over seven phases, 240 looks', 240, manyMetricsStory(seeded(4))],
    [
      'latencies, with a slow quarter of an hour',
      60,
      latencyStory(seeded(5), { green: 20, blue: 180, ratio: 1, sigma: 0.8 }),
    ],
    ['latencies of few calls', 60, latencyStory(seeded(11), { green: 1, blue: 9, ratio: 1, sigma: 0.8 })],
    [
      'latencies in an overload, where one call in ten stalls',
      60,
      latencyStory(seeded(12), { green: 20, blue: 180, ratio: 1, sigma: 0.8, stalls: 0.1 }),
    ],
  ] as const)(
    'ten at most are rolled back without a difference: %s',
    (_, looks, story) => {
      expect(simulate(1_000, looks, story).found).toBeLessThanOrEqual(0.01)
    },
    60_000,
  )

  it.each<GuildModel>(['iid', 'persistent', 'bursts'])(
    'one in a hundred at most is rolled back without a difference, where guilds stay on one version: %s',
    (model) => {
      expect(simulate(200, 6, guildStory(seeded(6), model, 1)).found).toBeLessThanOrEqual(0.01)
      expect(simulate(50, 6, guildStory(seeded(7), model, 3)).found).toBeGreaterThanOrEqual(0.98)
    },
    60_000,
  )

  it('all that double the errors are found, half of them within nine minutes', () => {
    const { found, medianLook } = simulate(500, 60, errorStory(seeded(8), { ...plain, ratio: 2 }))
    expect(found).toBe(1)
    expect(medianLook).toBeLessThanOrEqual(9)
  })

  it('all with five times the errors are found, half of them in the first minute', () => {
    const { found, medianLook } = simulate(500, 60, errorStory(seeded(9), { ...plain, ratio: 5 }))
    expect({ found, medianLook }).toEqual({ found: 1, medianLook: 1 })
  })

  it('all that are half as slow again are found within a quarter of an hour', () => {
    const { found, medianLook } = simulate(
      100,
      60,
      latencyStory(seeded(10), { green: 20, blue: 180, ratio: 1.5, sigma: 0.8 }),
    )
    expect(found).toBe(1)
    expect(medianLook).toBeLessThanOrEqual(10)
  })

  it('all that take twice as long are found in an overload, where one call in ten stalls on either version', () => {
    const story = { green: 20, blue: 180, ratio: 2, sigma: 0.8, stalls: 0.1, maxIncrease: 0.5 }
    const { found, medianLook } = simulate(100, 60, latencyStory(seeded(13), story))
    expect(found).toBeGreaterThanOrEqual(0.98)
    expect(medianLook).toBeLessThanOrEqual(10)
  })
})
