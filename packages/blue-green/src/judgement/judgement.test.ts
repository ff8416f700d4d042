import { describe, expect, it } from 'vitest'
import { FakeHealth } from '../test-support/fake-health.js'
import { FaultyStore } from '../test-support/faulty-store.js'
import { randomFrom } from '../test-support/random.js'
import { TestBot } from '../test-support/test-bot.js'
import { Evidence, type StoredEvidence } from './evidence.js'
import { readJudge, type JudgeOptions } from './judge-options.js'
import { Window } from './window.js'

const minute = 60_000
const plan = { percentages: [50, 100], stepMs: 60 * minute, maxHoldMs: 24 * 60 * minute }

/** On a clock that stands still calls take no time, of which nothing is learnt. */
const byErrors = { responseTimeIncrease: false } as const

/** A bot whose guilds all make a call in a window of ten minutes. */
class JudgedBot extends TestBot {
  readonly random = randomFrom(7)

  constructor(store = new FaultyStore(), options: ConstructorParameters<typeof TestBot>[1] = {}) {
    super(store, { judge: byErrors, random: randomFrom(1), maxFailingGuilds: 10_000, ...options })
  }

  /** @param errorRatio - of each version's calls */
  async serve(windows: number, errorRatio: (version: string) => number, guilds = 400): Promise<void> {
    for (let window = 0; window < windows; window++) {
      for (let i = 0; i < guilds; i++) {
        const run = (version: string): string => {
          if (this.random() < errorRatio(version)) throw new Error('no')
          return version
        }
        await this.blueGreen.handle({ guildId: `guild-${i}`, run }).catch(() => undefined)
      }
      await this.clock.advance(10 * minute)
    }
  }
}

interface Kept {
  readonly epoch: number
  readonly evidence: StoredEvidence
}

/** The evidence as it stands in the store. */
async function kept({ store }: JudgedBot): Promise<Kept> {
  return (await store.inner.entry('blue-green:bot:evidence'))?.value as Kept
}

const alike = (): number => 0.1
const worse = (version: string): number => (version === 'v2' ? 0.5 : 0.1)

