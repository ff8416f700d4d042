import { describe, expect, it } from 'vitest'
import { FakeHealth } from './test-support/fake-health.js'
import { FaultyStore } from './test-support/faulty-store.js'
import { answer, plan, TestBot, type Ping } from './test-support/test-bot.js'
import type { Migration, SyntheticTest } from './probes.js'
import { reportMarkdown } from './report/report.js'
import type { Phase } from './transitions.js'

type TestOptions = NonNullable<ConstructorParameters<typeof TestBot>[1]>

const hangs = (): Promise<never> => new Promise<never>(() => undefined)
const throws = (): never => {
  throw new Error('no')
}
const ping: SyntheticTest<Ping> = async ({ call, version }) => {
  if ((await call({})) !== version) throw new Error('another version answered')
}

/** A bot with everything, and what was done of it. */
class WholeBot extends TestBot {
  readonly done: string[]

  constructor(store = new FaultyStore(), options: TestOptions = {}, done: string[] = []) {
    const note = (what: string) => async (): Promise<void> => void done.push(what)
    super(store, {
      checks: { disk: note('check') },
      backup: async () => ({ id: `backup-${done.push('backup')}`, bytes: 7 }),
      migrations: { index: { up: note('up'), down: note('down') } },
      smokeTests: { ping },
      canaryTests: { ping },
      acceptanceTests: { ping },
      validations: { ping },
      ...options,
    })
    this.done = done
  }

  get what(): string[] {
    return this.changes.filter(({ severity }) => severity === 'CRITICAL').map(({ what }) => what)
  }
}

const whole = { ...plan, migration: 'index', bakeMs: 5_000 }

/** The same disk, another process, and the same world of which `done` tells. */
function restart(bot: WholeBot, options: TestOptions = {}): WholeBot {
  return new WholeBot(new FaultyStore(bot.store.inner), options, bot.done)
}

describe('a whole plan', () => {
  it('goes through each phase, in order', async () => {
    const bot = new WholeBot()
    const deployment = await bot.blueGreen.deploy('v2', whole)
    expect(bot.done).toEqual(['check', 'backup', 'up'])
    await bot.clock.advance(4_000)
    expect(deployment.status).toMatchObject({
      phase: 'BAKING',
      percentage: 100,
      step: 4,
      stepMs: 5_000,
      migrated: 'DONE',
    })
    expect(await bot.serves('a')).toBe('v2')
    await bot.clock.advance(4_999)
    expect(deployment.status.phase).toBe('BAKING')
    await bot.clock.advance(1)
    expect(await deployment.finished).toEqual({ outcome: 'COMPLETE', why: 'every step was passed' })
    expect(bot.phases).toEqual([
      'PRECHECK',
      'BACKUP',
      'MIGRATING',
      'GREEN_STAGING',
      'SMOKE',
      'CANARY_TESTING',
      'SHIFTING_TRAFFIC',
      'BAKING',
      'DRAINING_BLUE',
      'COMPLETE',
    ])
    expect(deployment.status.backup).toEqual({ id: 'backup-2', bytes: 7, at: bot.clock.now() - 9_000 })
    expect(deployment.status.results.map(({ kind, name, isPassed }) => [kind, name, isPassed])).toEqual([
      ['checks', 'disk', true],
      ['smokeTests', 'ping', true],
      ['canaryTests', 'ping', true],
      ['acceptanceTests', 'ping', true],
    ])
    expect(bot.timers).toBe(0)
  })

  it('is taken back from any phase: the migration is undone, blue is looked at, and nobody is on green', async () => {
    const phases = ['PRECHECK', 'BACKUP', 'MIGRATING', 'SMOKE', 'CANARY_TESTING', 'SHIFTING_TRAFFIC', 'BAKING'] as const
    for (const phase of phases) {
      const gate: () => Promise<never> = hangs
      const bot = new WholeBot(new FaultyStore(), {
        ...(phase === 'PRECHECK' && { checks: { gate } }),
        ...(phase === 'BACKUP' && { backup: gate }),
        ...(phase === 'SMOKE' && { smokeTests: { gate } }),
      })
      const deploying = bot.blueGreen.deploy('v2', { ...whole, percentages: [50, 100] })
      if (phase === 'MIGRATING') {
        // The store has it, and the migration has begun when the rollback comes.
        for (let i = 0; bot.blueGreen.status.phase !== 'MIGRATING'; i++) await Promise.resolve(i)
      } else await bot.clock.advance(phase === 'SHIFTING_TRAFFIC' ? 1_000 : phase === 'BAKING' ? 2_000 : 0)
      expect(bot.blueGreen.status.phase).toBe(phase)
      const result = await bot.blueGreen.rollback({ why: 'users complain' })
      expect(result?.outcome).toBe('ROLLED_BACK')
      expect(result?.why).toMatch(/^users complain/)
      const isMigrated = phase !== 'PRECHECK' && phase !== 'BACKUP'
      expect(bot.done.filter((what) => what === 'down')).toEqual(isMigrated ? ['down'] : [])
      expect(bot.phases.includes('VALIDATING_ROLLBACK')).toBe(isMigrated)
      expect((await bot.guildsOn('v1')).size).toBe(1_000)
      expect(bot.blueGreen.status.rolledBack).toEqual(isMigrated ? ['v2'] : [])
      expect((await deploying).status.phase).toBe('ROLLED_BACK')
      expect(bot.timers).toBe(0)
    }
  })

  it('gets to an end after a crash at any record, and never gives green more than it had', async () => {
    const ends = new Set<string>()
    for (const isBad of [false, true]) {
      for (let write = 1; write < 30; write++) {
        for (const fault of ['hangs', 'written but hangs'] as const) {
          const canaryTests = { ping: isBad ? throws : ping }
          const done: string[] = []
          const ups: boolean[] = []
          const index: Migration = {
            up: async ({ mayHaveBegun }) => void [done.push('up'), ups.push(mayHaveBegun)],
            down: async () => void done.push('down'),
          }
          const options = { canaryTests, migrations: { index } }
          const bot = new WholeBot(new FaultyStore(), options, done)
          bot.store.faults.set(write, fault)
          for (let later = write + 1; later < 100; later++) bot.store.faults.set(later, 'hangs')
          bot.blueGreen.deploy('v2', whole).catch(() => undefined)
          await bot.clock.advance(20_000)
          const before = await bot.guildsOn('v2')
          const isTakenBack = ['ROLLING_BACK', 'VALIDATING_ROLLBACK'].includes(bot.blueGreen.status.phase)

          const next = restart(bot, options)
          await next.blueGreen.start()
          const now = await next.guildsOn('v2')
          if (!isTakenBack) expect([...now].filter((guild) => !before.has(guild))).toEqual([])
          await next.clock.advance(100_000)
          expect(next.blueGreen.deployment).toBeUndefined()
          const { phase } = next.blueGreen.status
          ends.add(phase)
          // Whatever crashed: up before down, and down exactly where it was rolled back after up had begun.
          const last = bot.done.filter((what) => what === 'up' || what === 'down').at(-1)
          if (phase === 'COMPLETE') expect(last).toBe('up')
          if (phase === 'ROLLED_BACK') expect(last).toBe('down')
          // It is run again only where it is told so.
          expect(ups.slice(1)).not.toContain(false)
          expect(next.timers).toBe(0)
        }
      }
    }
    expect([...ends].toSorted()).toEqual(['COMPLETE', 'IDLE', 'ROLLED_BACK'])
  })
})

