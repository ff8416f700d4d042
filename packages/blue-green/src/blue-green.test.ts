import { describe, expect, it, vi } from 'vitest'
import { FaultyStore } from './test-support/faulty-store.js'
import { answer, plan, TestBot } from './test-support/test-bot.js'

describe('handling an event', () => {
  it('is served by the initial version, before and after start', async () => {
    const bot = new TestBot()
    expect(await bot.serves('a')).toBe('v1')
    await bot.blueGreen.start()
    expect(await bot.serves('a')).toBe('v1')
    expect(await bot.serves(null, 'user')).toBe('v1')
    expect(await bot.serves(null)).toBe('v1')
  })

  it('begins in the same tick', () => {
    const bot = new TestBot()
    let began = false
    void bot.blueGreen.handle({ run: () => (began = true) })
    expect(began).toBe(true)
  })

  it('never waits for the store', async () => {
    const bot = new TestBot()
    await bot.blueGreen.start()
    bot.crash()
    expect(await bot.serves('a')).toBe('v1')
  })

  it.each([
    ['throws at once', () => { throw new Error('broken') }], // prettier-ignore
    ['rejects', () => Promise.reject(new Error('broken'))],
  ])('rejects as its handler does when that %s, and does not try the other version', async (_how, run) => {
    const bot = new TestBot()
    const handler = vi.fn(run)
    await expect(bot.blueGreen.handle({ run: handler })).rejects.toThrow('broken')
    expect(handler).toHaveBeenCalledTimes(1)
  })

  it('rejects when the context cannot be told, and runs nothing', async () => {
    const context = (): never => {
      throw new Error('no such field')
    }
    const bot = new TestBot(new FaultyStore(), { context })
    await expect(bot.blueGreen.handle({})).rejects.toThrow('no such field')
    expect(bot.blueGreen.status.versions.get('v1')?.started).toBe(0)
  })

  it('takes hostile ids and version names for data', async () => {
    const names = ['__proto__', 'constructor', 'toString', ' ', '\0', '%_*', '\ud800', 'é', 'e\u0301']
    const versions = Object.fromEntries([['__proto__', answer('__proto__')], ['constructor', answer('constructor')]]) // prettier-ignore
    const bot = new TestBot(new FaultyStore(), { versions, initial: '__proto__' })
    await bot.blueGreen.start()
    const deployment = await bot.blueGreen.deploy('constructor', { percentages: [50, 100], stepMs: 1_000 })
    const before = await Promise.all(names.map((name) => bot.blueGreen.handle({ id: name, guildId: name })))
    expect(await Promise.all(names.map((name) => bot.serves(name)))).toEqual(before)
    expect(bot.blueGreen.status.duplicates).toBe(0)
    await bot.clock.advance(3_000)
    expect((await deployment.finished).outcome).toBe('COMPLETE')
    expect(bot.blueGreen.status.active).toBe('constructor')
  })

  it('counts what became of each call, by version', async () => {
    const isUserError = (error: unknown): boolean => (error as Error).message === 'no such command'
    const bot = new TestBot(new FaultyStore(), { isUserError })
    await bot.serves('a')
    await bot.fails('a', 2)
    const run = (): Promise<never> => Promise.reject(new Error('no such command'))
    await bot.blueGreen.handle({ run }).catch(() => undefined)
    void bot.blueGreen.handle({ run: () => new Promise(() => undefined) })
    expect(bot.blueGreen.status.versions.get('v1')).toEqual({
      started: 5,
      succeeded: 1,
      failed: 2,
      userErrors: 1,
      running: 1,
    })
    expect(bot.blueGreen.status.versions.get('v2')?.started).toBe(0)
  })
})