describe('a judged deployment', () => {
  it('is rolled back when green is worse, with the reason, and the evidence is in the record', async () => {
    const bot = new JudgedBot()
    await bot.blueGreen.start()
    await bot.serve(6, alike)
    const deployment = await bot.blueGreen.deploy('v2', plan)
    await bot.serve(6, worse)
    const { outcome, why } = await deployment.finished
    expect(outcome).toBe('ROLLED_BACK')
    expect(why).toMatch(/^the new version is worse: guilds with errors: the new version has \d/)
    expect(await bot.store.record()).toMatchObject({
      evidence: expect.stringContaining('guilds with errors') as string,
    })
  })

  it('is rolled back in batches where the plan says so, and at once when its guilds fail meanwhile', async () => {
    const bot = new JudgedBot(new FaultyStore(), { maxFailingGuilds: 300 })
    await bot.blueGreen.start()
    await bot.serve(6, alike)
    const batches = { percentages: [20], pauseMs: 30 * minute }
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, rollbackBatches: batches })
    while (deployment.status.phase === 'CANARY_TESTING') await bot.serve(1, worse)
    expect(deployment.status).toMatchObject({ phase: 'ROLLING_BACK', percentage: 20 })
    expect((await bot.guildsOn('v2')).size).toBeGreaterThan(100)
    await bot.clock.advance(30 * minute)
    expect((await deployment.finished).why).toMatch(/^the new version is worse/)
    expect(bot.percentages).toEqual([50, 20, 0])

    const again = await bot.blueGreen.deploy('v2', { ...plan, rollbackBatches: batches, retry: true })
    while (again.status.phase === 'CANARY_TESTING') await bot.serve(1, worse)
    expect(again.status.percentage).toBe(20)
    for (const guild of await bot.guildsOn('v2')) await bot.fails(guild)
    expect(again.status.percentage).toBe(20)
    await bot.clock.advance(31 * minute)
    expect(again.status.percentage).toBe(0)
  })

  it('goes on at the end of a step when a harm of three times is ruled out', async () => {
    const bot = new JudgedBot()
    await bot.blueGreen.start()
    await bot.serve(12, alike)
    const deployment = await bot.blueGreen.deploy('v2', plan)
    await bot.serve(6, alike)
    expect(deployment.status.percentage).toBe(100)
  })

  it('goes on when what is cared about is ruled out, and is held all the same where it uses more memory', async () => {
    for (const bytes of [100e6, 150e6]) {
      const judge = { errorRateIncrease: 1, responseTimeIncrease: false, memoryIncrease: 0.3 } as const
      const bot = new JudgedBot(new FaultyStore(), { judge })
      await bot.blueGreen.start()
      for (let part = 0; part < 8; part++) {
        bot.blueGreen.measureMemory('v1', { ageMs: (part + 0.5) * 30 * minute, bytes: 100e6 })
      }
      await bot.serve(12, alike)
      const deployment = await bot.blueGreen.deploy('v2', { ...plan, stepMs: 240 * minute })
      for (let part = 0; part < 8; part++) {
        bot.blueGreen.measureMemory('v2', { ageMs: (part + 0.5) * 30 * minute, bytes })
        await bot.serve(3, alike)
      }
      const { evidence } = deployment.report()
      expect(evidence).toMatch(/^what is cared about is ruled out: guilds with errors: /)
      expect(deployment.status.percentage).toBe(bytes === 100e6 ? 100 : 50)
      if (bytes === 100e6) continue
      expect(deployment.status.phase).toBe('HOLD')
      expect(deployment.status.why).toMatch(/, but memory: the new version uses 1\.50 times as much/)
    }
  })

  it('is held when the evidence is too little, goes on by itself when there is enough, and asks a person in between', async () => {
    const bot = new JudgedBot()
    await bot.blueGreen.start()
    await bot.serve(6, alike)
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, maxHoldMs: 30 * minute })
    await bot.serve(6, alike, 3)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 50, awaitsEvidence: true })
    expect(deployment.status.why).toContain('a harm of three times is not ruled out yet')
    await bot.serve(4, alike, 3)
    expect(deployment.status.phase).toBe('HOLD')
    const [call] = bot.changes.filter(({ what }) => what === 'hold')
    expect(call?.message).toContain('Promote it, or roll it back; with more evidence it goes on by itself.')
    await bot.serve(6, alike)
    expect(deployment.status).toMatchObject({ phase: 'SHIFTING_TRAFFIC', percentage: 100 })
  })

  it('is rolled back from a hold, too, and a person may go on without evidence', async () => {
    const held = async (): Promise<JudgedBot> => {
      const bot = new JudgedBot()
      await bot.blueGreen.start()
      await bot.serve(6, alike)
      await bot.blueGreen.deploy('v2', plan)
      await bot.serve(6, alike, 3)
      expect(bot.blueGreen.status.phase).toBe('HOLD')
      return bot
    }
    const bad = await held()
    await bad.serve(6, worse)
    expect(bad.blueGreen.status.phase).toBe('ROLLED_BACK')
    const promoted = await held()
    expect((await promoted.blueGreen.deployment?.promote({ why: 'I looked' }))?.percentage).toBe(100)
  })

  it('that waits for evidence is held by bad health as well, and begins its step anew afterwards', async () => {
    const health = new FakeHealth()
    const bot = new JudgedBot(new FaultyStore(), { health })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(60 * minute)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', awaitsEvidence: true })
    health.becomes('down')
    expect(deployment.status).toMatchObject({ phase: 'HOLD', awaitsEvidence: false })
    await expect(deployment.promote()).rejects.toThrow('health is down')
    health.becomes('up')
    await bot.clock.advance(30_000)
    expect(deployment.status).toMatchObject({ phase: 'CANARY_TESTING', percentage: 50, elapsedMs: 0 })
  })

  it.each<[string, (bot: JudgedBot) => Promise<void>]>([
    ['no traffic at all', (bot) => bot.clock.advance(60 * minute)],
    [
      'traffic that stops',
      async (bot) => {
        await bot.serve(1, alike)
        await bot.clock.advance(50 * minute)
      },
    ],
  ])('is neither passed nor taken back with %s', async (_, live) => {
    const bot = new JudgedBot()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    await live(bot)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 50, awaitsEvidence: true })
    await bot.clock.advance(24 * 60 * minute)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 50 })
  })

  it('where next to nothing fails goes on after thousands of calls', async () => {
    const bot = new JudgedBot()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    await bot.serve(6, () => 0, 400)
    expect(deployment.status.phase).toBe('HOLD')
    await bot.serve(12, () => 0, 400)
    expect(deployment.status.percentage).toBe(100)
  })

  it('keeps its evidence over a restart, which neither resets nor doubles it', async () => {
    const straight = new JudgedBot()
    const torn = new JudgedBot()
    for (const bot of [straight, torn]) {
      await bot.blueGreen.start()
      await bot.serve(6, alike)
      await bot.blueGreen.deploy('v2', plan)
      await bot.serve(3, alike)
    }
    const kept = (await torn.store.inner.entry('blue-green:bot:evidence'))?.value
    expect(kept).toEqual((await straight.store.inner.entry('blue-green:bot:evidence'))?.value)
    torn.crash()
    const next = new JudgedBot(new FaultyStore(torn.store.inner))
    await next.blueGreen.start()
    await next.clock.advance(10 * minute)
    const after = (await torn.store.inner.entry('blue-green:bot:evidence'))?.value as { evidence: { whole: object } }
    expect(after.evidence.whole).toEqual((kept as typeof after).evidence.whole)
  })

  it('begins without evidence when another one is deployed, and remembers the guilds', async () => {
    const bot = new JudgedBot()
    await bot.blueGreen.start()
    await bot.serve(6, alike)
    await bot.blueGreen.deploy('v2', plan)
    await bot.serve(3, alike)
    await bot.blueGreen.rollback()
    await bot.blueGreen.deploy('v3', plan)
    await bot.clock.advance(10 * minute)
    type Kept = { evidence: { deploymentId: string; green: { calls: number }; guilds: Record<string, number[]> } }
    const { evidence } = (await bot.store.inner.entry('blue-green:bot:evidence'))?.value as Kept
    expect(evidence.deploymentId).toBe(bot.blueGreen.deployment?.id)
    expect(evidence.green.calls).toBe(0)
    expect(evidence.guilds['guild-0']?.[0]).toBeGreaterThan(6)
  })

  it('is not convicted by what the store has of the one before, when this process starts again', async () => {
    const bot = new JudgedBot()
    await bot.blueGreen.start()
    await bot.serve(6, alike)
    const bad = await bot.blueGreen.deploy('v2', plan)
    await bot.serve(6, worse)
    expect((await bad.finished).outcome).toBe('ROLLED_BACK')
    bot.store.refusesEvidence = true
    await bot.blueGreen.deploy('v3', plan)
    await bot.serve(1, alike)
    await bot.blueGreen.stop()
    await bot.blueGreen.start()
    await bot.serve(1, alike)
    expect(bot.blueGreen.status).toMatchObject({ phase: 'CANARY_TESTING', rolledBack: ['v2'] })
  })

  it('has its evidence kept by a process that takes over again after another one', async () => {
    const bot = new JudgedBot()
    await bot.blueGreen.deploy('v2', plan)
    const other = new JudgedBot(new FaultyStore(bot.store.inner))
    await other.blueGreen.start()
    await other.clock.advance(10 * minute)
    await other.blueGreen.stop()
    const { evidence, epoch } = await kept(bot)
    // It is the other one's, whatever this one has seen.
    await bot.clock.advance(10 * minute)
    expect(await kept(bot)).toMatchObject({ evidence, epoch })
    await bot.blueGreen.stop()
    await bot.blueGreen.start()
    await bot.clock.advance(10 * minute)
    expect(await kept(bot)).toMatchObject({
      epoch: epoch + 1,
      evidence: { deploymentId: evidence.deploymentId, elapsedMs: evidence.elapsedMs + 10 * minute },
    })
  })

  it('has the window that was being kept when the driving stopped', async () => {
    let landing = Promise.resolve()
    let land!: () => void
    class SlowStore extends FaultyStore {
      override async compareAndSet(...[key, expected, value]: Parameters<FaultyStore['compareAndSet']>) {
        if (key.endsWith(':evidence')) await landing
        return super.compareAndSet(key, expected, value)
      }
    }
    const bot = new JudgedBot(new SlowStore())
    await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(10 * minute)
    const { elapsedMs } = (await kept(bot)).evidence
    landing = new Promise((resolve) => (land = resolve))
    await bot.clock.advance(10 * minute)
    let isStopped = false
    const stopped = bot.blueGreen.stop().then(() => (isStopped = true))
    await bot.clock.advance(0)
    expect(isStopped).toBe(false)
    land()
    await stopped
    await bot.blueGreen.start()
    await bot.clock.advance(10 * minute)
    expect((await kept(bot)).evidence.elapsedMs).toBe(elapsedMs + 20 * minute)
  })

  it('keeps of what the store hangs over the newest alone, so that stop() does not wait for each', async () => {
    const bot = new JudgedBot(new FaultyStore(), { judge: { windowMs: 1_000 } })
    await bot.blueGreen.start()
    bot.store.isDead = true
    await bot.clock.advance(600_000)
    let isStopped = false
    void bot.blueGreen.stop().then(() => (isStopped = true))
    await bot.clock.advance(30_000)
    expect(isStopped).toBe(true)
  })

  it('says that evidence in the store is damaged, and goes on without', async () => {
    const bot = new JudgedBot()
    await bot.blueGreen.deploy('v2', plan)
    await bot.serve(1, alike)
    const found = await bot.store.inner.entry('blue-green:bot:evidence')
    const damaged = { ...(found?.value as object), epoch: 7 }
    await bot.store.inner.compareAndSet('blue-green:bot:evidence', found?.version, damaged)
    const next = new JudgedBot(new FaultyStore(bot.store.inner))
    await next.blueGreen.start()
    const [news] = next.changes.filter(({ what }) => what === 'evidence')
    expect(news).toMatchObject({ severity: 'WARNING', why: 'the evidence in the store cannot be used: it is damaged: its checksum differs' }) // prettier-ignore
  })

  it('says beforehand how long the evidence will take', async () => {
    const bot = new JudgedBot()
    await bot.blueGreen.start()
    const early = await bot.blueGreen.deploy('v3', plan)
    expect(early.forecast.message).toMatch(/not known yet.*since the start\.$/)
    await early.rollback()
    const hasty = await bot.blueGreen.deploy('v3', { ...plan, stepMs: 1_000, retry: true })
    expect(hasty.forecast.message).toMatch(/Steps of 1000 ms end within one window \(600000 ms\), and will be held/)
    await hasty.rollback()
    await bot.serve(6, alike)
    const deployment = await bot.blueGreen.deploy('v2', plan)
    expect(deployment.forecast.steps).toHaveLength(1)
    expect(deployment.forecast.message).toMatch(
      /^With 400 guilds in 10 minutes, of which \d+ % see an error, three times as many/,
    )
    expect(deployment.forecast.isSufficient).toBe(true)
    const news = bot.changes.filter(({ what }) => what === 'forecast').at(-1)
    expect(news).toMatchObject({ to: 'sufficient', severity: 'INFO' })
    const byTime = await new TestBot().blueGreen.deploy('v2', plan)
    expect(byTime.forecast.message).toBe('Nothing is judged: each step ends by its time alone.')
  })

  it('does not end a step by time when it is told to go by time with too few events', async () => {
    const bot = new JudgedBot()
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, advance: 'time', minEvents: 1_000 })
    await bot.serve(6, alike, 300)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', awaitsEvidence: true })
    // What comes while it waits counts for the step.
    await bot.serve(2, alike, 300)
    expect(deployment.status.percentage).toBe(100)
  })

  it('leaves out a third version, which only has flows from before', async () => {
    const bot = new JudgedBot(new FaultyStore(), {
      context: ({ id, guildId }) => ({
        eventId: id,
        guildId,
        pin: guildId?.startsWith('old') === true ? 'flow' : null,
      }),
    })
    bot.blueGreen.pin('v3', 'flow', { kind: 'voice' })
    await bot.blueGreen.start()
    await bot.serve(6, () => 0)
    const deployment = await bot.blueGreen.deploy('v2', plan)
    const broken = (): never => {
      throw new Error('no')
    }
    for (let window = 0; window < 6; window++) {
      for (let i = 0; i < 400; i++)
        await bot.blueGreen.handle({ guildId: `old-${i}`, run: broken }).catch(() => undefined)
      bot.blueGreen.measureMemory('v3', { ageMs: 1, bytes: 1 })
      await bot.serve(1, (version) => (version === 'v2' ? 0.3 : 0))
    }
    expect((await deployment.finished).why).toMatch(/^the new version is worse/)
  })

  it('counts reports of users against the version that serves them, and a guild once', async () => {
    const bot = new JudgedBot(new FaultyStore(), {
      judge: { errorRateIncrease: false, responseTimeIncrease: false, userReports: 5 },
    })
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, percentages: [10, 100] })
    const [loud] = [...(await bot.guildsOn('v2'))]
    for (let i = 0; i < 100; i++) bot.blueGreen.report({ guildId: loud })
    await bot.clock.advance(10 * minute)
    expect(deployment.status.phase).toBe('CANARY_TESTING')
    for (const guildId of [...(await bot.guildsOn('v2'))].slice(0, 12)) bot.blueGreen.report({ guildId })
    await bot.clock.advance(10 * minute)
    expect((await deployment.finished).why).toMatch(/^the new version is worse: reports/)
    expect(() => bot.blueGreen.report({ guildId: 1.5 })).toThrow('no whole number')
    expect(() => bot.blueGreen.report({ guild: '5' } as never)).toThrow('report takes a guildId or a userId')
    expect(() => bot.blueGreen.report({ guildID: '5' } as never)).toThrow('say guildId')
    expect(() => bot.blueGreen.measureMemory('v9', { ageMs: 1, bytes: 1 })).toThrow('none of v1, v2, v3')
    expect(() => bot.blueGreen.measureMemory('v1', process.memoryUsage() as never)).toThrow('has no option "rss"')
  })
})

