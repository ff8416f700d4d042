import type { FakeClock } from '@evenkeel/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { extendTrail, isCutShort, type TrailEntry } from './history.js'
import { MemoryStorage } from '../memory-storage.js'
import type { BatchOperation, Collection, Storage } from '../storage.js'
import { backUp } from '../test-support/back-up.js'
import { FailoverStory } from '../test-support/failover-story.js'

const LESS = { on: 'fallback', diverged: { kind: 'less history' } }

describe('FailoverStorage, when the primary comes back with less history', () => {
  let story: FailoverStory

  beforeEach(async () => {
    story = new FailoverStory()
    await story.inner.collection('notes').setMany([
      ['old', 'from before'],
      ['other', 'from before'],
    ])
    await story.begin()
  })

  /** What the last write before the outage was, of which the backup knows nothing. */
  const lastWrites: [string, () => Promise<unknown>][] = [
    ['a new record', () => story.notes.set('new', 1)],
    ['a change of a record that it did not write', () => story.notes.set('old', 1)],
    ['a change of a record of its own', () => story.notes.set('mine', 2)],
    ['a delete', () => story.notes.delete('old')],
    ['a batch', () => story.notes.setMany([['x', 1], ['mine', 1]])], // prettier-ignore
  ]

  it.each(lastWrites)('notices that %s is missing, stops, and asks', async (_, write) => {
    await story.notes.set('mine', 1)
    const backup = await backUp(story.inner, story.clock)
    await write()
    story.faulty.down()
    await story.notes.set('in the outage', 1)
    story.replacePrimary(backup)
    await story.clock.advance(30_000)
    expect(story.storage.state).toMatchObject({ ...LESS, journalLength: 1 })
    expect(story.events.filter((event) => event === 'diverged')).toHaveLength(1)
    expect(await story.primaryNotes.has('in the outage')).toBe(false)
  })

  it.each(lastWrites)('notices at the start that %s is missing', async (_, write) => {
    await story.notes.set('mine', 1)
    const backup = await backUp(story.inner, story.clock)
    await write()
    story.restart('kill')
    story.replacePrimary(backup)
    expect(await story.notes.get('other')).toBe('from before')
    expect(story.storage.state).toMatchObject(LESS)
  })

  it('notices an old backup, of which no single record tells', async () => {
    await story.notes.set('a', 1)
    const backup = await backUp(story.inner, story.clock)
    for (let i = 0; i < 3; i++) {
      await story.notes.set('b', i)
      await story.clock.advance(11_000)
    }
    // All that the trail names was changed by hand in the backup.
    await backup.collection('notes').setMany([
      ['a', 'by hand'],
      ['b', 'by hand'],
    ])
    story.replacePrimary(backup)
    story.faulty.down()
    await story.notes.get('a')
    await story.recover()
    expect(story.storage.state).toMatchObject(LESS)
  })

  it('notices a primary that was set back while it served, at the next write', async () => {
    const backup = await backUp(story.inner, story.clock)
    story.restart('kill')
    await story.begin()
    await story.notes.set('a', 1)
    story.replacePrimary(backup)
    expect((await story.notes.set('b', 1)).kept).toBe('journal')
    expect(await story.notes.get('a')).toBe(1)
    await story.recover()
    expect(story.storage.state).toMatchObject(LESS)
    story.replacePrimary(new MemoryStorage({ clock: story.clock }))
    await story.clock.advance(20_000)
    expect(story.storage.state).toMatchObject({ on: 'fallback', diverged: { kind: 'other store', found: undefined } })
  })

  it('goes on by itself when the right primary is back', async () => {
    const right = story.inner
    const backup = await backUp(right, story.clock)
    await story.notes.set('a', 1)
    story.faulty.down()
    await story.notes.set('a', 2)
    story.replacePrimary(backup)
    await story.clock.advance(30_000)
    story.replacePrimary(right)
    await story.clock.advance(30_000)
    expect(story.storage.state).toMatchObject({ on: 'primary', diverged: undefined, conflicts: 0 })
    expect(await story.primaryNotes.get('a')).toBe(2)
  })

  it('does not ask because somebody else changed or deleted what was written last', async () => {
    await story.notes.set('a', 1)
    await story.notes.set('b', 1)
    await story.notes.set('old', 1)
    story.faulty.down()
    await story.notes.get('a')
    await story.primaryNotes.set('old', 'theirs')
    await story.primaryNotes.delete('a')
    await story.recover()
    expect(story.storage.state).toMatchObject({ on: 'primary', diverged: undefined })
  })

  it('notices that what it had just replayed is missing, when a record was written more than once in the outage', async () => {
    story.faulty.down()
    await story.notes.set('new', 1)
    await story.notes.set('new', 2)
    let backup: MemoryStorage | undefined
    before(
      story.inner,
      (operation) => operation.collection === 'notes',
      async () => {
        backup ??= await backUp(story.inner, story.clock)
      },
    )
    await story.recover()
    expect(await story.primaryNotes.get('new')).toBe(2)
    story.faulty.down()
    await story.notes.get('new')
    story.replacePrimary(backup as MemoryStorage)
    await story.clock.advance(30_000)
    expect(story.storage.state).toMatchObject(LESS)
    expect(await story.notes.get('new')).toBe(2)
  })

  describe('but only lacks what it cleared itself', () => {
    it('does not ask when the answer was lost', async () => {
      await story.notes.set('new', 1)
      story.faulty.failNext(1, lost(), { when: 'after' })
      await expect(story.notes.clear()).rejects.toMatchObject({ applied: 'unknown' })
      await story.recover()
      expect(story.storage.state).toMatchObject({ on: 'primary', diverged: undefined })
      expect(await story.notes.count()).toBe(0)
    })

    it('does not ask when the process was killed before it heard of it', async () => {
      await story.notes.set('new', 1)
      story.killWhen = 'after'
      story.killAtCall = story.calls + 1
      void story.notes.clear()
      await story.clock.advance(0)
      expect(story.isKilled).toBe(true)
      story.restart('kill')
      await story.begin()
      expect(story.storage.state).toMatchObject({ on: 'primary', diverged: undefined })
    })

    it('remembers its last write, and serves its copy, when the clear was refused', async () => {
      const backup = await backUp(story.inner, story.clock)
      await story.notes.set('new', 1)
      story.faulty.failNext(1, Object.assign(new Error('locked'), { code: 'STORAGE_BUSY', applied: 'no' }))
      await expect(story.notes.clear()).rejects.toMatchObject({ code: 'STORAGE_BUSY' })
      story.faulty.down()
      expect(await story.notes.get('new')).toBe(1)
      story.replacePrimary(backup)
      await story.clock.advance(30_000)
      expect(story.storage.state).toMatchObject(LESS)
    })
  })

  describe('and a person takes it as it is', () => {
    it('replays what still fits, keeps the rest, and follows it from then on', async () => {
      await story.notes.set('both', 1)
      const backup = await backUp(story.inner, story.clock)
      await story.notes.set('old', 'lost in the backup')
      await story.notes.set('lost', 1)
      story.faulty.down()
      await story.notes.set('both', 2)
      await story.notes.set('old', 'built on what is lost')
      await story.notes.set('new', 1)
      expect(await story.storage.acceptPrimary()).toBe(false)
      story.replacePrimary(backup)
      await story.clock.advance(30_000)
      expect(story.storage.state).toMatchObject(LESS)
      expect(await story.storage.acceptPrimary()).toBe(true)
      await story.clock.advance(30_000)
      expect(story.storage.state).toMatchObject({ on: 'primary', diverged: undefined, conflicts: 1 })
      const there = Object.fromEntries(await story.notes.getMany(['both', 'old', 'new', 'lost']))
      expect(there).toEqual({ both: 2, old: 'from before', new: 1 })
      expect(await story.storage.conflicts()).toMatchObject([{ changes: [{ key: 'old' }] }])
      story.faulty.down()
      expect(await story.notes.has('lost')).toBe(false)
      await story.recover()
      expect((await story.notes.set('after', 1)).kept).toBe('primary')
    })

    it('also takes an empty store, and one that was decided just before a crash', async () => {
      await story.notes.set('a', 1)
      story.faulty.down()
      await story.notes.set('a', 2)
      await story.notes.set('new', 1)
      story.replacePrimary(new MemoryStorage({ clock: story.clock }))
      await story.clock.advance(30_000)
      expect(await story.storage.acceptPrimary()).toBe(true)
      story.restart('power cut')
      await story.storage.start()
      await story.clock.advance(30_000)
      expect(story.storage.state).toMatchObject({ on: 'primary', diverged: undefined, conflicts: 1 })
      expect(await story.primaryNotes.get('new')).toBe(1)
    })
  })
})

