import { describe, expect, it, vi } from 'vitest'
import { Jobs } from './jobs.js'
import { memoryState } from './memory-state.js'
import { FaultyStore } from './test-support/faulty-store.js'
import { SlotOnStrings } from './test-support/slot-on-strings.js'
import { answer, plan, TestBot, type Ping } from './test-support/test-bot.js'
import type { Deployment } from './deployment.js'
import type { Slot } from './slots/slot.js'

type TestOptions = NonNullable<ConstructorParameters<typeof TestBot>[1]>

const soon = { percentages: [100], stepMs: 1_000 }

/** A bot of which `v2` is complete, and what was done to its data. */
async function complete(
  options: TestOptions = {},
  deployed: Parameters<TestBot['blueGreen']['deploy']>[1] = soon,
  store = new FaultyStore(),
) {
  const done: string[] = []
  const note = (what: string) => async (): Promise<void> => void done.push(what)
  const migrations = {
    index: { up: note('up'), down: note('down') },
    drop: { up: note('up'), irreversible: true },
    add: { up: note('up') },
  }
  const bot = new TestBot(store, { migrations, ...options })
  const deployment = await bot.blueGreen.deploy('v2', deployed)
  await bot.clock.advance(1_000)
  expect((await deployment.finished).outcome).toBe('COMPLETE')
  return { bot, deployment, done }
}

/** The same with versions that have to get ready. */
async function completeOnSlots(options: TestOptions = {}) {
  const [v1, v2] = [new SlotOnStrings('v1'), new SlotOnStrings('v2')]
  // The events of the tests are calls, but for an id that may be null.
  const versions = { v1, v2 } as unknown as Record<string, Slot<Ping>>
  return { ...(await complete({ versions, maxWaitMs: 200, ...options })), v1, v2 }
}

/** The last process is gone; the same disk. */
function restart(bot: TestBot, options: TestOptions = {}): TestBot {
  return new TestBot(new FaultyStore(bot.store.inner), options)
}

