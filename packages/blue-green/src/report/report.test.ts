import { describe, expect, it, vi } from 'vitest'
import type { Deployment, DeploymentStatus } from '../deployment.js'
import { FaultyStore } from '../test-support/faulty-store.js'
import { plan, TestBot } from '../test-support/test-bot.js'
import { History } from './history.js'
import type { DeploymentNews } from './notices.js'
import { reportMarkdown, type DeploymentReport } from './report.js'

const day = 86_400_000

/** The last process is gone; the same disk. */
function restart(bot: TestBot, options: ConstructorParameters<typeof TestBot>[1] = {}): TestBot {
  return new TestBot(new FaultyStore(bot.store.inner), options)
}

describe('a watch', () => {
  it('misses nothing of what happens before its first status is asked for', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', { percentages: [100], stepMs: 1_000 })
    const watch = deployment.watch()
    await deployment.rollback()
    const phases: string[] = []
    for await (const { phase } of watch) phases.push(phase)
    expect(phases[0]).toBe('CANARY_TESTING')
    expect(phases.at(-1)).toBe('ROLLED_BACK')
  })
})

describe('a rollback in batches', () => {
  async function atAll(
    options: ConstructorParameters<typeof TestBot>[1] = {},
  ): Promise<{ bot: TestBot; deployment: Deployment }> {
    const bot = new TestBot(new FaultyStore(), options)
    const deployment = await bot.blueGreen.deploy('v2', { percentages: [100], stepMs: day })
    return { bot, deployment }
  }

  it('gives the guilds back one batch after the other, and none twice', async () => {
    const { bot, deployment } = await atAll()
    const finished = deployment.rollback({ why: 'users complain', batches: { percentages: [50, 10], pauseMs: 1_000 } })
    const half = await bot.guildsOn('v2')
    expect(half.size).toBeGreaterThan(400)
    expect(half.size).toBeLessThan(600)
    await bot.clock.advance(999)
    expect(await bot.guildsOn('v2')).toEqual(half)
    await bot.clock.advance(1)
    const tenth = await bot.guildsOn('v2')
    expect([...tenth].filter((guild) => !half.has(guild))).toEqual([])
    expect(deployment.status).toMatchObject({ phase: 'ROLLING_BACK', percentage: 10 })
    await bot.clock.advance(1_000)
    expect(await finished).toEqual({ outcome: 'ROLLED_BACK', why: 'users complain' })
    expect(bot.percentages).toEqual([100, 50, 10, 0])
    expect(bot.timers).toBe(0)
  })

  it('goes by a quarter each half minute unless told otherwise', async () => {
    const { bot, deployment } = await atAll()
    void deployment.rollback({ batches: {} })
    await bot.clock.advance(90_000)
    expect(bot.percentages).toEqual([100, 75, 50, 25, 0])
  })

  it('becomes immediate when it is called again', async () => {
    const { bot, deployment } = await atAll()
    void bot.blueGreen.rollback({ batches: { size: 10 } })
    const again = deployment.rollback({ why: 'now', batches: { size: 10 } })
    expect((await bot.guildsOn('v2')).size).toBe(0)
    expect(await again).toMatchObject({ outcome: 'ROLLED_BACK', why: 'now' })
    expect(bot.percentages).toEqual([100, 90, 0])
  })

  it('becomes immediate when the bot finds a catastrophe meanwhile', async () => {
    const { bot, deployment } = await atAll()
    void deployment.rollback({ batches: { size: 10 } })
    for (const guild of [...(await bot.guildsOn('v2'))].slice(0, 3)) await bot.fails(guild)
    expect((await bot.guildsOn('v2')).size).toBe(0)
    expect((await deployment.finished).why).toContain('are failing on "v2"')
  })

  it('goes on after a restart, with no more than it had', async () => {
    const { bot, deployment } = await atAll()
    void deployment.rollback({ batches: { percentages: [40, 20, 0], pauseMs: 1_000 } })
    await bot.clock.advance(500)
    const before = await bot.guildsOn('v2')
    bot.crash()
    const next = restart(bot)
    await next.blueGreen.start()
    expect(await next.guildsOn('v2')).toEqual(before)
    await next.clock.advance(2_000)
    expect(next.percentages).toEqual([20, 0])
    expect(next.blueGreen.status.phase).toBe('ROLLED_BACK')
  })

  it.each([
    [{ percentages: [10, 50] }],
    [{ percentages: [NaN] }],
    [{ percentages: 50 }],
    [{ percentages: [50], size: 10 }],
    [{ size: 0 }],
    [{ size: NaN }],
    [{ size: 101 }],
    [{ pauseMs: 0 }],
    [{ each: 100 }],
  ])('is refused when its batches are none: %j', async (batches) => {
    const { bot, deployment } = await atAll()
    await expect(deployment.rollback({ batches: batches as object })).rejects.toThrow(/batches/)
    await expect(bot.blueGreen.rollback({ batches: batches as object })).rejects.toThrow(/batches/)
    expect(deployment.status.percentage).toBe(100)
  })
})