describe("FailoverStorage with writers: 'many', when the primary is back", () => {
  let story: FailoverStory

  beforeEach(async () => {
    story = new FailoverStory(undefined, undefined, { writers: 'many' })
    await story.inner.collection('notes').set('old', 0)
    await story.begin()
  })

  it.each<[string, (notes: Collection<unknown>) => Promise<unknown>]>([
    ['deleted', (notes) => notes.delete('new')],
    ['cleared', (notes) => notes.clear()],
  ])('does not ask because another one %s what was written last', async (_, remove) => {
    await story.notes.set('new', 1)
    await story.clock.advance(1_000)
    story.faulty.down()
    expect(await story.notes.get('new')).toBe(1)
    await remove(story.primaryNotes)
    await story.recover()
    expect(story.storage.state).toMatchObject({ on: 'primary', diverged: undefined })
    expect(await story.notes.has('new')).toBe(false)
  })

  it('does not ask because another one deleted what was written last while this process was away', async () => {
    await story.notes.set('new', 1)
    await story.clock.advance(1_000)
    story.restart('kill')
    await story.primaryNotes.delete('new')
    await story.begin()
    expect(story.storage.state).toMatchObject({ on: 'primary', diverged: undefined })
  })

  it('notices that its last write is missing, though the log goes on and tells of an earlier one', async () => {
    const batch = story.inner.batch.bind(story.inner)
    await story.notes.set('new', 1)
    // A replica takes over that had not received the last write.
    story.inner.batch = async () => ({ applied: true, versions: [], kept: 'primary' }) as never
    await story.notes.set('new', 2)
    story.inner.batch = batch
    story.faulty.down()
    expect(await story.notes.get('new')).toBe(2)
    await story.recover()
    expect(story.storage.state).toMatchObject(LESS)
    expect(await story.notes.get('new')).toBe(2)
  })

  it.each<[string, (inner: Storage, clock: FakeClock) => Promise<MemoryStorage>, string]>([
    ['another store', async (_, clock) => new MemoryStorage({ clock }), 'other store'],
    ['an older backup', (inner, clock) => backUp(inner, clock), 'less history'],
  ])('as %s, stops, asks, and goes on with it when a person says so', async (_, make, kind) => {
    const replacement = await make(story.inner, story.clock)
    await story.notes.set('lost', 1)
    await story.clock.advance(1_000)
    story.faulty.down()
    await story.notes.set('in the outage', 1)
    story.replacePrimary(replacement)
    await story.clock.advance(30_000)
    expect(story.storage.state).toMatchObject({ on: 'fallback', journalLength: 1, diverged: { kind } })
    expect(story.events.filter((event) => event === 'diverged')).toHaveLength(1)
    expect(await story.primaryNotes.has('in the outage')).toBe(false)
    expect(await story.notes.get('lost')).toBe(1)
    await expect(story.notes.update('lost', (value) => value)).rejects.toMatchObject({ applied: 'no' })
    expect(await story.storage.acceptPrimary()).toBe(true)
    await story.clock.advance(30_000)
    expect(story.storage.state).toMatchObject({ on: 'primary', diverged: undefined, conflicts: 0, journalLength: 0 })
    await story.primaryNotes.set('theirs', 1)
    await story.clock.advance(1_000)
    story.faulty.down()
    const there = await story.notes.getMany(['lost', 'in the outage', 'theirs'])
    expect(Object.fromEntries(there)).toEqual({ 'in the outage': 1, theirs: 1 })
  })
})