describe('copies of an event', () => {
  it('runs the first, resolves the second with undefined, and counts it', async () => {
    const bot = new TestBot()
    const run = vi.fn(() => 'done')
    const results = await Promise.all([bot.blueGreen.handle({ id: '1', run }), bot.blueGreen.handle({ id: '1', run })])
    expect(results).toEqual(['done', undefined])
    expect(run).toHaveBeenCalledTimes(1)
    expect(bot.blueGreen.status.duplicates).toBe(1)
  })

  it('does not run the second when the first has failed: nobody knows how far it came', async () => {
    const bot = new TestBot()
    const run = vi.fn(() => Promise.reject(new Error('broken')))
    await expect(bot.blueGreen.handle({ id: '1', run })).rejects.toThrow('broken')
    expect(await bot.blueGreen.handle({ id: '1', run })).toBeUndefined()
    expect(run).toHaveBeenCalledTimes(1)
  })

  it('are told apart across a change of version', async () => {
    const bot = new TestBot()
    await bot.blueGreen.deploy('v2', { percentages: [100], stepMs: 1_000 })
    expect(await bot.blueGreen.handle({ id: '1', guildId: 'a' })).toBe('v2')
    await bot.blueGreen.rollback({ why: 'test' })
    expect(await bot.blueGreen.handle({ id: '1', guildId: 'a' })).toBeUndefined()
  })

  it('are all handled when the event has no id', async () => {
    const bot = new TestBot()
    expect([await bot.serves('a'), await bot.serves('a')]).toEqual(['v1', 'v1'])
  })

  it('are forgotten after claimMs', async () => {
    const bot = new TestBot(new FaultyStore(), { claimMs: 1_000 })
    await bot.blueGreen.handle({ id: '1' })
    bot.clock.jump(-3_600_000)
    await bot.clock.advance(999)
    expect(await bot.blueGreen.handle({ id: '1' })).toBeUndefined()
    await bot.clock.advance(1)
    expect(await bot.blueGreen.handle({ id: '1' })).toBe('v1')
  })
})

