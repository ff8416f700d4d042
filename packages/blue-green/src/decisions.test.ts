import { describe, expect, it } from 'vitest'
import { FaultyStore } from './test-support/faulty-store.js'
import { TestBot } from './test-support/test-bot.js'

/** Two processes with one store. */
function two(options: ConstructorParameters<typeof TestBot>[1] = {}): { first: TestBot; second: TestBot } {
  const first = new TestBot(new FaultyStore(), options)
  return { first, second: new TestBot(new FaultyStore(first.store.inner), options) }
}

const slow = { percentages: [50, 100], stepMs: 60_000 }

describe('a rollback that was decided here', () => {
  it.each([
    ['it was decided while fenced', false],
    ['it was decided while driving, with the store down', true],
  ])('does not undo what another process completed, after a start that had no answer: %s', async (_, isDriving) => {
    const done: string[] = []
    const note = (what: string) => async (): Promise<void> => void done.push(what)
    const { first, second } = two({ migrations: { index: { up: note('up'), down: note('down') } } })
    const deployment = await first.blueGreen.deploy('v2', { ...slow, migration: 'index' })
    if (isDriving) {
      first.store.isDown = true
      void deployment.rollback({ why: 'mine' })
      await first.clock.advance(0)
      await second.blueGreen.start()
      first.store.isDown = false
      await first.clock.advance(10_000)
    } else {
      await second.blueGreen.start()
      await first.clock.advance(2_000)
      await deployment.rollback({ why: 'mine' })
    }
    expect(first.blueGreen.status.controller).toBe('FENCED')
    await second.blueGreen.deployment?.promote()
    await second.clock.advance(60_000)
    expect(second.blueGreen.status).toMatchObject({ phase: 'COMPLETE', active: 'v2' })
    await second.blueGreen.stop()
    await first.blueGreen.stop()
    first.store.faults.set(first.store.writes + 1, 'written but refused')
    await expect(first.blueGreen.start()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await first.blueGreen.start()
    await first.clock.advance(1_000)
    expect(first.blueGreen.status).toMatchObject({ phase: 'COMPLETE', active: 'v2' })
    expect(done).toEqual(['up'])
  })

  it('does not undo what another process completed where a trigger asks for it twice', async () => {
    const { first, second } = two()
    await first.blueGreen.deploy('v2', slow)
    await first.blueGreen.stop()
    await second.blueGreen.start()
    await second.blueGreen.deployment?.promote()
    await second.clock.advance(60_000)
    expect(second.blueGreen.status).toMatchObject({ phase: 'COMPLETE', active: 'v2' })
    first.store.faults.set(first.store.writes + 1, 'written but refused')
    await expect(first.blueGreen.rollback({ why: 'health is down' })).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    })
    await first.blueGreen.rollback({ why: 'health is down' })
    await first.clock.advance(1_000)
    expect(first.blueGreen.status).toMatchObject({ phase: 'COMPLETE', active: 'v2' })
  })

  it('accepts for nobody an irreversible migration that another process ran', async () => {
    let pass!: () => void
    const checks = { disk: () => new Promise<void>((resolve) => (pass = resolve)) }
    const drop = { up: async () => undefined, irreversible: true } as const
    const first = new TestBot(new FaultyStore(), { checks, migrations: { drop } })
    const second = new TestBot(new FaultyStore(first.store.inner), {
      checks: { disk: () => undefined },
      migrations: { drop },
    })
    const deploying = first.blueGreen.deploy('v2', { ...slow, migration: 'drop' }).catch((error: unknown) => error)
    await first.clock.advance(0)
    await second.blueGreen.start()
    await second.clock.advance(0)
    first.store.isDown = true
    void first.blueGreen.rollback()
    await first.clock.advance(0)
    first.store.isDown = false
    await first.clock.advance(10_000)
    await deploying
    expect(first.blueGreen.status).toMatchObject({ controller: 'FENCED', phase: 'ROLLING_BACK' })
    expect(second.blueGreen.status.deployment).toMatchObject({ phase: 'CANARY_TESTING', migrated: 'DONE' })
    await second.blueGreen.stop()
    await first.blueGreen.stop()
    first.store.faults.set(first.store.writes + 1, 'written but refused')
    await expect(first.blueGreen.start()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await first.blueGreen.start()
    await first.clock.advance(1_000)
    pass()
    expect(first.blueGreen.status).toMatchObject({ phase: 'FROZEN' })
    expect((await first.guildsOn('v2')).size).toBeGreaterThan(0)
  })

  it('gives all back at once where another process drives: nobody goes on with batches here', async () => {
    const { first, second } = two()
    const deployment = await first.blueGreen.deploy('v2', { percentages: [100], stepMs: 600_000 })
    await second.blueGreen.start()
    await first.clock.advance(2_000)
    const result = await deployment.rollback({ batches: { percentages: [50], pauseMs: 1_000 } })
    expect(result).toMatchObject({ outcome: 'FENCED' })
    await first.clock.advance(100_000)
    expect((await first.guildsOn('v2')).size).toBe(0)
  })

  it('gives the rest back at once when another process takes over in the middle of its batches', async () => {
    const { first, second } = two()
    const deployment = await first.blueGreen.deploy('v2', { percentages: [100], stepMs: 600_000 })
    first.store.isDown = true
    void deployment.rollback({ batches: { percentages: [50], pauseMs: 30_000 } })
    await first.clock.advance(0)
    await second.blueGreen.start()
    first.store.isDown = false
    await first.clock.advance(200_000)
    expect(first.blueGreen.status.controller).toBe('FENCED')
    expect((await first.guildsOn('v2')).size).toBe(0)
  })

  it('is told once when it was decided while the process was stopped', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', slow)
    await bot.blueGreen.stop()
    void deployment.rollback({ why: 'users complain' })
    await bot.blueGreen.start()
    await bot.clock.advance(1_000)
    expect(bot.phases.filter((phase) => phase === 'ROLLING_BACK')).toHaveLength(1)
  })
})