describe('evidence', () => {
  const settings = readJudge({ memoryIncrease: 0.3 }, randomFrom(1))
  const absurd = [NaN, Infinity, -Infinity, -1]

  it('is not moved by figures that make no sense', () => {
    const evidence = new Evidence(settings)
    evidence.begin('d1', 'v1', 'v2')
    const window = new Window()
    for (const ms of absurd) {
      for (let i = 0; i < 100; i++) window.add(i % 2 === 0 ? 'green' : 'blue', `guild-${i}`, ms, false)
      evidence.measureMemory('v2', ms, 1e9)
      evidence.measureMemory('v2', 1, ms)
    }
    evidence.add(window, new Set(), minute)
    expect(evidence.find()).toMatchObject({ verdict: 'UNKNOWN', mayAdvance: false })
  })

  it('is UNKNOWN before anything happened, and never advances on it', () => {
    const evidence = new Evidence(settings)
    evidence.begin('d1', 'v1', 'v2')
    for (let i = 0; i < 50; i++) evidence.add(new Window(), new Set(), minute)
    expect(evidence.find()).toMatchObject({ verdict: 'UNKNOWN', mayAdvance: false, evidence: 1 })
  })

  it('finds a version that is slower, of guilds that are fast and slow by nature', () => {
    for (const factor of [1, 3]) {
      const random = randomFrom(3)
      const evidence = new Evidence(settings)
      const usual = Array.from({ length: 200 }, () => 20 + 2_000 * random())
      const live = (greens: number, windows: number): void => {
        for (let each = 0; each < windows; each++) {
          const window = new Window()
          for (const [i, ms] of usual.entries()) {
            const isGreen = i < greens
            window.add(
              isGreen ? 'green' : 'blue',
              String(i),
              ms * (0.5 + random()) * (isGreen ? factor : 1),
              random() < 0.1,
            )
          }
          evidence.add(window, new Set(), 10 * minute)
        }
      }
      live(0, 30)
      evidence.begin('d1', 'v1', 'v2')
      live(60, 12)
      const { verdict, why } = evidence.find()
      expect(verdict === 'HARMFUL').toBe(factor === 3)
      if (factor === 3) expect(why).toContain('latency')
    }
  })

  it('leaves out the guilds that are on green by choice', () => {
    const evidence = new Evidence(settings)
    evidence.begin('d1', 'v1', 'v2')
    const first = new Set(Array.from({ length: 20 }, (_, i) => String(i)))
    for (let each = 0; each < 20; each++) {
      const window = new Window()
      for (let i = 0; i < 200; i++) window.add(i < 20 ? 'green' : 'blue', String(i), 1, i < 20)
      evidence.add(window, first, minute)
    }
    expect(evidence.find().verdict).toBe('UNKNOWN')
  })

  it('compares the memory of a young version with what the old one used when it was as young', () => {
    const before = new Evidence(settings)
    const grows = (evidence: Evidence, version: string, bytes: number): void => {
      for (let part = 0; part < 8; part++) evidence.measureMemory(version, (part + 0.5) * 30 * minute, bytes)
    }
    grows(before, 'v0', 1e6)
    grows(before, 'v1', 100e6)
    // A process that is days old says nothing of young ones, and is not kept.
    before.measureMemory('v1', 25 * 60 * minute, 1e9)
    // Another process goes on with what is kept.
    const evidence = new Evidence(settings)
    evidence.restore(JSON.parse(JSON.stringify(before)) as ReturnType<Evidence['toJSON']>)
    evidence.begin('d1', 'v1', 'v2')
    grows(evidence, 'v2', 150e6)
    expect(evidence.find().why).toMatch(/memory: the new version uses 1\.50 times as much/)
    expect(Object.keys(evidence.toJSON().memory)).toEqual(['v1', 'v2'])
    evidence.begin('d2', 'v2', 'v3')
    grows(evidence, 'v3', 160e6)
    expect(evidence.find().why).not.toContain('memory')
    evidence.begin('d3', 'v2', 'v3')
    expect(Object.keys(evidence.toJSON().memory)).toEqual(['v2'])
  })

  it('holds for memory that grows, and remembers only so many guilds', () => {
    const evidence = new Evidence(settings)
    evidence.begin('d1', 'v1', 'v2')
    for (let part = 0; part < 8; part++) {
      evidence.measureMemory('v1', (part + 0.5) * 30 * minute, 100e6)
      evidence.measureMemory('v2', (part + 0.5) * 30 * minute, 150e6)
    }
    expect(evidence.find().why).toContain('memory')
    for (let each = 0; each < 3; each++) {
      const window = new Window()
      for (let i = 0; i < 6_000; i++) window.add('blue', `${each}-${i}`, 1, false)
      evidence.add(window, new Set(), minute)
    }
    expect(Object.keys(evidence.toJSON().guilds)).toHaveLength(10_000)
    expect(JSON.parse(JSON.stringify(evidence))).toEqual(evidence.toJSON())
  })
})

describe('the options of judge', () => {
  it.each<[object, string]>([
    [{ errorRateIncrease: 0 }, 'judge.errorRateIncrease must be above 0 and at most 10, such as 0.2'],
    [{ responseTimeIncrease: NaN }, 'judge.responseTimeIncrease'],
    [{ memoryIncrease: '30 %' }, 'judge.memoryIncrease'],
    [{ userReports: -1 }, 'judge.userReports must be a whole number'],
    [{ falseAlarmRatio: 1 }, 'judge.falseAlarmRatio must be above 0 and below 1'],
    [{ windowMs: 0 }, 'judge.windowMs must be milliseconds'],
    [{ errorRate: 1 }, 'judge has no option "errorRate"'],
    [{ errorRateIncrease: false, responseTimeIncrease: false }, 'names nothing to judge by'],
    [{ errorRateIncrease: false, responseTimeIncrease: false, memoryIncrease: 0.3 }, 'names memory alone'],
  ])('refuse %j', (options, message) => {
    expect(() => readJudge(options as JudgeOptions, randomFrom(1))).toThrow(message)
  })
})
