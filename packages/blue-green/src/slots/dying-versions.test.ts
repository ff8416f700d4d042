import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { BlueGreen, type BlueGreenChange, type BlueGreenOptions, type EventNews } from '../index.js'
import { FaultyStore } from '../test-support/faulty-store.js'
import { SlotOnStrings, type Call } from '../test-support/slot-on-strings.js'
import { NotBegunError, ShedError } from './errors.js'
import type { Slot } from './slot.js'

const atOnce = { percentages: [100], stepMs: 600_000 }

type Named = Record<'v1' | 'v2', Slot<Call, unknown>>
type Options = Omit<BlueGreenOptions<Named, Call>, 'store'>

function botOf({ store = new FaultyStore(), ...options }: Partial<Options> & { readonly store?: FaultyStore } = {}) {
  const clock = new FakeClock()
  const [v1, v2] = [new SlotOnStrings('v1'), new SlotOnStrings('v2')]
  const blueGreen = new BlueGreen<Named, Call>({
    versions: { v1, v2 },
    initial: 'v1',
    context: ({ id, guildId }) => ({ eventId: id, guildId }),
    store,
    maxWaitMs: 200,
    clock,
    ...options,
  })
  const changes: BlueGreenChange[] = []
  const redelivered: EventNews[] = []
  blueGreen.on('change', (change) => changes.push(change))
  blueGreen.on('redelivered', (news) => redelivered.push(news))
  return { blueGreen, clock, v1, v2, store, changes, redelivered }
}

const irreversible = { migrations: { index: { up: async () => undefined, irreversible: true } } }

/** What a call comes to, told by its code where it is refused. */
async function outcome(work: Promise<unknown>): Promise<unknown> {
  return work.catch((error: unknown) => (error as { code?: unknown }).code ?? error)
}

describe('a rollback during which the old version dies', () => {
  it('in batches leaves the new one what it has, and goes on when the old one lives again', async () => {
    const { blueGreen, clock, v1, v2 } = botOf()
    const deployment = await blueGreen.deploy('v2', atOnce)
    void deployment.rollback({ batches: { percentages: [50, 0], pauseMs: 1_000 } })
    expect(deployment.status.percentage).toBe(50)
    v1.dies('fails')
    await clock.advance(30_000)
    expect([deployment.status.percentage, v2.health(), v2.stops]).toEqual([50, 'up', 0])
    expect(await blueGreen.handle({ guildId: '1' })).toBe('v2')
    v1.starting = 'starts'
    await clock.advance(2_000)
    expect((await deployment.finished).outcome).toBe('ROLLED_BACK')
    expect([v1.health(), v2.health()]).toEqual(['up', 'down'])
  })

  it('at once does not end the new one before the old one lives again, and says so', async () => {
    const { blueGreen, clock, v1, v2, changes } = botOf()
    const deployment = await blueGreen.deploy('v2', atOnce)
    let end!: () => void
    void blueGreen.handle({ guildId: '1', run: () => new Promise<void>((resolve) => (end = resolve)) })
    void deployment.rollback()
    v1.dies('fails')
    end()
    await clock.advance(1_000)
    expect(blueGreen.status.phase).toBe('ROLLED_BACK')
    expect([v2.health(), await blueGreen.handle({ guildId: '1' })]).toEqual(['up', 'v2'])
    expect(changes.filter(({ what }) => what === 'refusal')).toMatchObject([{ severity: 'CRITICAL', to: 'kept' }])
    v1.starting = 'starts'
    await clock.advance(200)
    expect([v1.health(), v2.health(), v2.stops]).toEqual(['up', 'down', 1])
  })

  it('and that is deployed again meanwhile keeps the version that it needs', async () => {
    const { blueGreen, clock, v1, v2 } = botOf()
    const deployment = await blueGreen.deploy('v2', atOnce)
    v1.starting = 'fails'
    void deployment.rollback()
    v1.dies('fails')
    await clock.advance(1_000)
    await outcome(blueGreen.deploy('v2', { ...atOnce, retry: true }))
    v1.starting = 'starts'
    await clock.advance(60_000)
    expect([blueGreen.status.deployment?.percentage, v2.health()]).toEqual([100, 'up'])
  })
})

