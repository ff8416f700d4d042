import { describe, expect, it } from 'vitest'
import { tellDeployment, type DeploymentStory } from '../test-support/deployment-story.js'
import { FaultyStore } from '../test-support/faulty-store.js'
import { randomFrom } from '../test-support/random.js'
import { TestBot } from '../test-support/test-bot.js'

/** `EVENKEEL_RUNS=400` for the long form. */
const runs = Number(process.env['EVENKEEL_RUNS'] ?? 40)

const minute = 60_000
const windows = 24

/** On a clock that stands still calls take no time, of which nothing is learnt. */
const byErrors = { responseTimeIncrease: false } as const

interface Story {
  readonly guilds: number
  /** How many times as often green fails. */
  readonly ratio: number
  /** Which part of the calls of a guild fail, in which window. */
  readonly errorRatio: (guild: number, window: number) => number
}

/** One deployment from the first event to its end: what became of it, and in which window. */
async function live(seed: number, { guilds, ratio, errorRatio }: Story): Promise<{ phase: string; window: number }> {
  const random = randomFrom(seed)
  const ids = Array.from({ length: guilds }, (_, i) => `guild-${seed}-${i}`)
  const bot = new TestBot(new FaultyStore(), { judge: byErrors, random })
  const serve = async (window: number): Promise<void> => {
    const calls = ids.map((guildId, i) => {
      const run = (version: string): string => {
        if (random() < errorRatio(i, window) * (version === 'v2' ? ratio : 1)) throw new Error('no')
        return version
      }
      return bot.blueGreen.handle({ guildId, run }).catch(() => undefined)
    })
    await Promise.all(calls)
    await bot.clock.advance(10 * minute)
  }
  await bot.blueGreen.start()
  for (let window = -12; window < 0; window++) await serve(window)
  const plan = { percentages: [10, 25, 50, 100], stepMs: 60 * minute, maxHoldMs: 86_400_000 }
  await bot.blueGreen.deploy('v2', plan)
  for (let window = 0; window < windows; window++) {
    await serve(window)
    const { phase } = bot.blueGreen.status
    if (phase === 'ROLLED_BACK') return { phase, window }
  }
  return { phase: bot.blueGreen.status.phase, window: windows }
}

/** Which part was rolled back, half of those after how many windows, and which part got to its end. */
async function rolledBack(
  runs: number,
  story: Story,
): Promise<{ ratio: number; median: number | undefined; complete: number }> {
  const found: number[] = []
  let complete = 0
  for (let seed = 1; seed <= runs; seed++) {
    const { phase, window } = await live(seed, story)
    if (phase === 'COMPLETE') complete += 1
    if (phase === 'ROLLED_BACK') found.push(window + 1)
  }
  return {
    complete: complete / runs,
    ratio: found.length / runs,
    median: found.toSorted((a, b) => a - b)[Math.floor(found.length / 2)],
  }
}

/** A hundredth of the guilds fail always; the whole platform fails four times as often for half an hour. */
const usual = (guild: number, window: number): number =>
  guild % 100 === 0 ? 1 : window >= 6 && window < 9 ? 0.08 : 0.02

it(
  'rolls back at most one harmless deployment in 100, with broken guilds and a bad hour of the platform',
  { timeout: 1_500 * runs },
  async () => {
    const { ratio, complete } = await rolledBack(runs, { guilds: 300, ratio: 1, errorRatio: usual })
    console.info(`harmless: ${ratio * 100} % of ${runs} rolled back, ${complete * 100} % complete`)
    expect(ratio).toBeLessThanOrEqual(0.01)
    // The others wait for evidence.
    expect(complete).toBeGreaterThan(0.4)
  },
)

it(
  'finds five times as many errors in every deployment, half of them within an hour',
  { timeout: 1_500 * runs },
  async () => {
    const { ratio, median } = await rolledBack(runs / 2, { guilds: 300, ratio: 5, errorRatio: usual })
    console.info(`five times the errors: ${ratio * 100} % of ${runs / 2} rolled back, half of them in window ${median}`)
    expect(ratio).toBe(1)
    expect(median).toBeLessThanOrEqual(6)
  },
)

/** `pnpm simulate --of deployments` is the long form. */
describe('told call by call, with all of the defaults', () => {
  const outage = { afterMs: 30 * minute, forMs: 10 * minute, hitRatio: 1, isNoticed: false }

  async function phasesOf(count: number, story: DeploymentStory): Promise<readonly string[]> {
    const phases: string[] = []
    for (let seed = 1; seed <= count; seed++) phases.push((await tellDeployment(seed, story)).phase)
    return phases
  }

  it.each<[string, DeploymentStory]>([
    ['on usual days', {}],
    ['with an outage for all at 50 %', { incident: { ...outage, step: 1 } }],
    ['with an outage for a third of the guilds at 50 %', { incident: { ...outage, step: 1, hitRatio: 1 / 3 } }],
    ['with an outage for all at 100 % that health notices', { incident: { ...outage, step: 2, isNoticed: true } }],
  ])(
    'no harmless one of twelve is rolled back %s',
    async (_, story) => {
      expect(await phasesOf(12, story)).not.toContain('ROLLED_BACK')
    },
    60_000,
  )

  it.each<[string, DeploymentStory]>([
    ['has five times the errors', { errors: 5 }],
    ['is twice as slow', { slowness: 2 }],
    ['fails in every call', { broken: 100 }],
  ])(
    'each one of six is rolled back that %s',
    async (_, story) => {
      expect(new Set(await phasesOf(6, story))).toEqual(new Set(['ROLLED_BACK']))
    },
    60_000,
  )
})