describe('a rollback of what the store has not confirmed', () => {
  it.each(['checks', 'nothing'])('comes before everything else, with %s before the migration', async (before) => {
    const done: string[] = []
    const index: Migration = { up: async () => void done.push('up'), irreversible: true }
    const checks = before === 'checks' ? { disk: () => done.push('check') } : {}
    const bot = new TestBot(new FaultyStore(), { checks, migrations: { index } })
    await bot.blueGreen.start()
    bot.store.faults.set(bot.store.writes + 1, 'is slow')
    const deploying = bot.blueGreen.deploy('v2', { ...plan, migration: 'index' })
    await bot.clock.advance(0)
    const rolledBack = bot.blueGreen.rollback({ why: 'wrong version' })
    await bot.store.land()
    expect(await rolledBack).toEqual({ outcome: 'ROLLED_BACK', why: 'wrong version' })
    expect((await deploying).status).toMatchObject({ phase: 'ROLLED_BACK', migrated: 'NO' })
    expect(done).toEqual([])
    expect(bot.blueGreen.status.rolledBack).toEqual([])
    expect((await bot.blueGreen.history())[0]).toMatchObject({ outcome: 'ROLLED_BACK', to: 'v2' })
  })

  it('is asked for of the bot: an old deployment says only how it ended', async () => {
    const bot = new TestBot()
    const old = await bot.blueGreen.deploy('v2', { percentages: [100], stepMs: 1_000 })
    await bot.clock.advance(1_000)
    bot.store.faults.set(bot.store.writes + 1, 'is slow')
    const deploying = bot.blueGreen.deploy('v3', plan)
    await bot.clock.advance(0)
    expect((await old.rollback()).outcome).toBe('COMPLETE')
    await bot.store.land()
    expect((await deploying).status.phase).toBe('CANARY_TESTING')
  })
})

