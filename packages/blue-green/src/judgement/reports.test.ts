import { describe, expect, it } from 'vitest'
import { FaultyStore } from '../test-support/faulty-store.js'
import { randomFrom } from '../test-support/random.js'
import { TestBot } from '../test-support/test-bot.js'
import { Evidence } from './evidence.js'
import { readJudge, type JudgeOptions, type ReportKind } from './judge-options.js'
import { Window } from './window.js'

const minute = 60_000
const plan = { percentages: [50, 100], stepMs: 60 * minute, maxHoldMs: 24 * 60 * minute }
const nothingElse = { errorRateIncrease: false, responseTimeIncrease: false } as const
const triggerOf = {
  userReport: 'userReports',
  connectionFailure: 'connectionFailures',
  queryTimeout: 'queryTimeouts',
} as const

/** Settings with one trigger of what is told by `report`. */
const judged = (kind: ReportKind, most: number): ReturnType<typeof readJudge> =>
  readJudge({ ...nothingElse, [triggerOf[kind]]: most }, () => 0.5)

/** A window in which guilds on each version made a call, and some of them told something. */
function windowOf(kind: ReportKind, green: number, blue: number, guilds = 200): Window {
  const window = new Window()
  for (let i = 0; i < guilds; i++) window.add(i % 2 === 0 ? 'green' : 'blue', String(i), 1, false)
  for (let i = 0; i < green; i++) window.report(kind, 'green', String(2 * i))
  for (let i = 0; i < blue; i++) window.report(kind, 'blue', String(2 * i + 1))
  return window
}

describe.each<[ReportKind, string, number]>([
  ['userReport', 'reports', 120],
  ['connectionFailure', 'connection failures', 60],
  ['queryTimeout', 'query timeouts', 60],
])('a %s', (kind, name, windowMinutes) => {
  it('beyond the share of green takes it back, if there are more than are borne', () => {
    const evidence = new Evidence(judged(kind, 5))
    evidence.begin('d1', 'v1', 'v2')
    evidence.add(windowOf(kind, 12, 0), new Set(), 10 * minute)
    expect(evidence.find()).toMatchObject({ verdict: 'HARMFUL' })
    expect(evidence.find().why).toContain(`${name}: only the new version has any`)
  })

  it('that is as frequent on blue is no evidence, however many there are', () => {
    const evidence = new Evidence(judged(kind, 5))
    evidence.begin('d1', 'v1', 'v2')
    for (let window = 0; window < 20; window++) evidence.add(windowOf(kind, 12, 12), new Set(), 10 * minute)
    expect(evidence.find().verdict).not.toBe('HARMFUL')
  })

  it('counts for its window alone: what is spread over longer is borne', () => {
    const spread = new Evidence(judged(kind, 5))
    spread.begin('d1', 'v1', 'v2')
    for (let i = 0; i < 15; i++) spread.add(windowOf(kind, 1, 0), new Set(), (windowMinutes / 4) * minute)
    expect(spread.find().verdict).not.toBe('HARMFUL')
    const dense = new Evidence(judged(kind, 5))
    dense.begin('d1', 'v1', 'v2')
    for (let i = 0; i < 15; i++) dense.add(windowOf(kind, 1, 0), new Set(), (windowMinutes / 8) * minute)
    expect(dense.find().verdict).toBe('HARMFUL')
  })

  it('counts once of a guild in a window, and beside those of the other kinds', () => {
    const window = new Window()
    for (let i = 0; i < 100; i++) window.report(kind, 'green', 'loud')
    for (const other of Object.keys(triggerOf) as ReportKind[]) {
      if (other !== kind) window.report(other, 'blue', 'loud')
    }
    expect(window.reports(kind)).toEqual({ green: 1, blue: 0 })
  })

  it('of the guilds that have green by choice is no evidence', () => {
    const evidence = new Evidence(judged(kind, 5))
    evidence.begin('d1', 'v1', 'v2')
    const first = new Set(Array.from({ length: 20 }, (_, i) => String(2 * i)))
    for (let window = 0; window < 5; window++) evidence.add(windowOf(kind, 20, 0), first, 10 * minute)
    expect(evidence.find()).toMatchObject({ verdict: 'UNKNOWN', evidence: 1 })
  })

  it('is told by guild, and takes back a deployment', async () => {
    const bot = new TestBot(new FaultyStore(), {
      judge: { ...nothingElse, [triggerOf[kind]]: 3 },
      random: randomFrom(1),
    })
    await bot.blueGreen.start()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    const green = [...(await bot.guildsOn('v2'))]
    for (const guildId of green.slice(0, 20)) {
      bot.blueGreen.report(kind === 'userReport' ? { guildId } : { guildId, kind })
    }
    await bot.clock.advance(10 * minute)
    expect(await deployment.finished).toMatchObject({ outcome: 'ROLLED_BACK' })
    expect((await deployment.finished).why).toContain(name)
  })

  it.each([[-1], [0.5], [NaN], ['5']])('that may happen %s times is refused', (most) => {
    const options = { [triggerOf[kind]]: most } as JudgeOptions
    expect(() => readJudge(options, () => 0.5)).toThrow(`judge.${triggerOf[kind]} must be a whole number from 0`)
  })
})

