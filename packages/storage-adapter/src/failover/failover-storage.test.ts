import { beforeEach, describe, expect, it } from 'vitest'
import { FailoverStorage } from './failover-storage.js'
import type { FailoverStorageOptions } from './failover-options.js'
import { MemoryStorage } from '../memory-storage.js'
import { CrashFiles } from '../test-support/crash-files.js'
import { FailoverStory } from '../test-support/failover-story.js'

const UNAVAILABLE = { code: 'STORAGE_UNAVAILABLE' }

describe('FailoverStorage', () => {
  let story: FailoverStory

  beforeEach(async () => {
    story = new FailoverStory()
    await story.inner.collection('notes').set('old', 'from before')
    await story.begin()
  })

  describe('while the primary is up', () => {
    it('keeps a write on the primary under the version that it tells', async () => {
      const { version, kept } = await story.notes.set('a', 1)
      expect(kept).toBe('primary')
      expect((await story.primaryNotes.entry('a'))?.version).toBe(version)
      expect(story.storage.state).toMatchObject({
        on: 'primary',
        journalLength: 0,
        mirror: { status: 'fresh', covered: 'all' },
      })
      expect((await story.storage.health()).status).toBe('up')
    })

    it('acknowledges a write that only the local copy refuses, says so, and completes the copy later', async () => {
      story.files.failAt = story.files.steps + 1
      expect((await story.notes.set('a', 1)).kept).toBe('primary')
      expect(story.storage.state.mirror.status).toBe('stale')
      expect(await story.storage.health()).toMatchObject({ status: 'degraded' })
      story.faulty.down()
      await expect(story.notes.get('a')).rejects.toMatchObject(UNAVAILABLE)
      await story.recover()
      expect(story.storage.state).toMatchObject({ on: 'primary', mirror: { status: 'fresh', covered: 'all' } })
      story.faulty.down()
      expect(await story.notes.get('a')).toBe(1)
    })

    it('passes on conflicts and wrong use, and stays', async () => {
      await expect(story.notes.set('old', 1, { ifAbsent: true })).rejects.toMatchObject({ code: 'STORAGE_CONFLICT' })
      await expect(story.notes.set('a', undefined)).rejects.toThrow(TypeError)
      for (const collection of ['$failover', '$journal', '$once']) {
        expect(() => story.storage.collection(collection)).toThrow(TypeError)
      }
      const intoJournal = story.storage.batch([{ type: 'clear', collection: '$journal' }])
      await expect(intoJournal).rejects.toThrow(TypeError)
      expect(story.storage.state.on).toBe('primary')
    })

    it('does not leave because of contention', async () => {
      const busy = Object.assign(new Error('locked'), { code: 'STORAGE_BUSY', applied: 'no' })
      story.faulty.failNext(3, busy)
      await expect(story.notes.set('a', 1)).rejects.toBe(busy)
      await expect(story.notes.get('a')).rejects.toBe(busy)
      expect(story.storage.state.on).toBe('primary')
    })
  })

  describe('in an outage', () => {
    it('says of each collection who answers', async () => {
      expect(story.notes.servedBy).toBe('primary')
      story.faulty.down()
      await story.notes.set('a', 1)
      expect([story.notes.servedBy, story.primaryNotes.servedBy]).toEqual(['fallback', 'primary'])
      await story.recover()
      expect(story.notes.servedBy).toBe('primary')
    })

    it('serves what it copied and what was written since, and deletes stay deleted', async () => {
      await story.notes.set('a', 1)
      story.faulty.down()
      expect(await story.notes.get('old')).toBe('from before')
      expect(await story.notes.set('a', 2)).toMatchObject({ kept: 'journal' })
      await story.notes.delete('old')
      expect(await story.notes.update('a', (value) => (value as number) + 1)).toMatchObject({
        value: 3,
        kept: 'journal',
      })
      expect(await story.notes.get('a')).toBe(3)
      expect(await story.notes.has('old')).toBe(false)
      expect(await story.notes.count()).toBe(1)
      expect(await story.storage.collections()).toEqual(['notes'])
      expect(story.storage.state).toMatchObject({ on: 'fallback', journalLength: 3 })
      expect(story.storage.state.reason).toContain('ECONNREFUSED')
      expect(await story.storage.health()).toMatchObject({ status: 'degraded' })
      expect(story.events).toContain('storage fallback')
    })

    it('judges conditions on the local copy', async () => {
      const before = await story.notes.entry('old')
      story.faulty.down()
      await expect(story.notes.set('old', 1, { ifAbsent: true })).rejects.toMatchObject({ code: 'STORAGE_CONFLICT' })
      expect(await story.notes.compareAndSet('old', 'other', 1)).toBeUndefined()
      expect(await story.notes.compareAndSet('old', before?.version, 1)).toMatchObject({ kept: 'journal' })
    })

    it('hides no write that the journal does not take', async () => {
      story.faulty.down()
      await story.notes.get('old')
      story.files.failAt = story.files.steps + 1
      await expect(story.notes.set('a', 1)).rejects.toMatchObject({ ...UNAVAILABLE, applied: 'no' })
      expect(await story.notes.get('a')).toBeUndefined()
      expect((await story.notes.set('a', 2)).kept).toBe('journal')
    })
  })

  describe('when the primary is back', () => {
    it('replays everything in order, under the same versions, and returns', async () => {
      story.faulty.down()
      const { version } = await story.notes.set('a', 1)
      await story.notes.set('b', 1)
      const last = await story.notes.set('b', 2, { ttlMs: 1_000_000 })
      await story.notes.delete('old')
      await story.storage.collection('other').set('c', { deep: [1] })
      const expiresAt = (await story.notes.entry('b'))?.expiresAt
      await story.recover()
      expect(story.storage.state).toMatchObject({ on: 'primary', journalLength: 0, replayed: 5, conflicts: 0 })
      expect(await story.primaryNotes.entry('a')).toEqual({ value: 1, version, expiresAt: undefined })
      expect(await story.primaryNotes.entry('b')).toEqual({ value: 2, version: last.version, expiresAt })
      expect(await story.primaryNotes.has('old')).toBe(false)
      expect(await story.inner.collection('other').get('c')).toEqual({ deep: [1] })
      expect(story.events).toContain('replayed')
      expect((await story.notes.set('a', 3)).kept).toBe('primary')
    })

    it('replays a clear as deletes of what was there', async () => {
      story.faulty.down()
      await story.notes.set('mine', 1)
      await story.notes.clear()
      expect(await story.notes.count()).toBe(0)
      await story.primaryNotes.set('theirs', 1)
      await story.recover()
      expect([...(await story.primaryNotes.getMany(['old', 'mine', 'theirs'])).keys()]).toEqual(['theirs'])
    })

    it('commits a named batch once, whether before, in or after the outage', async () => {
      const operations = [{ type: 'set', collection: 'notes', key: 'a', value: 1 }] as const
      expect((await story.storage.batch(operations, { once: 'before' })).applied).toBe(true)
      story.faulty.down()
      expect((await story.storage.batch(operations, { once: 'before' })).applied).toBe(false)
      expect((await story.storage.batch(operations, { once: 'during' })).applied).toBe(true)
      await story.recover()
      expect((await story.storage.batch(operations, { once: 'during' })).applied).toBe(false)
      expect((await story.inner.batch(operations, { once: 'during' })).applied).toBe(false)
    })

    it('replays a write upon a record that has expired meanwhile', async () => {
      await story.notes.set('short', 1, { ttlMs: 5_000 })
      story.faulty.down()
      await story.notes.update('short', (value) => (value as number) + 1, { ttlMs: 60_000 })
      await story.notes.set('gone', 1, { ttlMs: 5_000 })
      await story.clock.advance(6_000)
      await story.recover()
      expect(story.storage.state).toMatchObject({ on: 'primary', conflicts: 0 })
      expect(await story.primaryNotes.get('short')).toBe(2)
      expect(await story.primaryNotes.has('gone')).toBe(false)
    })

    it('completes the copy with what others wrote and deleted meanwhile', async () => {
      await story.notes.set('mine', 1)
      story.faulty.down()
      await story.notes.get('old')
      await story.primaryNotes.set('theirs', 2)
      await story.primaryNotes.delete('old')
      await story.recover()
      story.faulty.down()
      const keys = [...(await story.notes.getMany(['mine', 'theirs', 'old'])).keys()]
      expect(story.storage.state.on).toBe('fallback')
      expect(keys).toEqual(['mine', 'theirs'])
    })

    it('waits until it is steady', async () => {
      story.faulty.down()
      await story.notes.set('a', 1)
      await story.clock.advance(20_000)
      story.faulty.up()
      await story.clock.advance(2_000)
      expect(story.storage.state.on).toBe('fallback')
      await story.clock.advance(1_000)
      expect(story.storage.state.on).toBe('primary')
    })

    it('returns at most once per cool-down while the primary flaps ten times a second', async () => {
      for (let i = 0; i < 600; i++) {
        if (i % 2 === 0) story.faulty.down()
        else story.faulty.up()
        expect(await story.notes.set('a', i)).toBeDefined()
        await story.clock.advance(100)
      }
      const returns = story.events.filter((event) => event === 'storage primary').length
      expect(returns).toBeLessThanOrEqual(6)
      await story.recover()
      expect(await story.primaryNotes.get('a')).toBe(599)
      expect(story.storage.state.conflicts).toBe(0)
    })

    it('takes writes while it replays', async () => {
      story.faulty.down()
      for (let i = 0; i < 300; i++) await story.notes.set(`k${i}`, i)
      story.faulty.up()
      const writes: Promise<unknown>[] = []
      for (let i = 0; i < 130; i++) {
        writes.push(story.notes.set(`during${i}`, i), story.notes.set('k0', `again ${i}`))
        await story.clock.advance(100)
      }
      await Promise.all(writes)
      expect(story.storage.state).toMatchObject({ on: 'primary', journalLength: 0, conflicts: 0 })
      expect(await story.primaryNotes.count()).toBe(431)
      expect(await story.primaryNotes.get('k0')).toBe('again 129')
    })
  })

  describe('when a write may or may not have arrived', () => {
    const lost = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })

    it('says that the outcome is unknown and does not journal it', async () => {
      story.faulty.failNext(1, lost, { when: 'after' })
      await expect(story.notes.set('a', 1)).rejects.toMatchObject({ ...UNAVAILABLE, applied: 'unknown' })
      await story.clock.advance(0)
      expect(story.storage.state).toMatchObject({ on: 'fallback', journalLength: 0 })
      await story.recover()
      expect(await story.notes.get('a')).toBe(1)
    })

    it.each(['before', 'after'] as const)(
      'lets a later write win, not conflict, when it was lost %s it arrived',
      async (when) => {
        await story.notes.set('a', 0)
        story.faulty.failNext(2, lost, { when })
        await expect(story.notes.set('a', 1)).rejects.toMatchObject({ applied: 'unknown' })
        await expect(story.notes.delete('old')).resolves.toMatchObject({ kept: 'journal' })
        await story.notes.set('a', 2)
        await story.recover()
        expect(story.storage.state).toMatchObject({ on: 'primary', conflicts: 0 })
        expect(await story.primaryNotes.get('a')).toBe(2)
        expect(await story.primaryNotes.has('old')).toBe(false)
      },
    )

    it('lets a later write win after a crash, too', async () => {
      story.faulty.failNext(1, lost, { when: 'after' })
      await expect(story.notes.set('old', 1)).rejects.toMatchObject({ applied: 'unknown' })
      story.faulty.down()
      story.restart('power cut')
      await story.notes.set('old', 2)
      await story.recover()
      expect(story.storage.state).toMatchObject({ on: 'primary', conflicts: 0 })
      expect(await story.primaryNotes.get('old')).toBe(2)
    })

    it.each([
      ['with', true],
      ['without', false],
    ])('refuses a frozen write that wakes up after a recovery %s a later write', async (_, isReplaced) => {
      story.faulty.hang()
      const frozen = story.notes.set('old', 'frozen')
      const outcome = expect(frozen).rejects.toMatchObject({ ...UNAVAILABLE, applied: 'unknown' })
      await story.clock.advance(1_000)
      await outcome
      expect(story.storage.state.on).toBe('fallback')
      const wake = story.faulty
      if (isReplaced) await story.notes.set('old', 'later')
      // The connection is new; the frozen call wakes up only at the end.
      story.thaw()
      await story.clock.advance(20_000)
      expect(story.storage.state).toMatchObject({ on: 'primary', conflicts: 0 })
      wake.up()
      await story.clock.advance(0)
      const expected = isReplaced ? 'later' : 'from before'
      expect(await story.primaryNotes.get('old')).toBe(expected)
      expect(await story.notes.get('old')).toBe(expected)
    })
  })

  it('refuses a frozen write that wakes up just after the first write to the primary that is back', async () => {
    story.faulty.hang()
    const outcome = expect(story.notes.set('old', 'frozen')).rejects.toMatchObject({ applied: 'unknown' })
    await story.clock.advance(1_000)
    await outcome
    const frozen = story.faulty
    story.thaw()
    story.storage.once('replayed', () => {
      void story.notes.set('old', 'newer').then(() => frozen.up())
    })
    await story.clock.advance(20_000)
    expect(await story.primaryNotes.get('old')).toBe('newer')
  })

  it('copies writes of one record in the order of the primary, whatever the order of the answers', async () => {
    const inner = new MemoryStorage({ clock: story.clock })
    const batch = inner.batch.bind(inner)
    let late: Promise<void> | undefined
    inner.batch = async (...parameters) => {
      const receipt = await batch(...parameters)
      const wait = late
      late = undefined
      await wait
      return receipt
    }
    const other = new FailoverStory(inner)
    await other.begin()
    late = new Promise((resolve) => other.clock.after(100, resolve))
    const writes = Promise.all([other.notes.set('a', 'first'), other.notes.set('a', 'second')])
    await other.clock.advance(100)
    await writes
    other.faulty.down()
    expect(await other.notes.get('a')).toBe('second')
    expect(await other.primaryNotes.get('a')).toBe('second')
  })

  describe('when the primary is slow', () => {
    it('leaves when the probe begun at half the deadline is not answered either, and serves the waiting read', async () => {
      story.faulty.hang()
      const read = story.notes.get('old')
      await story.clock.advance(999)
      expect(story.storage.state.on).toBe('primary')
      await story.clock.advance(1)
      expect(await read).toBe('from before')
      expect(story.storage.state.on).toBe('fallback')
    })

    it('does not leave when the probe is answered', async () => {
      const inner = new MemoryStorage({ clock: story.clock })
      let isStuck = false
      const batch = inner.batch.bind(inner)
      inner.batch = (...parameters) => (isStuck ? new Promise(() => undefined) : batch(...parameters))
      const other = new FailoverStory(inner)
      await other.begin()
      isStuck = true
      const outcome = expect(other.notes.set('a', 1)).rejects.toMatchObject({
        code: 'STORAGE_TIMEOUT',
        applied: 'unknown',
      })
      await other.clock.advance(1_000)
      await outcome
      expect(other.storage.state.on).toBe('primary')
      isStuck = false
      await other.clock.advance(2_000)
      expect((await other.notes.set('a', 2)).kept).toBe('primary')
    })
  })

  describe('when somebody else changed the primary in the outage', () => {
    it('keeps the whole batch apart, tells it, and lets the value of the primary stand', async () => {
      story.faulty.down()
      await story.storage.batch([
        { type: 'set', collection: 'notes', key: 'old', value: 'mine' },
        { type: 'set', collection: 'notes', key: 'with it', value: 'mine' },
      ])
      await story.notes.set('old', 'mine, again')
      await story.notes.set('apart', 'mine')
      const { version } = await story.primaryNotes.set('old', 'theirs')
      await story.recover()
      expect(await story.notes.get('old')).toBe('theirs')
      expect(await story.notes.get('with it')).toBeUndefined()
      expect(await story.notes.get('apart')).toBe('mine')
      const conflicts = await story.storage.conflicts()
      expect(conflicts).toHaveLength(2)
      expect(conflicts[0]).toMatchObject({
        changes: [
          { key: 'old', value: 'mine' },
          { key: 'with it', value: 'mine' },
        ],
        found: [version, null],
      })
      expect(story.events.filter((event) => event === 'conflict')).toHaveLength(2)
      story.restart()
      expect(await story.storage.conflicts()).toHaveLength(2)
      expect(await story.storage.dismissConflict(conflicts[0]?.sequence ?? 0)).toBe(true)
      expect(await story.storage.dismissConflict(999)).toBe(false)
      expect(await story.storage.conflicts()).toHaveLength(1)
    })
  })

  it('shows the value of the primary after a conflict, and builds upon it, when the primary goes again', async () => {
    story.faulty.down()
    await story.notes.set('old', 'mine')
    await story.primaryNotes.set('old', 'theirs')
    story.storage.once('conflict', () => story.faulty.down())
    await story.recover()
    expect(story.storage.state).toMatchObject({ on: 'fallback', conflicts: 1 })
    expect(await story.notes.get('old')).toBe('theirs')
    await story.notes.set('old', 'mine, knowing theirs')
    await story.recover()
    expect(story.storage.state).toMatchObject({ on: 'primary', conflicts: 1 })
    expect(await story.primaryNotes.get('old')).toBe('mine, knowing theirs')
  })

  describe('when it is started anew', () => {
    it('goes on in the outage with all that was acknowledged', async () => {
      story.faulty.down()
      await story.notes.set('a', 1)
      story.restart('power cut')
      expect(await story.notes.get('a')).toBe(1)
      expect(await story.notes.get('old')).toBe('from before')
      await story.notes.set('b', 2)
      expect(story.storage.state).toMatchObject({ on: 'fallback', journalLength: 2 })
      await story.recover()
      expect(await story.primaryNotes.get('a')).toBe(1)
      expect(await story.primaryNotes.get('b')).toBe(2)
    })

    it('replays first when the primary is back already', async () => {
      story.faulty.down()
      await story.notes.set('a', 1)
      story.restart()
      story.faulty.up()
      expect(await story.notes.get('a')).toBe(1)
      expect(story.storage.state.on).toBe('fallback')
      await story.recover()
      expect(story.storage.state).toMatchObject({ on: 'primary', journalLength: 0 })
      expect(await story.primaryNotes.get('a')).toBe(1)
    })

    it('goes on from its copy when the primary is down and the journal is empty', async () => {
      story.faulty.down()
      story.restart()
      expect(await story.notes.get('old')).toBe('from before')
      expect(story.storage.state.on).toBe('fallback')
    })

    it('refuses to start when the primary is down and nothing was ever copied', async () => {
      const fresh = new FailoverStory()
      fresh.faulty.down()
      await expect(fresh.storage.start()).rejects.toMatchObject(UNAVAILABLE)
      fresh.faulty.up()
      await fresh.storage.start()
      expect(fresh.storage.state.on).toBe('primary')
    })

    it('rejects what it has not copied yet, and never says that it is absent', async () => {
      const fresh = new FailoverStory()
      await fresh.inner.collection('a').set('k', 1)
      await fresh.inner.collection('b').set('k', 2)
      await fresh.storage.start()
      // The list, no `$once`, two calls for `a`: the copy breaks off before `b`.
      fresh.faulty.failNth(5, Object.assign(new Error('gone'), { code: 'ECONNREFUSED' }))
      await fresh.clock.advance(0)
      expect(fresh.storage.state).toMatchObject({ on: 'fallback' })
      expect(await fresh.storage.collection('a').get('k')).toBe(1)
      await expect(fresh.storage.collection('b').get('k')).rejects.toMatchObject(UNAVAILABLE)
      await expect(fresh.storage.collection('b').set('k', 1)).rejects.toMatchObject(UNAVAILABLE)
      await expect(fresh.storage.collections()).rejects.toMatchObject(UNAVAILABLE)
    })
  })

  describe('when the primary is not the one that was left', () => {
    it('stops, asks for a person, and goes on serving, until the right one is back', async () => {
      const right = story.inner
      story.faulty.down()
      await story.notes.set('a', 1)
      story.replacePrimary(new MemoryStorage({ clock: story.clock }))
      await story.clock.advance(30_000)
      expect(story.storage.state).toMatchObject({ on: 'fallback', journalLength: 1, diverged: { found: undefined } })
      expect(story.events.filter((event) => event === 'diverged')).toHaveLength(1)
      expect(await story.notes.get('old')).toBe('from before')
      expect(await story.primaryNotes.count()).toBe(0)
      story.replacePrimary(right)
      await story.clock.advance(30_000)
      expect(story.storage.state).toMatchObject({ on: 'primary', diverged: undefined })
      expect(await story.primaryNotes.get('a')).toBe(1)
    })

    it('notices it at the start, too', async () => {
      story.replacePrimary(new MemoryStorage({ clock: story.clock }))
      story.restart()
      expect(await story.notes.get('old')).toBe('from before')
      expect(story.storage.state).toMatchObject({ on: 'fallback', diverged: { found: undefined } })
    })
  })

  it('fences the first writer when a second one claims the primary', async () => {
    const second = new FailoverStorage(
      { primary: story.inner, path: '/elsewhere', writers: 'one', clock: story.clock },
      new CrashFiles(),
    )
    await second.start()
    await expect(story.notes.set('a', 1)).rejects.toMatchObject({ code: 'STORAGE_FENCED', applied: 'no' })
    await expect(story.notes.set('a', 1)).rejects.toMatchObject({ code: 'STORAGE_FENCED', applied: 'no' })
    expect(story.events.filter((event) => event === 'fenced')).toHaveLength(1)
    expect(await story.storage.health()).toMatchObject({ status: 'degraded' })
    expect((await second.collection('notes').set('a', 2)).kept).toBe('primary')
  })

  it('leaves no timer behind', async () => {
    story.faulty.down()
    await story.notes.set('a', 1)
    await story.storage.stop()
    expect(story.clock.pending).toBe(0)
  })

  it.each<[string, Partial<FailoverStorageOptions>]>([
    ['no primary', { primary: undefined as never }],
    ['a word that is none for writers', { writers: 'several' as never }],
    ['no path', { path: '' }],
    ['a deadline of nothing', { timeoutMs: 0 }],
    ['an unknown option', { timeout: 5 } as never],
  ])('refuses %s at once', (_, wrong) => {
    expect(() => new FailoverStorage({ primary: new MemoryStorage(), path: '/x', writers: 'one', ...wrong })).toThrow(
      /TypeError|RangeError|must|needs|no option/,
    )
  })
})
