import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { FaultyStore } from '../test-support/faulty-store.js'
import { randomFrom } from '../test-support/random.js'
import { TestBot } from '../test-support/test-bot.js'
import { LostDatabase } from './lost-database.js'
import type { Side } from './window.js'

const plan = { percentages: [10, 100], stepMs: 3_600_000 }
const judge = { connectionFailures: 100 }

/** A bot on its first step, and which of its thousand guilds is on which version. */
async function deployed(options: ConstructorParameters<typeof TestBot>[1] = {}) {
  const bot = new TestBot(new FaultyStore(), { judge, ...options })
  await bot.blueGreen.start()
  const deployment = await bot.blueGreen.deploy('v2', plan)
  const green = [...(await bot.guildsOn('v2'))]
  const blue = [...(await bot.guildsOn('v1'))]
  return { bot, deployment, green, blue }
}

describe('a new version that alone has lost its database', () => {
  it('is taken back at once, though its calls do not fail', async () => {
    const { bot, deployment, green, blue } = await deployed()
    for (const guildId of green.slice(0, 3)) bot.blueGreen.report({ guildId, kind: 'connectionFailure' })
    // Nobody knows yet whether the old one reaches it.
    expect(deployment.status.phase).toBe('CANARY_TESTING')
    for (const guildId of blue.slice(0, 37)) await bot.serves(guildId)
    expect(deployment.status.phase).toBe('CANARY_TESTING')
    await bot.serves(blue[37] as string)
    expect(await deployment.finished).toEqual({
      outcome: 'ROLLED_BACK',
      why: 'it does not reach its database in 3 of 3 guilds, while the old version does in all of 38',
    })
  })

  it('is no such thing where one guild of the old version has lost it, too', async () => {
    const { bot, deployment, green, blue } = await deployed()
    bot.blueGreen.report({ guildId: green[0], kind: 'connectionFailure' })
    bot.blueGreen.report({ guildId: blue[0], kind: 'connectionFailure' })
    for (const guildId of blue.slice(0, 500)) await bot.serves(guildId)
    for (const guildId of green.slice(0, 50)) bot.blueGreen.report({ guildId, kind: 'connectionFailure' })
    expect(deployment.status.phase).toBe('CANARY_TESTING')
  })

  it('is no such thing at 100 %, where nobody is left on the old version', async () => {
    const { bot, deployment, green, blue } = await deployed()
    await deployment.promote()
    for (const guildId of [...green, ...blue]) bot.blueGreen.report({ guildId, kind: 'connectionFailure' })
    expect(deployment.status).toMatchObject({ phase: 'SHIFTING_TRAFFIC', percentage: 100 })
  })

  it('is no such thing when the database goes for everybody just after they came to it', async () => {
    const { bot, deployment, green, blue } = await deployed()
    bot.blueGreen.report({ guildId: green[0], kind: 'connectionFailure' })
    for (const guildId of blue.slice(0, 500)) await bot.serves(guildId)
    await deployment.promote()
    for (const guildId of [...green, ...blue]) bot.blueGreen.report({ guildId, kind: 'connectionFailure' })
    expect(deployment.status).toMatchObject({ phase: 'SHIFTING_TRAFFIC', percentage: 100 })
  })

  it('is not found of the guilds that have it by choice, nor of other reports, nor unless it is asked for', async () => {
    for (const [kind, options, first] of [
      ['connectionFailure', {}, true],
      ['queryTimeout', { judge: { ...judge, queryTimeouts: 100 } }, false],
      ['connectionFailure', { judge: { queryTimeouts: 100 } }, false],
    ] as const) {
      const bot = new TestBot(new FaultyStore(), { judge, ...options })
      await bot.blueGreen.start()
      const chosen = Array.from({ length: 20 }, (_, i) => `chosen-${i}`)
      const deployment = await bot.blueGreen.deploy('v2', { ...plan, first: first ? chosen : [] })
      const green = first ? chosen : [...(await bot.guildsOn('v2'))].slice(0, 20)
      for (const guildId of green) bot.blueGreen.report({ guildId, kind })
      for (const guildId of await bot.guildsOn('v1')) await bot.serves(guildId)
      expect(deployment.status.phase).toBe('CANARY_TESTING')
    }
  })

  it('is left where a person has gone on in spite of it', async () => {
    const migrations = { index: { up: async () => undefined, irreversible: true } }
    const bot = new TestBot(new FaultyStore(), { judge, migrations })
    const deployment = await bot.blueGreen.deploy('v2', { percentages: [5, 10, 100], stepMs: 3_600_000, migration: 'index' }) // prettier-ignore
    await deployment.rollback()
    await deployment.promote({ why: 'we repair it in place' })
    for (const guildId of await bot.guildsOn('v2')) bot.blueGreen.report({ guildId, kind: 'connectionFailure' })
    for (const guildId of await bot.guildsOn('v1')) await bot.serves(guildId)
    expect(deployment.status).toMatchObject({ phase: 'SHIFTING_TRAFFIC', percentage: 10 })
  })
})