describe('the checks', () => {
  it('are all run, and one that fails ends it before anything has happened', async () => {
    const bot = new WholeBot(new FaultyStore(), {
      checks: {
        good: () => true,
        thrown: throws,
        rejected: () => Promise.reject(new Error('no disk')),
        no: () => false,
        hangs,
      },
    })
    const deploying = bot.blueGreen.deploy('v2', whole)
    await bot.clock.advance(10_000)
    const deployment = await deploying
    const failed = 'thrown: no; rejected: no disk; no: it returned false; hangs: it took longer than 10000 ms'
    expect(await deployment.finished).toEqual({ outcome: 'FAILED', why: `a check failed: ${failed}` })
    expect(bot.done).toEqual([])
    expect(deployment.status.results.map(({ name, isPassed }) => [name, isPassed])).toEqual([
      ['good', true],
      ['thrown', false],
      ['rejected', false],
      ['no', false],
      ['hangs', false],
    ])
    expect(bot.blueGreen.status).toMatchObject({ phase: 'FAILED', active: 'v1', rolledBack: [] })
    // It says nothing against the version.
    const again = bot.blueGreen.deploy('v2', whole)
    await bot.clock.advance(10_000)
    expect((await again).status.phase).toBe('FAILED')
  })

  it('that throw what cannot be read fail it like any other', async () => {
    const odd = (): never => {
      throw Object.create(null)
    }
    const bot = new WholeBot(new FaultyStore(), { checks: { odd } })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    expect((await deployment.finished).outcome).toBe('FAILED')
    expect(deployment.report().results[0]?.why).toBe('something was thrown that cannot be read')
  })

  it('are told by their signal when their time is over or the deployment is taken back', async () => {
    const signals: AbortSignal[] = []
    const slow = ({ signal }: { signal: AbortSignal }): Promise<never> => {
      signals.push(signal)
      return hangs()
    }
    const bot = new WholeBot(new FaultyStore(), { checks: { slow }, probeTimeoutMs: 50 })
    const deploying = bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(49)
    expect(signals[0]?.aborted).toBe(false)
    void bot.blueGreen.rollback()
    expect(signals[0]?.aborted).toBe(true)
    expect((await (await deploying).finished).outcome).toBe('ROLLED_BACK')
    void bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(50)
    expect(signals[1]?.aborted).toBe(true)
  })

  it('that a release has dropped fail a deployment that was running', async () => {
    const bot = new WholeBot(new FaultyStore(), { checks: { disk: hangs } })
    bot.blueGreen.deploy('v2', whole).catch(() => undefined)
    await bot.clock.advance(0)
    bot.crash()
    const next = restart(bot, { checks: {} })
    await next.blueGreen.start()
    await next.clock.advance(0)
    expect(next.changes.at(-1)?.why).toBe('a check failed: disk: there is none of this name in checks')
  })
})

describe('a backup', () => {
  it.each<[string, TestOptions['backup'], string]>([
    ['throws', throws, 'the backup failed: no'],
    ['hangs', hangs, 'the backup failed: it took longer than 600000 ms'],
    ['names nothing', (() => Promise.resolve({})) as never, 'the backup failed: it returned no { id }'],
    ['returns nothing', (() => undefined) as never, 'the backup failed: it returned no { id }'],
  ])('that %s ends it before anything has happened', async (_, backup, why) => {
    const bot = new WholeBot(new FaultyStore(), { backup })
    const deploying = bot.blueGreen.deploy('v2', whole)
    await bot.clock.advance(600_000)
    expect(await (await deploying).finished).toEqual({ outcome: 'FAILED', why })
    expect(bot.done).toEqual(['check'])
  })

  it('is made where it is asked for, and not for nothing', async () => {
    const [asked, unasked] = [new WholeBot(), new WholeBot()]
    await asked.blueGreen.deploy('v2', { ...plan, backup: true })
    await unasked.blueGreen.deploy('v2', plan)
    expect([asked.done, unasked.done]).toEqual([['check', 'backup'], ['check']])
  })

  it('that nobody can make, and a migration that nobody knows, are refused beforehand', async () => {
    const bot = new TestBot()
    await expect(bot.blueGreen.deploy('v2', { backup: true })).rejects.toThrow('needs a backup in the options')
    await expect(bot.blueGreen.deploy('v2', { migration: 'index' })).rejects.toThrow(
      'no migration "index"; there are none',
    )
    await expect(new WholeBot().blueGreen.deploy('v2', { migration: 'toString' })).rejects.toThrow('there are index')
    await expect(bot.blueGreen.deploy('v2', { backup: 1 as never })).rejects.toThrow('backup must be true or false')
    await expect(bot.blueGreen.deploy('v2', { advance: 'luck' as never })).rejects.toThrow("'evidence' or 'time'")
    await expect(bot.blueGreen.deploy('v2', { minEvents: 0.5 })).rejects.toThrow('minEvents')
    expect(bot.blueGreen.status.controller).toBe('STOPPED')
  })
})

