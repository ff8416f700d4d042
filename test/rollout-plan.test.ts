import { BlueGreen, fromRolloutPlan, memoryState, type Deployment } from '@evenkeel/blue-green'
import { parsePlan } from '@evenkeel/feature-flags/rollout'
import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'

// The plan that drives a flag drives a deployment: one file, two packages that never import each other.

const yaml = `
rollout_strategy:
  type: "canary"
  phases:
    - name: "internal"
      percentage: 0
      target_guilds: ["81384788765712384"]
      duration: "6h"
    - name: "canary"
      percentage: 10
      duration: "24h"
    - name: "gradual"
      percentage: [25, 50, 100]
      duration_per_phase: "12h"
  rollback_triggers:
    - error_rate_increase: 20%
    - response_time_degradation: 50%
    - user_complaints: 5
    - memory_usage_increase: 30%
    - database_connection_failures: 5
    - database_query_timeouts: 5
`
const [minute, hour] = [60_000, 3_600_000]
const testers = '81384788765712384'
const guilds = Array.from({ length: 200 }, (_, i) => `guild-${i}`)

/** The same draws in each run (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** How a version fares: how long its calls take, how many windows there are for one with an error, and what it does by the way. */
interface Manner {
  readonly slower?: number
  readonly errorIn?: number
  readonly tells?: 'userReport' | 'connectionFailure' | 'queryTimeout'
}

interface Call {
  readonly guildId: string
  /** Which guild, and which window. */
  readonly turn: number
}

/** A bot of two hundred guilds, each of which calls once in ten minutes. */
class Bot {
  readonly clock = new FakeClock(0)
  readonly blueGreen: BlueGreen<Record<'v1' | 'v2', (call: Call) => Promise<string>>>

  constructor(judge: ReturnType<typeof fromRolloutPlan>['judge'], green: Manner) {
    const version = (name: 'v1' | 'v2', { slower = 1, errorIn = 12, tells }: Manner) => {
      return async ({ guildId, turn }: Call): Promise<string> => {
        await new Promise<void>((resolve) => this.clock.after(slower * (20 + ((turn * 37) % 50)), resolve))
        if (tells !== undefined && turn % 15 === 0) this.blueGreen.report({ guildId, kind: tells, version: name })
        if (turn % errorIn === 0) throw new Error('no answer')
        return name
      }
    }
    this.blueGreen = new BlueGreen({
      versions: { v1: version('v1', {}), v2: version('v2', green) },
      initial: 'v1',
      context: ({ guildId }) => ({ eventId: null, guildId }),
      store: memoryState(),
      ...(judge !== undefined && { judge }),
      clock: this.clock,
      random: randomFrom(7),
    })
  }

  async serve(hours: number, isOver: () => boolean = () => false): Promise<void> {
    for (let window = 0; window < 6 * hours && !isOver(); window++) {
      const windows = Math.round(this.clock.now() / (10 * minute))
      for (const [i, guildId] of [...guilds, testers].entries()) {
        void this.blueGreen.handle({ guildId, turn: i + windows }).catch(() => undefined)
      }
      await this.clock.advance(10 * minute)
    }
  }
}

async function deployed(green: Manner): Promise<{ bot: Bot; deployment: Deployment }> {
  const { judge, deploy } = fromRolloutPlan(await parsePlan(yaml, 'yaml'))
  const bot = new Bot(judge, green)
  await bot.blueGreen.start()
  await bot.serve(4)
  const deployment = await bot.blueGreen.deploy('v2', deploy)
  return { bot, deployment }
}

describe('a plan in YAML, as a rollout of a flag goes by it', () => {
  it('drives a deployment through its phases, each for its own time, to the end', async () => {
    const { bot, deployment } = await deployed({})
    expect(deployment.status).toMatchObject({ percentages: [0, 10, 25, 50, 100], percentage: 0, stepMs: 6 * hour })
    const byTesters = bot.blueGreen.handle({ guildId: testers, turn: 1 })
    const byOthers = bot.blueGreen.handle({ guildId: 'guild-1', turn: 1 })
    await bot.clock.advance(0)
    const begins = new Map<number, number>()
    const began = bot.clock.now()
    await bot.serve(100, () => {
      const { percentage } = deployment.status
      if (!begins.has(percentage)) begins.set(percentage, bot.clock.now() - began)
      return bot.blueGreen.deployment === undefined
    })
    expect([await byTesters, await byOthers]).toEqual(['v2', 'v1'])
    expect((await deployment.finished).outcome).toBe('COMPLETE')
    expect([...begins]).toEqual([
      [0, 0],
      [10, 6 * hour],
      [25, 30 * hour],
      [50, 42 * hour],
      [100, 54 * hour],
    ])
    expect(bot.clock.now() - began).toBe(66 * hour)
  })

  it.each<[string, Manner, string]>([
    ['more errors', { errorIn: 3 }, 'guilds with errors'],
    ['slower answers', { slower: 4 }, 'latency'],
    ['more complaints', { tells: 'userReport' }, 'reports'],
    ['connections that fail', { tells: 'connectionFailure' }, 'connection failures'],
    ['queries that time out', { tells: 'queryTimeout' }, 'query timeouts'],
  ])('takes a version with %s back, and says so', async (_, green, why) => {
    const { bot, deployment } = await deployed(green)
    await bot.serve(100, () => bot.blueGreen.deployment === undefined)
    const result = await deployment.finished
    expect(result.outcome).toBe('ROLLED_BACK')
    expect(result.why).toContain(why)
    expect(deployment.report().log.every(({ percentage }) => percentage <= 10)).toBe(true)
  })

  it('holds a version that grows', async () => {
    const { bot, deployment } = await deployed({})
    for (const [version, bytes] of [
      ['v1', 100e6],
      ['v2', 140e6],
    ] as const) {
      for (let part = 0; part < 8; part++) {
        bot.blueGreen.measureMemory(version, { ageMs: (part + 0.5) * 30 * minute, bytes })
      }
    }
    await bot.serve(36)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 10, awaitsEvidence: true })
    expect(deployment.status.why).toContain('memory: the new version uses 1.40 times as much')
  })

  it('with no trigger goes by time alone', async () => {
    const byTime = fromRolloutPlan(await parsePlan(yaml.replace(/rollback_triggers:[^]*/, 'rollback_triggers: []\n'), 'yaml')) // prettier-ignore
    const bot = new Bot(byTime.judge, { errorIn: 3 })
    const deployment = await bot.blueGreen.deploy('v2', byTime.deploy)
    await bot.clock.advance(66 * hour)
    expect((await deployment.finished).outcome).toBe('COMPLETE')
  })

  it('with an absolute limit is refused when the bot is made, and says what to use', async () => {
    const limited = fromRolloutPlan(await parsePlan(`${yaml}    - max_error_rate: 5%\n`, 'yaml'))
    expect(() => new Bot(limited.judge, {})).toThrow('judge has no maxErrorRatio: a deployment is judged beside the old version') // prettier-ignore
  })
})