describe('calls of the old version that fail', () => {
  it('do not say that it reaches its database', async () => {
    const { bot, deployment, green, blue } = await deployed()
    // An outage of both: the new one tells of it and answers kindly, the old one is from before that, and throws.
    for (const guildId of green.slice(0, 3)) bot.blueGreen.report({ guildId, kind: 'connectionFailure' })
    for (const guildId of blue.slice(0, 60)) await bot.fails(guildId, 1)
    expect(deployment.status.phase).toBe('CANARY_TESTING')
  })
})

describe('what began to fail', () => {
  it('is compared for a minute, and forgotten', () => {
    const clock = new FakeClock()
    const database = new LostDatabase(clock, 2)
    for (let i = 0; i < 20; i++) database.failed('green', `green-${i}`)
    return clock.advance(60_001).then(() => {
      for (let i = 0; i < 500; i++) expect(database.served('blue', `blue-${i}`)).toBeUndefined()
      expect(database.failed('green', 'green-0')).toBeUndefined()
    })
  })

  it('is found with more guilds than are borne, and by chance less than once in ten thousand', () => {
    const found = (failing: number, green: number, blue: number, most = 2): boolean => {
      const database = new LostDatabase(new FakeClock(), most)
      for (let i = 0; i < failing; i++) database.failed('green', `green-${i}`)
      for (let i = failing; i < green; i++) database.served('green', `green-${i}`)
      let why: string | undefined
      for (let i = 0; i < blue; i++) why ??= database.served('blue', `blue-${i}`)
      return why !== undefined
    }
    // One of 9,880 ways to choose three of forty guilds, and one of 10,660 of forty-one. Half of those of green at least.
    expect(found(3, 3, 37)).toBe(false)
    expect(found(3, 3, 38)).toBe(true)
    expect(found(3, 3, 500, 3)).toBe(false)
    expect(found(2, 2, 10_000)).toBe(false)
    expect(found(3, 50, 50)).toBe(false)
    expect(found(24, 50, 50)).toBe(false)
    expect(found(25, 50, 50)).toBe(true)
    expect(found(50, 100, 2)).toBe(false)
    expect(found(500, 500, 3)).toBe(true)
  })

  it.each([
    [0.01, 1_500],
    [0.1, 200],
    [0.5, 50],
    [0.9, 200],
  ])(
    'on green alone is found at a share of %s within %i calls of the bot, in each of 200 deployments',
    (share, most) => {
      const random = randomFrom(5)
      for (let deployment = 0; deployment < 200; deployment++) {
        const database = new LostDatabase(new FakeClock(), 2)
        let why: string | undefined
        for (let i = 0; i < most && why === undefined; i++) {
          why = random() < share ? database.failed('green', `${i}`) : database.served('blue', `${i}`)
        }
        expect(why).toContain('it does not reach its database')
      }
    },
  )

  it('alike on both versions is hardly ever found, whatever the share, in two thousand outages', () => {
    const random = randomFrom(11)
    let found = 0
    for (let outage = 0; outage < 2_000; outage++) {
      const [share, ratio] = [0.01 + 0.98 * random(), random()]
      const database = new LostDatabase(new FakeClock(), 2)
      let why: string | undefined
      for (let i = 0; i < 200 && why === undefined; i++) {
        const side: Side = random() < share ? 'green' : 'blue'
        if (random() < ratio) why = database.failed(side, `${i}`)
        else why = database.served(side, `${i}`)
      }
      if (why !== undefined) found += 1
    }
    expect(found).toBeLessThanOrEqual(2)
  })
})
