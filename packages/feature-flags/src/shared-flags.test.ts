import { MemoryStorage, type Storage } from '@evenkeel/storage-adapter'
import { FakeClock, FaultyStorage } from '@evenkeel/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { FeatureFlags, type FlagChange, type FlagStore, type SharingOptions } from './index.js'
import { BrokenStore } from './test-support/broken-store.js'

const why = 'a test'
const guildId = '81384788765712384'
const context = { guildId }
const declared = {
  a: { percentage: 50 },
  b: { default: true, requires: ['a'] },
  t: { default: 'x', variants: ['x', 'y'] },
} as const

const running: { stop(): Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop()))
})

/** One process of several: flags over a store that can be broken. */
function newProcess(storage: Storage, clock: FakeClock, options: SharingOptions = {}) {
  const faulty = new FaultyStorage(storage, { clock })
  const store: FlagStore = faulty.storage.collection('evenkeel')
  const flags = new FeatureFlags({ flags: declared, environment: {}, clock, store, ...options })
  const changes: FlagChange[] = []
  flags.on('change', (change) => changes.push(change))
  running.push(flags)
  return { flags, faulty, store, changes, messages: () => changes.map(({ message }) => message) }
}

/** What is under way settles: the storage of a test is in memory, so a few turns are enough. */
async function settle(clock: FakeClock): Promise<void> {
  for (let i = 0; i < 20; i++) await clock.advance(0)
}

async function twoProcesses(options: SharingOptions = {}) {
  const clock = new FakeClock()
  const storage = new MemoryStorage({ clock })
  const one = newProcess(storage, clock, options)
  const other = newProcess(storage, clock, options)
  await Promise.all([one.flags.start(), other.flags.start()])
  await settle(clock)
  return { clock, storage, one, other }
}

