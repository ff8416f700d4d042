import { MemoryStorage } from '@evenkeel/storage-adapter'
import { FakeClock, FaultyStorage } from '@evenkeel/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { FeatureFlags, type FlagChange } from './index.js'

const context = { guildId: '81384788765712384' }
const declared = { b: { default: true } } as const

const running: { stop(): Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop()))
})

async function settle(clock: FakeClock): Promise<void> {
  for (let i = 0; i < 20; i++) await clock.advance(0)
}

async function newProcess(storage: MemoryStorage, clock: FakeClock, tripScope: 'process' | 'shared' = 'shared') {
  const faulty = new FaultyStorage(storage, { clock })
  const store = faulty.storage.collection('evenkeel')
  const flags = new FeatureFlags({ flags: declared, environment: {}, clock, store, tripScope })
  const changes: FlagChange[] = []
  flags.on('change', (change) => changes.push(change))
  running.push(flags)
  await flags.start()
  const run = (on: () => unknown): Promise<unknown> => flags.run('b', context, on, () => 'old')
  return { flags, faulty, changes, run }
}

const broken = (): never => {
  throw new Error('no such index')
}

/** Two processes of a flag that has fallen back, one of which loses the store. */
async function setUp() {
  const clock = new FakeClock()
  const storage = new MemoryStorage({ clock })
  const one = await newProcess(storage, clock)
  const other = await newProcess(storage, clock)
  await settle(clock)
  for (let i = 0; i < 5; i++) await one.run(broken)
  await settle(clock)
  const states = (): string[] => [one, other].map(({ flags }) => flags.status('b').state)
  expect(states()).toEqual(['fallen-back', 'fallen-back'])
  return { clock, storage, one, other, states }
}

describe('a flag of shared trips whose store is lost', () => {
  it('is tried by this process alone, at once, and comes back', async () => {
    const { clock, one, states } = await setUp()
    one.faulty.hang()
    await clock.advance(20_000)
    expect(one.flags.feed).toBe('stale')
    await clock.advance(20_000)
    // Nothing advances the clock here: whoever waited for the store would wait for ever.
    expect(await one.run(() => 'new')).toBe('new')
    expect(states()).toEqual(['active', 'fallen-back'])
    one.faulty.up()
    await clock.advance(5_000)
    await settle(clock)
    expect(states()).toEqual(['active', 'active'])
  })

  it('keeps the pace of its own trials', async () => {
    const { clock, one } = await setUp()
    one.faulty.down()
    await clock.advance(30_000)
    expect(one.flags.feed).toBe('stale')
    let trials = 0
    const failing = (): never => {
      trials++
      return broken()
    }
    for (let i = 0; i < 3; i++) expect(await one.run(failing)).toBe('old')
    await clock.advance(59_000)
    await one.run(failing)
    expect(trials).toBe(1)
    await clock.advance(1_000)
    await one.run(failing)
    expect(trials).toBe(2)
  })

  it('takes the old path when the store does not say in time who tries', async () => {
    const { clock, one } = await setUp()
    await clock.advance(30_000)
    await settle(clock)
    expect(one.flags.feed).toBe('live')
    one.faulty.hang()
    let isNew = false
    const call = one.run(() => (isNew = true))
    await settle(clock)
    await clock.advance(2_000)
    expect(await call).toBe('old')
    expect(isNew).toBe(false)
  })

  it('waits no longer for all that the store has to answer than for one answer', async () => {
    const { clock, one } = await setUp()
    await clock.advance(30_000)
    one.faulty.delay(1_500)
    const call = one.run(() => 'new')
    await settle(clock)
    await clock.advance(2_000)
    expect(await Promise.race([call, Promise.resolve('waits')])).toBe('old')
    one.faulty.up()
    await clock.advance(10_000)
    await settle(clock)
  })
})

describe('a flag whose trips belong to this process', () => {
  it('is held back by no shared trip that an earlier version has left, and falls back by its own failures', async () => {
    const { clock, one, other, storage } = await setUp()
    await Promise.all([one.flags.stop(), other.flags.stop()])
    const alone = await newProcess(storage, clock, 'process')
    expect(alone.flags.status('b').state).toBe('active')
    for (let i = 0; i < 5; i++) await alone.run(broken)
    expect(alone.flags.status('b').state).toBe('fallen-back')
    await clock.advance(30_000)
    expect(await alone.run(() => 'new')).toBe('new')
    expect(alone.flags.status('b').state).toBe('active')
  })
})

describe('the news of a change', () => {
  it('has the epoch of the state in force, in the process that acts and in the others', async () => {
    const clock = new FakeClock()
    const storage = new MemoryStorage({ clock })
    const one = await newProcess(storage, clock)
    const other = await newProcess(storage, clock)
    await settle(clock)
    await one.flags.setPercentage('b', 10, { why: 'a test' })
    await one.flags.disable('b', { why: 'a test' })
    await settle(clock)
    const epochs = ({ changes }: typeof one): unknown => changes.map(({ aspect, epoch }) => [aspect, epoch])
    expect(epochs(one)).toEqual([
      ['percentage', 1],
      ['state', 2],
    ])
    expect(epochs(other)).toEqual(epochs(one))
  })
})