describe('a rollback of what is complete', () => {
  it('gives everybody back to the old version, for good, and says how it ended', async () => {
    const { bot, deployment } = await complete()
    expect(await bot.serves('a')).toBe('v2')
    expect(await deployment.rollback({ why: 'users complain' })).toEqual({
      outcome: 'ROLLED_BACK',
      why: 'users complain',
    })
    expect((await bot.guildsOn('v1')).size).toBe(1_000)
    expect(bot.blueGreen.status).toMatchObject({ phase: 'ROLLED_BACK', active: 'v1', rolledBack: ['v2'] })
    expect((await deployment.finished).outcome).toBe('COMPLETE')
    await expect(bot.blueGreen.deploy('v2', plan)).rejects.toMatchObject({ code: 'VERSION_ROLLED_BACK' })
    await bot.clock.advance(60_000)
    expect((await bot.store.record())?.state).toMatchObject({ active: 'v1', deployment: { phase: 'ROLLED_BACK' } })
    expect(bot.timers).toBe(0)
  })

  it('is in force in the same tick where the versions are functions: none of what comes after it begins on the new one', async () => {
    const { bot, deployment } = await complete()
    const began: string[] = []
    const run = (version: string): number => began.push(version)
    void bot.blueGreen.handle({ guildId: 'a', run })
    const rolledBack = deployment.rollback()
    void bot.blueGreen.handle({ guildId: 'a', run })
    expect(began).toEqual(['v2', 'v1'])
    expect((await rolledBack).outcome).toBe('ROLLED_BACK')
  })

  it('tells each thing that is different, as any rollback', async () => {
    const { bot, deployment } = await complete()
    bot.changes.length = 0
    await deployment.rollback({ why: 'users complain' })
    expect(bot.changes.map(({ what, from, to, severity }) => [what, from, to, severity])).toEqual([
      ['phase', 'COMPLETE', 'ROLLING_BACK', 'CRITICAL'],
      ['percentage', 100, 0, 'INFO'],
      ['active', 'v2', 'v1', 'WARNING'],
      ['phase', 'ROLLING_BACK', 'ROLLED_BACK', 'WARNING'],
    ])
  })

  it('lets a call on the new version end where it began, and waits for it', async () => {
    const { bot, deployment } = await complete()
    let finish!: () => void
    const call = bot.blueGreen.handle({
      run: (version) => new Promise<string>((resolve) => (finish = () => resolve(version))),
    })
    const rolledBack = deployment.rollback()
    await bot.clock.advance(0)
    expect(bot.blueGreen.status.deployment).toMatchObject({ phase: 'ROLLING_BACK', percentage: 0 })
    expect(await bot.serves('a')).toBe('v1')
    finish()
    expect(await call).toBe('v2')
    expect((await rolledBack).outcome).toBe('ROLLED_BACK')
  })

  it('undoes the migration, and has the old version looked at', async () => {
    const validations = { ping: async ({ call, version }: { call: (ping: Ping) => Promise<unknown>; version: string }) => (await call({})) === version } // prettier-ignore
    const { bot, deployment, done } = await complete({ validations }, { ...soon, migration: 'index' })
    const { outcome, why } = await deployment.rollback({ why: 'users complain' })
    expect([outcome, why]).toEqual(['ROLLED_BACK', 'users complain; the migration "index" was undone'])
    expect(done).toEqual(['up', 'down'])
    expect(bot.phases.slice(-3)).toEqual(['ROLLING_BACK', 'VALIDATING_ROLLBACK', 'ROLLED_BACK'])
    expect(deployment.status).toMatchObject({ phase: 'ROLLED_BACK', migrated: 'UNDONE' })
  })

  it('is refused after an irreversible migration, unless a person accepts that', async () => {
    const { bot, deployment, done } = await complete({}, { ...soon, migration: 'drop' })
    expect(await deployment.rollback({ why: 'users complain' })).toEqual({
      outcome: 'FROZEN',
      why: 'the migration "drop" is irreversible, and only acceptIrreversible: true goes back from it; the cause was: users complain',
    })
    expect(bot.changes.at(-1)).toMatchObject({ what: 'refusal', from: 'COMPLETE', severity: 'CRITICAL' })
    expect([bot.blueGreen.status.phase, await bot.serves('a')]).toEqual(['COMPLETE', 'v2'])
    const result = await deployment.rollback({ why: 'v1 can read it', acceptIrreversible: true })
    expect(result).toEqual({ outcome: 'ROLLED_BACK', why: 'v1 can read it' })
    expect([done, await bot.serves('a')]).toEqual([['up'], 'v1'])
  })

  it('goes in batches, of the same guilds in the same order, and at once when it is asked for again', async () => {
    const bot = new TestBot()
    const deployment = await bot.blueGreen.deploy('v2', { percentages: [50, 100], stepMs: 1_000 })
    const half = await bot.guildsOn('v2')
    await bot.clock.advance(2_000)
    const rolledBack = deployment.rollback({ batches: { percentages: [50, 10], pauseMs: 1_000 } })
    await bot.clock.advance(0)
    expect(await bot.guildsOn('v2')).toEqual(half)
    await bot.clock.advance(1_000)
    expect(deployment.status).toMatchObject({ phase: 'ROLLING_BACK', percentage: 10 })
    void deployment.rollback({ why: 'now' })
    expect((await bot.guildsOn('v2')).size).toBe(0)
    expect(await rolledBack).toMatchObject({ outcome: 'ROLLED_BACK', why: 'now' })
    expect(bot.percentages).toEqual([50, 100, 50, 10, 0])
    await expect((await complete()).deployment.rollback({ batches: { size: 0 } })).rejects.toThrow(
      'batches.size must be from 1 to 100',
    )
  })

  it('knows still which guilds fail on the new version, so that a catastrophe ends its batches', async () => {
    const { bot, deployment } = await complete()
    await bot.fails('a')
    await bot.fails('b')
    void deployment.rollback({ batches: { percentages: [99], pauseMs: 1_000_000 } })
    expect(deployment.status).toMatchObject({ percentage: 99, green: { failingGuilds: 2 } })
    const [c = ''] = await bot.guildsOn('v2')
    await bot.fails(c)
    expect(deployment.status).toMatchObject({ percentage: 0, why: expect.stringContaining('are failing on "v2"') as string }) // prettier-ignore
  })

  it('of a deployment that others have come after does nothing, and says how that ended', async () => {
    const { bot, deployment } = await complete()
    const later = await bot.blueGreen.deploy('v3', soon)
    expect((await deployment.rollback()).outcome).toBe('COMPLETE')
    expect(later.status.phase).toBe('CANARY_TESTING')
    await bot.clock.advance(1_000)
    expect((await deployment.rollback()).outcome).toBe('COMPLETE')
    expect([bot.blueGreen.status.active, await bot.serves('a')]).toEqual(['v3', 'v3'])
  })

  it('is one also where whoever hears that it is complete takes it back in the same tick', async () => {
    const bot = new TestBot()
    const ends: string[] = []
    let rolledBack: Promise<unknown> | undefined
    bot.blueGreen.on('finished', ({ outcome }) => ends.push(outcome))
    bot.blueGreen.on('change', ({ what, to }) => {
      if (what !== 'phase' || to !== 'COMPLETE') return
      rolledBack = bot.blueGreen.lastDeployment?.rollback({ why: 'users complain' })
    })
    const deployment = await bot.blueGreen.deploy('v2', soon)
    const seen: string[] = []
    const watching = (async () => {
      for await (const { phase } of deployment.watch()) seen.push(phase)
    })()
    await bot.clock.advance(1_000)
    expect(await rolledBack).toEqual({ outcome: 'ROLLED_BACK', why: 'users complain' })
    expect((await deployment.finished).outcome).toBe('COMPLETE')
    expect((await bot.blueGreen.lastDeployment?.finished)?.outcome).toBe('ROLLED_BACK')
    await watching
    expect([ends, seen.at(-1)]).toEqual([['COMPLETE', 'ROLLED_BACK'], 'COMPLETE'])
    expect(await bot.blueGreen.history()).toMatchObject([{ number: 1, outcome: 'ROLLED_BACK', why: 'users complain' }])
    expect([bot.blueGreen.status.active, await bot.serves('a'), bot.timers]).toEqual(['v1', 'v1', 0])
  })

  it.each(['v3', 'v1'])('is none where whoever hears that it is complete deploys %s next', async (next) => {
    const bot = new TestBot()
    const ends: string[] = []
    let deploying: Promise<Deployment> | undefined
    bot.blueGreen.on('finished', ({ outcome, to }) => ends.push(`${outcome} ${to}`))
    bot.blueGreen.on('change', ({ what, to }) => {
      if (what === 'phase' && to === 'COMPLETE') deploying ??= bot.blueGreen.deploy(next, soon)
    })
    const deployment = await bot.blueGreen.deploy('v2', soon)
    await bot.clock.advance(1_000)
    expect((await deployment.finished).outcome).toBe('COMPLETE')
    const later = await deploying
    expect(later?.status).toMatchObject({ from: 'v2', to: next, phase: 'CANARY_TESTING' })
    await bot.clock.advance(1_000)
    expect((await later?.finished)?.outcome).toBe('COMPLETE')
    expect([deployment.report().outcome, await bot.serves('a')]).toEqual(['COMPLETE', next])
    expect(await bot.blueGreen.history()).toMatchObject([{ number: 2 }, { number: 1, outcome: 'COMPLETE', to: 'v2' }])
    expect(ends).toHaveLength(2)
  })

  it('is no matter of a trigger: what asks the bot, and not the deployment, takes back what runs', async () => {
    const { bot } = await complete()
    expect(await bot.blueGreen.rollback({ why: 'health is down' })).toBeUndefined()
    expect(bot.blueGreen.status).toMatchObject({ phase: 'COMPLETE', active: 'v2' })
  })

  it('is refused where the old version is in the code no more, which a person is told', async () => {
    const { bot } = await complete()
    const next = restart(bot, { versions: { v2: answer('v2'), v3: answer('v3') }, initial: 'v2' })
    await next.blueGreen.start()
    expect(await next.blueGreen.lastDeployment?.rollback({ why: 'users complain' })).toEqual({
      outcome: 'HELD',
      why: '"v1" is not in versions, so nothing can be rolled back to it; the cause was: users complain',
    })
    expect(next.changes.at(-1)).toMatchObject({ what: 'refusal', severity: 'CRITICAL' })
    expect(next.blueGreen.status).toMatchObject({ phase: 'COMPLETE', active: 'v2' })
  })

  it('does not happen where nobody drives, or somebody else does', async () => {
    const { bot, deployment } = await complete()
    await bot.blueGreen.stop()
    expect(await deployment.rollback()).toMatchObject({ outcome: 'STOPPED' })
    await bot.blueGreen.start()
    await restart(bot).blueGreen.start()
    await expect(bot.blueGreen.deploy('v3', plan)).rejects.toMatchObject({ code: 'FENCED' })
    expect(await deployment.rollback()).toMatchObject({ outcome: 'FENCED' })
    expect(await bot.serves('a')).toBe('v2')
  })
})

