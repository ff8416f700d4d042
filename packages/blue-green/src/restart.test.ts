import { describe, expect, it } from 'vitest'
import { FakeHealth } from './test-support/fake-health.js'
import { FaultyStore, type Fault } from './test-support/faulty-store.js'
import { plan, TestBot } from './test-support/test-bot.js'
import { runningIn } from './transitions.js'

/** The same disk, another process. */
function restart(bot: TestBot, options: ConstructorParameters<typeof TestBot>[1] = {}): TestBot {
  return new TestBot(new FaultyStore(bot.store.inner), options)
}

describe('a restart', () => {
  it('resumes at the same share, for the same guilds, with the time of the step begun anew', async () => {
    const bot = new TestBot()
    const { id } = await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(1_900)
    const before = await bot.guildsOn('v2')
    bot.crash()

    const next = restart(bot)
    await next.blueGreen.start()
    expect(next.blueGreen.deployment?.status).toMatchObject({ id, percentage: 10, step: 1, elapsedMs: 0 })
    expect(await next.guildsOn('v2')).toEqual(before)
    await next.clock.advance(999)
    expect(next.blueGreen.deployment?.status.percentage).toBe(10)
    const deployment = await next.blueGreen.deploy('v2')
    expect(deployment.id).toBe(id)
    await next.clock.advance(2_001)
    expect((await deployment.finished).outcome).toBe('COMPLETE')
  })

  it('serves what was complete, and not what is initial', async () => {
    const bot = new TestBot()
    await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(4_000)
    const next = restart(bot)
    await next.blueGreen.start()
    expect(await next.serves('a')).toBe('v2')
    expect(next.changes.map(({ what }) => what)).toEqual(['controller'])
  })

  it('measures health against what it was when the deployment began', async () => {
    const health = new FakeHealth()
    const bot = new TestBot(new FaultyStore(), { health })
    await bot.blueGreen.deploy('v2', plan)
    bot.crash()
    health.becomes('degraded')
    const next = restart(bot, { health })
    await next.blueGreen.start()
    expect(next.blueGreen.status.phase).toBe('HOLD')
  })

  it('holds a resumed step while health is unknown, and a held one goes on when it is well', async () => {
    const health = new FakeHealth()
    const bot = new TestBot(new FaultyStore(), { health })
    await bot.blueGreen.deploy('v2', plan)
    health.becomes('down')
    await bot.clock.advance(1)
    bot.crash()
    const next = restart(bot, { health })
    health.becomes('unknown')
    await next.blueGreen.start()
    expect(next.blueGreen.status.phase).toBe('HOLD')
    health.becomes('up')
    await next.clock.advance(30_000)
    expect(next.blueGreen.status.phase).toBe('CANARY_TESTING')
  })

  it('is what a rollback takes that is called when nothing drives any more', async () => {
    const bot = new TestBot()
    await bot.blueGreen.deploy('v2', plan)
    await bot.blueGreen.stop()
    const rolledBack = bot.blueGreen.rollback({ why: 'users complain' })
    expect(await bot.guildsOn('v2')).toEqual(new Set())
    await bot.clock.advance(0)
    expect(await rolledBack).toEqual({ outcome: 'ROLLED_BACK', why: 'users complain' })
    expect(bot.blueGreen.status).toMatchObject({ controller: 'DRIVING', phase: 'ROLLED_BACK' })
    expect((await bot.store.record())?.state.deployment?.phase).toBe('ROLLED_BACK')
    await bot.blueGreen.stop()
    expect(await bot.blueGreen.rollback()).toBeUndefined()
  })

  it('finishes a rollback that was under way', async () => {
    const bot = new TestBot()
    await bot.blueGreen.deploy('v2', plan)
    void bot.blueGreen.handle({ guildId: [...(await bot.guildsOn('v2'))][0] ?? '', run: () => new Promise(() => undefined) }) // prettier-ignore
    void bot.blueGreen.rollback({ why: 'users complain' })
    await bot.clock.advance(0)
    expect((await bot.store.record())?.state.deployment?.phase).toBe('ROLLING_BACK')
    bot.crash()
    const next = restart(bot)
    await next.blueGreen.start()
    expect(await next.serves('a')).toBe('v1')
    await next.clock.advance(0)
    expect(next.blueGreen.status).toMatchObject({ phase: 'ROLLED_BACK', rolledBack: ['v2'] })
  })

  it('begins with its first step when it was only staged, once the store has confirmed that it may', async () => {
    const bot = new TestBot()
    await bot.blueGreen.start()
    bot.store.faults.set(bot.store.writes + 1, 'written but hangs')
    bot.blueGreen.deploy('v2', plan).catch(() => undefined)
    await bot.clock.advance(0)
    bot.crash()
    const next = restart(bot)
    await next.blueGreen.start()
    expect(next.blueGreen.deployment?.status).toMatchObject({ phase: 'GREEN_STAGING', percentage: 0 })
    await next.clock.advance(0)
    expect(next.blueGreen.deployment?.status).toMatchObject({ phase: 'CANARY_TESTING', percentage: 1 })
  })

  it('is complete when every step was passed and the code of blue is gone, and cannot be rolled back to nothing', async () => {
    const bot = new TestBot()
    void bot.blueGreen.handle({ run: () => new Promise(() => undefined) })
    await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(4_000)
    expect((await bot.store.record())?.state.deployment?.phase).toBe('DRAINING_BLUE')
    const next = restart(bot, { versions: { v2: () => 'v2' }, initial: 'v2' })
    await next.blueGreen.start()
    expect(next.blueGreen.status).toMatchObject({ phase: 'COMPLETE', active: 'v2' })
    expect(await next.blueGreen.rollback()).toBeUndefined()
    expect(await next.serves('a')).toBe('v2')
  })

  it('rolls back when the code of green is gone', async () => {
    const bot = new TestBot()
    await bot.blueGreen.deploy('v2', plan)
    const next = restart(bot, { versions: { v1: () => 'v1' } })
    await next.blueGreen.start()
    await next.clock.advance(0)
    expect(next.blueGreen.status).toMatchObject({ phase: 'ROLLED_BACK', active: 'v1', rolledBack: ['v2'] })
  })

  it('refuses to guess when the code of blue is gone', async () => {
    const bot = new TestBot()
    const { id } = await bot.blueGreen.deploy('v2', plan)
    const next = restart(bot, { versions: { v2: () => 'v2' }, initial: 'v2' })
    await expect(next.blueGreen.start()).rejects.toMatchObject({ code: 'VERSION_MISSING', version: 'v1', deploymentId: id }) // prettier-ignore
    expect(next.blueGreen.status.controller).toBe('STOPPED')
  })

  it('serves initial when the code of the active version is gone, and says so', async () => {
    const bot = new TestBot()
    await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(4_000)
    const next = restart(bot, { versions: { v3: () => 'v3' }, initial: 'v3' })
    await next.blueGreen.start()
    expect(await next.serves('a')).toBe('v3')
    expect(next.changes[0]).toMatchObject({ what: 'active', from: 'v2', to: 'v3', severity: 'WARNING' })
    expect((await next.store.record())?.state.active).toBe('v3')
  })

  it.each([
    ['a newer format', { format: 3, state: {} }, /it has format 3, and this release reads format 2/],
    ['something else', { hello: 'world' }, /carries no format version/],
    ['text', 'hello', /carries no format version/],
  ])('refuses %s and leaves it alone', async (_what, value, message) => {
    const bot = new TestBot()
    await bot.store.inner.compareAndSet('blue-green:bot', undefined, value)
    await expect(bot.blueGreen.start()).rejects.toMatchObject({ code: 'STATE_FORMAT' })
    await expect(bot.blueGreen.start()).rejects.toThrow(message)
    expect(await bot.store.record()).toEqual(value)
  })

  it('may follow a stop in the same process', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(1_500)
    await bot.blueGreen.stop()
    expect(await deployment.finished).toEqual({ outcome: 'STOPPED', why: 'stop() was called' })
    const before = await bot.guildsOn('v2')
    await bot.clock.advance(1_000_000)
    expect(await bot.guildsOn('v2')).toEqual(before)
    expect(bot.timers).toBe(0)
    await bot.blueGreen.start()
    const resumed = bot.blueGreen.deployment
    expect(resumed).not.toBe(deployment)
    await bot.clock.advance(3_000)
    expect((await resumed?.finished)?.outcome).toBe('COMPLETE')
  })

  it('goes on in the deployment that an earlier life began, which can still be rolled back by it', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, percentages: [100] })
    await bot.blueGreen.stop()
    await bot.blueGreen.start()
    const result = deployment.rollback({ why: 'users complain' })
    expect(await bot.serves('a')).toBe('v1')
    expect(await result).toEqual({ outcome: 'ROLLED_BACK', why: 'users complain' })
    expect(await deployment.rollback()).toEqual(await result)
    expect(await deployment.finished).toMatchObject({ outcome: 'STOPPED' })
  })

  it.each(['rollback', 'hold'] as const)('loses no %s() that comes while the store is asked', async (what) => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, percentages: [50, 100] })
    await bot.blueGreen.stop()
    bot.store.faults.set(bot.store.writes + 1, 'is slow')
    const started = bot.blueGreen.start()
    await bot.clock.advance(0)
    const done = what === 'hold' ? deployment.hold() : bot.blueGreen.rollback()
    await bot.clock.advance(0)
    await bot.store.land()
    await started
    await bot.clock.advance(5_000)
    await done
    const phase = what === 'hold' ? 'HOLD' : 'ROLLED_BACK'
    expect(bot.blueGreen.status.phase).toBe(phase)
    expect((await bot.store.record())?.state.deployment?.phase).toBe(phase)
  })

  it('gives a step its whole time also where its synthetic calls had not ended', async () => {
    let end!: () => void
    const slow = new Promise<void>((resolve) => (end = resolve))
    let calls = 0
    const canaryTests = { slow: () => (calls++ === 0 ? slow : undefined) }
    const bot = new TestBot(new FaultyStore(), { canaryTests, probeTimeoutMs: 60_000 })
    await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(1_500)
    expect(bot.percentages).toEqual([1])
    await bot.blueGreen.stop()
    end()
    await bot.blueGreen.start()
    await bot.clock.advance(999)
    expect(bot.percentages).toEqual([1])
    await bot.clock.advance(1)
    expect(bot.percentages).toEqual([1, 10])
  })

  it.each([
    ['this process', false],
    ['another one', true],
  ])('goes on with a rollback in batches, in %s', async (_, isAnother) => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, percentages: [100] })
    void deployment.rollback({ batches: { percentages: [50, 10], pauseMs: 1_000 } })
    await bot.clock.advance(0)
    await bot.blueGreen.stop()
    const next = isAnother ? restart(bot) : bot
    await next.blueGreen.start()
    expect(next.blueGreen.status.deployment).toMatchObject({ phase: 'ROLLING_BACK', percentage: 50 })
    await next.clock.advance(1_000)
    expect(next.blueGreen.status.deployment).toMatchObject({ phase: 'ROLLING_BACK', percentage: 10 })
  })

  it('begins a rollback in batches that was asked for when nothing drove any more', async () => {
    const bot = new TestBot()
    await bot.blueGreen.deploy('v2', { ...plan, percentages: [100] })
    await bot.blueGreen.stop()
    void bot.blueGreen.rollback({ batches: { percentages: [50], pauseMs: 1_000 } })
    await bot.clock.advance(0)
    expect(bot.blueGreen.status.deployment).toMatchObject({ phase: 'ROLLING_BACK', percentage: 50 })
    expect((await bot.store.record())?.state.deployment).toMatchObject({ phase: 'ROLLING_BACK', percentage: 50 })
  })

  it('tells two bots in one store apart by name', async () => {
    const bot = new TestBot()
    await bot.blueGreen.deploy('v2', plan)
    const other = restart(bot, { name: 'other' })
    await other.blueGreen.start()
    expect(other.blueGreen.status.phase).toBe('IDLE')
    await bot.clock.advance(4_000)
    expect(bot.blueGreen.status.phase).toBe('COMPLETE')
  })
})