describe('a migration', () => {
  const contexts: unknown[] = []
  const migrated = (migration: Migration, done: string[] = []): WholeBot =>
    new WholeBot(new FaultyStore(), { migrations: { index: migration } }, done)

  it('that fails is undone', async () => {
    const done: string[] = []
    const down = async (): Promise<void> => void done.push('down')
    const bot = migrated({ up: throws, down }, done)
    const deployment = await bot.blueGreen.deploy('v2', whole)
    const why = 'migration "index" failed: no; the migration "index" was undone'
    expect(await deployment.finished).toEqual({ outcome: 'ROLLED_BACK', why })
    expect(done).toEqual(['check', 'backup', 'down'])
  })

  it('that hangs is undone only when it has really ended, and never beside itself', async () => {
    let end!: () => void
    const done: string[] = []
    const up = async (): Promise<void> => {
      await new Promise<void>((resolve) => (end = resolve))
      done.push('up')
    }
    const bot = migrated({ up, down: async () => void done.push('down') }, done)
    const deploying = bot.blueGreen.deploy('v2', whole)
    await bot.clock.advance(600_000)
    expect(bot.blueGreen.status.phase).toBe('ROLLING_BACK')
    await bot.clock.advance(1_000)
    expect(done).toEqual(['check', 'backup'])
    end()
    await bot.clock.advance(0)
    expect((await (await deploying).finished).outcome).toBe('ROLLED_BACK')
    expect(done).toEqual(['check', 'backup', 'up', 'down'])
  })

  it('that never ends is left in place, which a person is told', async () => {
    const done: string[] = []
    const bot = migrated({ up: hangs, down: async () => void done.push('down') }, done)
    const deploying = bot.blueGreen.deploy('v2', whole)
    await bot.clock.advance(1_200_000)
    const { why } = await (await deploying).finished
    expect(why).toContain(
      'the migration "index" could not be undone: its up has not ended: it took longer than 600000 ms',
    )
    expect((await deploying).status.migrated).toBe('STUCK')
    expect(bot.what).toContain('migration')
    expect(done).not.toContain('down')
  })

  it('whose way back fails is told so, and the deployment ends', async () => {
    const bot = migrated({ up: async () => undefined, down: throws })
    const deployment = await bot.blueGreen.deploy('v2', whole)
    const { outcome, why } = await deployment.rollback({ why: 'users complain' })
    expect([outcome, why]).toEqual(['ROLLED_BACK', 'users complain; the migration "index" could not be undone: no'])
    expect(bot.what).toContain('migration')
  })

  it('without a way back is left in place, for blue can live with it', async () => {
    const bot = migrated({ up: async () => undefined })
    const deployment = await bot.blueGreen.deploy('v2', whole)
    expect((await deployment.rollback()).outcome).toBe('ROLLED_BACK')
    expect(deployment.status.migrated).toBe('DONE')
    expect(bot.what).not.toContain('migration')
  })

  it('that a process died over is told that it may have begun', async () => {
    const note = (how: unknown): Promise<void> => {
      contexts.push(how)
      return contexts.length === 1 ? hangs() : Promise.resolve()
    }
    const bot = migrated({ up: note, down: note })
    bot.blueGreen.deploy('v2', whole).catch(() => undefined)
    await bot.clock.advance(0)
    expect(await bot.store.record()).toMatchObject({ state: { deployment: { phase: 'MIGRATING', migrated: 'BEGUN' } } })
    bot.crash()
    const next = restart(bot, { migrations: { index: { up: note, down: note } } })
    await next.blueGreen.start()
    await next.clock.advance(0)
    expect(next.blueGreen.status.phase).toBe('CANARY_TESTING')
    expect(contexts).toMatchObject([{ mayHaveBegun: false }, { mayHaveBegun: true }])
  })
})