describe('the old version of what is complete', () => {
  it('gets ready first, and the new one serves until it is; then all is in one tick', async () => {
    const { bot, deployment, v1, v2 } = await completeOnSlots()
    expect(v1.health()).toBe('down')
    let ready!: () => void
    v1.ready = new Promise((resolve) => (ready = resolve))
    const rolledBack = deployment.rollback({ why: 'users complain' })
    await bot.clock.advance(30_000)
    expect([bot.blueGreen.status.phase, await bot.serves('a')]).toEqual(['COMPLETE', 'v2'])
    // Nothing is written before there is something to go back to.
    expect((await bot.store.record())?.state.deployment?.phase).toBe('COMPLETE')
    ready()
    expect((await rolledBack).outcome).toBe('ROLLED_BACK')
    expect(await bot.serves('a')).toBe('v1')
    await bot.clock.advance(0)
    expect([v1.health(), v2.health()]).toEqual(['up', 'down'])
  })

  it('is not waited for any more once another process drives, and ends again', async () => {
    const { bot, deployment, v1 } = await completeOnSlots()
    const { stops } = v1
    v1.starting = 'hangs'
    const rolledBack = deployment.rollback({ why: 'users complain' })
    await bot.clock.advance(0)
    const other = restart(bot)
    await other.blueGreen.start()
    await bot.clock.advance(2_000)
    expect(await rolledBack).toEqual({
      outcome: 'FENCED',
      why: expect.stringMatching(/^nothing has changed: .*epoch/) as string,
    })
    expect([bot.blueGreen.status.controller, v1.stops, await bot.serves('a')]).toEqual(['FENCED', stops + 1, 'v2'])
    expect((await bot.store.record())?.state.deployment?.phase).toBe('COMPLETE')
  })

  it.each([
    ['fails', '"v1" did not get ready: v1 cannot start'],
    ['is deaf', '"v1" did not get ready: it took longer than 60000 ms'],
  ] as const)('that %s leaves the new one all that it has, which a person is told', async (starting, problem) => {
    const notify = vi.fn()
    const { bot, deployment, v1, v2, done } = await completeOnSlots({ notify })
    v1.starting = starting
    const { stops } = v1
    const rolledBack = deployment.rollback({ why: 'users complain' })
    await bot.clock.advance(60_000)
    const why = `${problem}; the cause was: users complain`
    expect(await rolledBack).toEqual({ outcome: 'HELD', why })
    expect(bot.changes.at(-1)).toMatchObject({ what: 'refusal', from: 'COMPLETE', to: 'COMPLETE', severity: 'CRITICAL', why }) // prettier-ignore
    expect(notify.mock.lastCall?.[0]).toMatchObject({ kind: 'held', severity: 'CRITICAL' })
    expect([bot.blueGreen.status.phase, await bot.serves('a'), v2.health(), done]).toEqual(['COMPLETE', 'v2', 'up', []])
    expect(bot.blueGreen.status.rolledBack).toEqual([])
    await bot.clock.advance(60_000)
    expect([v1.stops, bot.timers]).toEqual([stops + 1, 0])
    // It is tried again like the first time, and nothing else is in the way.
    v1.starting = 'starts'
    const again = deployment.rollback()
    await bot.clock.advance(60_000)
    expect((await again).outcome).toBe('ROLLED_BACK')
    expect(bot.timers).toBe(0)
  })

  it('that dies in the tick in which it is ready gets nobody', async () => {
    const { bot, deployment, v1 } = await completeOnSlots()
    v1.started = () => queueMicrotask(() => v1.dies('fails'))
    expect(await deployment.rollback()).toMatchObject({ outcome: 'HELD', why: expect.stringContaining('"v1" died: it was pulled') as string }) // prettier-ignore
    expect(await bot.serves('a')).toBe('v2')
  })

  it('takes over from a new one that is dead', async () => {
    const { bot, deployment, v1, v2 } = await completeOnSlots()
    v2.dies('fails')
    await bot.clock.advance(1_000)
    const rolledBack = deployment.rollback({ batches: { size: 10 } })
    await bot.clock.advance(0)
    // A share that a dead version would keep is given back with the rest.
    expect((await rolledBack).outcome).toBe('ROLLED_BACK')
    expect([await bot.serves('a'), v1.health()]).toEqual(['v1', 'up'])
    await bot.clock.advance(60_000)
    expect([v2.health(), bot.timers]).toEqual(['down', 0])
  })

  it('is waited for once, however often the rollback is asked for, and then it is at once', async () => {
    const { bot, deployment, v1 } = await completeOnSlots()
    let ready!: () => void
    v1.ready = new Promise((resolve) => (ready = resolve))
    const starts = v1.starts
    const first = deployment.rollback({ why: 'one', batches: { size: 10 } })
    const second = bot.blueGreen.lastDeployment?.rollback({ why: 'two' })
    // It runs now, so that whoever takes back what runs means it.
    const third = bot.blueGreen.rollback({ why: 'three' })
    ready()
    const result = { outcome: 'ROLLED_BACK', why: 'one' }
    expect(await Promise.all([first, second, third])).toEqual([result, result, result])
    expect(v1.starts).toBe(starts + 1)
    expect(bot.percentages).toEqual([100, 0])
  })

  it('keeps other deployments from beginning while it gets ready', async () => {
    const { bot, deployment, v1 } = await completeOnSlots()
    let ready!: () => void
    v1.ready = new Promise((resolve) => (ready = resolve))
    const rolledBack = deployment.rollback()
    const refusal = { code: 'DEPLOYMENT_RUNNING', deploymentId: deployment.id }
    await expect(bot.blueGreen.deploy('v1', soon)).rejects.toMatchObject(refusal)
    await expect(bot.blueGreen.deploy('v2', { ...soon, retry: true })).rejects.toMatchObject(refusal)
    await expect(bot.blueGreen.deploy('v2', soon)).rejects.toMatchObject({ code: 'VERSION_ROLLED_BACK' })
    expect((await bot.blueGreen.dryRun('v1', soon)).problems).toEqual([
      `deployment ${deployment.id} to "v2" is running`,
    ])
    ready()
    expect((await rolledBack).outcome).toBe('ROLLED_BACK')
  })

  it('is there also where whoever hears that it is complete takes it back, while the old version is being ended', async () => {
    const { bot, v1, v2 } = await completeOnSlots()
    await bot.blueGreen.lastDeployment?.rollback()
    let rolledBack: Promise<unknown> | undefined
    bot.blueGreen.on('change', ({ what, to }) => {
      if (what === 'phase' && to === 'COMPLETE') rolledBack = bot.blueGreen.lastDeployment?.rollback()
    })
    await bot.blueGreen.deploy('v2', { ...soon, retry: true })
    await bot.clock.advance(1_000)
    expect(await rolledBack).toMatchObject({ outcome: 'ROLLED_BACK' })
    await bot.clock.advance(0)
    expect([await bot.serves('a'), v1.health(), v2.health()]).toEqual(['v1', 'up', 'down'])
  })

  it('is let go when the process stops, and nothing has changed', async () => {
    const { bot, deployment, v1, v2 } = await completeOnSlots()
    v1.starting = 'hangs'
    const rolledBack = deployment.rollback()
    await bot.clock.advance(0)
    await bot.blueGreen.stop()
    expect(await rolledBack).toMatchObject({ outcome: 'STOPPED', why: expect.stringContaining('nothing has changed') as string }) // prettier-ignore
    expect([v1.health(), v2.health(), bot.timers]).toEqual(['down', 'down', 0])
    v1.starting = 'starts'
    await bot.blueGreen.start()
    expect(await bot.serves('a')).toBe('v2')
    expect((await deployment.rollback()).outcome).toBe('ROLLED_BACK')
  })

  it('has the jobs from the tick in which it has the events', async () => {
    const { bot, deployment, v1 } = await completeOnSlots()
    const ran: string[] = []
    const jobs = new Jobs({
      jobs: { digest: { everyMs: 1_000, effects: 'keyed', run: ({ version }) => void ran.push(version) } },
      owner: bot.blueGreen,
      store: memoryState(),
      clock: bot.clock,
    })
    await jobs.start()
    await bot.clock.advance(2_000)
    let ready!: () => void
    v1.ready = new Promise((resolve) => (ready = resolve))
    const rolledBack = deployment.rollback()
    await bot.clock.advance(2_000)
    expect([new Set(ran), jobs.status.version]).toEqual([new Set(['v2']), 'v2'])
    ready()
    await rolledBack
    expect(jobs.status.version).toBe('v1')
    ran.length = 0
    await bot.clock.advance(2_000)
    expect(new Set(ran)).toEqual(new Set(['v1']))
    await Promise.all([jobs.stop(), bot.clock.advance(1)])
  })

  it('keeps what is pinned to it when it was not ended yet, and its flows move to it', async () => {
    const { bot, deployment } = await completeOnSlots()
    const pin = bot.blueGreen.pin('v2', 'wizard')
    const voice = bot.blueGreen.pin('v2', 'voice', { kind: 'voice' })
    await deployment.rollback()
    expect([pin.state, voice.state]).toEqual(['moved', 'held'])
    expect(bot.blueGreen.pin('v1', 'wizard').state).toBe('held')
  })
})