describe('flags that share a store', () => {
  it('see what another process changes, and who did it, and why', async () => {
    const { clock, one, other } = await twoProcesses()
    await one.flags.setPercentage('a', 100, { why: 'it works', by: 'alice' })
    await one.flags.override('t', { guildId }, 'y', { why: 'beta' })
    await settle(clock)
    expect(other.flags.isEnabled('a', context)).toBe(true)
    expect(other.flags.variant('t', context)).toBe('y')
    expect(other.messages()).toEqual([
      '"a" goes from 50 % to 100 % of guilds by alice: it works',
      '"t" is "y" for guild 81384788765712384: beta',
    ])
    expect(other.changes[0]).toMatchObject({ by: 'alice', at: clock.now(), epoch: 1 })
    expect([one.flags.epoch, other.flags.epoch]).toEqual([2, 2])
    await other.flags.removeOverride('t', { guildId }, { why })
    await settle(clock)
    expect(one.flags.variant('t', context)).toBe('x')
  })

  it('do at once what is asked here, and say when it is stored', async () => {
    const { one } = await twoProcesses()
    const stored = one.flags.disableAll({ why })
    expect(one.flags.isEnabled('b', context)).toBe(false)
    await stored
    await one.flags.enableAll({ why })
    expect(one.flags.isEnabled('b', { guildId: '1' })).toBe(one.flags.isEnabled('a', { guildId: '1' }))
  })

  it('are what was stored when they start later, and tell of no override that was there before', async () => {
    const { clock, storage, one } = await twoProcesses()
    await one.flags.disable('a', { why: 'broken', by: 'alice' })
    await one.flags.override('t', { userId: '7' }, 'y', { why })
    const late = newProcess(storage, clock)
    await late.flags.start()
    expect(late.flags.explain('b', context).why).toContain('"a" is disabled by alice: broken')
    expect(late.flags.variant('t', { guildId, userId: '7' })).toBe('y')
    expect(late.messages()).toEqual([
      '"b" is off, because it requires "a", which is disabled by alice: broken',
      '"a" is disabled by alice: broken',
    ])
  })

  it('say so when the store is lost, answer on, and catch up by themselves', async () => {
    const { clock, one, other } = await twoProcesses()
    expect(other.flags.feed).toBe('live')
    other.faulty.down()
    await clock.advance(5_000)
    await settle(clock)
    expect(other.flags.feed).toBe('stale')
    await one.flags.disable('a', { why })
    expect(other.flags.status('a').state).toBe('active')
    other.faulty.up()
    await clock.advance(5_000)
    await settle(clock)
    expect(other.flags.feed).toBe('live')
    expect(other.flags.status('a').state).toBe('disabled')
    expect(other.changes.map(({ aspect }) => aspect)).toEqual(['feed', 'state', 'state', 'feed'])
  })

  it('notice a watch that was lost without a word', async () => {
    const { clock, one } = await twoProcesses()
    // Nothing is heard, and nothing fails.
    const store = { ...bound(one.store), watch: () => silence() } as FlagStore
    const flags = new FeatureFlags({ flags: declared, environment: {}, clock, store })
    running.push(flags)
    await flags.start()
    await one.flags.disable('a', { why })
    await one.flags.override('t', { guildId }, 'y', { why })
    await settle(clock)
    expect(flags.status('a').state).toBe('active')
    await clock.advance(5_000)
    await settle(clock)
    expect(flags.status('a').state).toBe('disabled')
    expect(flags.variant('t', context)).toBe('y')
  })

  it('keep in force here what could not be stored, and store it when they can', async () => {
    const { clock, one, other } = await twoProcesses()
    one.faulty.down()
    await expect(one.flags.disable('a', { why: 'broken' })).rejects.toMatchObject({
      code: 'FLAG_STORE',
      applied: 'unknown',
    })
    await expect(one.flags.override('t', { guildId }, 'y', { why })).rejects.toMatchObject({ code: 'FLAG_STORE' })
    expect(one.flags.status('a').state).toBe('disabled')
    expect(one.flags.variant('t', context)).toBe('y')
    expect(other.flags.status('a').state).toBe('active')
    one.faulty.up()
    await clock.advance(5_000)
    await settle(clock)
    expect(other.flags.status('a').state).toBe('disabled')
    expect(other.flags.variant('t', context)).toBe('y')
  })

  it('let stand what others changed meanwhile, unless it switches something off', async () => {
    const { clock, one, other } = await twoProcesses()
    one.faulty.down()
    await expect(one.flags.setPercentage('a', 80, { why })).rejects.toMatchObject({ code: 'FLAG_STORE' })
    await expect(one.flags.disable('t', { why })).rejects.toMatchObject({ code: 'FLAG_STORE' })
    await other.flags.setPercentage('a', 20, { why })
    await other.flags.setShare('a', { percentage: 30, targetGuilds: [], sequence: 1 }, { why })
    one.faulty.up()
    await clock.advance(5_000)
    await settle(clock)
    for (const { flags } of [one, other]) {
      expect(flags.status('a').percentage).toBe(30)
      expect(flags.status('t').state).toBe('disabled')
    }
  })

  it('do not crash the bot when nobody waits for a store that is lost', async () => {
    const { clock, one } = await twoProcesses()
    one.faulty.down()
    void one.flags.disable('a', { why })
    await settle(clock)
    expect(one.flags.feed).toBe('stale')
  })

  it('wait for a store that says nothing no longer than they were told', async () => {
    const { clock, one } = await twoProcesses({ timeoutMs: 300 })
    one.faulty.hang()
    const stored = one.flags.disable('a', { why }).catch((error: unknown) => error)
    await clock.advance(300)
    expect(await stored).toMatchObject({ code: 'FLAG_STORE' })
    expect(String((await stored) as Error)).toContain('did not answer within 300 ms')
    one.faulty.up()
  })

  it('start without a store that is out of reach, and say so', async () => {
    const clock = new FakeClock()
    const storage = new MemoryStorage({ clock })
    const one = newProcess(storage, clock, { startTimeoutMs: 1_000 })
    one.faulty.hang()
    const started = one.flags.start()
    await clock.advance(2_000)
    await started
    expect(one.flags.feed).toBe('stale')
    expect(one.flags.isEnabled('b', context)).toBe(one.flags.isEnabled('a', context))
    one.faulty.up()
    const other = newProcess(storage, clock)
    await other.flags.start()
    await other.flags.disable('a', { why })
    await clock.advance(5_000)
    await settle(clock)
    expect([one.flags.feed, one.flags.status('a').state]).toEqual(['live', 'disabled'])
  })

  it('give a store that has lost its state what they know, and take nothing older from it', async () => {
    const { clock, storage, one, other } = await twoProcesses()
    await one.flags.setPercentage('a', 70, { why })
    const backup = await storage.collection('evenkeel').entry('flags/state')
    await one.flags.disable('a', { why })
    await settle(clock)
    await storage.collection('evenkeel').set('flags/state', backup?.value)
    await settle(clock)
    expect(other.flags.status('a').state).toBe('disabled')
    await clock.advance(5_000)
    await settle(clock)
    const healed = newProcess(storage, clock)
    await healed.flags.start()
    expect(healed.flags.status('a').state).toBe('disabled')
    await storage.collection('evenkeel').clear()
    await clock.advance(5_000)
    await settle(clock)
    expect(await storage.collection('evenkeel').get('flags/state')).toMatchObject({ epoch: 2 })
  })

  it('refuse the state of a later version, and keep what is there', async () => {
    const clock = new FakeClock()
    const storage = new MemoryStorage({ clock })
    await storage.collection('evenkeel').set('flags/state', { format: 2, epoch: 9 })
    const one = newProcess(storage, clock)
    await one.flags.start()
    expect(one.flags.feed).toBe('stale')
    expect(one.messages()[0]).toContain('have format 2, and this version knows 1; update it')
    await expect(one.flags.disable('a', { why })).rejects.toMatchObject({ code: 'FLAG_STORE' })
    expect(await storage.collection('evenkeel').get('flags/state')).toEqual({ format: 2, epoch: 9 })
  })

  it('lose none of many changes that are made at once', async () => {
    const { clock, one, other } = await twoProcesses()
    const ids = Array.from({ length: 300 }, (_, i) => String(i + 1))
    await Promise.all(
      ids.flatMap((id, i) => {
        const { flags } = i % 2 === 0 ? one : other
        return [flags.override('t', { guildId: id }, 'y', { why }), flags.setPercentage('a', i % 100, { why })]
      }),
    )
    await settle(clock)
    for (const { flags } of [one, other]) {
      expect(flags.status('t').guildOverrides).toBe(300)
      expect(flags.epoch).toBe(one.flags.epoch)
    }
    expect(one.flags.status('a').percentage).toBe(other.flags.status('a').percentage)
  })

  it('end an override when its time is over, in every process', async () => {
    const { clock, one, other } = await twoProcesses()
    await one.flags.override('t', { guildId }, 'y', { why, forMs: 60_000 })
    await settle(clock)
    expect(other.flags.variant('t', context)).toBe('y')
    await clock.advance(59_999)
    expect([one, other].map(({ flags }) => flags.variant('t', context))).toEqual(['y', 'y'])
    await clock.advance(1)
    expect([one, other].map(({ flags }) => flags.variant('t', context))).toEqual(['x', 'x'])
    expect(one.messages().at(-1)).toBe('The override of "t" for guild 81384788765712384 is removed: its time is over')
  })

  it('keep what is stored of flags that this version of the bot does not know', async () => {
    const { clock, storage, one } = await twoProcesses()
    const newer = new FeatureFlags({
      flags: { fresh: { default: true } },
      environment: {},
      clock,
      store: storage.collection('evenkeel'),
    })
    running.push(newer)
    await newer.start()
    await newer.disable('fresh', { why })
    await newer.override('fresh', { guildId }, false, { why })
    await one.flags.setPercentage('a', 1, { why })
    await settle(clock)
    expect(newer.status('fresh').state).toBe('disabled')
    expect(one.flags.has('fresh')).toBe(false)
  })

  it('answer from what was seen last when they are stopped', async () => {
    const { clock, one, other } = await twoProcesses()
    await one.flags.stop()
    await one.flags.stop()
    await other.flags.disable('a', { why })
    await settle(clock)
    expect(one.flags.status('a').state).toBe('active')
    await one.flags.start()
    expect(one.flags.status('a').state).toBe('disabled')
    await Promise.all([one.flags.stop(), other.flags.stop()])
    expect(clock.pending).toBe(0)
  })
})

