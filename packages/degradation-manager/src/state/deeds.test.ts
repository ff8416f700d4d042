import { FakeClock } from '@evenkeel/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { DegradationManager, type DegradationChange, type Mode, type StateStore } from '../index.js'
import { StandInStore } from '../test-support/stand-in-store.js'

const key = 'modes/bot/override'
let clock: FakeClock
let store: StandInStore
let told: DegradationChange[]

const shard = (options: { readonly store?: StateStore; readonly dryRun?: boolean } = {}) => {
  const modes = new DegradationManager<'remind', Mode>({ clock, store, features: { remind: {} }, ...options })
  modes.on('change', (change) => told.push(change))
  return modes
}
const started = async (options: Parameters<typeof shard>[0] = {}) => {
  const modes = shard(options)
  await modes.start()
  return modes
}
/** Of the same store, and on the side of an outage where it still answers. */
const acrossTheOutage = (): DegradationManager<'remind'> =>
  new DegradationManager({ clock, features: { remind: {} }, store: store.inner, scope: 'process' })

beforeEach(() => {
  clock = new FakeClock()
  store = new StandInStore()
  told = []
})

describe('what was done behind an outage', () => {
  it('gives way to something newer, although the store was empty when it was last seen', async () => {
    const one = await started()
    store.fault = 'refused'
    await one.setMode('MAINTENANCE', { why: 'behind the outage' }).catch(() => undefined)
    await acrossTheOutage().setMode('FULL', { why: 'on the other side' })
    store.fault = 'none'
    await clock.advance(1_000)
    expect(one.override).toMatchObject({ mode: 'FULL', why: 'on the other side' })
  })

  it('is not taken back by what the same process did before it, whose write came late', async () => {
    const [one, other] = [await started(), await started()]
    await one.setMode('FULL', { why: 'to begin with' })
    let land = async (): Promise<unknown> => undefined
    const compareAndSet = store.compareAndSet.bind(store)
    store.compareAndSet = (...write) => {
      land = () => store.inner.compareAndSet(...write)
      return new Promise(() => undefined)
    }
    one.setMode('MAINTENANCE', { why: 'moving hosts' }).catch(() => undefined)
    await clock.advance(1_000)
    one.clearMode({ why: 'not today' }).catch(() => undefined)
    store.fault = 'refused'
    await clock.advance(10_000)
    store.compareAndSet = compareAndSet
    await land()
    store.fault = 'none'
    await clock.advance(2_000)
    expect([one.override, other.override]).toEqual([undefined, undefined])
  })
})

describe('two things done at once by one process', () => {
  it('are both done in their order, although the first is still being written', async () => {
    const modes = await started()
    let land = (): void => undefined
    const compareAndSet = store.compareAndSet.bind(store)
    store.compareAndSet = async (...write) => {
      await new Promise<void>((resolve) => (land = resolve))
      return compareAndSet(...write)
    }
    const first = modes.setMode('DEGRADED', { why: 'first' })
    await clock.advance(0)
    const second = modes.setMode('MAINTENANCE', { why: 'second' })
    for (let write = 0; write < 3; write++) {
      land()
      await clock.advance(0)
    }
    await Promise.all([first, second])
    expect((await store.inner.entry(key))?.value).toMatchObject({ mode: 'MAINTENANCE', why: 'second' })
  })
})

describe('a store that has gone back', () => {
  it('to an older record is given the newer one again, as it was', async () => {
    const one = await started()
    await one.setMode('DEGRADED', { why: 'older' })
    const older = (await store.inner.entry(key))?.value
    await one.setMode('MAINTENANCE', { why: 'newer' })
    const newer = (await store.inner.entry(key))?.value
    await store.put(key, older)
    await clock.advance(1_000)
    expect([one.mode, (await store.inner.entry(key))?.value]).toEqual(['MAINTENANCE', newer])
  })
})

describe('what has expired before it could be stored', () => {
  it('is stored as over', async () => {
    const one = await started()
    store.fault = 'refused'
    await one.setMode('MAINTENANCE', { why: 'moving hosts', forMs: 10_000 }).catch(() => undefined)
    await clock.advance(20_000)
    store.fault = 'none'
    await clock.advance(1_000)
    expect((await store.inner.entry(key))?.value).toMatchObject({
      mode: null,
      expiresAt: null,
      why: 'MAINTENANCE was set by hand (moving hosts), and has expired',
    })
  })
})