describe('after a restart', () => {
  it('what is complete can be looked at, and taken back', async () => {
    const { bot, deployment } = await complete({}, { ...soon, migration: 'index' })
    bot.crash()
    const done: string[] = []
    const migrations = { index: { up: async () => undefined, down: async () => void done.push('down') } }
    const next = restart(bot, { migrations })
    expect(next.blueGreen.lastDeployment).toBeUndefined()
    const finished = vi.fn()
    next.blueGreen.on('finished', finished)
    await next.blueGreen.start()
    const last = next.blueGreen.lastDeployment
    const status = { phase: 'COMPLETE', why: 'every step was passed' }
    expect(last).toMatchObject({ id: deployment.id, from: 'v1', to: 'v2', status })
    expect(await last?.finished).toEqual({ outcome: 'COMPLETE', why: 'every step was passed' })
    expect(last?.report()).toMatchObject({ outcome: 'COMPLETE', number: 1 })
    expect(finished).not.toHaveBeenCalled()
    expect((await last?.rollback({ why: 'users complain' }))?.outcome).toBe('ROLLED_BACK')
    expect([done, await next.serves('a')]).toEqual([['down'], 'v1'])
    expect(finished).toHaveBeenCalledTimes(1)
  })

  it.each([
    ['in a new process', (bot: TestBot) => restart(bot)],
    ['in the same one', (bot: TestBot) => bot],
  ])('can be taken back by whoever is told that this process drives, %s', async (_, nextOf) => {
    const { bot } = await complete()
    await bot.blueGreen.stop()
    const next = nextOf(bot)
    const rollbacks: unknown[] = []
    next.blueGreen.on('change', ({ to }) => {
      if (to === 'DRIVING') rollbacks.push(next.blueGreen.lastDeployment?.rollback({ why: 'at once' }))
    })
    await next.blueGreen.start()
    expect(await Promise.all(rollbacks)).toEqual([{ outcome: 'ROLLED_BACK', why: 'at once' }])
    expect(await next.blueGreen.lastDeployment?.finished).toMatchObject({ outcome: 'ROLLED_BACK' })
    expect(await next.blueGreen.history()).toMatchObject([{ number: 1, outcome: 'ROLLED_BACK' }])
  })

  it('a rollback that the process died over has not begun while the old version got ready', async () => {
    const { bot, deployment, v1 } = await completeOnSlots()
    v1.starting = 'hangs'
    void deployment.rollback()
    await bot.clock.advance(0)
    bot.crash()
    const next = restart(bot)
    await next.blueGreen.start()
    expect(next.blueGreen.status).toMatchObject({ phase: 'COMPLETE', active: 'v2' })
  })

  it('what was decided while the store was away stands, in the same process', async () => {
    const { bot, deployment } = await complete()
    bot.store.isDown = true
    void deployment.rollback({ why: 'users complain' })
    await bot.clock.advance(0)
    expect(await bot.serves('a')).toBe('v1')
    const stopping = bot.blueGreen.stop()
    await bot.clock.advance(60_000)
    await stopping
    bot.store.isDown = false
    await bot.blueGreen.start()
    await bot.clock.advance(0)
    expect(bot.blueGreen.status).toMatchObject({ phase: 'ROLLED_BACK', active: 'v1' })
  })

  it('gets to an end from a crash at any record: either complete on the new version, or rolled back on the old', async () => {
    const ends = new Set<string>()
    for (const batches of [undefined, { percentages: [50], pauseMs: 1_000 }]) {
      for (let write = 1; write < 14; write++) {
        for (const fault of ['hangs', 'written but hangs'] as const) {
          const validations = { ping: () => true }
          const { bot, deployment, done } = await complete({ validations }, { ...soon, migration: 'index' })
          await bot.clock.advance(0)
          const before = bot.store.writes
          bot.store.faults.set(before + write, fault)
          for (let later = write + 1; later < 100; later++) bot.store.faults.set(before + later, 'hangs')
          void deployment.rollback({ batches })
          await bot.clock.advance(20_000)

          const note = (what: string) => async (): Promise<void> => void done.push(what)
          const migrations = { index: { up: note('up'), down: note('down') } }
          const next = restart(bot, { validations, migrations })
          await next.blueGreen.start()
          await next.clock.advance(100_000)
          const { phase, active } = next.blueGreen.status
          ends.add(phase)
          // What was written down goes on; what was not leaves the new version with its data.
          expect([phase, active, done.at(-1)]).toEqual(
            phase === 'COMPLETE' ? ['COMPLETE', 'v2', 'up'] : ['ROLLED_BACK', 'v1', 'down'],
          )
          expect(next.timers).toBe(0)
        }
      }
    }
    expect([...ends].toSorted()).toEqual(['COMPLETE', 'ROLLED_BACK'])
  })

  it.each(['refused', 'written but refused', 'hangs', 'written but hangs', 'lands late'] as const)(
    'or without one, a write that is %s, wherever, leaves it in force and is made good',
    async (fault) => {
      for (let write = 1; write < 6; write++) {
        const { bot, deployment, done } = await complete({}, { ...soon, migration: 'index' })
        await bot.clock.advance(0)
        bot.store.faults.set(bot.store.writes + write, fault)
        const rolledBack = deployment.rollback()
        await bot.clock.advance(0)
        expect(await bot.serves('a')).toBe('v1')
        await bot.clock.advance(100_000)
        await bot.store.land()
        expect((await rolledBack).outcome).toBe('ROLLED_BACK')
        expect(done).toEqual(['up', 'down'])
        await bot.clock.advance(0)
        expect((await bot.store.record())?.state).toMatchObject({ active: 'v1', deployment: { phase: 'ROLLED_BACK' } })
      }
    },
  )
})