describe('an override that is stored late', () => {
  const lost = { code: 'FLAG_STORE' }
  const answers = ({ one, other }: Awaited<ReturnType<typeof twoProcesses>>) =>
    [one, other].map(({ flags }) => flags.isEnabled('a', context))
  const back = async ({ clock, one }: Awaited<ReturnType<typeof twoProcesses>>): Promise<void> => {
    one.faulty.up()
    await clock.advance(5_000)
    await settle(clock)
  }

  it('and switches off stands, for nobody who switched on meanwhile could know of it', async () => {
    const both = await twoProcesses()
    both.one.faulty.down()
    const off = both.one.flags.override('a', context, false, { why: 'it floods them', by: 'alice' })
    await expect(off).rejects.toMatchObject(lost)
    await both.other.flags.override('a', context, true, { why: 'they asked for it', by: 'bob' })
    await back(both)
    expect(answers(both)).toEqual([false, false])
    expect(both.other.messages().at(-1)).toBe('"a" is off for guild 81384788765712384 by alice: it floods them')
    await both.other.flags.override('a', context, true, { why: 'alice agrees', by: 'bob' })
    await settle(both.clock)
    expect(answers(both)).toEqual([true, true])
  })

  it('and switches off stands though an earlier override was removed meanwhile', async () => {
    const both = await twoProcesses()
    await both.one.flags.setPercentage('a', 100, { why })
    await both.one.flags.override('a', context, true, { why })
    await settle(both.clock)
    both.one.faulty.down()
    await expect(both.one.flags.override('a', context, false, { why })).rejects.toMatchObject(lost)
    await both.other.flags.removeOverride('a', context, { why })
    await back(both)
    expect(answers(both)).toEqual([false, false])
  })

  it.each([['switches on'], ['removes it']])('gives way to whoever %s in the knowledge of it', async (what) => {
    const both = await twoProcesses()
    await both.other.flags.setPercentage('a', 100, { why })
    await both.other.flags.override('a', context, true, { why })
    const broken = new BrokenStore()
    const store = broken.around(both.one.store, () => both.one.faulty)
    const flags = new FeatureFlags({ flags: declared, environment: {}, clock: both.clock, store })
    running.push(flags)
    await flags.start()
    // The answer to its write is lost, and others see that it was made.
    broken.breakNth(2, 'after')
    await expect(flags.override('a', context, false, { why })).rejects.toMatchObject(lost)
    await settle(both.clock)
    expect(both.other.flags.isEnabled('a', context)).toBe(false)
    if (what === 'removes it') await both.other.flags.removeOverride('a', context, { why })
    else {
      await both.other.flags.override('a', context, true, { why: 'it is mended' })
      await both.other.flags.override('a', context, true, { why: 'for a day', forMs: 86_400_000 })
    }
    await both.clock.advance(5_000)
    await settle(both.clock)
    expect([flags.isEnabled('a', context), ...answers(both)]).toEqual([true, true, true])
  })

  it('and switches on, or back on in the same outage, gives way to what others have said', async () => {
    const both = await twoProcesses()
    both.one.faulty.down()
    await expect(both.one.flags.override('a', context, false, { why })).rejects.toMatchObject(lost)
    await expect(both.one.flags.override('a', context, true, { why })).rejects.toMatchObject(lost)
    await both.other.flags.override('a', context, false, { why: 'newer' })
    await back(both)
    expect(answers(both)).toEqual([false, false])
  })

  it('and switches off leaves one that is off for longer', async () => {
    const both = await twoProcesses()
    await both.one.flags.setPercentage('a', 100, { why })
    both.one.faulty.down()
    const short = both.one.flags.override('a', context, false, { why, forMs: 60_000 })
    await expect(short).rejects.toMatchObject(lost)
    await both.other.flags.override('a', context, false, { why: 'for good' })
    await back(both)
    await both.clock.advance(60_000)
    expect(answers(both)).toEqual([false, false])
  })

  it('and names a variant gives way: none of them is off', async () => {
    const { clock, one, other } = await twoProcesses()
    one.faulty.down()
    await expect(one.flags.override('t', context, 'x', { why })).rejects.toMatchObject(lost)
    await other.flags.override('t', context, 'y', { why })
    one.faulty.up()
    await clock.advance(5_000)
    await settle(clock)
    expect([one, other].map(({ flags }) => flags.variant('t', context))).toEqual(['y', 'y'])
  })
})