describe('a dry run', () => {
  it('runs the checks and nothing else, and says each step with its times', async () => {
    const done: string[] = []
    const note = (what: string) => async (): Promise<void> => void done.push(what)
    const bot = new TestBot(new FaultyStore(), {
      checks: { disk: note('check'), no: () => false },
      backup: async () => ({ id: String(done.push('backup')) }),
      migrations: { index: { up: note('up'), down: note('down') } },
      smokeTests: { ping: note('smoke') },
    })
    await bot.blueGreen.start()
    const writes = bot.store.writes
    const dry = await bot.blueGreen.dryRun('v2', { ...plan, migration: 'index', bakeMs: 5_000 })
    expect(done).toEqual(['check'])
    expect(bot.store.writes).toBe(writes)
    expect(dry).toMatchObject({ from: 'v1', to: 'v2', isReady: false, problems: [], atLeastMs: 9_000 })
    expect(dry.checks.map(({ name, isPassed }) => [name, isPassed])).toEqual([
      ['disk', true],
      ['no', false],
    ])
    expect(dry.steps.map(({ phase, percentage, beginsAfterMs }) => [phase, percentage, beginsAfterMs])).toEqual([
      ['PRECHECK', 0, 0],
      ['BACKUP', 0, 0],
      ['MIGRATING', 0, 0],
      ['GREEN_STAGING', 0, 0],
      ['SMOKE', 0, 0],
      ['CANARY_TESTING', 1, 0],
      ['SHIFTING_TRAFFIC', 10, 1_000],
      ['SHIFTING_TRAFFIC', 50, 2_000],
      ['SHIFTING_TRAFFIC', 100, 3_000],
      ['BAKING', 100, 4_000],
      ['DRAINING_BLUE', 100, 9_000],
      ['COMPLETE', 100, 9_000],
    ])
    expect(bot.blueGreen.status.phase).toBe('IDLE')
  })

  it('says what would refuse it', async () => {
    const bot = new TestBot()
    expect((await bot.blueGreen.dryRun('v2', plan)).problems[0]).toContain('call start() first')
    await bot.blueGreen.deploy('v2', plan)
    expect((await bot.blueGreen.dryRun('v3', plan)).problems[0]).toContain('to "v2" is running')
    await bot.blueGreen.rollback()
    expect(await bot.blueGreen.dryRun('v2', plan)).toMatchObject({ isReady: false, problems: ['version "v2" was rolled back before'] }) // prettier-ignore
    expect(await bot.blueGreen.dryRun('v2', { ...plan, retry: true })).toMatchObject({ isReady: true, problems: [] })
    expect((await bot.blueGreen.dryRun('v1', plan)).problems).toEqual(['version "v1" is the active one already'])
    await expect(bot.blueGreen.dryRun('v2', { percentages: [] })).rejects.toThrow(RangeError)
    await expect(bot.blueGreen.dryRun('v9')).rejects.toThrow('it is none of v1, v2, v3')
  })
})