describe('in a store that fails at random and often', () => {
  it.each(['refused', 'written but refused', 'hangs', 'written but hangs', 'lands late'] as const)(
    '(%s) what was taken back stays so, here and after a restart',
    async (fault) => {
      for (let seed = 1; seed <= 20; seed++) {
        let dice = seed
        const { bot, deployment, done } = await complete({}, { ...soon, migration: 'index' })
        await bot.clock.advance(0)
        for (let write = 1; write < 60; write++) {
          dice = (dice * 1_103_515_245 + 12_345) % 2 ** 31
          if (dice % 3 === 0) bot.store.faults.set(bot.store.writes + write, fault)
        }
        const batches = seed % 2 === 0 ? { percentages: [50, 10], pauseMs: 1_000 } : undefined
        const rolledBack = deployment.rollback({ batches })
        await bot.clock.advance(1_000_000)
        await bot.store.land()
        expect((await rolledBack).outcome, `seed ${seed}`).toBe('ROLLED_BACK')
        expect([done, bot.percentages.at(-1)], `seed ${seed}`).toEqual([['up', 'down'], 0])
        bot.crash()
        const next = restart(bot)
        await next.blueGreen.start()
        expect(next.blueGreen.status, `seed ${seed}`).toMatchObject({ phase: 'ROLLED_BACK', active: 'v1' })
        expect(await next.serves('a')).toBe('v1')
      }
    },
  )
})