/** Does something just before the primary takes a batch with such an operation. */
function before(inner: Storage, isMeant: (operation: BatchOperation) => boolean, act: () => Promise<void>): void {
  const batch = inner.batch.bind(inner)
  inner.batch = async (...parameters) => {
    if (parameters[0].some(isMeant)) await act()
    return batch(...parameters)
  }
}

function lost(): Error {
  return Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
}

describe('the trail of acknowledged writes', () => {
  const entry = (key: string, version: string, before: string | null = null): TrailEntry => ({
    collection: 'c',
    key,
    version,
    isDelete: false,
    before,
  })

  it.each<[string, (string | null | undefined)[], boolean]>([
    ['nothing is missing', ['x.1', 'x.2'], false],
    ['the newest is missing', ['x.1', null], true],
    ['the newest says nothing, and the one before is there', ['x.1', undefined], false],
    ['the newest says nothing, and the one before is missing', [null, undefined], true],
    ['the newest is there, so an older one was deleted later', [null, 'x.2'], false],
    ['an older version of the same process is there', ['x.1', 'x.1'], true],
    ['somebody else changed both', ['y.1', 'y.2'], false],
  ])('when %s', (_, found, isLost) => {
    expect(isCutShort([entry('a', 'x.1'), entry('b', 'x.2')], found, 0)).toBe(isLost)
  })

  it('says nothing about what has expired', () => {
    expect(isCutShort([{ ...entry('a', 'x.1'), expiresAt: 5 }], [null], 5)).toBe(false)
  })

  it('names each record once, the last few only, and none that others have changed since', () => {
    let trail: readonly TrailEntry[] = []
    for (let i = 0; i < 9; i++) {
      const change = { type: 'delete', collection: 'c', key: `k${i % 6}`, version: '-', expected: undefined } as const
      trail = extendTrail(trail, [change], entry(`k${i % 6}`, `x.${i}`))
    }
    expect(trail.map(({ key, version }) => [key, version])).toEqual([
      ['k5', 'x.5'],
      ['k0', 'x.6'],
      ['k1', 'x.7'],
      ['k2', 'x.8'],
    ])
    const theirs = { type: 'delete', collection: 'c', key: 'k0', version: '-', expected: undefined } as const
    expect(extendTrail(trail, [theirs], undefined)).toHaveLength(3)
    expect(extendTrail(trail, [{ type: 'clear', collection: 'c' }], undefined)).toHaveLength(0)
  })
})
