import { MemoryStorage } from '@evenkeel/storage-adapter'
import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { FeatureFlags } from '../feature-flags.js'
import { Rollout } from './rollout.js'
import type { RolloutOptions } from './rollout-options.js'

const [minute, hour] = [60_000, 3_600_000]
const guilds = Array.from({ length: 400 }, (_, i) => String(81_384_788_765_712_000n + BigInt(i)))

/** A bot whose guilds make a call a minute each. The new path fails as often as it is told to. */
class Bot {
  readonly clock = new FakeClock()
  readonly storage = new MemoryStorage({ clock: this.clock })
  readonly flags = new FeatureFlags({
    flags: { newSearch: { percentage: 0 } },
    store: this.storage.collection('evenkeel'),
    clock: this.clock,
    environment: {},
  })
  readonly rollout: Rollout
  failures = 0.01
  #random = 1

  constructor(options: Partial<RolloutOptions> = {}) {
    const plan = {
      phases: [
        { name: 'testers', percentage: 0, targetGuilds: [guilds[0]!], durationMs: hour },
        { name: 'half', percentage: 50, durationMs: 2 * hour },
        { name: 'all', percentage: 100, durationMs: hour },
      ],
    }
    this.rollout = new Rollout({
      flags: this.flags,
      flag: 'newSearch',
      plan,
      store: this.storage.collection('evenkeel'),
      scope: 'process',
      clock: this.clock,
      random: () => this.random(),
      intervalMs: minute,
      leaseMs: 2 * minute,
      settleMs: 0,
      guilds: () => guilds,
      ...options,
    })
  }

  async start(): Promise<void> {
    await this.flags.start()
    await this.rollout.start()
  }

  async stop(): Promise<void> {
    await this.rollout.stop()
    await this.flags.stop()
    await this.storage.stop()
  }

  async serve(minutes: number): Promise<void> {
    for (let i = 0; i < minutes; i++) {
      for (const guildId of guilds) {
        const fails = this.random() < this.failures
        const isBad = this.random() < 0.01
        const on = (): string => (fails ? throwIt() : 'new')
        await this.flags.run('newSearch', { guildId }, on, () => (isBad ? throwIt() : 'old')).catch(() => undefined)
      }
      await this.clock.advance(minute)
    }
  }

  on(): number {
    return guilds.filter((guildId) => this.flags.isEnabled('newSearch', { guildId })).length
  }

  /** The same each time (Park and Miller, 1988). */
  random(): number {
    this.#random = (this.#random * 48_271) % 2_147_483_647
    return this.#random / 2_147_483_647
  }
}

function throwIt(): never {
  throw new Error('no such index')
}