it('a version that died is deployed again like any other', async () => {
  const { blueGreen, clock, v2 } = botOf()
  await blueGreen.deploy('v2', atOnce)
  v2.dies()
  await clock.advance(1_000)
  expect(blueGreen.status.phase).toBe('ROLLED_BACK')
  const again = await blueGreen.deploy('v2', { ...atOnce, retry: true })
  expect(again.status).toMatchObject({ phase: 'CANARY_TESTING', percentage: 100 })
})

describe('a bot that starts in the middle of a deployment', () => {
  it('rolls it back by hand to a version that had died before the stop, and is well by now', async () => {
    const { blueGreen, clock, v1 } = botOf()
    await blueGreen.deploy('v2', atOnce)
    v1.dies('fails')
    await clock.advance(1_000)
    await blueGreen.stop()
    v1.starting = 'starts'
    expect(await blueGreen.rollback()).toMatchObject({ outcome: 'ROLLED_BACK' })
  })

  it('rolls it back when the new version dies as soon as it is ready', async () => {
    const { blueGreen, clock, v2 } = botOf()
    await blueGreen.deploy('v2', atOnce)
    await blueGreen.stop()
    v2.started = () => queueMicrotask(() => v2.dies('fails'))
    await blueGreen.start()
    await clock.advance(1_000)
    expect(blueGreen.status).toMatchObject({ phase: 'ROLLED_BACK', rolledBack: ['v2'] })
  })

  it('starts the old version again and again when it does not get ready, while the new one serves', async () => {
    const { blueGreen, clock, v1 } = botOf()
    await blueGreen.deploy('v2', atOnce)
    await blueGreen.stop()
    v1.starting = 'fails'
    await blueGreen.start()
    await clock.advance(1_000)
    expect([v1.health(), blueGreen.status.phase]).toEqual(['down', 'HOLD'])
    v1.starting = 'starts'
    await clock.advance(200)
    expect(v1.health()).toBe('up')
  })

  it('and that nobody starts leaves nothing to be started', async () => {
    const { blueGreen, clock, v1 } = botOf()
    v1.starting = 'fails'
    await expect(blueGreen.start()).rejects.toThrow('v1 cannot start')
    await clock.advance(10_000)
    expect([v1.starts, clock.pending]).toEqual([1, 0])
  })
})

