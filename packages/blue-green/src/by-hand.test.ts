import { describe, expect, it } from 'vitest'
import { FakeHealth } from './test-support/fake-health.js'
import { FaultyStore } from './test-support/faulty-store.js'
import { plan, TestBot } from './test-support/test-bot.js'

const day = 86_400_000

async function deployed(options: ConstructorParameters<typeof TestBot>[1] = {}, store = new FaultyStore()) {
  const bot = new TestBot(store, options)
  const deployment = await bot.blueGreen.deploy('v2', plan)
  return { bot, deployment }
}

describe('promote', () => {
  it('goes on now, and each later step has its whole time', async () => {
    const { bot, deployment } = await deployed()
    await bot.clock.advance(400)
    expect(await deployment.promote({ why: 'looks good' })).toMatchObject({
      phase: 'SHIFTING_TRAFFIC',
      percentage: 10,
      elapsedMs: 0,
      why: 'looks good',
    })
    await bot.clock.advance(999)
    expect(deployment.status.percentage).toBe(10)
    await bot.clock.advance(1)
    expect(deployment.status.percentage).toBe(50)
    expect((await bot.store.record())?.state.deployment?.percentage).toBe(50)
  })

  it('to the end takes as many calls as there are steps, and then does nothing', async () => {
    const { bot, deployment } = await deployed()
    for (const percentage of [10, 50, 100]) expect(await deployment.promote()).toMatchObject({ percentage })
    expect((await deployment.promote()).phase).toBe('DRAINING_BLUE')
    expect((await deployment.finished).outcome).toBe('COMPLETE')
    expect((await deployment.promote()).phase).toBe('COMPLETE')
    expect(bot.percentages).toEqual([1, 10, 50, 100])
  })

  it('twice at once is one step', async () => {
    const { bot, deployment } = await deployed()
    await Promise.all([deployment.promote(), deployment.promote()])
    expect(bot.percentages).toEqual([1, 10])
  })

  it.each(['down', 'unknown', 'degraded'] as const)(
    'is refused while health is %s, also without a word',
    async (status) => {
      const health = new FakeHealth()
      const { bot, deployment } = await deployed({ health })
      health.status = status
      await expect(deployment.promote()).rejects.toMatchObject({
        code: 'DEPLOYMENT_HELD',
        deploymentId: deployment.id,
        message: expect.stringContaining(`health is ${status}`) as string,
      })
      expect(bot.percentages).toEqual([1])
    },
  )

  it('is refused when the store does not answer, and then it holds', async () => {
    const { bot, deployment } = await deployed()
    bot.store.isDown = true
    const refused = deployment.promote().catch((error: unknown) => error)
    await bot.clock.advance(10_000)
    expect(await refused).toMatchObject({ code: 'DEPLOYMENT_HELD', applied: 'no' })
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 1 })
  })

  it('ends when the process stops driving, or another one does', async () => {
    const { bot, deployment } = await deployed()
    bot.store.isDown = true
    const stopped = deployment.promote().catch((error: unknown) => error)
    const stopping = bot.blueGreen.stop()
    await bot.clock.advance(10_000)
    await stopping
    expect(await stopped).toMatchObject({ code: 'STOPPED' })
    await expect(deployment.promote()).rejects.toMatchObject({ code: 'STOPPED' })

    const { bot: first, deployment: lost } = await deployed()
    await new TestBot(first.store).blueGreen.start()
    await expect(lost.promote()).rejects.toMatchObject({ code: 'FENCED' })
    await expect(lost.promote()).rejects.toMatchObject({ code: 'FENCED' })
  })

  it('loses to a rollback', async () => {
    const { bot, deployment } = await deployed()
    const promoted = deployment.promote()
    void deployment.rollback({ why: 'no' })
    expect((await promoted).phase).toBe('ROLLING_BACK')
    await deployment.finished
    expect(bot.percentages).toEqual([1, 0])
  })
})

describe('an option that does not exist', () => {
  it('is told as a warning by a rollback, which happens all the same', async () => {
    const { deployment } = await deployed()
    const warned = new Promise<Error & { code?: string }>((resolve) => process.once('warning', resolve))
    const rolledBack = deployment.rollback({ acceptIrreversble: true } as never)
    expect(await warned).toMatchObject({
      code: 'EVENKEEL_OPTION',
      message: 'rollback has no option "acceptIrreversble"',
    })
    expect((await rolledBack).outcome).toBe('ROLLED_BACK')
  })

  it('is refused by a drain', async () => {
    const { bot } = await deployed()
    await expect(bot.blueGreen.drain({ timeout: 5 } as never)).rejects.toThrow('drain has no option "timeout"')
  })
})