describe('a rollout of real flags', () => {
  it('puts its share in force for target guilds and by percentage', async () => {
    const bot = new Bot()
    await bot.start()
    expect(bot.on()).toBe(1)
    await bot.rollout.skip({ why: 'go on' })
    expect(bot.on()).toBeGreaterThan(150)
    expect(bot.on()).toBeLessThan(250)
    await bot.stop()
    expect(bot.clock.pending).toBe(0)
  })

  it('rolls back a new path that fails far more often, and only that', async () => {
    const bot = new Bot()
    await bot.start()
    // What is usual for each guild is learnt while it has the old path.
    await bot.serve(45)
    await bot.rollout.skip({ why: 'go on' })
    await bot.serve(30)
    expect(bot.rollout.status.state).toBe('RUNNING')
    bot.failures = 0.3
    await bot.serve(30)
    expect(bot.rollout.status).toMatchObject({ state: 'ROLLED_BACK', percentage: 0 })
    expect((await bot.rollout.finished).why).toMatch(/; all is well now$/)
    expect(bot.on()).toBe(0)
    await bot.stop()
  })

  it('rolls back a new path that is broken for good, though the flag falls back and hides it', async () => {
    const bot = new Bot()
    await bot.start()
    await bot.rollout.skip({ why: 'go on' })
    await bot.serve(2)
    bot.failures = 1
    await bot.serve(15)
    expect(bot.rollout.status).toMatchObject({ state: 'ROLLED_BACK', percentage: 0 })
    await bot.stop()
  })

  it('rolls back what falls back where there is nothing to compare', async () => {
    const phases = [{ name: 'testers', percentage: 0, targetGuilds: [guilds[0]!], durationMs: hour }]
    const bot = new Bot({ plan: { phases, triggers: {} } })
    await bot.start()
    // One guild is no evidence, however often it fails.
    for (let i = 0; i < 15; i++) {
      for (let call = 0; call < 10; call++) {
        await bot.flags.run('newSearch', { guildId: guilds[0]! }, throwIt, () => 'old').catch(() => undefined)
      }
      await bot.clock.advance(minute)
    }
    expect(bot.rollout.status.state).toBe('ROLLED_BACK')
    expect((await bot.rollout.finished).why).toBe(
      'the flag fell back to the old path, and did not recover within 10m; all is well now',
    )
    await bot.stop()
  })

  it('refuses a flag with variants, and asks a person where the environment decides', async () => {
    const clock = new FakeClock()
    const store = new MemoryStorage({ clock }).collection('evenkeel')
    const flags = new FeatureFlags({
      flags: { layout: { variants: ['old', 'new'], default: 'old' }, newSearch: { percentage: 0 } },
      clock,
      environment: { EVENKEEL_FLAG_NEW_SEARCH: 'on' },
    })
    const plan = { phases: [{ name: 'all', percentage: 100, durationMs: hour }] }
    const options = { plan, store, clock, scope: 'process' } as const
    expect(() => new Rollout({ flags, flag: 'layout', ...options })).toThrow(TypeError)
    const rollout = new Rollout({ flags, flag: 'newSearch', ...options })
    await rollout.start()
    expect(rollout.status.state).toBe('PAUSED')
    expect(rollout.status.why).toContain('the environment decides in place of the rollout (EVENKEEL_FLAG_NEW_SEARCH')
    await rollout.stop()
  })

  it('rolls back in batches of the guilds that came last, target guilds among them', async () => {
    const bot = new Bot({ batchGuilds: 150 })
    await bot.start()
    await bot.rollout.skip({ why: 'go on' })
    await bot.rollout.skip({ why: 'go on' })
    await bot.rollout.rollback({ why: 'harm', gradually: true })
    const counts = [bot.on()]
    for (let i = 0; i < 2; i++) {
      await bot.clock.advance(30_000)
      counts.push(bot.on())
    }
    // A target guild may count in the batch though it stands below the percentage.
    expect(counts.map((count) => count - (count % 10))).toEqual([250, 100, 0])
    expect((await bot.rollout.finished).outcome).toBe('ROLLED_BACK')
    await bot.stop()
  })

  it('pauses when somebody sets the percentage, and holds while the flag is disabled', async () => {
    const bot = new Bot()
    await bot.start()
    await bot.flags.setPercentage('newSearch', 30, { why: 'a demonstration' })
    await bot.clock.advance(1)
    expect(bot.rollout.status.state).toBe('PAUSED')
    await bot.rollout.resume({ why: 'it is over' })
    expect(bot.flags.status('newSearch').percentage).toBe(0)
    await bot.flags.disable('newSearch', { why: 'the index is being rebuilt' })
    await bot.clock.advance(1)
    expect(bot.rollout.status).toMatchObject({ state: 'HOLDING', why: 'the flag is disabled' })
    await bot.flags.enable('newSearch', { why: 'it is rebuilt' })
    await bot.clock.advance(2 * minute)
    expect(bot.rollout.status.state).toBe('RUNNING')
    await bot.stop()
  })

  it('finds an override that keeps the flag on for a guild after a rollback', async () => {
    const bot = new Bot()
    await bot.start()
    await bot.flags.override('newSearch', { guildId: guilds[5]! }, true, { why: 'a tester' })
    await bot.rollout.rollback({ why: 'harm' })
    expect((await bot.rollout.finished).why).toContain(`flag is off (it is on for guild ${guilds[5]})`)
    await bot.stop()
  })

  it('pauses by what is measured beside the calls', async () => {
    let satisfaction = 4.5
    const bot = new Bot({
      plan: {
        phases: [{ name: 'all', percentage: 100, durationMs: 9 * hour }],
        triggers: { minSatisfaction: 3.5 },
      },
      measure: async () => ({ satisfaction }),
    })
    await bot.start()
    await bot.clock.advance(10 * minute)
    expect(bot.rollout.status.state).toBe('RUNNING')
    satisfaction = 1
    await bot.clock.advance(2 * hour)
    expect(bot.rollout.status.state).toBe('PAUSED')
    await bot.stop()
  })
})