describe('the active version', () => {
  it('that dies as soon as it is ready is started again, by a process that took another one for it', async () => {
    const first = botOf()
    await first.blueGreen.deploy('v2', atOnce)
    await first.clock.advance(700_000)
    await first.blueGreen.stop()
    const { blueGreen, clock, v2 } = botOf({ store: first.store })
    v2.started = () => {
      v2.started = () => undefined
      queueMicrotask(() => v2.dies())
    }
    await blueGreen.start()
    await clock.advance(200)
    expect([blueGreen.status.active, v2.starts, v2.health()]).toEqual(['v2', 2, 'up'])
  })

  it('that dies while the other one still gets ready is started again', async () => {
    const first = botOf()
    await first.blueGreen.deploy('v2', atOnce)
    await first.clock.advance(700_000)
    await first.blueGreen.deploy('v1', { percentages: [50, 100], stepMs: 600_000 })
    await first.blueGreen.stop()
    const { blueGreen, clock, v1, v2 } = botOf({ store: first.store })
    let isReady!: () => void
    v1.ready = new Promise((resolve) => (isReady = resolve))
    const started = blueGreen.start()
    await clock.advance(1_000)
    v2.dies()
    isReady()
    await started
    await clock.advance(200)
    expect([v2.starts, v2.health()]).toEqual([2, 'up'])
  })

  it('that is started again, and dies when it is just ready, is started once more, whatever the moment', async () => {
    for (let microtasks = 0; microtasks < 30; microtasks++) {
      const { blueGreen, clock, v1 } = botOf()
      await blueGreen.start()
      v1.started = () => {
        v1.started = () => undefined
        void (async () => {
          for (let i = 0; i < microtasks; i++) await Promise.resolve()
          v1.dies()
        })()
      }
      v1.dies()
      await clock.advance(1_000)
      expect([v1.starts, v1.health()], `after ${microtasks} microtasks`).toEqual([3, 'up'])
    }
  })

  it('is started again also when its slot rejects with nothing', async () => {
    const { blueGreen, clock, v1 } = botOf()
    await blueGreen.start()
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- as a careless slot does
    v1.ready = Promise.reject()
    v1.ready.catch(() => undefined)
    v1.dies()
    await clock.advance(1_000)
    expect(v1.health()).toBe('down')
    v1.ready = Promise.resolve()
    await clock.advance(200)
    expect(v1.health()).toBe('up')
  })

  it('that died with the old one, as that ended what it ran, is started again, and so is the old one until then', async () => {
    const { blueGreen, clock, v1, v2 } = botOf()
    await blueGreen.start()
    let end!: () => void
    void blueGreen.handle({ guildId: '1', run: () => new Promise<void>((resolve) => (end = resolve)) })
    await blueGreen.deploy('v2', atOnce)
    await clock.advance(600_000)
    expect(blueGreen.status.phase).toBe('DRAINING_BLUE')
    v1.dies()
    v2.dies('fails')
    end()
    await clock.advance(1_000)
    expect([blueGreen.status.phase, v1.health(), v2.health()]).toEqual(['COMPLETE', 'up', 'down'])
    expect(await blueGreen.handle({ guildId: '1' })).toBe('v1')
    v2.starting = 'starts'
    await clock.advance(200)
    expect([v1.health(), v2.health(), await blueGreen.handle({ guildId: '1' })]).toEqual(['down', 'up', 'v2'])
  })

  it('serves also when the store has the record and does not give the evidence', async () => {
    class NoEvidence extends FaultyStore {
      override async entry(key: string): ReturnType<FaultyStore['entry']> {
        if (key.endsWith(':evidence')) throw new Error('connection refused')
        return super.entry(key)
      }
    }
    const { blueGreen } = botOf({ store: new NoEvidence(), judge: {} })
    expect(await outcome(blueGreen.start())).toBe('STORE_UNAVAILABLE')
    expect(await blueGreen.handle({ guildId: '1' })).toBe('v1')
  })

  it('serves also when the store does not answer at the start, and gives way to the one that it names later', async () => {
    const first = botOf()
    await first.blueGreen.deploy('v2', atOnce)
    await first.clock.advance(700_000)
    await first.blueGreen.stop()
    const { blueGreen, clock, store, v1, v2 } = botOf({ store: new FaultyStore(first.store.inner) })
    store.isDown = true
    expect(await outcome(blueGreen.start())).toBe('STORE_UNAVAILABLE')
    expect(await blueGreen.handle({ guildId: '1' })).toBe('v1')
    store.isDown = false
    await blueGreen.start()
    expect(await blueGreen.handle({ guildId: '1' })).toBe('v2')
    await clock.advance(0)
    expect([v1.health(), v2.health()]).toEqual(['down', 'up'])
  })
})

describe('a version that cannot be given back', () => {
  it('has nobody do for it who cannot read its data, and is started again', async () => {
    const { blueGreen, clock, v1, v2 } = botOf(irreversible)
    const deployment = await blueGreen.deploy('v2', { ...atOnce, migration: 'index' })
    v2.dies('fails')
    const refused = outcome(blueGreen.handle({ guildId: '1' }))
    await clock.advance(1_000)
    expect(deployment.status).toMatchObject({ phase: 'FROZEN', percentage: 100 })
    expect([await refused, v1.health()]).toEqual(['NOT_BEGUN', 'up'])
    expect(await outcome(deployment.promote())).toBe('DEPLOYMENT_HELD')
    v2.starting = 'starts'
    await clock.advance(200)
    expect(await blueGreen.handle({ guildId: '1' })).toBe('v2')
    expect(await deployment.promote()).toMatchObject({ phase: 'DRAINING_BLUE' })
  })

  it('is started again in the next process, too', async () => {
    const first = botOf(irreversible)
    const deployment = await first.blueGreen.deploy('v2', { ...atOnce, migration: 'index' })
    void deployment.rollback()
    await first.clock.advance(0)
    await first.blueGreen.stop()
    const { blueGreen, clock, v2 } = botOf({ ...irreversible, store: first.store })
    v2.starting = 'fails'
    await blueGreen.start()
    v2.starting = 'starts'
    await clock.advance(200)
    expect([blueGreen.status.phase, v2.health()]).toEqual(['FROZEN', 'up'])
  })
})

