import { MemoryStorage } from '@evenkeel/storage-adapter'
import { FakeClock, FaultyStorage } from '@evenkeel/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { FeatureFlags, type FlagStore } from './index.js'

const why = 'a test'
const declared = { a: { percentage: 100 }, b: { default: true } } as const
const running: { stop(): Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop()))
})

async function settle(clock: FakeClock): Promise<void> {
  for (let i = 0; i < 30; i++) await clock.advance(0)
}

async function setUp() {
  const clock = new FakeClock()
  const storage = new MemoryStorage({ clock })
  const start = async (around: (store: FlagStore) => FlagStore = (store) => store) => {
    const faulty = new FaultyStorage(storage, { clock })
    const store = around(faulty.storage.collection('evenkeel'))
    const flags = new FeatureFlags({ flags: declared, environment: {}, clock, store })
    running.push(flags)
    const started = flags.start()
    await settle(clock)
    return { flags, faulty, started }
  }
  const [one, other] = [await start(), await start()]
  const states = (flag: 'a' | 'b'): string[] => [one, other].map(({ flags }) => flags.status(flag).state)
  /** The store works again, and all has been looked at. */
  const recover = async (): Promise<void> => {
    one.faulty.up()
    await clock.advance(20_000)
    await settle(clock)
  }
  return { clock, storage, start, one, other, states, recover }
}

const lost = { code: 'FLAG_STORE' }

describe('what waits for a store that is lost', () => {
  it('is no "off" when it was taken back in the same outage', async () => {
    const { one, other, states, recover } = await setUp()
    one.faulty.down()
    await expect(one.flags.disable('a', { why })).rejects.toMatchObject(lost)
    await expect(one.flags.enable('a', { why })).rejects.toMatchObject(lost)
    await other.flags.setPercentage('a', 50, { why })
    await recover()
    expect(states('a')).toEqual(['active', 'active'])
  })

  it('is not done a second time when only its answer was lost, and somebody has undone it since', async () => {
    const { clock, one, other, states, recover } = await setUp()
    // The write itself comes through.
    one.faulty.failNth(2, new Error('connection reset'), { when: 'after' })
    await expect(one.flags.disable('b', { why: 'incident' })).rejects.toMatchObject(lost)
    one.faulty.down()
    await settle(clock)
    await other.flags.enable('b', { why: 'fixed', by: 'bob' })
    await recover()
    expect(states('b')).toEqual(['active', 'active'])
  })

  it('switches off also by a percentage of 0, whatever others have set since', async () => {
    const { one, other, recover } = await setUp()
    one.faulty.down()
    await expect(one.flags.setPercentage('a', 0, { why })).rejects.toMatchObject(lost)
    await other.flags.setPercentage('a', 80, { why })
    await recover()
    expect([one, other].map(({ flags }) => flags.status('a').percentage)).toEqual([0, 0])
  })

  it('asks a lost store once for each change, however much waits', async () => {
    const { one, other, recover } = await setUp()
    one.faulty.down()
    const before = one.faulty.calls
    for (let i = 0; i < 300; i++) {
      await one.flags.override('a', { guildId: String(i) }, false, { why }).catch(() => undefined)
      await one.flags.setPercentage('a', i % 90, { why }).catch(() => undefined)
    }
    expect(one.faulty.calls - before).toBeLessThan(1_000)
    await recover()
    expect(other.flags.status('a')).toMatchObject({ percentage: 299 % 90, guildOverrides: 300 })
  })
})

describe('an override', () => {
  it('that no store could keep is refused at once', async () => {
    const { one } = await setUp()
    const set = (userId: string) => one.flags.override('a', { userId }, true, { why })
    expect(() => set('x'.repeat(3_000))).toThrow('An override of flag "a" for an id of 3000 characters cannot be kept')
    expect(() => set('\ud800')).toThrow('userId "\\ud800" is no well-formed text')
    await one.flags.disable('b', { why })
  })

  it('that the store refuses for good harms no other change', async () => {
    const { clock, start, other } = await setUp()
    const picky = await start((store) => ({
      ...bound(store),
      set: (key, value, options) =>
        key.includes('/13') ? Promise.reject(new TypeError('not this one')) : store.set(key, value, options),
    }))
    await expect(picky.flags.override('a', { guildId: '13' }, false, { why })).rejects.toThrow('not this one')
    await picky.flags.override('a', { guildId: '14' }, false, { why })
    await picky.flags.disable('b', { why })
    await settle(clock)
    expect(picky.flags.feed).toBe('live')
    expect(other.flags.status('b').state).toBe('disabled')
    expect(other.flags.status('a').guildOverrides).toBe(1)
  })

  it('whose write was frozen does not undo a newer one when it wakes up', async () => {
    const { clock, start, other } = await setUp()
    let wake: () => void = () => undefined
    let isFrozen = true
    const slow = await start((store) => ({
      ...bound(store),
      async set(key, value, options) {
        if (isFrozen) {
          isFrozen = false
          await new Promise<void>((resolve) => (wake = resolve))
        }
        return store.set(key, value, options)
      },
    }))
    const first = slow.flags.override('a', { guildId: '1' }, true, { why }).catch((error: unknown) => error)
    await clock.advance(2_000)
    expect(await first).toMatchObject(lost)
    await slow.flags.override('a', { guildId: '1' }, false, { why })
    wake()
    await clock.advance(20_000)
    await settle(clock)
    expect([slow, other].map(({ flags }) => flags.isEnabled('a', { guildId: '1' }))).toEqual([false, false])
  })
})

describe('a process that starts', () => {
  it('knows what is switched off before it has read a hundred thousand overrides', async () => {
    const { clock, start, one } = await setUp()
    await Promise.all(
      Array.from({ length: 300 }, (_, i) => one.flags.override('a', { guildId: String(i) }, false, { why })),
    )
    await one.flags.disableAll({ why: 'incident' })
    const { flags } = await start((store) => ({
      ...bound(store),
      async *scan(options) {
        for await (const record of store.scan(options)) {
          await new Promise<void>((resolve) => clock.after(50, resolve))
          yield record
        }
      },
    }))
    expect(flags.isEnabled('b', { guildId: '1' })).toBe(false)
    await clock.advance(60_000)
    expect(flags.feed).toBe('live')
    expect(flags.status('a').guildOverrides).toBe(300)
  })

  it('takes no state that nobody of us has written, and says so', async () => {
    const { storage, start, one } = await setUp()
    await one.flags.disable('a', { why })
    const state = (await storage.collection('evenkeel').get('flags/state')) as { flags: [string, object][] }
    const [[name, flag]] = state.flags as [[string, object]]
    const share = { percentage: 5, sequence: 1, targetGuilds: 5 }
    await storage
      .collection('evenkeel')
      .set('flags/state', { ...state, epoch: 99, flags: [[name, { ...flag, share }]] })
    const { flags } = await start()
    expect(flags.feed).toBe('stale')
    await expect(flags.disable('b', { why })).rejects.toThrow('was not written by evenkeel')
    expect(flags.status('b').state).toBe('disabled')
  })
})

function bound(store: FlagStore): FlagStore {
  return {
    scope: store.scope,
    entry: (key) => store.entry(key),
    compareAndSet: (key, expected, value) => store.compareAndSet(key, expected, value),
    set: (key, value, options) => store.set(key, value, options),
    delete: (key, options) => store.delete(key, options),
    scan: (options) => store.scan(options),
    watch: (options) => store.watch(options),
  }
}