describe('flags that were stopped for a while', () => {
  it('tell when they start again which overrides are others by then', async () => {
    const { clock, one, other } = await twoProcesses()
    await one.flags.override('t', { guildId }, 'y', { why, forMs: 1_000 })
    await one.flags.stop()
    await clock.advance(1_000)
    await other.flags.override('t', { guildId }, 'y', { why: 'longer', by: 'alice' })
    await one.flags.start()
    expect(one.messages().slice(-2)).toEqual([
      'The override of "t" for guild 81384788765712384 is removed: its time is over',
      '"t" is "y" for guild 81384788765712384 by alice: longer',
    ])
  })
})

describe('the share of a rollout', () => {
  it('is refused when it comes late, so that no controller undoes a newer one', async () => {
    const { clock, one, other } = await twoProcesses()
    expect(await one.flags.setShare('a', { percentage: 10, targetGuilds: ['5'], sequence: 3 }, { why })).toBe(true)
    expect(await other.flags.setShare('a', { percentage: 90, targetGuilds: [], sequence: 3 }, { why })).toBe(false)
    expect(await other.flags.setShare('a', { percentage: 90, targetGuilds: [], sequence: 2 }, { why })).toBe(false)
    await settle(clock)
    expect(other.flags.share('a')).toEqual({ percentage: 10, targetGuilds: ['5'], sequence: 3 })
    expect(other.flags.explain('a', { guildId: '5' }).reason).toBe('target-guild')
  })

  it('leaves a percentage that is set by hand afterwards', async () => {
    const { one } = await twoProcesses()
    await one.flags.setShare('a', { percentage: 10, targetGuilds: [], sequence: 1 }, { why })
    await one.flags.setPercentage('a', 40, { why })
    expect(one.flags.status('a')).toMatchObject({ percentage: 40, share: { percentage: 10 } })
  })

  it.each([
    [{ percentage: 101, targetGuilds: [], sequence: 1 }, 'Flag "a": the percentage must be from 0 to 100, not 101'],
    [{ percentage: 1, targetGuilds: [], sequence: 0 }, 'The sequence of a share must be a whole number from 1, not 0'],
    [{ percentage: 1, targetGuilds: [2 ** 53], sequence: 1 }, 'cannot hold every digit of an id'],
  ])('%j is refused', async (share, message) => {
    const { one } = await twoProcesses()
    expect(() => one.flags.setShare('a', share as never, { why })).toThrow(message)
  })
})