describe('draining', () => {
  it('waits for the calls that run', async () => {
    const bot = new TestBot()
    let finish!: () => void
    const call = bot.blueGreen.handle({ run: () => new Promise<void>((resolve) => (finish = resolve)) })
    const drained = bot.blueGreen.drain({ timeoutMs: 1_000 })
    finish()
    expect(await drained).toEqual({ drained: true, running: 0 })
    await call
    expect(bot.timers).toBe(0)
  })

  it('gives up at its deadline, and says how many still run', async () => {
    const bot = new TestBot()
    for (let i = 0; i < 3; i++) void bot.blueGreen.handle({ run: () => new Promise(() => undefined) })
    const drained = bot.blueGreen.drain({ timeoutMs: 1_000 })
    await bot.clock.advance(1_000)
    expect(await drained).toEqual({ drained: false, running: 3 })
  })

  it('handles what arrives meanwhile, and does not wait for it', async () => {
    const bot = new TestBot()
    let finish!: () => void
    void bot.blueGreen.handle({ run: () => new Promise<void>((resolve) => (finish = resolve)) })
    const drained = bot.blueGreen.drain({ timeoutMs: 1_000 })
    void bot.blueGreen.handle({ run: () => new Promise(() => undefined) })
    finish()
    expect(await drained).toEqual({ drained: true, running: 0 })
  })

  it('ends early with the reason of its signal', async () => {
    const bot = new TestBot()
    void bot.blueGreen.handle({ run: () => new Promise(() => undefined) })
    const controller = new AbortController()
    const drained = bot.blueGreen.drain({ signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(drained).rejects.toThrow('enough')
    expect(bot.timers).toBe(0)
  })

  it('survives calls that reject', async () => {
    const bot = new TestBot()
    const call = bot.blueGreen.handle({ run: () => Promise.reject(new Error('broken')) })
    expect(await bot.blueGreen.drain()).toEqual({ drained: true, running: 0 })
    await expect(call).rejects.toThrow('broken')
  })
})

describe('news', () => {
  it('survives a listener that throws, and says so by a warning', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const bot = new TestBot()
    bot.blueGreen.removeAllListeners('change')
    bot.blueGreen.on('change', () => {
      throw new Error('listener broke')
    })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(4_000)
    expect((await deployment.finished).outcome).toBe('COMPLETE')
    expect(warn.mock.calls[0]?.[1]).toMatchObject({ code: 'EVENKEEL_LISTENER' })
    warn.mockRestore()
  })

  it('comes in whole sentences that name versions, share and cause', async () => {
    const bot = new TestBot()
    const finished = vi.fn()
    bot.blueGreen.on('finished', finished)
    const deployment = await bot.blueGreen.deploy('v2', { percentages: [10, 100], stepMs: 1_000 })
    const { id } = deployment
    await bot.clock.advance(2_000)
    expect(bot.changes.map(({ what, from, to, severity, message }) => [what, from, to, severity, message])).toEqual([
      ['controller', 'STOPPED', 'DRIVING', 'INFO', 'This process drives deployments now. Version "v1" serves. Why: nothing was stored yet.'],
      ['phase', 'IDLE', 'GREEN_STAGING', 'INFO', `Deployment ${id} ("v1" to "v2") is written down, and "v2" serves nobody yet. Why: deploy() was called.`],
      ['phase', 'GREEN_STAGING', 'CANARY_TESTING', 'INFO', `Deployment ${id} ("v1" to "v2") is on its first step, 10 %. Why: deploy() was called.`],
      ['percentage', 0, 10, 'INFO', 'Version "v2" now serves 10 % of the guilds, before 0 %. Why: deploy() was called.'],
      ['phase', 'CANARY_TESTING', 'SHIFTING_TRAFFIC', 'INFO', `Deployment ${id} ("v1" to "v2") is shifting traffic, 100 % so far. Why: 1000 ms have passed.`],
      ['percentage', 10, 100, 'INFO', 'Version "v2" now serves 100 % of the guilds, before 10 %. Why: 1000 ms have passed.'],
      ['phase', 'SHIFTING_TRAFFIC', 'DRAINING_BLUE', 'INFO', `Deployment ${id} ("v1" to "v2") waits for the calls that still run on "v1". Why: 1000 ms have passed.`],
      ['phase', 'DRAINING_BLUE', 'COMPLETE', 'INFO', `Deployment ${id} ("v1" to "v2") is complete. Why: every step was passed.`],
      ['active', 'v1', 'v2', 'INFO', 'Version "v2" is the active version now, in place of "v1". Why: every step was passed.'],
    ]) // prettier-ignore
    expect(finished).toHaveBeenCalledTimes(1)
    expect(finished).toHaveBeenCalledWith(
      expect.objectContaining({ what: 'deployment', from: 'v1', to: 'v2', outcome: 'COMPLETE', deploymentId: id }),
    )
  })

  it('may be answered by a rollback within the announcement', async () => {
    const bot = new TestBot()
    bot.blueGreen.on('change', ({ to }) => {
      if (to === 'SHIFTING_TRAFFIC') void bot.blueGreen.rollback({ why: 'not on my watch' })
    })
    const deployment = await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(4_000)
    expect(await deployment.finished).toEqual({ outcome: 'ROLLED_BACK', why: 'not on my watch' })
    const end = ['ROLLING_BACK', 'ROLLED_BACK']
    expect(bot.phases).toEqual(['GREEN_STAGING', 'CANARY_TESTING', 'SHIFTING_TRAFFIC', ...end])
    expect(bot.store.written).toEqual([
      'IDLE',
      'GREEN_STAGING',
      'GREEN_STAGING',
      'CANARY_TESTING',
      'CANARY_TESTING',
      ...end,
    ])
    // What was overtaken before it was written stands in the log of what overtook it.
    expect((await bot.store.record())?.log.map(({ phase, why }) => `${phase}: ${why}`)).toContain(
      'SHIFTING_TRAFFIC: 1000 ms have passed',
    )
  })

  it('comes in order to everybody, also when a listener rolls back in the middle of it', async () => {
    const bot = new TestBot()
    bot.blueGreen.removeAllListeners('change')
    bot.blueGreen.on('change', ({ to }) => {
      if (to === 'SHIFTING_TRAFFIC') void bot.blueGreen.rollback()
    })
    const told: string[] = []
    bot.blueGreen.on('change', ({ what, from, to }) => told.push(`${what} ${from} ${to}`))
    bot.blueGreen.on('finished', ({ outcome }) => told.push(outcome))
    await bot.blueGreen.deploy('v2', plan)
    await bot.clock.advance(1_000)
    expect(told.slice(4)).toEqual([
      'phase CANARY_TESTING SHIFTING_TRAFFIC',
      'percentage 1 10',
      'phase SHIFTING_TRAFFIC ROLLING_BACK',
      'percentage 10 0',
      'phase ROLLING_BACK ROLLED_BACK',
      'ROLLED_BACK',
    ])
  })
})
