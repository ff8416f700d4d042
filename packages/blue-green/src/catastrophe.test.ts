import { describe, expect, it } from 'vitest'
import type { DeployOptions } from './deploy-options.js'
import { bucketOf, hash } from './routing.js'
import { FakeHealth } from './test-support/fake-health.js'
import { FaultyStore } from './test-support/faulty-store.js'
import { randomFrom } from './test-support/random.js'
import { TestBot } from './test-support/test-bot.js'

const minute = 60_000
const guilds = Array.from({ length: 200 }, (_, i) => `guild-${i}`)
const broken = (): never => {
  throw new Error('broken')
}

/** A bot whose guilds call one after the other, each as often as it is busy. */
class BusyBot extends TestBot {
  readonly random: () => number

  constructor(seed: number, options: ConstructorParameters<typeof TestBot>[1] = {}) {
    const random = randomFrom(seed)
    super(new FaultyStore(), { random, ...options })
    this.random = random
  }

  /** @param isFailing - whether a call of a guild fails on a version */
  async live(calls: number, isFailing: (guildId: string, version: string) => boolean, among = guilds): Promise<void> {
    for (let i = 0; i < calls; i++) {
      // Squared, so that few are busy and many are quiet.
      const guildId = among[Math.floor(this.random() ** 2 * among.length)] ?? ''
      const run = (version: string): unknown => (isFailing(guildId, version) ? broken() : version)
      await this.blueGreen.handle({ guildId, run }).catch(() => undefined)
      await this.clock.advance(100)
    }
  }
}

const well = (): boolean => false
const outage = (): boolean => true
const half = { percentages: [50, 100], stepMs: 60 * minute }
const seeds = Array.from({ length: 40 }, (_, i) => i + 1)

describe('an incident that hits both versions alike', () => {
  it.each<[string, (guildId: string) => boolean]>([
    ['everybody', outage],
    // A shard, a region, a feature that some use.
    ['a third of the guilds', (guildId) => Number(guildId.split('-')[1]) % 3 === 0],
  ])('takes nothing back, on whichever side guilds happen to fail first: it hits %s', async (_, isFailing) => {
    const ends: unknown[] = []
    for (const seed of seeds) {
      const bot = new BusyBot(seed)
      await bot.blueGreen.start()
      await bot.live(400, well)
      await bot.blueGreen.deploy('v2', half)
      await bot.live(400, well)
      await bot.live(400, isFailing)
      await bot.live(400, well)
      ends.push(bot.blueGreen.status.phase)
      await bot.blueGreen.stop()
    }
    expect(ends).toEqual(seeds.map(() => 'CANARY_TESTING'))
  })
})

describe('a version that fails for all its guilds', () => {
  it.each([1, 10, 50, 90])('is taken back within a minute of traffic at a share of %d', async (percentage) => {
    for (const seed of seeds.slice(0, 10)) {
      const bot = new BusyBot(seed)
      await bot.blueGreen.start()
      await bot.live(400, well)
      const first = guilds.slice(0, 3)
      // Of 200 guilds, 1 % may be nobody.
      const plan: DeployOptions = { percentages: [percentage, 100], stepMs: 60 * minute, first }
      const deployment = await bot.blueGreen.deploy('v2', plan)
      await bot.live(600, (_, version) => version === 'v2')
      expect(bot.blueGreen.status.phase).toBe('ROLLED_BACK')
      expect((await deployment.finished).why).toMatch(/^\d+ of \d+ guilds are failing on "v2", against \d+ of \d+/)
    }
  })

  it('is taken back in a bot of twelve guilds, five of which are on it', async () => {
    const few = guilds.slice(0, 12)
    for (const seed of seeds.slice(0, 10)) {
      const bot = new BusyBot(seed)
      await bot.blueGreen.deploy('v2', {
        ...half,
        percentages: [0, 100],
        first: few.filter((_, i) => i % 2 === 1).slice(0, 5),
      })
      await bot.live(400, (_, version) => version === 'v2', few)
      expect(bot.blueGreen.status.phase).toBe('ROLLED_BACK')
    }
  })

  it('is taken back at once while it is being rolled back in batches', async () => {
    const bot = new BusyBot(1)
    const deployment = await bot.blueGreen.deploy('v2', { percentages: [100], stepMs: 60 * minute })
    await bot.live(200, well)
    void deployment.rollback({ batches: { size: 10 } })
    await bot.live(200, (_, version) => version === 'v2')
    expect(deployment.status.percentage).toBe(0)
  })
})

describe('a version that failed before the old one had served anybody', () => {
  it('is taken back when the old one serves well beside it, whatever health says', async () => {
    const health = new FakeHealth()
    const bot = new TestBot(new FaultyStore(), { health, random: randomFrom(3) })
    await bot.blueGreen.start()
    const deployment = await bot.blueGreen.deploy('v2', { percentages: [50, 100], stepMs: 3_600_000 })
    const { salt } = (await bot.store.record())!.state.deployment!
    const guilds = Array.from({ length: 200 }, (_, i) => `guild-${i}`)
    const isOnGreen = (guild: string): boolean => bucketOf(guild, hash(salt)) < 2 ** 31
    const green = guilds.filter(isOnGreen)
    for (const guild of green.slice(0, 5)) await bot.fails(guild)
    expect(deployment.status.phase).toBe('HOLD')
    // Because of the errors of the new one.
    health.becomes('down')
    for (const guild of guilds.filter((each) => !isOnGreen(each))) await bot.serves(guild)
    for (const guild of green) await bot.fails(guild)
    expect(deployment.status.phase).toBe('ROLLED_BACK')
  })
})