describe('the report', () => {
  it('tells what happened, and stays what it was when the next one runs', async () => {
    const bot = new TestBot(new FaultyStore(), { checks: { disk: () => true } })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    expect(deployment.report()).toMatchObject({ outcome: 'RUNNING', number: 1, endedAt: null, from: 'v1', to: 'v2' })
    const beganAt = bot.clock.now()
    await bot.clock.advance(4_000)
    const report = deployment.report()
    expect(report).toMatchObject({
      outcome: 'COMPLETE',
      why: 'every step was passed',
      startedAt: beganAt,
      endedAt: beganAt + 4_000,
      plan: { percentages: plan.percentages, checks: ['disk'] },
      results: [{ name: 'disk', isPassed: true }],
    })
    expect(report.log.map(({ phase, percentage }) => [phase, percentage])).toEqual([
      ['PRECHECK', 0],
      ['GREEN_STAGING', 0],
      ['CANARY_TESTING', 1],
      ['SHIFTING_TRAFFIC', 10],
      ['SHIFTING_TRAFFIC', 50],
      ['SHIFTING_TRAFFIC', 100],
      ['DRAINING_BLUE', 100],
      ['COMPLETE', 100],
    ])
    await bot.blueGreen.deploy('v3', plan)
    expect(deployment.report()).toBe(report)
    expect(JSON.parse(JSON.stringify(report))).toEqual(report)
    const idle = await bot.blueGreen.deploy('v3', plan)
    expect(idle.report().number).toBe(2)
  })

  it('has what came before a restart', async () => {
    const bot = new TestBot()
    const { id } = await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(1_000)
    bot.crash()
    const next = restart(bot)
    await next.blueGreen.start()
    await next.clock.advance(4_000)
    const [report] = await next.blueGreen.history()
    expect(report?.deploymentId).toBe(id)
    expect(report?.log[0]).toMatchObject({ phase: 'GREEN_STAGING', why: 'deploy() was called' })
  })

  it('of a deployment that had nothing to do says so', async () => {
    const deployment = await new TestBot().blueGreen.deploy('v1', plan)
    expect(deployment.report()).toMatchObject({ outcome: 'ALREADY_ACTIVE', number: 0, log: [], plan: null })
    expect(reportMarkdown(deployment.report())).toMatch(/^# Deployment 0: v1 to v1, ALREADY_ACTIVE\n/)
  })

  it('is Markdown that names and reasons cannot break', async () => {
    const bot = new TestBot(new FaultyStore(), {
      versions: { v1: () => 1, '<b>|v2|': () => 2 },
      backup: async () => ({ id: 'a|b', bytes: 7 }),
      migrations: { index: { up: async () => undefined } },
      validations: { ping: () => false },
    })
    const deployment = await bot.blueGreen.deploy('<b>|v2|', { ...plan, migration: 'index' })
    await deployment.rollback({ why: 'users\n| complain `loudly`.' })
    expect(() => reportMarkdown(deployment as never)).toThrow('deployment.report()')
    const text = reportMarkdown(deployment.report())
    expect(text).toContain('# Deployment 1: v1 to \\<b\\>\\|v2\\|, ROLLED_BACK')
    expect(text).toContain('users \\| complain \\`loudly\\`.')
    expect(text).toContain('Backup: a\\|b of 2026-01-01T00:00:00.000Z, 7 bytes.')
    expect(text).toContain('- ping: it returned false')
    for (const line of text.split('\n').filter((each) => each.startsWith('|'))) {
      expect(line.replace(/\\\|/g, '').split('|').length).toBeGreaterThan(4)
    }
  })
})

describe('the history', () => {
  it('has a deployment as soon as it is known to have finished', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', { percentages: [100], stepMs: 1_000 })
    await deployment.rollback()
    expect(await bot.blueGreen.history()).toHaveLength(1)
  })

  it('has the last deployments, the newest first, under keys of their own', async () => {
    const bot = new TestBot(new FaultyStore(), { historyLength: 2 })
    expect(await bot.blueGreen.history()).toEqual([])
    for (const version of ['v2', 'v3', 'v1']) {
      await bot.blueGreen.deploy(version, { percentages: [100], stepMs: 1_000 })
      await bot.clock.advance(1_000)
    }
    expect((await bot.blueGreen.history()).map(({ number, to }) => [number, to])).toEqual([
      [3, 'v1'],
      [2, 'v3'],
    ])
    expect(await restart(bot, { historyLength: 2 }).blueGreen.history()).toHaveLength(2)
    expect(await restart(bot, { name: 'other' }).blueGreen.history()).toEqual([])
  })

  it('has one of which the process died before it was kept', async () => {
    const bot = new TestBot()
    const compareAndSet = bot.store.compareAndSet.bind(bot.store)
    bot.store.compareAndSet = (key, ...rest) => key.includes(':history:') ? new Promise(() => undefined) : compareAndSet(key, ...rest) // prettier-ignore
    await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(4_000)
    expect(bot.blueGreen.status.phase).toBe('COMPLETE')
    bot.crash()
    const next = restart(bot)
    await next.blueGreen.start()
    await next.clock.advance(0)
    expect(await next.blueGreen.history()).toMatchObject([
      { number: 1, outcome: 'COMPLETE', why: 'every step was passed' },
    ])
  })

  it('that cannot be written delays nothing and is said', async () => {
    const bot = new TestBot()
    const compareAndSet = bot.store.compareAndSet.bind(bot.store)
    bot.store.compareAndSet = (key, ...rest) => key.includes(':history:') ? Promise.reject(new Error('the disk is full')) : compareAndSet(key, ...rest) // prettier-ignore
    const deployment = await bot.blueGreen.deploy('v2', plan)
    expect((await deployment.rollback()).outcome).toBe('ROLLED_BACK')
    await bot.clock.advance(0)
    expect(bot.changes.at(-1)).toMatchObject({ what: 'history', severity: 'WARNING', why: expect.stringContaining('the disk is full') as string }) // prettier-ignore
    bot.store.isDown = true
    await expect(bot.blueGreen.history()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })

  it('leaves out what is damaged, and never overwrites a later one', async () => {
    const bot = new TestBot()
    const settings = { store: bot.store, name: 'bot', clock: bot.clock, storeTimeoutMs: 1_000, historyLength: 2 }
    const history = new History(settings, (_, why) => expect.unreachable(why))
    const deployment = await bot.blueGreen.deploy('v2', plan)
    const report = (number: number): DeploymentReport => ({ ...deployment.report(), number })
    for (const number of [4, 2, 3, 4]) {
      history.keep(report(number))
      await history.settled
    }
    expect((await history.read()).map(({ number }) => number)).toEqual([4, 3])
    const found = await bot.store.inner.entry('blue-green:bot:history:0')
    const damaged = JSON.parse(JSON.stringify(found?.value).replace('"v2"', '"v9"')) as unknown
    await bot.store.inner.compareAndSet('blue-green:bot:history:0', found?.version, damaged)
    expect((await history.read()).map(({ number }) => number)).toEqual([3])
  })

  it('is nothing where nothing is to be kept', async () => {
    const bot = new TestBot(new FaultyStore(), { historyLength: 0 })
    await bot.blueGreen.deploy('v2', plan)
    await bot.blueGreen.rollback()
    expect(await bot.blueGreen.history()).toEqual([])
    expect(() => new TestBot(new FaultyStore(), { historyLength: 101 })).toThrow('historyLength must be at most 100')
  })
})

describe('a watch', () => {
  it('tells each status in order, and ends with the deployment', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    const seen: DeploymentStatus[] = []
    const watching = (async () => {
      for await (const status of deployment.watch()) seen.push(status)
    })()
    await bot.clock.advance(4_000)
    await watching
    expect(seen.map(({ phase, percentage }) => [phase, percentage])).toEqual([
      ['CANARY_TESTING', 1],
      ['SHIFTING_TRAFFIC', 10],
      ['SHIFTING_TRAFFIC', 50],
      ['SHIFTING_TRAFFIC', 100],
      ['DRAINING_BLUE', 100],
      ['COMPLETE', 100],
    ])
    const late: DeploymentStatus[] = []
    for await (const status of deployment.watch()) late.push(status)
    expect(late.map(({ phase }) => phase)).toEqual(['COMPLETE'])
    const idle = await bot.blueGreen.deploy('v2', plan)
    for await (const { phase } of idle.watch()) expect(phase).toBe('COMPLETE')
  })

  it('ends by its signal, and breaking off the loop ends nothing else', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    for await (const status of deployment.watch()) {
      expect(status.percentage).toBe(1)
      break
    }
    const stop = new AbortController()
    const watching = (async () => {
      for await (const status of deployment.watch({ signal: stop.signal })) expect(status.step).toBe(0)
    })()
    await bot.clock.advance(0)
    stop.abort(new Error('enough'))
    await expect(watching).rejects.toThrow('enough')
    await bot.clock.advance(4_000)
    expect((await deployment.finished).outcome).toBe('COMPLETE')
  })

  it('ends when the process stops driving', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    const watching = (async () => {
      for await (const status of deployment.watch()) expect(status.phase).toBe('CANARY_TESTING')
    })()
    await bot.blueGreen.stop()
    await watching
  })
})