describe('report', () => {
  it('counts against the version that it names, where another one serves the guild by now', async () => {
    const bot = new TestBot(new FaultyStore(), { judge: { ...nothingElse, queryTimeouts: 3 }, random: randomFrom(1) })
    await bot.blueGreen.start()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    for (const guildId of [...(await bot.guildsOn('v2'))].slice(0, 12)) {
      bot.blueGreen.report({ guildId, kind: 'queryTimeout', version: 'v1' })
    }
    await bot.clock.advance(10 * minute)
    expect(deployment.status.phase).toBe('CANARY_TESTING')
    for (const guildId of [...(await bot.guildsOn('v1'))].slice(0, 40)) {
      bot.blueGreen.report({ guildId, kind: 'queryTimeout', version: 'v2' })
      bot.blueGreen.report({ guildId, kind: 'queryTimeout', version: 'v3' })
    }
    await bot.clock.advance(10 * minute)
    expect((await deployment.finished).outcome).toBe('ROLLED_BACK')
  })

  it('refuses a kind and a version that there is not', () => {
    const { blueGreen } = new TestBot()
    expect(() => blueGreen.report({ guildId: '1', kind: 'toString' as never })).toThrow(
      'report has no kind "toString"; it has userReport, connectionFailure, queryTimeout',
    )
    expect(() => blueGreen.report({ guildId: '1', version: 'v9' })).toThrow('Cannot report of "v9": it is none of v1')
  })
})

describe('judge', () => {
  it.each(['maxErrorRatio', 'maxResponseTimeMs', 'minSatisfaction'])('refuses %s, and says why', (limit) => {
    expect(() => readJudge({ [limit]: 0.05 }, () => 0.5)).toThrow(
      `judge has no ${limit}: a deployment is judged beside the old version, not by a limit`,
    )
    // What checkTriggers leaves out may be there as undefined.
    expect(() => readJudge({ [limit]: undefined }, () => 0.5)).not.toThrow()
  })
})

describe('memory', () => {
  const grows = (bot: TestBot, version: string, bytes: number): void => {
    for (let part = 0; part < 8; part++) {
      bot.blueGreen.measureMemory(version, { ageMs: (part + 0.5) * 30 * minute, bytes })
    }
  }
  const judge = { errorRateIncrease: 0.2, responseTimeIncrease: false, memoryIncrease: 0.3 } as const

  it('that grows holds a step that ends by its time, until a person goes on', async () => {
    const bot = new TestBot(new FaultyStore(), { judge })
    await bot.blueGreen.start()
    grows(bot, 'v1', 100e6)
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, advance: 'time', minEvents: 0 })
    grows(bot, 'v2', 150e6)
    await bot.clock.advance(60 * minute)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 50, awaitsEvidence: true })
    expect(deployment.status.why).toContain('memory: the new version uses 1.50 times as much')
    await bot.clock.advance(60 * minute)
    expect(deployment.status.phase).toBe('HOLD')
    expect((await deployment.promote({ why: 'a new cache' })).percentage).toBe(100)
  })

  it('that grows holds at 100 %, too, before blue is given up: blue was as young before', async () => {
    const bot = new TestBot(new FaultyStore(), { judge })
    await bot.blueGreen.start()
    grows(bot, 'v1', 100e6)
    const deployment = await bot.blueGreen.deploy('v2', { percentages: [100], stepMs: 240 * minute })
    grows(bot, 'v2', 150e6)
    await bot.clock.advance(240 * minute)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 100 })
    await deployment.promote({ why: 'a new cache' })
    expect((await deployment.finished).outcome).toBe('COMPLETE')
  })

  it('that does not grow holds nothing', async () => {
    const bot = new TestBot(new FaultyStore(), { judge })
    await bot.blueGreen.start()
    grows(bot, 'v1', 100e6)
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, advance: 'time', minEvents: 0 })
    grows(bot, 'v2', 110e6)
    await bot.clock.advance(120 * minute)
    expect((await deployment.finished).outcome).toBe('COMPLETE')
  })
})