describe('guilds that fail at 100 %, where nobody is left to compare with', () => {
  const plan: DeployOptions = { percentages: [100], stepMs: 10 * minute, bakeMs: 10 * minute }
  const phases = ['CANARY_TESTING', 'BAKING', 'DRAINING_BLUE'] as const

  /** At 100 %, with a call that keeps blue from being given up. */
  async function atAll(
    phase: (typeof phases)[number] = 'CANARY_TESTING',
    health: FakeHealth | null = new FakeHealth(),
  ) {
    const bot = new BusyBot(1, health === null ? {} : { health })
    await bot.blueGreen.start()
    await bot.live(200, well)
    let finish!: () => void
    const run = (): Promise<void> => new Promise((resolve) => (finish = resolve))
    void bot.blueGreen.handle({ guildId: 'long', run })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    await bot.live(200, well)
    const passed = { CANARY_TESTING: 0, BAKING: 10, DRAINING_BLUE: 20 }[phase]
    if (passed > 0) await bot.clock.advance(passed * minute - 20_000)
    expect(deployment.status).toMatchObject({ phase, percentage: 100 })
    const critical = (): string[] =>
      bot.changes.filter(({ severity }) => severity === 'CRITICAL').map(({ message }) => message)
    return { bot, deployment, health, critical, finish }
  }

  it.each(phases)('roll back at once without health: %s', async (phase) => {
    const { bot, deployment, finish } = await atAll(phase, null)
    await bot.live(100, outage)
    expect(deployment.status.phase).toBe('ROLLED_BACK')
    expect((await deployment.finished).why).toMatch(/guilds are failing on "v2"/)
    finish()
  })

  it.each(phases)(
    'hold while health is down, tell a human at once, and go on when all is well again: %s',
    async (phase) => {
      const { bot, deployment, health, critical } = await atAll(phase)
      health?.becomes('down', 'connection refused')
      await bot.live(100, outage)
      expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 100 })
      expect(critical()).toHaveLength(1)
      expect(critical()[0]).toMatch(
        /was to be rolled back and is not: green keeps 100 %\. Why: \d+ of \d+ guilds are failing on "v2", .* health is down \(database down: connection refused\)/,
      )
      await bot.live(600, outage)
      expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 100 })
      expect(critical()).toHaveLength(1)
      health?.becomes('up')
      await bot.live(700, well)
      expect(deployment.status).toMatchObject({ phase: phase === 'CANARY_TESTING' ? phase : 'BAKING', percentage: 100 })
      await bot.clock.advance(21 * minute)
      expect((await deployment.finished).outcome).toBe('COMPLETE')
    },
  )

  it.each(phases)('hold until health has had the time to notice: %s', async (phase) => {
    const { bot, deployment, health } = await atAll(phase)
    await bot.live(150, outage)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 100 })
    health?.becomes('down')
    await bot.live(600, outage)
    health?.becomes('up')
    await bot.live(700, well)
    expect(deployment.status.percentage).toBe(100)
    expect(bot.phases).not.toContain('ROLLING_BACK')
  })

  it.each(phases)('roll back when that goes on for recoverMs in good health: %s', async (phase) => {
    const { bot, deployment, finish } = await atAll(phase)
    await bot.live(280, outage)
    expect(deployment.status.phase).toBe('HOLD')
    await bot.live(100, outage)
    expect(deployment.status.phase).toBe('ROLLED_BACK')
    finish()
    await bot.clock.advance(0)
    expect((await deployment.finished).why).toMatch(/guilds are failing on "v2", .*, and health is well$/)
  })

  it('roll back also where a person holds it', async () => {
    const { bot, deployment, finish } = await atAll()
    deployment.hold({ why: 'it is Friday' })
    await bot.live(400, outage)
    expect(deployment.status.phase).toBe('ROLLED_BACK')
    finish()
  })

  it('go on when they work again in good health', async () => {
    const { bot, deployment, critical } = await atAll()
    await bot.live(100, outage)
    expect(deployment.status.phase).toBe('HOLD')
    await bot.live(400, well)
    expect(deployment.status.phase).toBe('CANARY_TESTING')
    // It is another one, and told again.
    await bot.live(100, outage)
    expect(critical()).toHaveLength(2)
  })

  it('are told no more when who hears of the hold takes it back', async () => {
    const { bot, deployment, critical, finish } = await atAll()
    bot.blueGreen.on('change', ({ what, to }) => {
      if (what === 'phase' && to === 'HOLD') void deployment.rollback({ why: 'not on my watch' })
    })
    await bot.live(100, outage)
    finish()
    expect(await deployment.finished).toEqual({ outcome: 'ROLLED_BACK', why: 'not on my watch' })
    expect(critical()).toHaveLength(1)
    expect(critical()[0]).toContain('is being rolled back')
  })

  it('are no catastrophe where three of hundreds fail, and the others work', async () => {
    const { bot, deployment } = await atAll('CANARY_TESTING', null)
    const few = new Set(['guild-1', 'guild-2', 'guild-3', 'guild-4'])
    await bot.live(400, (guildId) => few.has(guildId))
    expect(deployment.status.phase).toBe('CANARY_TESTING')
  })

  it('are a catastrophe where a tenth of hundreds fails, and hardly any did on blue', async () => {
    const { bot, deployment } = await atAll('CANARY_TESTING', null)
    await bot.live(1_000, (guildId) => Number(guildId.split('-')[1]) % 10 === 0)
    expect(deployment.status.phase).not.toBe('CANARY_TESTING')
  })

  it('roll back in a process that does not drive, if its health is well', async () => {
    for (const status of ['up', 'down'] as const) {
      const { bot, health, finish } = await atAll()
      await bot.blueGreen.stop()
      health?.becomes(status)
      await bot.live(100, outage)
      expect(await bot.serves('guild-1')).toBe(status === 'up' ? 'v1' : 'v2')
      finish()
    }
  })
})