describe('a version that cannot be given back, beside an old one that cannot start on the new data,', () => {
  it.each(['frozen', 'held'])('goes forward when it is %s, here and in the next process', async (how) => {
    for (const isRestarted of [false, true]) {
      const first = botOf(irreversible)
      const deployment = await first.blueGreen.deploy('v2', { ...atOnce, migration: 'index' })
      if (how === 'frozen') expect(await deployment.rollback()).toMatchObject({ outcome: 'FROZEN' })
      first.v1.dies('fails')
      await first.clock.advance(1_000)
      expect(await deployment.rollback({ acceptIrreversible: true })).toMatchObject({ outcome: 'HELD' })
      let bot = first
      if (isRestarted) {
        await first.blueGreen.stop()
        bot = botOf({ ...irreversible, store: first.store })
        bot.v1.starting = 'fails'
        await bot.blueGreen.start()
      }
      expect(await bot.blueGreen.deployment?.promote()).toMatchObject({ phase: 'DRAINING_BLUE' })
      await bot.clock.advance(60_000)
      expect(bot.blueGreen.status).toMatchObject({ phase: 'COMPLETE', active: 'v2' })
    }
  })

  it('is started again when it died with that', async () => {
    const { blueGreen, clock, v1, v2 } = botOf(irreversible)
    const deployment = await blueGreen.deploy('v2', { ...atOnce, migration: 'index' })
    v1.dies()
    v2.dies()
    await clock.advance(1_000)
    expect([deployment.status.phase, v1.health(), v2.health(), v2.starts]).toEqual(['FROZEN', 'up', 'up', 2])
  })

  it('is started again when it dies as soon as it is ready', async () => {
    const first = botOf(irreversible)
    await first.blueGreen.deploy('v2', { ...atOnce, migration: 'index' })
    await first.blueGreen.stop()
    const { blueGreen, clock, v2 } = botOf({ ...irreversible, store: first.store })
    v2.started = () => {
      v2.started = () => undefined
      queueMicrotask(() => v2.dies())
    }
    await blueGreen.start()
    await clock.advance(1_000)
    expect([blueGreen.status.phase, v2.health()]).toEqual(['FROZEN', 'up'])
  })

  it('gets no more while its promotion is being written and it dies', async () => {
    const { blueGreen, clock, v2, store } = botOf(irreversible)
    const plan = { percentages: [50, 100], stepMs: 600_000, migration: 'index' }
    const deployment = await blueGreen.deploy('v2', plan)
    await deployment.rollback()
    await clock.advance(0)
    store.faults.set(store.writes + 1, 'is slow')
    const promoted = outcome(deployment.promote())
    await clock.advance(0)
    v2.dies('fails')
    await store.land()
    expect(await promoted).toBe('DEPLOYMENT_HELD')
    v2.starting = 'starts'
    await clock.advance(1_000)
    expect([deployment.status.phase, deployment.status.percentage, v2.health()]).toEqual(['FROZEN', 50, 'up'])
  })

  it('has nobody do for it in a process that another one has taken over from', async () => {
    const first = botOf(irreversible)
    const deployment = await first.blueGreen.deploy('v2', { ...atOnce, migration: 'index' })
    const second = botOf({ ...irreversible, store: new FaultyStore(first.store.inner) })
    await second.blueGreen.start()
    deployment.hold()
    await first.clock.advance(1_000)
    expect(first.blueGreen.status.controller).toBe('FENCED')
    first.v2.dies('fails')
    const answer = outcome(first.blueGreen.handle({ guildId: '1' }))
    await first.clock.advance(1_000)
    expect(await answer).toBe('NOT_BEGUN')
  })

  it('has nobody do for it after the end either', async () => {
    const { blueGreen, clock, v1, v2 } = botOf(irreversible)
    await blueGreen.start()
    let end!: () => void
    void blueGreen.handle({ guildId: '1', run: () => new Promise<void>((resolve) => (end = resolve)) })
    await blueGreen.deploy('v2', { ...atOnce, migration: 'index' })
    await clock.advance(600_000)
    v1.dies()
    v2.dies('fails')
    end()
    await clock.advance(1_000)
    const answer = outcome(blueGreen.handle({ guildId: '1' }))
    await clock.advance(1_000)
    expect([blueGreen.status.phase, v1.health(), await answer]).toEqual(['COMPLETE', 'up', 'NOT_BEGUN'])
  })
})