describe('hold', () => {
  it('keeps the share for as long as it takes, through good health, and a person is asked', async () => {
    const health = new FakeHealth()
    const { bot, deployment } = await deployed({ health })
    await bot.clock.advance(1_400)
    deployment.hold({ why: 'it is Friday' })
    expect(deployment.status).toMatchObject({
      phase: 'HOLD',
      percentage: 10,
      isHeldByHand: true,
      why: 'held by hand: it is Friday',
    })
    health.becomes('down')
    health.becomes('up')
    await bot.clock.advance(3 * day)
    expect(deployment.status).toMatchObject({ phase: 'HOLD', percentage: 10 })
    const [call] = bot.changes.filter(({ what }) => what === 'hold')
    expect(call?.message).toContain('Resume it, or roll it back.')
    await expect(deployment.promote()).rejects.toThrow('held by hand: it is Friday. Resume() it first.')
  })

  it('is over by resume(), and the time of the step begins anew', async () => {
    const { bot, deployment } = await deployed()
    deployment.hold()
    await bot.clock.advance(day)
    expect(await deployment.resume({ why: 'it is Monday' })).toMatchObject({
      phase: 'CANARY_TESTING',
      isHeldByHand: false,
      why: 'it is Monday',
    })
    await bot.clock.advance(999)
    expect(deployment.status.percentage).toBe(1)
    await bot.clock.advance(1)
    expect(deployment.status.percentage).toBe(10)
  })

  it('survives a restart, with its reason', async () => {
    const { bot, deployment } = await deployed()
    deployment.hold({ why: 'it is Friday' })
    await bot.clock.advance(0)
    bot.crash()
    const next = new TestBot(new FaultyStore(bot.store.inner))
    await next.blueGreen.start()
    await next.clock.advance(day)
    expect(next.blueGreen.deployment?.status).toMatchObject({
      id: deployment.id,
      phase: 'HOLD',
      percentage: 1,
      why: 'it is still held by hand: it is Friday',
    })
    await next.blueGreen.deployment?.resume()
    await next.clock.advance(1_000)
    expect(next.blueGreen.deployment?.status.percentage).toBe(10)
  })

  it('is in force though the store is away, and beats a step that is being written', async () => {
    const { bot, deployment } = await deployed()
    const promoted = deployment.promote().catch((error: unknown) => error)
    deployment.hold({ why: 'wait' })
    expect(await promoted).toMatchObject({ code: 'DEPLOYMENT_HELD' })
    await bot.clock.advance(day)
    expect(bot.percentages).toEqual([1])
    expect((await bot.store.record())?.state.deployment).toMatchObject({ phase: 'HOLD', heldByHand: 'wait' })
  })

  it('that cannot be ended in the store stands, free of the hand, and goes on when the store is back', async () => {
    const { bot, deployment } = await deployed()
    deployment.hold()
    await bot.clock.advance(0)
    bot.store.isDown = true
    const resumed = deployment.resume()
    await bot.clock.advance(2_000)
    expect(await resumed).toMatchObject({ phase: 'HOLD', isHeldByHand: false, percentage: 1 })
    bot.store.isDown = false
    await bot.clock.advance(31_000)
    expect(deployment.status.phase).toBe('CANARY_TESTING')
  })

  it('that is ended as health turns says that health holds it', async () => {
    const health = new FakeHealth()
    const { bot, deployment } = await deployed({ health })
    deployment.hold()
    await bot.clock.advance(0)
    bot.store.faults.set(bot.store.writes + 1, 'is slow')
    const resumed = deployment.resume()
    await bot.clock.advance(0)
    health.becomes('down')
    await bot.store.land()
    expect(await resumed).toMatchObject({ phase: 'HOLD', isHeldByHand: false })
  })

  it('that a listener asks for as another is ended stands', async () => {
    const { bot, deployment } = await deployed()
    deployment.hold({ why: 'one' })
    await bot.clock.advance(0)
    bot.blueGreen.once('change', () => deployment.hold({ why: 'two' }))
    expect(await deployment.resume()).toMatchObject({ phase: 'HOLD', isHeldByHand: true })
  })

  it('is not ended where nobody drives, for the next start would hold again', async () => {
    const { bot, deployment } = await deployed()
    deployment.hold()
    await bot.clock.advance(0)
    await bot.blueGreen.stop()
    await expect(deployment.resume()).rejects.toMatchObject({ code: 'STOPPED' })
    await bot.blueGreen.start()
    expect(await deployment.resume()).toMatchObject({ phase: 'CANARY_TESTING', isHeldByHand: false })
  })

  it('that comes while another is being ended stands', async () => {
    const { bot, deployment } = await deployed()
    deployment.hold({ why: 'one' })
    const resumed = deployment.resume()
    deployment.hold({ why: 'two' })
    expect(await resumed).toMatchObject({ phase: 'HOLD', isHeldByHand: true })
    await bot.clock.advance(day)
    expect((await bot.store.record())?.state.deployment).toMatchObject({ phase: 'HOLD', heldByHand: 'two' })
  })

  it('beside one of health leaves that one in place when it is over', async () => {
    const health = new FakeHealth()
    const { bot, deployment } = await deployed({ health })
    health.becomes('down')
    deployment.hold({ why: 'I look into it' })
    expect(await deployment.resume()).toMatchObject({ phase: 'HOLD', isHeldByHand: false })
    expect(bot.changes.filter(({ what }) => what === 'hand').map(({ from, to }) => [from, to])).toEqual([
      ['off', 'on'],
      ['on', 'off'],
    ])
    health.becomes('up')
    await bot.clock.advance(30_000)
    expect(deployment.status.phase).toBe('CANARY_TESTING')
  })

  it('does nothing while it is rolled back, and a rollback ends it', async () => {
    const { deployment } = await deployed()
    deployment.hold()
    const rolledBack = deployment.rollback()
    deployment.hold()
    expect(deployment.status).toMatchObject({ phase: 'ROLLING_BACK', isHeldByHand: false })
    expect((await rolledBack).outcome).toBe('ROLLED_BACK')
    expect((await deployment.resume()).phase).toBe('ROLLED_BACK')
  })

  it('is nothing on a deployment that had nothing to do', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v1', plan)
    deployment.hold()
    expect(await deployment.resume()).toBe(deployment.status)
    expect(await deployment.promote()).toMatchObject({ phase: 'COMPLETE', isHeldByHand: false })
  })
})