describe('a hold by hand that was decided here', () => {
  it('is for another process to end when it was written while stop() waited', async () => {
    const { first, second } = two()
    const deployment = await first.blueGreen.deploy('v2', slow)
    await first.clock.advance(0)
    deployment.hold({ why: 'look' })
    await first.blueGreen.stop()
    expect((await first.store.record())?.state.deployment?.heldByHand).toBe('look')
    await second.blueGreen.start()
    await second.blueGreen.deployment?.resume()
    await second.blueGreen.stop()
    await first.blueGreen.start()
    expect(first.blueGreen.status.deployment).toMatchObject({ phase: 'CANARY_TESTING', isHeldByHand: false })
  })

  it.each([[undefined], ['another reason']])(
    'is not forgotten by the next start where an earlier one was ended (why: %s)',
    async (why) => {
      const bot = new TestBot()
      const deployment = await bot.blueGreen.deploy('v2', slow)
      await bot.clock.advance(0)
      deployment.hold()
      await bot.clock.advance(0)
      void deployment.resume().catch(() => undefined)
      await bot.blueGreen.stop()
      deployment.hold({ why })
      expect(bot.blueGreen.status.deployment).toMatchObject({ isHeldByHand: true })
      await bot.blueGreen.start()
      expect(bot.blueGreen.status.deployment).toMatchObject({ phase: 'HOLD', isHeldByHand: true })
    },
  )

  it('is not forgotten where the end of an earlier one was written while stop() waited', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', slow)
    deployment.hold()
    await bot.clock.advance(0)
    bot.store.faults.set(bot.store.writes + 1, 'is slow')
    void deployment.resume().catch(() => undefined)
    const stopping = bot.blueGreen.stop()
    await bot.clock.advance(100)
    await bot.store.land()
    await stopping
    deployment.hold()
    expect(bot.blueGreen.status.deployment).toMatchObject({ isHeldByHand: true })
    await bot.blueGreen.start()
    expect(bot.blueGreen.status.deployment).toMatchObject({ phase: 'HOLD', isHeldByHand: true })
  })

  it.each([[undefined], ['another reason']])(
    'stands in the process that is fenced, whatever its words are (why: %s)',
    async (why) => {
      const { first, second } = two()
      const deployment = await first.blueGreen.deploy('v2', { percentages: [1, 50, 100], stepMs: 60_000 })
      await second.blueGreen.start()
      await first.clock.advance(2_000)
      second.blueGreen.deployment?.hold()
      await second.clock.advance(0)
      await first.clock.advance(2_000)
      deployment.hold({ why })
      await second.blueGreen.deployment?.resume()
      await second.blueGreen.deployment?.promote()
      await first.clock.advance(10_000)
      expect(first.blueGreen.status.deployment).toMatchObject({ percentage: 1, isHeldByHand: true })
    },
  )

  it.each([[undefined], ['another reason']])(
    'stands while the versions of a start get ready, whatever its words are (why: %s)',
    async (why) => {
      const { first, second } = two()
      const deployment = await first.blueGreen.deploy('v2', slow)
      deployment.hold()
      await first.clock.advance(0)
      await first.blueGreen.stop()
      await second.blueGreen.start()
      await second.blueGreen.deployment?.resume()
      await second.blueGreen.stop()
      const starting = first.blueGreen.start()
      for (let i = 0; i < 6; i++) await Promise.resolve()
      deployment.hold({ why })
      await starting
      expect(first.blueGreen.status.deployment).toMatchObject({ isHeldByHand: true })
    },
  )

  it('stands while the other process drains blue, too', async () => {
    const { first, second } = two()
    const deployment = await first.blueGreen.deploy('v2', { percentages: [1, 100], stepMs: 60_000 })
    await second.blueGreen.start()
    await first.clock.advance(2_000)
    deployment.hold({ why: 'look' })
    void second.blueGreen.handle({ guildId: 'z', run: () => new Promise(() => undefined) })
    await second.blueGreen.deployment?.promote()
    await second.blueGreen.deployment?.promote()
    await second.clock.advance(1_000)
    expect(second.blueGreen.status.phase).toBe('DRAINING_BLUE')
    await first.clock.advance(4_000)
    expect(first.blueGreen.status.deployment).toMatchObject({ percentage: 1, isHeldByHand: true })
  })

  it('stands while the other process is frozen', async () => {
    const drop = { up: async () => undefined, irreversible: true } as const
    const { first, second } = two({ migrations: { drop } })
    const deployment = await first.blueGreen.deploy('v2', { percentages: [1, 100], stepMs: 60_000, migration: 'drop' })
    await second.blueGreen.start()
    await first.clock.advance(2_000)
    deployment.hold({ why: 'look' })
    await second.blueGreen.deployment?.promote()
    await second.clock.advance(0)
    await first.clock.advance(4_000)
    expect(first.blueGreen.status.deployment).toMatchObject({ percentage: 1, isHeldByHand: true })
    await second.blueGreen.rollback()
    await second.clock.advance(0)
    expect(second.blueGreen.status.phase).toBe('FROZEN')
    await first.clock.advance(4_000)
    expect(first.blueGreen.status.deployment).toMatchObject({ percentage: 1 })
  })

  it('is ended by resume() where it was made, which then follows the other process', async () => {
    const { first, second } = two()
    const deployment = await first.blueGreen.deploy('v2', { percentages: [1, 100], stepMs: 600_000 })
    await first.clock.advance(0)
    first.store.isDown = true
    deployment.hold({ why: 'look' })
    await first.clock.advance(0)
    await second.blueGreen.start()
    first.store.isDown = false
    await first.clock.advance(10_000)
    await second.blueGreen.deployment?.promote()
    await first.clock.advance(10_000)
    expect(first.blueGreen.status).toMatchObject({ controller: 'FENCED', deployment: { percentage: 1 } })
    await deployment.resume().catch(() => undefined)
    await first.clock.advance(10_000)
    expect(first.blueGreen.status.deployment).toMatchObject({ percentage: 100 })
  })
})
