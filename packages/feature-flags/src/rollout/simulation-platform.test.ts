import { describe, expect, it } from 'vitest'
import { checkPlan } from './check-plan.js'
import { RolloutJudge } from './rollout-judge.js'
import type { GuildCounts } from './tally.js'
import { seeded, tell, type Story } from '../test-support/rollout-story.js'

// Each figure is the same at every run: chance is seeded.
const stories = (runs: number, seed: number, story: Story) => {
  const random = seeded(seed)
  return Array.from({ length: runs }, () => tell(random, story))
}

const bot = { by: 'guild', errors: 1, slowness: 1, guilds: 400, before: 24 } as const

/** Few calls before the rollout begins, and many a few hours later. */
const night = (hour: number): number => (hour < 0 ? 0.15 : Math.min(1, 0.15 + hour * 0.3))

describe('of rollouts that do no harm, none is stopped', () => {
  it.each<[string, number, Story]>([
    [
      'while errors of the whole platform rise from 1 to 3 % in hours',
      10,
      { ...bot, platform: (hour) => (hour < 0 ? 1 : Math.min(3, 1 + hour * 0.5)) },
    ],
    [
      'while nothing works for half an hour, on either path',
      10,
      { ...bot, guilds: 100, platform: (hour) => (hour >= 4.3 && hour < 4.8 ? 100 : 1) },
    ],
    [
      'while nothing works for half an hour, and few have the new path',
      10,
      { ...bot, platform: (hour) => (hour >= 2.3 && hour < 2.8 ? 100 : 1) },
    ],
    ['when it began at night', 10, { ...bot, traffic: night }],
    ['because of users who always fail, and call often', 6, { by: 'user', errors: 1, slowness: 1, broken: 0.4 }],
  ])(
    '%s',
    (_, runs, story) => {
      const stopped = stories(runs, 7, story).filter(({ action }) => action !== 'CONTINUE')
      expect(stopped.map(({ why }) => why)).toEqual([])
    },
    60_000,
  )
})

describe('harm is found all the same', () => {
  it('of five times the errors, in a rollout that began at night', () => {
    const told = stories(10, 7, { ...bot, errors: 5, traffic: night })
    expect(told.filter(({ action }) => action === 'ROLLBACK')).toHaveLength(10)
  }, 60_000)
})

/** Looks each quarter of a minute; after 25 minutes something breaks for twenty. Which look asks for a rollback. */
function lookForCatastrophe(random: () => number, percentage: number, isPlatform: boolean): number | undefined {
  const plan = checkPlan({ phases: [{ name: 'phase', percentage, durationMs: 1e7 }], triggers: {} })
  const judge = new RolloutJudge({ plan, by: 'guild', random })
  const guilds = Array.from({ length: 100 }, (_, i) => {
    return { id: `guild ${i}`, isGreen: random() * 100 < percentage, rate: Math.exp(-3 * random()) }
  })
  let state = judge.start()
  for (let look = 0; look < 240; look++) {
    const isBroken = look >= 100 && look < 180
    const rows: Record<string, GuildCounts> = {}
    for (const { id, isGreen, rate } of guilds) {
      if (random() >= rate) continue
      const fails = (isBroken && (isPlatform || isGreen)) || random() < 0.01 ? 1 : 0
      rows[id] = isGreen ? [1, fails, 0, 0] : [0, 0, 1, fails]
    }
    const none = { calls: 0, failures: 0, reports: 0 }
    const processes = [{ green: none, blue: none, guilds: rows, latencies: { green: [], blue: [] } }]
    state = judge.observe(state, { tookMs: 15_000, phase: 0, processes })
    if (judge.judge(state).action === 'ROLLBACK') return look
  }
  return undefined
}

describe.each([10, 50, 90])('at %s %%, what breaks from one moment to the next', (percentage) => {
  it('is a catastrophe when it is the new path, within minutes', () => {
    const random = seeded(3)
    const looks = Array.from({ length: 8 }, () => lookForCatastrophe(random, percentage, false) ?? Infinity)
    expect(Math.min(...looks)).toBeGreaterThan(100)
    expect(Math.max(...looks)).toBeLessThan(180)
  })

  it('is none when it is the platform, neither when it begins nor when it ends', () => {
    const random = seeded(4)
    const looks = Array.from({ length: 8 }, () => lookForCatastrophe(random, percentage, true))
    expect(looks.every((look) => look === undefined)).toBe(true)
  })
})