describe('after an irreversible migration', () => {
  async function frozen(): Promise<{ bot: WholeBot; deployment: Awaited<ReturnType<TestBot['blueGreen']['deploy']>> }> {
    const bot = new WholeBot(new FaultyStore(), {
      migrations: { index: { up: async () => undefined, irreversible: true } },
    })
    const deployment = await bot.blueGreen.deploy('v2', whole)
    await bot.clock.advance(1_000)
    expect(await deployment.rollback({ why: 'users complain' })).toEqual({ outcome: 'FROZEN', why: 'users complain' })
    return { bot, deployment }
  }

  it('it is frozen instead of rolled back: nothing shifts, and a person is told', async () => {
    const { bot, deployment } = await frozen()
    expect(deployment.status).toMatchObject({ phase: 'FROZEN', percentage: 10 })
    const before = await bot.guildsOn('v2')
    await bot.clock.advance(86_400_000)
    expect(deployment.status).toMatchObject({ phase: 'FROZEN', percentage: 10 })
    expect(await bot.guildsOn('v2')).toEqual(before)
    const [news] = bot.changes.filter(({ severity }) => severity === 'CRITICAL')
    expect(news?.message).toContain('its migration is irreversible: it stays at 10 % and needs a human')
    expect(await deployment.rollback()).toMatchObject({ outcome: 'FROZEN' })
    await expect(bot.blueGreen.deploy('v3', plan)).rejects.toMatchObject({ code: 'DEPLOYMENT_RUNNING' })
  })

  it('it stays frozen over a restart', async () => {
    const { bot } = await frozen()
    await bot.clock.advance(0)
    bot.crash()
    const next = restart(bot, { migrations: { index: { up: async () => undefined, irreversible: true } } })
    await next.blueGreen.start()
    await next.clock.advance(60_000)
    expect(next.blueGreen.deployment?.status).toMatchObject({ phase: 'FROZEN', percentage: 10 })
    expect(next.timers).toBe(0)
  })

  it('a person goes forward, and what the bot finds by itself stops it no more', async () => {
    const { bot, deployment } = await frozen()
    expect(await deployment.promote({ why: 'we repair it in place' })).toMatchObject({ percentage: 50 })
    for (const guild of [...(await bot.guildsOn('v2'))].slice(0, 5)) await bot.fails(guild)
    expect(deployment.status).toMatchObject({ phase: 'SHIFTING_TRAFFIC', percentage: 50 })
    await bot.clock.advance(7_000)
    expect((await deployment.finished).outcome).toBe('COMPLETE')
  })

  it('a person takes it back all the same', async () => {
    const { bot, deployment } = await frozen()
    const result = await deployment.rollback({ why: 'blue can read it', acceptIrreversible: true })
    expect(result).toEqual({ outcome: 'ROLLED_BACK', why: 'blue can read it' })
    expect((await bot.guildsOn('v1')).size).toBe(1_000)
  })

  it('what a person took back stays so when the process stops and starts before the store had it', async () => {
    const { bot, deployment } = await frozen()
    await bot.clock.advance(0)
    bot.store.isDown = true
    void deployment.rollback({ why: 'blue can read it', acceptIrreversible: true })
    const stopping = bot.blueGreen.stop()
    await bot.clock.advance(60_000)
    await stopping
    bot.store.isDown = false
    await bot.blueGreen.start()
    await bot.clock.advance(60_000)
    expect(bot.blueGreen.status.phase).toBe('ROLLED_BACK')
    expect((await bot.guildsOn('v1')).size).toBe(1_000)
  })

  it('a person who took it back before it was run accepts nothing of what another process has run since', async () => {
    let pass!: () => void
    const options: TestOptions = {
      checks: { disk: () => new Promise<void>((resolve) => (pass = resolve)) },
      migrations: { index: { up: async () => undefined, irreversible: true } },
    }
    const bot = new WholeBot(new FaultyStore(), options)
    void bot.blueGreen.deploy('v2', whole).catch(() => undefined)
    await bot.clock.advance(0)
    bot.store.isDown = true
    void bot.blueGreen.rollback()
    const stopping = bot.blueGreen.stop()
    await bot.clock.advance(60_000)
    await stopping
    const other = restart(bot, options)
    await other.blueGreen.start()
    await other.clock.advance(0)
    pass()
    await other.clock.advance(0)
    expect(other.blueGreen.deployment?.status).toMatchObject({ phase: 'CANARY_TESTING', migrated: 'DONE' })
    bot.store.isDown = false
    await bot.blueGreen.start()
    await bot.clock.advance(60_000)
    expect(bot.blueGreen.status).toMatchObject({ phase: 'FROZEN', deployment: { percentage: 1 } })
  })

  it.each([
    ['that the store never confirmed', 1, {}],
    ['whose preparation it never confirmed', 2, { disk: () => undefined }],
  ])('a deployment %s, and that was taken back, stays so after a stop and start', async (_, write, checks) => {
    const migrations = { index: { up: async () => undefined, irreversible: true } }
    const bot = new TestBot(new FaultyStore(), { migrations, checks })
    await bot.blueGreen.start()
    bot.store.faults.set(bot.store.writes + write, 'written but hangs')
    void bot.blueGreen.deploy('v2', { ...plan, migration: 'index' }).catch(() => undefined)
    await bot.clock.advance(0)
    void bot.blueGreen.rollback()
    bot.store.isDown = true
    await bot.clock.advance(10_000)
    await bot.blueGreen.stop()
    bot.store.isDown = false
    await bot.blueGreen.start()
    await bot.clock.advance(0)
    expect(bot.blueGreen.status.phase).toBe('ROLLED_BACK')
  })

  it('a person goes forward only in good health', async () => {
    const health = new FakeHealth()
    const migrations = { index: { up: async () => undefined, irreversible: true } }
    const bot = new WholeBot(new FaultyStore(), { health, migrations })
    const deployment = await bot.blueGreen.deploy('v2', whole)
    void deployment.rollback()
    await bot.clock.advance(0)
    health.status = 'down'
    await expect(deployment.promote()).rejects.toThrow('health is down')
    health.becomes('up')
    expect(await deployment.promote()).toMatchObject({ percentage: 10 })
    expect(bot.percentages).toEqual([1, 10])
  })

  it('a promotion that the store does not confirm is given up, and it stays frozen', async () => {
    const { bot, deployment } = await frozen()
    await bot.clock.advance(0)
    bot.store.isDown = true
    const promoted = deployment.promote().catch((error: unknown) => error)
    await bot.clock.advance(5_000)
    expect(await promoted).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    bot.store.isDown = false
    await bot.clock.advance(60_000)
    expect(deployment.status).toMatchObject({ phase: 'FROZEN', percentage: 10 })
  })
})

