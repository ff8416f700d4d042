import { MemoryStorage } from '@evenkeel/storage-adapter'
import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { FeatureFlags } from '../feature-flags.js'
import { manualPlan } from '../test-support/manual-plan.js'
import { seeded } from '../test-support/rollout-story.js'
import { parsePlan } from './plan-text.js'
import { Rollout } from './rollout.js'
import type { RolloutTransition } from './rollout-news.js'

const [hour, day] = [3_600_000, 86_400_000]
const intervalMs = hour / 4
const testers = ['81384788765712384', '110373943822540800', '222078108977594368']
const guilds = [
  ...testers,
  ...Array.from({ length: 297 }, (_, i) => String(333_949_691_962_195_968n + BigInt(i) * 4_194_304n)),
]

/** A bot whose guilds make a call in each quarter of an hour, which takes 100 ms or so. */
class Bot {
  readonly told: RolloutTransition[] = []
  readonly #random = seeded(1)
  readonly #clock = new FakeClock()
  /** Calls take time, which nothing else waits for. */
  #spentMs = 0
  readonly #storage = new MemoryStorage({ clock: this.#clock })
  readonly #store = this.#storage.collection('evenkeel')
  readonly #flags = new FeatureFlags({
    flags: { newSearch: { percentage: 0 } },
    store: this.#store,
    clock: {
      now: () => this.#clock.now(),
      monotonic: () => this.#clock.monotonic() + this.#spentMs,
      after: (delayMs: number, run: () => void) => this.#clock.after(delayMs, run),
    },
    environment: {},
  })
  #rollout: Rollout | undefined

  get rollout(): Rollout {
    if (this.#rollout === undefined) throw new Error('start() first')
    return this.#rollout
  }

  async start(): Promise<void> {
    this.#rollout = new Rollout({
      flags: this.#flags,
      flag: 'newSearch',
      plan: await parsePlan(manualPlan, 'yaml'),
      store: this.#store,
      scope: 'process',
      clock: this.#clock,
      random: this.#random,
      intervalMs,
      leaseMs: 2 * intervalMs,
      guilds: () => guilds,
    })
    this.#rollout.on('transition', (transition) => this.told.push(transition))
    await this.#flags.start()
    await this.#rollout.start()
  }

  async stop(): Promise<void> {
    await this.rollout.stop()
    await this.#flags.stop()
    await this.#storage.stop()
    expect(this.#clock.pending).toBe(0)
  }

  /** Serves for so long, or until the rollout is over; the new path fails as often, and takes as long, as it is told. */
  async serve(
    forMs: number,
    newPath: { failures?: number; slowness?: number; complaints?: number } = {},
  ): Promise<void> {
    const { failures = 0.01, slowness = 1, complaints = 0 } = newPath
    for (let ms = 0; ms < forMs && this.rollout.status.state !== 'COMPLETE'; ms += intervalMs) {
      let left = complaints
      for (const guildId of guilds) {
        const call = (path: 'new' | 'old') => () => {
          this.#spentMs += 100 * (path === 'new' ? slowness : 1) * Math.exp(this.#random() + this.#random() - 1)
          if (this.#random() < (path === 'new' ? failures : 0.01)) throw new Error('no such index')
          return path
        }
        const served = await this.#flags.run('newSearch', { guildId }, call('new'), call('old')).catch(() => undefined)
        if (served === 'new' && left-- > 0) this.rollout.report({ guildId, userId: `${guildId} ${ms}` })
      }
      await this.#clock.advance(intervalMs)
    }
  }

  /** Serves until a phase begins. */
  async serveUntil(phase: string): Promise<void> {
    for (let i = 0; i < 1_000 && this.rollout.status.phase !== phase; i++) await this.serve(intervalMs)
    expect(this.rollout.status.phase).toBe(phase)
  }

  on(): number {
    return guilds.filter((guildId) => this.#flags.isEnabled('newSearch', { guildId })).length
  }
}

const steps = ({ told }: Bot): string[] => told.map(({ to, phase, percentage }) => `${to} ${phase} ${percentage} %`)

describe('the plan of the manual', { timeout: 120_000 }, () => {
  it('goes from the testers to everybody, and is complete after sixteen days', async () => {
    const bot = new Bot()
    await bot.start()
    expect(bot.on()).toBe(2)
    await bot.serve(24 * day)
    expect(steps(bot)).toEqual([
      'RUNNING internal_testing 0 %',
      'RUNNING beta 5 %',
      'RUNNING gradual_rollout (10 %) 10 %',
      'RUNNING gradual_rollout (25 %) 25 %',
      'RUNNING gradual_rollout (50 %) 50 %',
      'RUNNING gradual_rollout (75 %) 75 %',
      'RUNNING full 100 %',
      'COMPLETE full 100 %',
    ])
    const began = bot.told[0]?.at ?? 0
    expect(bot.told.map(({ at }) => Math.floor((at - began) / hour))).toEqual([0, 24, 72, 108, 144, 180, 216, 384])
    expect(bot.on()).toBe(guilds.length)
    expect(await bot.rollout.finished).toMatchObject({ outcome: 'COMPLETE' })
    await bot.stop()
  })

  it.each([
    ['fails five times as often', { failures: 0.05 }, /guilds with errors: /],
    ['takes twice as long', { slowness: 2 }, /latency/],
    ['draws complaints', { complaints: 2 }, /reports: /],
  ] as const)('is rolled back when the new path %s from 25 %% on, within a day', async (_, newPath, why) => {
    const bot = new Bot()
    await bot.start()
    await bot.serveUntil('gradual_rollout (25 %)')
    await bot.serve(day, newPath)
    expect(bot.rollout.status).toMatchObject({ state: 'ROLLED_BACK', phase: 'gradual_rollout (25 %)', percentage: 0 })
    expect(bot.told.find(({ to }) => to === 'VALIDATING')?.why).toMatch(why)
    expect(bot.on()).toBe(0)
    await bot.stop()
  })
})
