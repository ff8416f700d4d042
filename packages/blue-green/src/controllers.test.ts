import { describe, expect, it, vi } from 'vitest'
import { FaultyStore } from './test-support/faulty-store.js'
import { plan, TestBot } from './test-support/test-bot.js'

/** Two processes with one store. */
function twoControllers(options: ConstructorParameters<typeof TestBot>[1] = {}): { first: TestBot; second: TestBot } {
  const first = new TestBot(new FaultyStore(), options)
  return { first, second: new TestBot(new FaultyStore(first.store.inner), options) }
}

describe('two controllers', () => {
  it('never both drive: who started last does, and the other one says that it is fenced', async () => {
    const { first, second } = twoControllers()
    const deployment = await first.blueGreen.deploy('v2', plan)
    await second.blueGreen.start()
    await first.clock.advance(1_000)
    expect(await deployment.finished).toEqual({ outcome: 'FENCED', why: 'another controller took over with epoch 2' })
    expect(first.blueGreen.status).toMatchObject({ controller: 'FENCED', epoch: 1 })
    expect(first.changes.at(-1)).toMatchObject({ what: 'controller', to: 'FENCED', severity: 'CRITICAL' })
    expect(first.timers).toBe(0)
    await second.clock.advance(4_000)
    expect(second.blueGreen.status).toMatchObject({ phase: 'COMPLETE', active: 'v2', epoch: 2 })
  })

  it('leaves a deployment that is long over elsewhere with its report', async () => {
    const { first, second } = twoControllers()
    const deployment = await first.blueGreen.deploy('v2', plan)
    await second.blueGreen.rollback()
    const later = await second.blueGreen.deploy('v3', { percentages: [100], stepMs: 1_000 })
    await second.clock.advance(2_000)
    expect((await later.finished).outcome).toBe('COMPLETE')
    await first.clock.advance(1_000)
    expect((await deployment.finished).outcome).toBe('FENCED')
    expect(deployment.report()).toMatchObject({ deploymentId: deployment.id, outcome: 'FENCED', to: 'v2' })
    expect(deployment.status).toMatchObject({ id: deployment.id, percentage: 1, phase: 'CANARY_TESTING' })
    expect(first.blueGreen.status).toMatchObject({ active: 'v3', deployment: undefined })
  })

  it('leaves the fenced one serving what the other has confirmed', async () => {
    const { first, second } = twoControllers()
    await first.blueGreen.deploy('v2', plan)
    await second.blueGreen.start()
    await second.clock.advance(2_000)
    await first.clock.advance(1_000)
    expect(await first.guildsOn('v2')).toEqual(await second.guildsOn('v2'))
    await expect(first.blueGreen.deploy('v3', plan)).rejects.toMatchObject({ code: 'FENCED', epoch: 2 })
  })

  it('lets a rollback that the fenced one decided stand there', async () => {
    const { first, second } = twoControllers()
    const deployment = await first.blueGreen.deploy('v2', { ...plan, percentages: [100] })
    await second.blueGreen.start()
    const finished = deployment.rollback({ why: 'users complain' })
    expect((await finished).outcome).toBe('FENCED')
    expect(await first.serves('a')).toBe('v1')
    expect(await second.serves('a')).toBe('v2')
  })

  it('can be rolled back on each side by hand, the fenced one for itself', async () => {
    const { first, second } = twoControllers()
    await first.blueGreen.deploy('v2', { ...plan, percentages: [50, 100] })
    await second.blueGreen.start()
    await first.clock.advance(1_000)
    expect(first.blueGreen.status.controller).toBe('FENCED')
    expect(await first.blueGreen.rollback({ why: 'users complain' })).toEqual({
      outcome: 'FENCED',
      why: expect.stringContaining('in this process alone') as string,
    })
    expect((await first.guildsOn('v2')).size).toBe(0)
    expect((await second.guildsOn('v2')).size).toBeGreaterThan(0)
  })

  it('can be rolled back by the deployment that the fenced one began', async () => {
    const { first, second } = twoControllers()
    const deployment = await first.blueGreen.deploy('v2', { ...plan, percentages: [50, 100] })
    await second.blueGreen.start()
    await first.clock.advance(1_000)
    expect(await deployment.rollback()).toMatchObject({ outcome: 'FENCED' })
    expect((await first.guildsOn('v2')).size).toBe(0)
  })

  it('say of a deployment that only the other one follows that it is given back here alone', async () => {
    const { first, second } = twoControllers()
    await first.blueGreen.start()
    await second.blueGreen.deploy('v2', { ...plan, percentages: [50, 100] })
    await expect(first.blueGreen.deploy('v3', plan)).rejects.toMatchObject({ code: 'FENCED' })
    expect(await first.blueGreen.rollback()).toMatchObject({ outcome: 'FENCED' })
    expect((await first.guildsOn('v2')).size).toBe(0)
  })

  it('follow the winner when the deployment that it was quicker than was taken back meanwhile', async () => {
    const { first, second } = twoControllers()
    await first.blueGreen.start()
    await second.blueGreen.deploy('v2', { percentages: [100], stepMs: 1_000 })
    await second.clock.advance(1_000)
    expect(second.blueGreen.status.phase).toBe('COMPLETE')
    first.store.faults.set(first.store.writes + 1, 'is slow')
    const deploying = first.blueGreen.deploy('v3', plan).catch((error: unknown) => error)
    await first.clock.advance(0)
    const back = first.blueGreen.rollback()
    await first.store.land()
    await Promise.all([deploying, back])
    expect(first.blueGreen.status).toMatchObject({ controller: 'FENCED', active: 'v2' })
    expect(await first.serves('a')).toBe('v2')
  })

  it('roll back nothing that never began', async () => {
    const { first, second } = twoControllers()
    await first.blueGreen.start()
    const atOnce = { percentages: [100], stepMs: 1_000 }
    first.store.faults.set(first.store.writes + 1, 'refused')
    await expect(first.blueGreen.deploy('v2', atOnce)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    first.store.faults.set(first.store.writes + 1, 'is slow')
    await first.clock.advance(1_000)
    const again = first.blueGreen.deploy('v2', atOnce).catch((error: unknown) => error)
    await first.clock.advance(0)
    await second.blueGreen.deploy('v3', atOnce)
    await second.clock.advance(1_000)
    await first.store.land()
    expect(await again).toMatchObject({ code: 'FENCED' })
    expect(await first.blueGreen.rollback()).toBeUndefined()
    expect(first.blueGreen.status).toMatchObject({ phase: 'COMPLETE', active: 'v3' })
    expect(await first.serves('a')).toBe('v3')
  })

  it('do not take up the hold of the other one again that is over there', async () => {
    const { first, second } = twoControllers()
    const deployment = await first.blueGreen.deploy('v2', plan)
    await second.blueGreen.start()
    second.blueGreen.deployment?.hold({ why: 'theirs' })
    await second.clock.advance(0)
    // Two wishes, the second while the first is being written.
    deployment.hold({ why: 'one' })
    deployment.hold({ why: 'two' })
    await first.clock.advance(0)
    expect(first.blueGreen.status).toMatchObject({ controller: 'FENCED', deployment: { isHeldByHand: true } })
    await first.blueGreen.stop()
    await second.blueGreen.deployment?.resume()
    await second.blueGreen.stop()
    await first.blueGreen.start()
    expect(first.blueGreen.status.deployment).toMatchObject({ phase: 'CANARY_TESTING', isHeldByHand: false })
  })

  it('do not take up their own hold again that was over elsewhere, though something else was lost', async () => {
    let pass!: () => void
    const checks = { disk: () => new Promise<void>((resolve) => (pass = resolve)) }
    const first = new TestBot(new FaultyStore(), { checks })
    const second = new TestBot(new FaultyStore(first.store.inner), { checks: { disk: () => undefined } })
    const deploying = first.blueGreen.deploy('v2', plan).catch((error: unknown) => error)
    await first.clock.advance(0)
    first.blueGreen.deployment?.hold({ why: 'look' })
    await first.clock.advance(0)
    first.store.isDown = true
    pass()
    await first.clock.advance(0)
    const stopping = first.blueGreen.stop()
    await first.clock.advance(60_000)
    await stopping
    expect(await deploying).toMatchObject({ code: 'STOPPED' })
    await second.blueGreen.start()
    await second.clock.advance(0)
    expect(second.blueGreen.status.deployment).toMatchObject({ phase: 'HOLD', isHeldByHand: true })
    await second.blueGreen.deployment?.resume()
    await second.blueGreen.stop()
    first.store.isDown = false
    await first.blueGreen.start()
    expect(first.blueGreen.status.deployment).toMatchObject({ isHeldByHand: false })
  })

  it('say the same of what ended elsewhere, by each handle, also after the next deployment', async () => {
    const { first, second } = twoControllers()
    const deployment = await first.blueGreen.deploy('v2', plan)
    await first.blueGreen.stop()
    await second.blueGreen.start()
    await second.clock.advance(4_000)
    await second.blueGreen.stop()
    await first.blueGreen.start()
    expect(first.blueGreen.lastDeployment?.report().outcome).toBe('COMPLETE')
    expect(deployment.status.phase).toBe('COMPLETE')
    expect(deployment.report().outcome).toBe('COMPLETE')
    await first.blueGreen.deploy('v3', { percentages: [50, 100], stepMs: 60_000 })
    expect(deployment.status.phase).toBe('COMPLETE')
  })

  it('race for a deployment from the same record, and one of them wins', async () => {
    const { first, second } = twoControllers()
    await first.blueGreen.start()
    await second.blueGreen.start()
    const outcomes = await Promise.allSettled([first.blueGreen.deploy('v2', plan), second.blueGreen.deploy('v3', plan)])
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect((await second.store.record())?.state.deployment?.to).toBe('v3')
  })

  it('may start at the same moment', async () => {
    const { first, second } = twoControllers()
    await Promise.all([first.blueGreen.start(), second.blueGreen.start()])
    expect([first.blueGreen.status.epoch, second.blueGreen.status.epoch].sort()).toEqual([1, 2])
  })

  it('change places by stop and start', async () => {
    const { first, second } = twoControllers()
    await first.blueGreen.deploy('v2', plan)
    await second.blueGreen.start()
    await first.clock.advance(1_000)
    await first.blueGreen.stop()
    await first.blueGreen.start()
    expect(first.blueGreen.status).toMatchObject({ controller: 'DRIVING', epoch: 3 })
    await second.clock.advance(1_000)
    expect(second.blueGreen.status.controller).toBe('FENCED')
    await first.clock.advance(4_000)
    expect(first.blueGreen.status.phase).toBe('COMPLETE')
  })

  it('fences one that was frozen in the middle of a write', async () => {
    const { first, second } = twoControllers()
    await first.blueGreen.deploy('v2', plan)
    first.store.faults.set(first.store.writes + 1, 'lands late')
    await first.clock.advance(1_000)
    await second.blueGreen.start()
    await first.store.land()
    await first.clock.advance(10_000)
    expect(first.blueGreen.status.controller).toBe('FENCED')
    expect((await second.store.record())?.epoch).toBe(2)
    await second.clock.advance(4_000)
    expect(second.blueGreen.status.phase).toBe('COMPLETE')
  })

  it('fences one whose record was replaced by a newer release', async () => {
    const bot = new TestBot()
    await bot.blueGreen.deploy('v2', plan)
    const { version } = (await bot.store.entry('blue-green:bot')) ?? {}
    await bot.store.inner.compareAndSet('blue-green:bot', version, { format: 2 })
    await bot.clock.advance(1_000)
    expect(bot.blueGreen.status.controller).toBe('FENCED')
    expect(await bot.store.record()).toEqual({ format: 2 })
  })
})

describe('a controller that has nothing to write', () => {
  it('learns within lookMs that another one drives', async () => {
    const { first, second } = twoControllers()
    await first.blueGreen.start()
    await second.blueGreen.start()
    await first.clock.advance(1_999)
    expect(first.blueGreen.status.controller).toBe('DRIVING')
    await first.clock.advance(1)
    expect(first.blueGreen.status.controller).toBe('FENCED')
    expect(first.changes.at(-1)).toMatchObject({ what: 'controller', severity: 'CRITICAL' })
    await expect(first.blueGreen.deploy('v2', plan)).rejects.toMatchObject({ code: 'FENCED', epoch: 2 })
    expect((await second.store.record())?.epoch).toBe(2)
  })

  it('takes no older epoch for another one, as of a store that lags', async () => {
    const { first, second } = twoControllers()
    await second.blueGreen.start()
    const old = await second.store.entry('blue-green:bot')
    await first.blueGreen.start()
    const reads = vi.spyOn(first.store, 'entry').mockResolvedValue(old)
    await first.clock.advance(10_000)
    expect([reads.mock.calls.length, first.blueGreen.status.controller]).toEqual([5, 'DRIVING'])
    reads.mockRestore()
    await first.clock.advance(10_000)
    expect(first.blueGreen.status).toMatchObject({ controller: 'DRIVING', epoch: 2 })
  })

  it('says nothing of a store that does not answer it', async () => {
    const { first, second } = twoControllers()
    await first.blueGreen.start()
    first.store.isDown = true
    await first.clock.advance(10_000)
    first.store.isDead = true
    await first.clock.advance(60_000)
    expect(first.blueGreen.status).toMatchObject({ controller: 'DRIVING', store: 'up' })
    first.store.isDown = first.store.isDead = false
    await second.blueGreen.start()
    await first.clock.advance(7_000)
    expect(first.blueGreen.status.controller).toBe('FENCED')
  })

  it('is fenced by a look that comes before its own write has ended', async () => {
    const { first, second } = twoControllers()
    await first.blueGreen.deploy('v2', { ...plan, percentages: [50, 100], stepMs: 60_000 })
    await second.blueGreen.start()
    first.store.faults.set(first.store.writes + 1, 'is slow')
    first.blueGreen.deployment?.hold({ why: 'wait' })
    await first.clock.advance(2_000)
    expect(first.blueGreen.status.controller).toBe('FENCED')
    await first.store.land()
    await first.clock.advance(10_000)
    expect(first.changes.filter(({ to }) => to === 'FENCED')).toHaveLength(1)
    expect((await second.store.record())?.epoch).toBe(2)
  })

  it('says that the store is there again when it starts after it was stopped without it', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, stepMs: 60_000 })
    bot.store.isDown = true
    deployment.hold()
    await bot.clock.advance(1_000)
    await bot.blueGreen.stop()
    await expect(bot.blueGreen.start()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(bot.blueGreen.status.store).toBe('down')
    bot.store.isDown = false
    await bot.blueGreen.start()
    expect(bot.blueGreen.status.store).toBe('up')
    const told = bot.changes.filter(({ what }) => what === 'store')
    expect(told.map(({ from, to }) => [from, to])).toEqual([
      ['up', 'down'],
      ['down', 'up'],
    ])
    expect(bot.blueGreen.status.deployment).toMatchObject({ phase: 'HOLD', isHeldByHand: true })
  })

  it('keeps to what is decided by whoever hears that the store is there again', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', { ...plan, stepMs: 60_000 })
    bot.store.faults.set(bot.store.writes + 1, 'refused')
    void deployment.promote().catch(() => undefined)
    await bot.clock.advance(0)
    bot.store.isDown = true
    await bot.blueGreen.stop()
    bot.store.isDown = false
    bot.blueGreen.on('change', ({ what, to }) => {
      if (what === 'store' && to === 'up') deployment.hold({ why: 'look' })
    })
    await bot.blueGreen.start()
    await bot.clock.advance(0)
    expect(bot.blueGreen.status).toMatchObject({ store: 'up', deployment: { phase: 'HOLD', isHeldByHand: true } })
    expect((await bot.store.record())?.state.deployment?.heldByHand).toBe('look')
  })

  it('looks no more once it is stopped', async () => {
    const bot = new TestBot()
    await bot.blueGreen.start()
    expect(bot.clock.pending).toBe(1)
    await bot.blueGreen.stop()
    expect(bot.clock.pending).toBe(0)
  })
})