describe('synthetic calls', () => {
  it.each<[string, SyntheticTest<Ping>, string]>([
    ['throw', throws, 'no'],
    ['return false', () => false, 'it returned false'],
    ['hang', hangs, 'it took longer than 10000 ms'],
  ])('that %s before anybody has green take it back', async (_, test, why) => {
    const bot = new WholeBot(new FaultyStore(), { smokeTests: { test } })
    const deploying = bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(10_000)
    expect(await (await deploying).finished).toEqual({
      outcome: 'ROLLED_BACK',
      why: `a smoke test failed: test: ${why}`,
    })
    expect(bot.percentages).toEqual([])
  })

  it('are asked of green itself, past the routing, and are no evidence', async () => {
    const bot = new WholeBot(new FaultyStore(), {
      versions: { v1: answer('v1'), v2: (p: Ping) => (p.guildId === 'fail' ? throws() : 'v2') },
      smokeTests: {
        ping,
        failing: async ({ call }) => {
          for (let i = 0; i < 20; i++) await call({ guildId: 'fail' }).catch(() => undefined)
        },
      },
    })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    expect(deployment.status.phase).toBe('CANARY_TESTING')
  })

  it('are made in each step, and one that fails in a late one takes it back', async () => {
    const shares: number[] = []
    const bot = new WholeBot(new FaultyStore(), {
      canaryTests: { share: ({ percentage }): boolean => shares.push(percentage) > 0 && percentage < 50 },
    })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(2_000)
    expect((await deployment.finished).why).toBe('a canary test failed: share: it returned false')
    expect(shares).toEqual([1, 10, 50])
    expect(bot.percentages).toEqual([1, 10, 50, 0])
  })

  it('are none of the events that a step by time asks for', async () => {
    const canaryTests: Record<string, SyntheticTest<Ping>> = {
      many: async ({ call }) => {
        for (let i = 0; i < 10; i++) await call({})
      },
    }
    const bot = new TestBot(new FaultyStore(), { canaryTests })
    const deployment = await bot.blueGreen.deploy('v2', {
      ...plan,
      percentages: [50, 100],
      advance: 'time',
      minEvents: 5,
    })
    await bot.clock.advance(1_000)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 50, awaitsEvidence: true })
    expect(deployment.status.why).toContain('"v2" has had 0 events in this step, fewer than 5')
    await bot.guildsOn('v2')
    await bot.clock.advance(30_000)
    expect(bot.percentages).toEqual([50, 100])
  })

  it.each(['CANARY_TESTING', 'SHIFTING_TRAFFIC'] as const)(
    'that hang are bounded, and take it back: %s',
    async (phase) => {
      const signals: AbortSignal[] = []
      const canaryTests: Record<string, SyntheticTest<Ping>> = {
        ping: ({ percentage, signal }) => {
          if (phase === 'SHIFTING_TRAFFIC' && percentage < 10) return undefined
          signals.push(signal)
          return hangs()
        },
      }
      const bot = new WholeBot(new FaultyStore(), { canaryTests })
      const deployment = await bot.blueGreen.deploy('v2', plan)
      await bot.clock.advance(9_999)
      expect(deployment.status.phase).toBe(phase)
      await bot.clock.advance(phase === 'CANARY_TESTING' ? 1 : 1_001)
      expect(await deployment.finished).toMatchObject({
        outcome: 'ROLLED_BACK',
        why: 'a canary test failed: ping: it took longer than 10000 ms',
      })
      expect(signals.map(({ aborted }) => aborted)).toEqual([true])
      expect(bot.timers).toBe(0)
    },
  )

  it('that have not ended keep the step, and their late end means nothing', async () => {
    let end!: (isGood: boolean) => void
    const bot = new WholeBot(new FaultyStore(), {
      canaryTests: { slow: () => new Promise<boolean>((resolve) => (end = resolve)) },
      probeTimeoutMs: 5_000,
    })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(3_000)
    expect(deployment.status).toMatchObject({ phase: 'CANARY_TESTING', percentage: 1 })
    end(true)
    await bot.clock.advance(0)
    expect(deployment.status.percentage).toBe(10)
    const late = end
    deployment.hold()
    late(false)
    await bot.clock.advance(10_000)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 10 })
  })
})

