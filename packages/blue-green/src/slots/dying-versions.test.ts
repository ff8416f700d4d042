import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import { BlueGreen, type BlueGreenChange, type BlueGreenOptions, type EventNews } from '../index.js'
import { FaultyStore } from '../test-support/faulty-store.js'
import { SlotOnStrings, type Call } from '../test-support/slot-on-strings.js'
import { NotBegunError, ShedError } from './errors.js'
import type { Slot } from './slot.js'

const atOnce = { percentages: [100], stepMs: 600_000 }

type Named = Record<'v1' | 'v2', Slot<Call, unknown>>

function botOf(options: Partial<BlueGreenOptions<Named, Call>> = {}) {
  const clock = new FakeClock()
  const [v1, v2] = [new SlotOnStrings('v1'), new SlotOnStrings('v2')]
  const store = new FaultyStore()
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