describe('a controller that is fenced', () => {
  /** The first of two has lost its deployment, of 50 %, to the second. */
  async function fenced(): Promise<ReturnType<typeof twoControllers>> {
    const both = twoControllers()
    await both.first.blueGreen.deploy('v2', { percentages: [50, 100], stepMs: 60_000 })
    await both.second.blueGreen.start()
    await both.first.clock.advance(2_000)
    return both
  }

  it('follows the other one: a step, and the end', async () => {
    const { first, second } = await fenced()
    await second.blueGreen.deployment?.promote()
    await first.clock.advance(2_000)
    expect(first.blueGreen.status.deployment?.percentage).toBe(100)
    expect(await first.serves('a')).toBe('v2')
    await second.clock.advance(60_000)
    await first.clock.advance(2_000)
    expect(first.blueGreen.status).toMatchObject({ controller: 'FENCED', phase: 'COMPLETE', active: 'v2' })
    expect(first.changes.at(-1)?.why).toMatch(/^the controller with epoch 2 says: /)
  })

  it('follows a rollback of the other one within lookMs', async () => {
    const { first, second } = await fenced()
    expect((await first.guildsOn('v2')).size).toBeGreaterThan(0)
    await second.blueGreen.rollback({ why: 'users complain' })
    await first.clock.advance(2_000)
    expect((await first.guildsOn('v2')).size).toBe(0)
    expect(first.blueGreen.status).toMatchObject({ phase: 'ROLLED_BACK', active: 'v1' })
  })

  it('follows the next deployment, too', async () => {
    const { first, second } = await fenced()
    await second.blueGreen.rollback()
    await second.blueGreen.deploy('v3', { percentages: [50, 100], stepMs: 60_000 })
    await first.clock.advance(2_000)
    expect(await first.guildsOn('v3')).toEqual(await second.guildsOn('v3'))
  })

  it('keeps to its own rollback until another deployment begins', async () => {
    const { first, second } = await fenced()
    expect(await first.blueGreen.rollback()).toMatchObject({ outcome: 'FENCED' })
    await second.blueGreen.deployment?.promote()
    await second.clock.advance(60_000)
    await first.clock.advance(10_000)
    expect(second.blueGreen.status.active).toBe('v2')
    expect((await first.guildsOn('v2')).size).toBe(0)
    await second.blueGreen.deploy('v3', { percentages: [100], stepMs: 60_000 })
    await first.clock.advance(2_000)
    expect(await first.serves('a')).toBe('v3')
  })

  it('follows a rollback of the other one also while it holds by hand', async () => {
    let undone!: () => void
    const index = { up: async () => undefined, down: () => new Promise<void>((resolve) => (undone = resolve)) }
    const { first, second } = twoControllers({ migrations: { index } })
    await first.blueGreen.deploy('v2', { percentages: [50, 100], stepMs: 60_000, migration: 'index' })
    await second.blueGreen.start()
    await first.clock.advance(2_000)
    first.blueGreen.deployment?.hold({ why: 'look' })
    first.blueGreen.lastDeployment?.hold({ why: 'look' })
    expect(first.blueGreen.status).toMatchObject({ controller: 'FENCED', phase: 'HOLD' })
    void second.blueGreen.rollback({ why: 'users complain' })
    await second.clock.advance(100)
    await first.clock.advance(2_000)
    expect([first.blueGreen.status.phase, (await first.guildsOn('v2')).size]).toEqual(['ROLLING_BACK', 0])
    undone()
  })

  it.each([
    ['was never written', true, 1],
    ['was written, and is over there', false, 50],
  ])('keeps to its own hold if that %s', async (_, isLost, percentage) => {
    const { first, second } = twoControllers()
    const deployment = await first.blueGreen.deploy('v2', { percentages: [1, 50, 100], stepMs: 60_000 })
    first.store.isDown = isLost
    deployment.hold({ why: 'look' })
    await first.clock.advance(0)
    await second.blueGreen.start()
    await second.blueGreen.deployment?.resume()
    await second.blueGreen.deployment?.promote()
    first.store.isDown = false
    await first.clock.advance(10_000)
    expect(first.blueGreen.status).toMatchObject({ controller: 'FENCED', deployment: { percentage } })
    expect(second.blueGreen.status.deployment).toMatchObject({ percentage: 50 })
    await second.blueGreen.rollback()
    await first.clock.advance(2_000)
    expect(first.blueGreen.status).toMatchObject({ phase: 'ROLLED_BACK' })
  })

  it('follows a rollback that a person accepted there, where it is frozen here', async () => {
    const drop = { up: async () => undefined, irreversible: true } as const
    const { first, second } = twoControllers({ migrations: { drop } })
    await first.blueGreen.deploy('v2', { percentages: [50, 100], stepMs: 60_000, migration: 'drop' })
    await second.blueGreen.start()
    await first.clock.advance(2_000)
    await first.blueGreen.rollback()
    expect(first.blueGreen.status.phase).toBe('FROZEN')
    void second.blueGreen.rollback({ acceptIrreversible: true })
    await second.clock.advance(100)
    await first.clock.advance(10_000)
    expect((await first.guildsOn('v2')).size).toBe(0)
  })

  it('does not keep to a rollback that was never written once another deployment is complete', async () => {
    const { first, second } = twoControllers()
    await first.blueGreen.deploy('v2', { percentages: [50, 100], stepMs: 60_000 })
    first.store.isDown = true
    void first.blueGreen.rollback()
    await second.blueGreen.start()
    await second.blueGreen.deployment?.promote()
    await second.clock.advance(60_000)
    await second.blueGreen.deploy('v3', { percentages: [100], stepMs: 1_000 })
    await second.clock.advance(1_000)
    first.store.isDown = false
    await first.clock.advance(60_000)
    expect(first.blueGreen.status).toMatchObject({ controller: 'FENCED', phase: 'COMPLETE', active: 'v3', store: 'up' })
    expect(await first.serves('a')).toBe('v3')
  })

  it('sees that its rollback was ended by the other one', async () => {
    const { first, second } = twoControllers()
    await first.blueGreen.deploy('v2', { percentages: [50, 100], stepMs: 60_000 })
    first.store.isDown = true
    void first.blueGreen.rollback()
    await second.blueGreen.start()
    await second.blueGreen.rollback()
    first.store.isDown = false
    await first.clock.advance(60_000)
    expect(first.blueGreen.status).toMatchObject({ controller: 'FENCED', phase: 'ROLLED_BACK', active: 'v1' })
  })

  it('says that the store is there when a look at it says who drives', async () => {
    const { first, second } = twoControllers()
    await first.blueGreen.deploy('v2', { percentages: [50, 100], stepMs: 60_000 })
    first.store.isDown = true
    first.blueGreen.deployment?.hold()
    await first.clock.advance(1_500)
    expect(first.blueGreen.status.store).toBe('down')
    await second.blueGreen.start()
    first.store.isDown = false
    await first.clock.advance(10_000)
    expect(first.blueGreen.status).toMatchObject({ controller: 'FENCED', store: 'up' })
  })

  it('leaves it to the other one to tell people', async () => {
    const told: string[] = []
    const { first, second } = twoControllers({ notify: ({ kind }) => told.push(kind) })
    await first.blueGreen.start()
    await second.blueGreen.start()
    await first.clock.advance(2_000)
    await second.blueGreen.deploy('v2', { percentages: [100], stepMs: 1_000 })
    await first.clock.advance(2_000)
    await second.clock.advance(1_000)
    await first.clock.advance(2_000)
    expect(first.blueGreen.status).toMatchObject({ phase: 'COMPLETE', active: 'v2' })
    expect(told).toEqual(['started', 'succeeded'])
  })

  it('stays where it is when it has no code for what the other one serves', async () => {
    const first = new TestBot()
    const versions = { v1: () => 'v1', v9: () => 'v9' }
    const second = new TestBot(new FaultyStore(first.store.inner), { versions })
    await first.blueGreen.start()
    await second.blueGreen.deploy('v9', { percentages: [100], stepMs: 60_000 })
    await first.clock.advance(10_000)
    expect(first.blueGreen.status).toMatchObject({ controller: 'FENCED', active: 'v1' })
    expect(await first.serves('a')).toBe('v1')
  })
})