describe('acceptance tests', () => {
  const baking = { ...plan, bakeMs: 5_000 }

  it('are made of green when it has had everybody for the whole bake, before blue is given up', async () => {
    const seen: unknown[] = []
    const acceptanceTests: Record<string, SyntheticTest<Ping>> = {
      orders: async ({ call, version, from, to, percentage }) => {
        seen.push({ version, from, to, percentage, answer: await call({}), active: bot.blueGreen.status.active })
      },
    }
    const bot: WholeBot = new WholeBot(new FaultyStore(), { acceptanceTests })
    const deployment = await bot.blueGreen.deploy('v2', baking)
    await bot.clock.advance(8_999)
    expect(deployment.status.phase).toBe('BAKING')
    expect(seen).toEqual([])
    await bot.clock.advance(1)
    expect(seen).toEqual([{ version: 'v2', from: 'v1', to: 'v2', percentage: 100, answer: 'v2', active: 'v1' }])
    expect((await deployment.finished).outcome).toBe('COMPLETE')
    const [result] = deployment.report().results.filter(({ kind }) => kind === 'acceptanceTests')
    expect(result).toMatchObject({ name: 'orders', isPassed: true })
    expect(deployment.report().plan?.acceptanceTests).toEqual(['orders'])
    expect(reportMarkdown(deployment.report())).toContain('| acceptanceTests | orders | passed |')
  })

  it('come after the last step where nothing is baked, and stand in the dry run', async () => {
    let calls = 0
    const bot = new WholeBot(new FaultyStore(), { acceptanceTests: { count: () => void (calls += 1) } })
    await bot.blueGreen.start()
    const { steps } = await bot.blueGreen.dryRun('v2', plan)
    expect(steps.slice(-3)).toMatchObject([
      { phase: 'BAKING', percentage: 100, beginsAfterMs: 4_000, atLeastMs: 0, atMostMs: 10_000 },
      { phase: 'DRAINING_BLUE' },
      { phase: 'COMPLETE' },
    ])
    const deployment = await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(3_999)
    expect([deployment.status.phase, calls]).toEqual(['SHIFTING_TRAFFIC', 0])
    await bot.clock.advance(1)
    expect([(await deployment.finished).outcome, calls]).toEqual(['COMPLETE', 1])
    expect(bot.phases.slice(-4)).toEqual(['SHIFTING_TRAFFIC', 'BAKING', 'DRAINING_BLUE', 'COMPLETE'])
  })

  it.each<[string, SyntheticTest<Ping>, string]>([
    ['throw', throws, 'no'],
    ['return false', () => false, 'it returned false'],
    ['hang', hangs, 'it took longer than 10000 ms'],
  ])('that %s take it back, with the reason in the report and in the record', async (_, test, reason) => {
    const bot = new WholeBot(new FaultyStore(), { acceptanceTests: { test, ping } })
    const deployment = await bot.blueGreen.deploy('v2', { ...baking, migration: 'index' })
    await bot.clock.advance(19_000)
    const { outcome, why } = await deployment.finished
    expect(outcome).toBe('ROLLED_BACK')
    expect(why).toBe(`an acceptance test failed: test: ${reason}; the migration "index" was undone`)
    expect((await bot.guildsOn('v1')).size).toBe(1_000)
    const results = [
      { kind: 'acceptanceTests', name: 'test', isPassed: false, why: reason },
      { kind: 'acceptanceTests', name: 'ping', isPassed: true, why: '' },
    ]
    expect(deployment.report().results.filter(({ kind }) => kind === 'acceptanceTests')).toMatchObject(results)
    expect(await bot.store.record()).toMatchObject({
      state: { deployment: { results: expect.arrayContaining(results.map((each) => expect.objectContaining(each) as object)) as unknown } }, // prettier-ignore
    })
    expect(bot.blueGreen.status.rolledBack).toEqual(['v2'])
  })

  it('that fail after an irreversible migration freeze it, and a person completes it', async () => {
    const bot = new WholeBot(new FaultyStore(), {
      migrations: { index: { up: async () => undefined, irreversible: true } },
      acceptanceTests: { no: () => false },
    })
    const deployment = await bot.blueGreen.deploy('v2', whole)
    await bot.clock.advance(9_000)
    expect(deployment.status).toMatchObject({ phase: 'FROZEN', percentage: 100 })
    expect(deployment.status.why).toBe('an acceptance test failed: no: it returned false')
    await deployment.promote({ why: 'we repair it in place' })
    await bot.clock.advance(0)
    expect((await deployment.finished).outcome).toBe('COMPLETE')
  })

  it('are made again after a crash in the middle of them, without another bake', async () => {
    const bot = new WholeBot(new FaultyStore(), { acceptanceTests: { hangs } })
    const deployment = await bot.blueGreen.deploy('v2', baking)
    await bot.clock.advance(9_000)
    expect(deployment.status).toMatchObject({ phase: 'BAKING', step: 5, stepMs: 0 })
    bot.crash()
    let calls = 0
    const next = restart(bot, { acceptanceTests: { hangs: () => void (calls += 1) } })
    await next.blueGreen.start()
    await next.clock.advance(0)
    expect([next.blueGreen.status.phase, next.blueGreen.status.active, calls]).toEqual(['COMPLETE', 'v2', 1])
  })

  it('that a release has dropped take back a deployment that was to pass them', async () => {
    const bot = new WholeBot(new FaultyStore(), { acceptanceTests: { hangs } })
    await bot.blueGreen.deploy('v2', baking)
    await bot.clock.advance(9_000)
    bot.crash()
    const next = restart(bot, { acceptanceTests: {} })
    await next.blueGreen.start()
    await next.clock.advance(0)
    expect(next.blueGreen.status.phase).toBe('ROLLED_BACK')
    expect((await next.blueGreen.history())[0]?.why).toContain('hangs: there is none of this name in acceptanceTests')
  })

  it('that end when it is held or taken back already mean nothing, and are made again after the hold', async () => {
    const ends: ((isGood: boolean) => void)[] = []
    const acceptanceTests = { slow: () => new Promise<boolean>((resolve) => ends.push(resolve)) }
    const bot = new WholeBot(new FaultyStore(), { acceptanceTests })
    const deployment = await bot.blueGreen.deploy('v2', baking)
    await bot.clock.advance(9_000)
    deployment.hold({ why: 'I want to look' })
    ends[0]?.(true)
    await bot.clock.advance(60_000)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 100 })
    await deployment.resume()
    await bot.clock.advance(0)
    expect(ends).toHaveLength(2)
    const rolledBack = deployment.rollback({ why: 'users complain' })
    ends[1]?.(true)
    expect(await rolledBack).toEqual({ outcome: 'ROLLED_BACK', why: 'users complain' })
  })

  it('are not passed while the bot is unwell, also when its health did not say so', async () => {
    const health = new FakeHealth()
    const bot = new WholeBot(new FaultyStore(), { health, acceptanceTests: { sick: () => void (health.status = 'down') } }) // prettier-ignore
    const deployment = await bot.blueGreen.deploy('v2', baking)
    await bot.clock.advance(9_000)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 100, why: 'health is down' })
  })

  it('are what a person who promotes at the end of the bake cannot miss, but can end', async () => {
    const bot = new WholeBot(new FaultyStore(), { acceptanceTests: { hangs } })
    const deployment = await bot.blueGreen.deploy('v2', baking)
    await bot.clock.advance(5_000)
    expect(await deployment.promote({ why: 'it has baked enough' })).toMatchObject({ phase: 'BAKING', step: 5 })
    expect(await deployment.promote({ why: 'I made them by hand' })).toMatchObject({ phase: 'DRAINING_BLUE' })
    expect((await deployment.finished).outcome).toBe('COMPLETE')
  })
})