describe('what is known of a deployment that was taken back when it was complete', () => {
  it('is one report in the history, of how it ended last, with all that happened', async () => {
    const { bot, deployment } = await complete()
    expect(await bot.blueGreen.history()).toMatchObject([{ number: 1, outcome: 'COMPLETE' }])
    await deployment.rollback({ why: 'users complain' })
    const [report, ...others] = await bot.blueGreen.history()
    expect(others).toEqual([])
    expect(report).toMatchObject({ number: 1, outcome: 'ROLLED_BACK', why: 'users complain' })
    expect(report?.log.map(({ phase }) => phase)).toEqual(
      ['GREEN_STAGING', 'CANARY_TESTING', 'DRAINING_BLUE', 'COMPLETE', 'ROLLING_BACK', 'ROLLED_BACK'], // prettier-ignore
    )
    await bot.blueGreen.stop()
    expect(await restart(bot).blueGreen.history()).toMatchObject([{ outcome: 'ROLLED_BACK' }])
  })

  it('is kept also where the process died before', async () => {
    const { bot, deployment } = await complete()
    await bot.blueGreen.history()
    const compareAndSet = bot.store.compareAndSet.bind(bot.store)
    bot.store.compareAndSet = (key, ...rest) => key.includes(':history:') ? new Promise(() => undefined) : compareAndSet(key, ...rest) // prettier-ignore
    await deployment.rollback()
    await bot.clock.advance(0)
    bot.crash()
    const next = restart(bot)
    await next.blueGreen.start()
    expect(await next.blueGreen.history()).toMatchObject([{ number: 1, outcome: 'ROLLED_BACK' }])
  })

  it('is the same whichever handle is asked, also after the next one', async () => {
    const { bot, deployment } = await complete()
    const seen: string[] = []
    const rolledBack = deployment.rollback({ batches: { percentages: [50], pauseMs: 1_000 } })
    await bot.clock.advance(0)
    const watching = (async (of: Deployment) => {
      for await (const { phase, percentage } of of.watch()) seen.push(`${phase} ${percentage}`)
    })(deployment)
    expect(deployment.report().outcome).toBe('RUNNING')
    await bot.clock.advance(1_000)
    await Promise.all([rolledBack, watching])
    expect(seen).toEqual(['ROLLING_BACK 50', 'ROLLING_BACK 0', 'ROLLED_BACK 0'])
    await bot.blueGreen.deploy('v3', soon)
    expect(deployment.report().outcome).toBe('ROLLED_BACK')
    expect(deployment.status.phase).toBe('ROLLED_BACK')
    expect((await deployment.rollback()).outcome).toBe('ROLLED_BACK')
    expect(bot.blueGreen.status.deployment?.to).toBe('v3')
  })

  it('is what goes on after a stop in the middle of it, also for who has followed it from the beginning', async () => {
    const { bot, deployment } = await complete()
    void deployment.rollback({ batches: { percentages: [50, 20], pauseMs: 1_000 } })
    await bot.clock.advance(0)
    await bot.blueGreen.stop()
    await bot.blueGreen.start()
    expect(deployment.report().outcome).toBe('RUNNING')
    const seen: string[] = []
    const watching = (async () => {
      for await (const { phase, percentage } of deployment.watch()) seen.push(`${phase} ${percentage}`)
    })()
    await bot.clock.advance(2_000)
    await watching
    expect(seen).toEqual(['ROLLING_BACK 50', 'ROLLING_BACK 20', 'ROLLING_BACK 0', 'ROLLED_BACK 0'])
    expect(deployment.report()).toMatchObject({ outcome: 'ROLLED_BACK' })
    expect((await deployment.finished).outcome).toBe('COMPLETE')
  })

  it('is told to people as a rollback, and not as a beginning, also by another process', async () => {
    const { bot } = await complete()
    const kinds: string[] = []
    const next = restart(bot, { notify: ({ kind }) => kinds.push(kind) })
    await next.blueGreen.start()
    const finished = vi.fn()
    next.blueGreen.on('finished', finished)
    await next.blueGreen.lastDeployment?.rollback()
    expect(kinds).toEqual(['rolledBack'])
    expect(finished.mock.calls).toMatchObject([[{ outcome: 'ROLLED_BACK', severity: 'WARNING', from: 'v1', to: 'v2' }]])
  })
})