describe('shared trips', () => {
  const broken = (): never => {
    throw new Error('no such index')
  }
  const trip = async (flags: FeatureFlags<typeof declared>): Promise<void> => {
    for (let i = 0; i < 5; i++) await flags.run('b', { guildId: '1' }, broken, () => 'old')
  }

  it('make the flag fall back everywhere, and one process alone tries it again', async () => {
    const { clock, one, other } = await twoProcesses({ tripScope: 'shared' })
    await one.flags.setPercentage('a', 100, { why })
    await settle(clock)
    await trip(one.flags)
    await settle(clock)
    expect([one, other].map(({ flags }) => flags.status('b').state)).toEqual(['fallen-back', 'fallen-back'])
    await clock.advance(30_000)
    let trials = 0
    const tryIt = (flags: FeatureFlags<typeof declared>): Promise<unknown> =>
      flags.run(
        'b',
        context,
        async () => {
          trials++
          throw new Error('still broken')
        },
        () => 'old',
      )
    expect(await Promise.all([one, other, one, other].map(({ flags }) => tryIt(flags)))).toEqual([
      'old',
      'old',
      'old',
      'old',
    ])
    expect(trials).toBe(1)
    await settle(clock)
    await clock.advance(59_000)
    await tryIt(one.flags)
    await tryIt(other.flags)
    expect(trials).toBe(1)
    await clock.advance(1_000)
    expect(
      await other.flags.run(
        'b',
        context,
        () => 'new',
        () => 'old',
      ),
    ).toBe('new')
    await settle(clock)
    expect([one, other].map(({ flags }) => flags.status('b').state)).toEqual(['active', 'active'])
  })

  it('belong to one process unless told otherwise', async () => {
    const { clock, one, other } = await twoProcesses()
    await one.flags.setPercentage('a', 100, { why })
    await settle(clock)
    await trip(one.flags)
    await settle(clock)
    expect([one, other].map(({ flags }) => flags.status('b').state)).toEqual(['fallen-back', 'active'])
    await one.flags.setPercentage('a', 99, { why })
    await settle(clock)
    expect(one.flags.status('b').state).toBe('fallen-back')
    await one.flags.enable('b', { why })
    expect(one.flags.status('b').state).toBe('active')
  })

  it('need a store', () => {
    expect(() => new FeatureFlags({ flags: {}, tripScope: 'shared' })).toThrow('which takes a `store`')
  })
})

function bound(store: FlagStore): FlagStore {
  return {
    scope: store.scope,
    entry: (key) => store.entry(key),
    compareAndSet: (key, expected, value) => store.compareAndSet(key, expected, value),
    set: (key, value, options) => store.set(key, value, options),
    delete: (key) => store.delete(key),
    scan: (options) => store.scan(options),
    watch: (options) => store.watch(options),
  }
}

/** A watch that never says anything. */
function silence(): AsyncIterable<never> {
  return { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) }
}