describe('a validation', () => {
  it('that blue does not pass is told, and stands in the result', async () => {
    const bot = new WholeBot(new FaultyStore(), { validations: { ping: throws, other: ping } })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    expect(await deployment.rollback({ why: 'no' })).toEqual({
      outcome: 'ROLLED_BACK',
      why: 'no',
      failures: ['ping: no'],
    })
    expect(bot.what).toEqual(['phase', 'validation'])
    expect(bot.phases.slice(-2)).toEqual(['VALIDATING_ROLLBACK', 'ROLLED_BACK'])
  })

  it('that hangs is bounded', async () => {
    const bot = new WholeBot(new FaultyStore(), { validations: { ping: hangs } })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    const finished = deployment.rollback()
    await bot.clock.advance(10_000)
    expect((await finished).failures).toEqual(['ping: it took longer than 10000 ms'])
  })
})

describe('a hold by hand while it is prepared', () => {
  it('lets what is under way end, and holds before green gets ready', async () => {
    let end!: () => void
    const bot = new WholeBot(new FaultyStore(), {
      checks: { slow: () => new Promise<void>((resolve) => (end = resolve)) },
    })
    const deploying = bot.blueGreen.deploy('v2', whole)
    await bot.clock.advance(0)
    const running = bot.blueGreen.deployment
    running?.hold({ why: 'it is Friday' })
    expect(running?.status).toMatchObject({ phase: 'PRECHECK' satisfies Phase, isHeldByHand: true })
    end()
    await bot.clock.advance(0)
    expect(running?.status).toMatchObject({ phase: 'HOLD', step: -1, percentage: 0 })
    expect(bot.done).toEqual(['backup', 'up'])
    expect((await deploying).id).toBe(running?.id)
    await running?.resume()
    await bot.clock.advance(0)
    expect(running?.status.phase).toBe('CANARY_TESTING')
  })

  it('that comes while the end of a phase is being written loses neither', async () => {
    const bot = new WholeBot()
    await bot.blueGreen.start()
    bot.store.faults.set(bot.store.writes + 2, 'is slow')
    const deploying = bot.blueGreen.deploy('v2', whole)
    await bot.clock.advance(0)
    expect(bot.blueGreen.status.phase).toBe('PRECHECK')
    bot.blueGreen.deployment?.hold({ why: 'it is Friday' })
    await bot.store.land()
    await bot.clock.advance(0)
    expect((await deploying).status).toMatchObject({ phase: 'HOLD', step: -1, isHeldByHand: true })
    expect(bot.done).toEqual(['check', 'backup', 'up'])
  })
})

describe('a plan by time', () => {
  it('waits at the end of a step for the events that it asks for, and a person goes on without', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', {
      ...plan,
      percentages: [50, 99, 100],
      advance: 'time',
      minEvents: 3,
    })
    await bot.clock.advance(1_000)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 50, awaitsEvidence: true })
    expect(deployment.status.why).toBe('"v2" has had 0 events in this step, fewer than 3')
    expect((await deployment.promote({ why: 'it is a quiet day' })).percentage).toBe(99)
    await bot.guildsOn('v2')
    await bot.clock.advance(1_000)
    expect(deployment.status).toMatchObject({ phase: 'SHIFTING_TRAFFIC', percentage: 100 })
  })
})
