import { describe, expect, it } from 'vitest'
import { seeded, tell, type Story } from '../test-support/rollout-story.js'

// Each figure is the same at every run: chance is seeded. `pnpm simulate` tells many more.
const stories = (runs: number, seed: number, story: Story) => {
  const random = seeded(seed)
  return Array.from({ length: runs }, () => tell(random, story))
}

const same = { errors: 1, slowness: 1 }

describe('of many rollouts over seven phases', () => {
  it.each<[string, number, Story]>([
    ['by user', 4, { by: 'user', ...same }],
    ['by guild, of which some always fail and each has its own speed', 40, { by: 'guild', ...same, before: 24 }],
    ['by guild, of which nothing is known before', 100, { by: 'guild', ...same }],
  ])(
    'one in a hundred at most is stopped without a difference: %s',
    (_, runs, story) => {
      const stopped = stories(runs, 1, story).filter(({ action }) => action !== 'CONTINUE')
      expect(stopped.length / runs, JSON.stringify(stopped.map(({ why }) => why))).toBeLessThanOrEqual(0.01)
    },
    60_000,
  )

  it.each<[string, number, Story, number]>([
    ['errors by user, of whom nothing is known before', 8, { by: 'user', errors: 2, slowness: 1 }, 0.98],
    ['errors by user', 3, { by: 'user', errors: 2, slowness: 1, before: 16 }, 0.98],
    ['errors by guild', 20, { by: 'guild', errors: 2, slowness: 1, before: 24, guilds: 400 }, 0.95],
    [
      'errors by guild, of which nothing is known before',
      20,
      { by: 'guild', errors: 2, slowness: 1, guilds: 400 },
      0.9,
    ],
    ['slowness by user', 10, { by: 'user', errors: 1, slowness: 2 }, 0.98],
    ['slowness by guild', 20, { by: 'guild', errors: 1, slowness: 2, before: 24 }, 0.98],
    ['errors by user, from the fourth phase on', 6, { by: 'user', errors: 2, slowness: 1, fromPhase: 3 }, 0.95],
  ])(
    'what doubles is found: %s',
    (_, runs, story, least) => {
      const told = stories(runs, 2, story)
      const found = told.filter(({ action }) => action === 'ROLLBACK').length / told.length
      expect(found).toBeGreaterThanOrEqual(least)
    },
    60_000,
  )
})