describe('the first', () => {
  const first = ['test-guild', 17n, 'ada']

  it('are on green from the first step on, alone if it has no share', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, percentages: [0, 1, 100], first })
    expect(deployment.status).toMatchObject({ phase: 'CANARY_TESTING', percentage: 0 })
    expect(await bot.serves('test-guild')).toBe('v2')
    expect(await bot.serves('17')).toBe('v2')
    expect(await bot.serves(null, 'ada')).toBe('v2')
    expect(await bot.serves('ada-guild', 'ada')).toBe('v1')
    expect((await bot.guildsOn('v2')).size).toBe(0)
    void deployment.rollback()
    expect(await bot.serves('test-guild')).toBe('v1')
  })

  it('are not while it is only staged', async () => {
    const health = new FakeHealth()
    health.becomes('down')
    const bot = new TestBot(new FaultyStore(), { health })
    await bot.blueGreen.deploy('v2', { ...plan, first })
    expect(await bot.serves('test-guild')).toBe('v1')
  })

  it('are the same after a restart', async () => {
    const bot = new TestBot()
    await bot.blueGreen.deploy('v2', { ...plan, percentages: [0, 100], first })
    bot.crash()
    const next = new TestBot(new FaultyStore(bot.store.inner))
    await next.blueGreen.start()
    expect(await next.serves('test-guild')).toBe('v2')
    expect((await next.guildsOn('v2')).size).toBe(0)
  })

  it.each([
    ['test-guild', 'first must be a list of ids'],
    [[2 ** 53], 'no safe integer'],
    [[null], 'an id of first must be a string or a bigint, not null'],
    [[{}], 'must be a string'],
    [Array.from({ length: 1_001 }, (_, i) => String(i)), 'first has 1001 ids, more than 1000'],
  ])('are refused when they are none: %j', async (wrong, words) => {
    const bot = new TestBot()
    await expect(bot.blueGreen.deploy('v2', { first: wrong as string[] })).rejects.toThrow(words)
  })
})