describe('a deployment of the version that served before a migration', () => {
  it('is refused while that is in place, and names the way back', async () => {
    const { bot, deployment, done } = await complete({}, { ...soon, migration: 'index' })
    const refused = bot.blueGreen.deploy('v1', soon)
    await expect(refused).rejects.toMatchObject({
      code: 'MIGRATION_IN_PLACE',
      applied: 'no',
      retryable: false,
      version: 'v1',
      deploymentId: deployment.id,
      migration: 'index',
    })
    await expect(refused).rejects.toThrow('Call rollback() of that deployment')
    expect((await bot.blueGreen.dryRun('v1', soon)).problems).toEqual([
      `the migration "index" of deployment ${deployment.id} is in place`,
    ])
    expect((await bot.blueGreen.lastDeployment?.rollback())?.outcome).toBe('ROLLED_BACK')
    expect(done).toEqual(['up', 'down'])
    await expect(bot.blueGreen.deploy('v1', soon)).resolves.toMatchObject({ status: { phase: 'COMPLETE' } })
  })

  it('is refused also after a restart, and after another deployment that came to nothing', async () => {
    const { bot } = await complete({}, { ...soon, migration: 'index' })
    await bot.blueGreen.deploy('v3', soon)
    await bot.blueGreen.rollback()
    const next = restart(bot)
    const refused = next.blueGreen.deploy('v1', soon)
    await expect(refused).rejects.toMatchObject({ code: 'MIGRATION_IN_PLACE' })
    await expect(refused).rejects.toThrow('undo it by hand')
    await expect(next.blueGreen.deploy('v3', { ...soon, retry: true })).resolves.toMatchObject({ to: 'v3' })
  })

  it('is what a person may accept, or what another migration makes good', async () => {
    const { bot } = await complete({}, { ...soon, migration: 'drop' })
    await expect(bot.blueGreen.deploy('v1', soon)).rejects.toThrow(
      'It is irreversible: name a migration that goes back',
    )
    await expect(bot.blueGreen.deploy('v1', { acceptMigrated: 1 as never })).rejects.toThrow(
      'acceptMigrated must be true or false',
    )
    const back = await bot.blueGreen.deploy('v1', { ...soon, acceptMigrated: true })
    await bot.clock.advance(1_000)
    expect((await back.finished).outcome).toBe('COMPLETE')
    expect(back.report().plan).not.toHaveProperty('acceptMigrated')
    const { bot: other } = await complete({}, { ...soon, migration: 'index' })
    await expect(other.blueGreen.deploy('v1', { ...soon, migration: 'add' })).resolves.toMatchObject({ to: 'v1' })
  })

  it('is one like any other where the old version can live with the data, or the migration was undone', async () => {
    const { bot } = await complete({}, { ...soon, migration: 'add' })
    await expect(bot.blueGreen.deploy('v1', soon)).resolves.toMatchObject({ to: 'v1' })
    const { bot: undone, deployment } = await complete({}, { ...soon, migration: 'index' })
    await deployment.rollback()
    await undone.blueGreen.deploy('v3', soon)
    await undone.clock.advance(1_000)
    await expect(undone.blueGreen.deploy('v1', soon)).resolves.toMatchObject({ to: 'v1' })
  })
})