it('a version whose code is gone does for nobody', async () => {
  const validations = { slow: () => new Promise<void>(() => undefined) }
  const first = botOf({ validations })
  await first.blueGreen.deploy('v2', atOnce)
  await first.blueGreen.stop()
  const v1 = new SlotOnStrings('v1')
  const { blueGreen, clock } = botOf({ store: first.store, validations, versions: { v1 } as unknown as Named })
  await blueGreen.start()
  await clock.advance(0)
  expect(blueGreen.status.phase).toBe('VALIDATING_ROLLBACK')
  v1.dies()
  const answer = outcome(blueGreen.handle({ guildId: '1' }))
  await clock.advance(200)
  expect(await answer).toBe('v1')
})

describe('a process that another one has taken over from', () => {
  it('serves on with what it has, which is started again when it dies', async () => {
    const first = botOf()
    await first.blueGreen.start()
    const second = botOf({ store: new FaultyStore(first.store.inner) })
    await second.blueGreen.deploy('v2', atOnce)
    await second.clock.advance(700_000)
    expect(await outcome(first.blueGreen.deploy('v2', atOnce))).toBe('FENCED')
    expect(first.blueGreen.status.active).toBe('v2')
    expect(await first.blueGreen.handle({ guildId: '1' })).toBe('v1')
    first.v1.dies()
    await first.clock.advance(200)
    expect(await first.blueGreen.handle({ guildId: '1' })).toBe('v1')
  })

  it('does not end what it kept and the other one has made the active version', async () => {
    const first = botOf()
    const deployment = await first.blueGreen.deploy('v2', atOnce)
    let end!: () => void
    void first.blueGreen.handle({ guildId: '1', run: () => new Promise<void>((resolve) => (end = resolve)) })
    void deployment.rollback()
    first.v1.dies('fails')
    end()
    await first.clock.advance(1_000)
    expect([first.blueGreen.status.phase, first.v2.health()]).toEqual(['ROLLED_BACK', 'up'])
    const second = botOf({ store: new FaultyStore(first.store.inner) })
    await second.blueGreen.deploy('v2', { ...atOnce, retry: true })
    await second.clock.advance(700_000)
    let isReady!: () => void
    first.v1.ready = new Promise((resolve) => (isReady = resolve))
    first.v1.starting = 'starts'
    await first.clock.advance(100)
    expect(await outcome(first.blueGreen.deploy('v2', { ...atOnce, retry: true }))).toBe('FENCED')
    isReady()
    await first.clock.advance(1_000)
    expect([first.blueGreen.status.active, first.v1.health(), first.v2.health()]).toEqual(['v2', 'up', 'up'])
  })
})

it.each([
  ['a step', 'HOLD'],
  ['a rollback in batches', 'ROLLING_BACK'],
])('a person hears once in %s that there is nobody to roll back to, and not with each event', async (during, phase) => {
  const { blueGreen, clock, v1, store, changes } = botOf()
  const deployment = await blueGreen.deploy('v2', atOnce)
  if (during !== 'a step') void deployment.rollback({ batches: { size: 10, pauseMs: 600_000 } })
  v1.dies('fails')
  await clock.advance(1_000)
  const before = store.writes
  const run = (): never => {
    throw new Error('broken')
  }
  for (let i = 0; i < 500; i++) await outcome(blueGreen.handle({ guildId: String(i % 20), run }))
  await clock.advance(1_000)
  expect(changes.filter(({ what }) => what === 'refusal')).toHaveLength(1)
  expect(store.writes - before).toBeLessThan(5)
  expect(await deployment.rollback()).toMatchObject({ outcome: 'HELD' })
  expect(deployment.status.phase).toBe(phase)
})