describe('a dry run', () => {
  it('writes nothing, not even what the store has lost', async () => {
    await shard().setMode('DEGRADED', { why: 'a test' })
    const dry = await started({ dryRun: true })
    expect(dry.decidedMode).toBe('DEGRADED')
    store.forget()
    await clock.advance(1_000)
    expect(await store.inner.entry(key)).toBeUndefined()
  })
})

describe('what is found', () => {
  it('is told as expired when it was over before it was seen', async () => {
    const one = await started()
    await one.setMode('MAINTENANCE', { why: 'moving hosts' })
    store.fault = 'refused'
    await clock.advance(1_000)
    await acrossTheOutage().setMode('DEGRADED', { why: 'moved, and slow', forMs: 10_000 })
    await clock.advance(20_000)
    told = []
    store.fault = 'none'
    await clock.advance(1_000)
    expect(told.find(({ what }) => what === 'mode')?.why).toBe(
      'handed back to the rules: DEGRADED was set by hand (moved, and slow), and has expired',
    )
  })

  it('as a mode that is not known here, and is over, keeps nobody from following', async () => {
    const other = new DegradationManager({
      clock,
      store,
      modes: ['FULL', 'READ_ONLY', 'MAINTENANCE'],
      features: { remind: {} },
    })
    await other.setMode('READ_ONLY', { why: 'a test', forMs: 60_000 })
    await clock.advance(60_000)
    const modes = await started()
    expect([modes.mode, told]).toEqual(['FULL', []])
  })

  it('tells who handed back', async () => {
    const [one, other] = [await started(), await started()]
    await one.setMode('MAINTENANCE', { why: 'moving hosts', by: 'ada' })
    await clock.advance(1_000)
    told = []
    await other.clearMode({ why: 'moved', by: 'bob' })
    await clock.advance(1_000)
    expect(told.map(({ why }) => why)).toEqual([
      'handed back to the rules by bob: moved',
      'handed back to the rules by bob: moved',
    ])
  })
})

describe('a mode set before start() while the store is gone', () => {
  it('is said to wait for start(), and is stored by it', async () => {
    const modes = shard()
    store.fault = 'refused'
    await expect(modes.setMode('DEGRADED', { why: 'a test' })).rejects.toThrow(
      /not yet known to be stored.*connect ECONNREFUSED; it is tried again by itself once start\(\) is called/,
    )
    store.fault = 'none'
    await clock.advance(10_000)
    expect(await store.inner.entry(key)).toBeUndefined()
    await modes.start()
    expect((await store.inner.entry(key))?.value).toMatchObject({ mode: 'DEGRADED', why: 'a test' })
  })
})

describe('a stop', () => {
  it('called twice at once is over when what waits is stored, for both', async () => {
    const modes = await started()
    let land = (): void => undefined
    const compareAndSet = store.compareAndSet.bind(store)
    store.compareAndSet = async (...write) => {
      await new Promise<void>((resolve) => (land = resolve))
      return compareAndSet(...write)
    }
    const setting = modes.setMode('DEGRADED', { why: 'a test' })
    await clock.advance(0)
    const over: string[] = []
    const stops = ['one', 'other'].map((name) => modes.stop().then(() => over.push(name)))
    await clock.advance(0)
    expect(over).toEqual([])
    land()
    await Promise.all([setting, ...stops])
    expect(over).toEqual(['one', 'other'])
  })
})

describe('after a stop', () => {
  it('nothing is told nor changed by an answer that was under way', async () => {
    const modes = await started()
    await acrossTheOutage().setMode('MAINTENANCE', { why: 'elsewhere' })
    let answer = (): void => undefined
    const entry = store.entry.bind(store)
    store.entry = (name) => new Promise((resolve) => (answer = () => resolve(store.inner.entry(name))))
    await clock.advance(500)
    await modes.stop()
    answer()
    await clock.advance(10_000)
    expect([modes.mode, told]).toEqual(['FULL', []])

    store.entry = entry
    await modes.start()
    expect(modes.mode).toBe('MAINTENANCE')
    store.fault = 'hung'
    // One look hangs, and the next is planned.
    await clock.advance(1_000)
    await modes.stop()
    told = []
    const { calls } = store
    await clock.advance(10_000)
    expect([told, store.calls - calls, clock.pending]).toEqual([[], 0, 0])
  })
})