/** A deployment with everything in it: a hold, steps, and at the end completion or a rollback. */
async function live(bot: TestBot, health: FakeHealth, isRolledBack: boolean): Promise<void> {
  const quietly = (promise: Promise<unknown>): void => void promise.catch(() => undefined)
  quietly(bot.blueGreen.deploy('v2', plan))
  await bot.clock.advance(1_500)
  health.becomes('down')
  await bot.clock.advance(2_000)
  health.becomes('up')
  await bot.clock.advance(31_500)
  if (isRolledBack) quietly(bot.blueGreen.rollback({ why: 'users complain' }))
  await bot.clock.advance(100_000)
}

const faults: Fault[] = ['refused', 'written but refused', 'hangs', 'written but hangs', 'lands late']

describe.each([false, true])('a fault at any write (rolled back: %s)', (isRolledBack) => {
  it('is followed by a crash: the next process gives green what it was served or less, to the same guilds', async () => {
    let [resumed, lower] = [0, 0]
    for (let write = 1; write <= 16; write++) {
      for (const fault of ['hangs', 'written but hangs'] as const) {
        const health = new FakeHealth()
        const bot = new TestBot(new FaultyStore(), { health })
        bot.store.faults.set(write, fault)
        // The process dies in this write: whatever comes after it never reaches the store.
        for (let later = write + 1; later < 100; later++) bot.store.faults.set(later, 'hangs')
        await live(bot, health, isRolledBack)
        const recorded = await bot.store.record()
        const served = bot.blueGreen.status.deployment
        const last = recorded && runningIn(recorded.state)

        const next = restart(bot)
        await next.blueGreen.start()
        const found = next.blueGreen.deployment?.status
        expect(found?.id).toBe(last?.id)
        expect(found?.percentage ?? 0).toBe(last?.percentage ?? 0)
        const [before, now] = await Promise.all([bot.guildsOn('v2'), next.guildsOn('v2')])
        // The one exception: a rollback that the store never heard of has to be decided again.
        if (served?.phase !== 'ROLLING_BACK') expect([...now].filter((guild) => !before.has(guild))).toEqual([])
        if (served !== undefined && served.percentage === found?.percentage) expect(now).toEqual(before)
        if (found !== undefined && found.percentage < (served?.percentage ?? 0)) lower += 1
        const deployment = next.blueGreen.deployment
        await next.clock.advance(100_000)
        if (deployment !== undefined) {
          resumed += 1
          expect(['COMPLETE', 'ROLLED_BACK']).toContain((await deployment.finished).outcome)
        }
        expect(next.timers).toBe(0)
      }
    }
    expect(resumed).toBeGreaterThan(8)
    if (!isRolledBack) expect(lower).toBeGreaterThan(0)
  })

  it.each(faults)('%s, once: the same process gets to its end all the same', async (fault) => {
    for (let write = 2; write <= 16; write++) {
      const health = new FakeHealth()
      const bot = new TestBot(new FaultyStore(), { health })
      await bot.blueGreen.start()
      bot.store.faults.set(write, fault)
      await live(bot, health, isRolledBack)
      await bot.store.land()
      await bot.clock.advance(100_000)
      if (bot.blueGreen.status.phase === 'IDLE') await live(bot, health, isRolledBack)
      await bot.clock.advance(100_000)

      const end = isRolledBack ? 'ROLLED_BACK' : 'COMPLETE'
      expect(bot.blueGreen.status.phase).toBe(end)
      expect((await bot.store.record())?.state).toMatchObject({ deployment: { phase: end } })
      const rising = bot.percentages.filter((share) => share !== 0) as number[]
      expect(rising).toEqual([...rising].sort((a, b) => a - b))
      expect(bot.timers).toBe(0)
    }
  })

  it.each(faults)('%s, at random and often: no share ever rises past a rollback', async (fault) => {
    for (let seed = 1; seed <= 20; seed++) {
      let dice = seed
      const health = new FakeHealth()
      const bot = new TestBot(new FaultyStore(), { health })
      await bot.blueGreen.start()
      for (let write = 2; write < 60; write++) {
        dice = (dice * 1_103_515_245 + 12_345) % 2 ** 31
        if (dice % 3 === 0) bot.store.faults.set(write, fault)
      }
      await live(bot, health, isRolledBack)
      await bot.store.land()
      await bot.clock.advance(1_000_000)
      const shares = bot.percentages as number[]
      const end = shares.indexOf(0)
      expect(end === -1 ? [] : shares.slice(end + 1)).toEqual([])
      const { phase } = bot.blueGreen.status
      expect(['IDLE', 'COMPLETE', 'ROLLED_BACK']).toContain(phase)
      expect((await bot.store.record())?.state.deployment?.phase ?? 'IDLE').toBe(phase)
    }
  })
})