describe('stop()', () => {
  it.each(['hangs', 'is deaf'] as const)('ends a start() whose version %s', async (starting) => {
    const { blueGreen, clock, v1 } = botOf()
    v1.starting = starting
    const started = outcome(blueGreen.start())
    await clock.advance(1_000)
    const stopped = blueGreen.stop().then(() => 'stopped')
    await clock.advance(0)
    expect([await started, await stopped]).toEqual(['STOPPED', 'stopped'])
    expect(blueGreen.status.controller).toBe('STOPPED')
    v1.starting = 'starts'
    await blueGreen.start()
    expect(await blueGreen.handle({ guildId: '1' })).toBe('v1')
    await blueGreen.stop()
    expect(clock.pending).toBe(0)
  })

  it('ends a start() that it comes right after', async () => {
    const { blueGreen, v1 } = botOf()
    v1.starting = 'hangs'
    const started = outcome(blueGreen.start())
    await blueGreen.stop()
    expect([await started, v1.starts]).toEqual(['STOPPED', 0])
  })

  it('ends a new start of a version that died', async () => {
    const { blueGreen, clock, v1 } = botOf()
    await blueGreen.start()
    v1.dies('hangs')
    await clock.advance(200)
    expect(v1.starts).toBe(2)
    await blueGreen.stop()
    expect(clock.pending).toBe(0)
  })

  it('does not take a version back that only was not ready yet', async () => {
    const { blueGreen, clock, v2 } = botOf()
    await blueGreen.deploy('v2', atOnce)
    await blueGreen.stop()
    v2.starting = 'hangs'
    const started = outcome(blueGreen.start())
    await clock.advance(1_000)
    const stopped = blueGreen.stop()
    await clock.advance(0)
    await stopped
    v2.starting = 'starts'
    expect(await started).toBe('STOPPED')
    await blueGreen.start()
    expect(blueGreen.status.deployment).toMatchObject({ percentage: 100, phase: 'CANARY_TESTING' })
  })
})

describe('an event that another version serves', () => {
  it('says nothing of the one that it was routed to', async () => {
    const { blueGreen, clock, v1 } = botOf({ maxFailingGuilds: 5 })
    const deployment = await blueGreen.deploy('v2', { percentages: [50, 100], stepMs: 600_000 })
    const broken = (version: string): unknown => {
      if (version === 'v2') throw new Error('broken')
      return version
    }
    v1.dies('fails')
    const guilds = Array.from({ length: 100 }, (_, i) => String(i))
    // All of them fail on v2; for half of them v1 was meant.
    for (const guildId of guilds.flatMap((id) => [id, id, id]))
      await outcome(blueGreen.handle({ guildId, run: broken }))
    v1.starting = 'starts'
    await clock.advance(60_000)
    expect(v1.health()).toBe('up')
    for (const guildId of guilds.flatMap((id) => [id, id, id]))
      await outcome(blueGreen.handle({ guildId, run: broken }))
    await clock.advance(1_000)
    expect((await deployment.finished).why).toMatch(/^\d+ of \d+ guilds are failing on "v2", against 0 of \d+/)
  })

  it('is told once, also when the one that it was routed to was down before', async () => {
    const { blueGreen, v1, redelivered } = botOf()
    await blueGreen.deploy('v2', { percentages: [1, 100], stepMs: 600_000 })
    v1.dies('fails')
    expect(await blueGreen.handle({ id: 'a', guildId: '1' })).toBe('v2')
    expect(redelivered).toMatchObject([{ from: 'v1', to: 'v2', eventId: 'a', isRepeat: false, severity: 'INFO' }])
    expect(blueGreen.status.versions.get('v1')).toMatchObject({ started: 0, succeeded: 0, running: 0 })
    expect(blueGreen.status.versions.get('v2')).toMatchObject({ started: 1, succeeded: 1, running: 0 })
  })

  it('is not told again and again while it waits for its own', async () => {
    const { blueGreen, clock, v1, redelivered } = botOf()
    await blueGreen.start()
    v1.dies('fails')
    const refused = outcome(blueGreen.handle({ id: 'a', guildId: '1' }))
    await clock.advance(1_000)
    expect([await refused, redelivered]).toEqual(['NOT_BEGUN', []])
  })
})

it('a version that measures its own memory is judged by it', async () => {
  const { blueGreen, clock, v1, store } = botOf({ judge: { memoryIncrease: 0.3 } })
  await blueGreen.start()
  v1.uses({ ageMs: 1, bytes: 5_000_000 })
  await clock.advance(600_000)
  const record = (await store.entry('blue-green:bot:evidence'))?.value as { evidence?: { memory?: unknown } }
  expect(record.evidence?.memory).toEqual({ v1: { 0: [5_000_000] } })
})