describe('notifications', () => {
  it('are few: start, the end, and what a person should know', async () => {
    const news: DeploymentNews[] = []
    const bot = new TestBot(new FaultyStore(), { notify: async (each) => void news.push(each) })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    deployment.hold({ why: 'it is Friday' })
    await bot.clock.advance(61_000)
    await deployment.resume()
    deployment.hold({ why: 'it is Friday' })
    await deployment.resume()
    await bot.clock.advance(4_000)
    expect(news.map(({ kind, severity }) => [kind, severity])).toEqual([
      ['started', 'INFO'],
      ['held', 'WARNING'],
      ['held', 'CRITICAL'],
      ['succeeded', 'INFO'],
    ])
    expect(news[0]?.message).toContain('Deployment ')
    await bot.blueGreen.deploy('v3', plan)
    await bot.blueGreen.rollback()
    expect(news.slice(4).map(({ kind }) => kind)).toEqual(['started', 'rolledBack'])
  })

  it('tell of what is frozen and of what has failed', async () => {
    const news: string[] = []
    const bot = new TestBot(new FaultyStore(), {
      notify: ({ kind }) => news.push(kind),
      checks: { disk: ({ to }) => to !== 'v3' },
      migrations: { drop: { up: async () => undefined, irreversible: true } },
    })
    await bot.blueGreen.deploy('v3', plan)
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, migration: 'drop' })
    await deployment.rollback()
    await bot.clock.advance(0)
    expect(news).toEqual(['started', 'failed', 'started', 'frozen'])
  })

  it.each<[string, () => unknown]>([
    ['hang', () => new Promise(() => undefined)],
    ['reject', () => Promise.reject(new Error('no network'))],
    [
      'throw',
      () => {
        throw new Error('no network')
      },
    ],
  ])('that %s delay no rollback', async (_, notify) => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const bot = new TestBot(new FaultyStore(), { notify })
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, percentages: [100] })
    const finished = deployment.rollback({ why: 'no' })
    expect(await bot.serves('a')).toBe('v1')
    expect(await finished).toEqual({ outcome: 'ROLLED_BACK', why: 'no' })
    await bot.clock.advance(0)
    expect(warn.mock.calls.every(([, options]) => (options as { code: string }).code === 'EVENKEEL_NOTIFY')).toBe(true)
    warn.mockRestore()
  })
})