describe('migrations in place', () => {
  const [drop, other] = [{ up: async () => undefined, irreversible: true } as const, { up: async () => undefined, irreversible: true } as const] // prettier-ignore
  const index = { up: async () => undefined, down: async () => undefined }
  const atOnce = { percentages: [100], stepMs: 1_000 }

  it.each([
    ['without a migration', undefined],
    ['that is undone', 'index'],
  ])('are remembered when a later deployment %s is taken back', async (_, migration) => {
    const bot = new TestBot(new FaultyStore(), { migrations: { drop, index } })
    await bot.blueGreen.deploy('v2', { ...atOnce, migration: 'drop' })
    await bot.clock.advance(1_000)
    const second = await bot.blueGreen.deploy('v3', { ...atOnce, migration })
    await bot.clock.advance(1_000)
    expect((await second.rollback()).outcome).toBe('ROLLED_BACK')
    expect(bot.blueGreen.status.active).toBe('v2')
    await expect(bot.blueGreen.deploy('v1', atOnce)).rejects.toMatchObject({ code: 'MIGRATION_IN_PLACE' })
  })

  it('are remembered beside later ones', async () => {
    const bot = new TestBot(new FaultyStore(), { migrations: { drop, other } })
    await bot.blueGreen.deploy('v2', { ...atOnce, migration: 'drop' })
    await bot.clock.advance(1_000)
    await bot.blueGreen.deploy('v3', { ...atOnce, migration: 'other' })
    await bot.clock.advance(1_000)
    await expect(bot.blueGreen.deploy('v1', atOnce)).rejects.toMatchObject({ code: 'MIGRATION_IN_PLACE' })
    await expect(bot.blueGreen.deploy('v2', atOnce)).rejects.toMatchObject({ code: 'MIGRATION_IN_PLACE' })
  })
})