describe('a version that no deployment has given a share', () => {
  const withFunction = () => {
    const bot = botOf()
    const v2 = async (): Promise<unknown> => 'untried'
    const clock = new FakeClock()
    const blueGreen = new BlueGreen<{ v1: Slot<Call, unknown>; v2: () => Promise<unknown> }, Call>({
      versions: { v1: bot.v1, v2 },
      initial: 'v1',
      context: ({ id, guildId }) => ({ eventId: id, guildId }),
      store: new FaultyStore(),
      maxWaitMs: 200,
      clock,
    })
    const ask = async (): Promise<unknown> => {
      const answer = outcome(blueGreen.handle({ guildId: '1' }))
      await clock.advance(200)
      return answer
    }
    return { blueGreen, clock, v1: bot.v1, ask }
  }

  it('gets no event when the active one is down, and before the start and after the stop', async () => {
    const { blueGreen, v1, ask } = withFunction()
    expect(await ask()).toBe('NOT_BEGUN')
    await blueGreen.start()
    expect(await ask()).toBe('v1')
    v1.dies('fails')
    expect(await ask()).toBe('NOT_BEGUN')
    await blueGreen.stop()
    expect(await ask()).toBe('NOT_BEGUN')
  })

  it('any more, as it was rolled back, gets none either', async () => {
    const { blueGreen, clock, v1, ask } = withFunction()
    const deployment = await blueGreen.deploy('v2', atOnce)
    expect(await ask()).toBe('untried')
    await Promise.all([deployment.rollback(), clock.advance(1)])
    expect(blueGreen.status.phase).toBe('ROLLED_BACK')
    v1.dies('fails')
    expect(await ask()).toBe('NOT_BEGUN')
  })
})

describe('an event that was refused before it began', () => {
  it('may be passed again', async () => {
    const { blueGreen, clock, v1 } = botOf()
    await blueGreen.start()
    v1.dies('fails')
    const refused = outcome(blueGreen.handle({ id: 'a', guildId: '1' }))
    await clock.advance(1_000)
    expect(await refused).toBe('NOT_BEGUN')
    v1.starting = 'starts'
    await clock.advance(1_000)
    expect(await blueGreen.handle({ id: 'a', guildId: '1' })).toBe('v1')
    expect(await blueGreen.handle({ id: 'a', guildId: '1' })).toBeUndefined()
  })

  it.each([
    ['its time is over', { claimMs: 900 }],
    ['there were too many', { maxClaims: 1 }],
  ])('does not take the claim of a later copy, when %s for its own', async (_, options) => {
    const { blueGreen, clock, v1 } = botOf({ maxWaitMs: 1_000, ...options })
    await blueGreen.start()
    v1.dies('fails')
    const first = outcome(blueGreen.handle({ id: 'a', guildId: '1' }))
    await clock.advance(950)
    void outcome(blueGreen.handle({ id: 'b', guildId: '1' }))
    let runs = 0
    const run = (): number => (runs += 1)
    const second = blueGreen.handle({ id: 'a', guildId: '1', run })
    await clock.advance(60)
    expect(await first).toBe('NOT_BEGUN')
    v1.starting = 'starts'
    await clock.advance(200)
    expect(await second).toBe(1)
    expect(await blueGreen.handle({ id: 'a', guildId: '1', run })).toBeUndefined()
    expect(runs).toBe(1)
  })

  it('for a full version, too', async () => {
    const { blueGreen, v1 } = botOf()
    await blueGreen.start()
    const shed = (): never => {
      throw new (ShedError as unknown as new (...args: unknown[]) => Error)('v1', 1, 10)
    }
    expect(await outcome(blueGreen.handle({ id: 'a', guildId: '1', run: shed }))).toBe('SHED')
    expect(await blueGreen.handle({ id: 'a', guildId: '1' })).toBe('v1')
    expect(v1.starts).toBe(1)
  })

  it('is not taken for one when a function has thrown the error of another router', async () => {
    const [, v2] = [0, new SlotOnStrings('v2')]
    let calls = 0
    const v1 = async (): Promise<never> => {
      calls += 1
      throw new NotBegunError('inner', 'it is down')
    }
    const blueGreen = new BlueGreen({
      versions: { v1, v2 },
      initial: 'v1',
      context: ({ id }: Call) => ({ eventId: id, guildId: '1' }),
      store: new FaultyStore(),
      clock: new FakeClock(),
    })
    await blueGreen.start()
    expect(await outcome(blueGreen.handle({ id: 'a' }))).toBe('NOT_BEGUN')
    expect(await blueGreen.handle({ id: 'a' })).toBeUndefined()
    expect(calls).toBe(1)
  })
})