describe('the records of two controllers', () => {
  it('rise in epoch with each that takes over, and in sequence with each record', async () => {
    const { first, second } = twoControllers()
    const seen: { epoch: number; sequence: number }[] = []
    const look = async (): Promise<void> => {
      const { epoch = 0, sequence = 0 } = (await second.store.record()) ?? {}
      seen.push({ epoch, sequence })
    }
    await first.blueGreen.deploy('v2', plan)
    await look()
    await second.blueGreen.start()
    await look()
    await second.clock.advance(1_000)
    await look()
    await first.blueGreen.stop()
    await first.blueGreen.start()
    await look()
    await first.blueGreen.rollback()
    await look()
    expect(seen.map(({ epoch }) => epoch)).toEqual([1, 2, 2, 3, 3])
    for (const [i, { sequence }] of seen.slice(1).entries()) expect(sequence).toBeGreaterThan(seen[i]?.sequence ?? 0)
  })

  it('refuse the deployment of one beside that of the other, and name it', async () => {
    const { first, second } = twoControllers()
    const { id } = await first.blueGreen.deploy('v2', plan)
    await second.blueGreen.start()
    await expect(second.blueGreen.deploy('v3', plan)).rejects.toMatchObject({
      code: 'DEPLOYMENT_RUNNING',
      deploymentId: id,
    })
    expect((await second.blueGreen.deploy('v2', plan)).id).toBe(id)
    await second.clock.advance(4_000)
    expect(second.blueGreen.status).toMatchObject({ phase: 'COMPLETE', active: 'v2' })
  })
})
