import { beforeEach, describe, expect, it } from 'vitest'
import { MemoryStorage } from '../memory-storage.js'
import type { KeyedEntry } from '../storage.js'
import { FailoverStory } from '../test-support/failover-story.js'

/** A primary whose scan of one collection is held back when it has read everything. */
function heldBack(inner: MemoryStorage, held: string): () => void {
  let release: () => void = () => undefined
  const isReleased = new Promise<void>((resolve) => (release = resolve))
  const collection = inner.collection.bind(inner)
  inner.collection = ((name: string) => {
    const notes = collection(name)
    const scan = notes.scan.bind(notes)
    if (name !== held) return notes
    notes.scan = async function* (options) {
      const page: KeyedEntry<unknown>[] = []
      for await (const entry of scan(options)) page.push(entry)
      await isReleased
      yield* page
    }
    return notes
  }) as never
  return release
}

/** Faults that a review found; each has been seen to fail. */
describe('FailoverStorage, where it had gone wrong', () => {
  let story: FailoverStory

  beforeEach(async () => {
    story = new FailoverStory()
    await story.inner.collection('notes').set('old', 'from before')
    await story.begin()
  })

  it('deletes in the replay what one batch wrote and deleted again', async () => {
    story.faulty.down()
    await story.storage.batch([
      { type: 'set', collection: 'notes', key: 'brief', value: 1 },
      { type: 'delete', collection: 'notes', key: 'brief' },
      { type: 'set', collection: 'notes', key: 'wiped', value: 1 },
      { type: 'clear', collection: 'notes' },
      { type: 'set', collection: 'notes', key: 'kept', value: 1 },
    ])
    await story.recover()
    expect(story.storage.state).toMatchObject({ on: 'primary', conflicts: 0 })
    expect([...(await story.primaryNotes.getMany(['old', 'brief', 'wiped', 'kept'])).keys()]).toEqual(['kept'])
  })

  it('refuses a frozen write of a killed process that wakes up after its successor wrote', async () => {
    story.faulty.hang()
    const frozen = story.faulty
    void story.notes.set('old', 'frozen').catch(() => undefined)
    await story.clock.advance(10)
    story.restart('kill')
    story.thaw()
    await story.begin()
    await story.notes.set('old', 'newer')
    frozen.up()
    await story.clock.advance(0)
    expect(await story.primaryNotes.get('old')).toBe('newer')
  })

  it('does not take its own fence, lost on the way and late, for another writer', async () => {
    const inner = new MemoryStorage({ clock: story.clock })
    const batch = inner.batch.bind(inner)
    let isStuck = false
    const late: (() => Promise<unknown>)[] = []
    inner.batch = (...parameters) => {
      if (!isStuck) return batch(...parameters)
      late.push(() => batch(...parameters))
      return new Promise(() => undefined)
    }
    const other = new FailoverStory(inner)
    await other.begin()
    isStuck = true
    const outcome = expect(other.notes.set('a', 1)).rejects.toMatchObject({ code: 'STORAGE_TIMEOUT' })
    await other.clock.advance(1_000)
    await outcome
    // The doubt is to be settled, and the fence for that is stuck, too.
    await other.clock.advance(2_000)
    expect(late.length).toBe(2)
    isStuck = false
    await late[1]?.()
    await other.clock.advance(5_000)
    expect(other.events).not.toContain('fenced')
    expect(await other.storage.health()).toMatchObject({ status: 'up' })
    await expect(late[0]?.()).rejects.toMatchObject({ code: 'STORAGE_CONFLICT' })
  })

  it('gives up a line of writes to one record together, when the primary is frozen', async () => {
    story.faulty.hang()
    const kept: string[] = []
    for (let i = 0; i < 20; i++) {
      void story.notes.set('hot', i).then(
        (receipt) => kept.push(receipt.kept),
        (error: { applied: string }) => kept.push(error.applied),
      )
    }
    await story.clock.advance(1_000)
    expect(kept).toEqual(['unknown', ...Array.from({ length: 19 }, () => 'journal')])
  })

  it('stops without waiting for the whole copy', async () => {
    const fresh = new FailoverStory()
    const records = Array.from({ length: 5_000 }, (_, i) => [`k${i}`, i] as const)
    await fresh.inner.collection('big').setMany(records)
    await fresh.storage.start()
    fresh.faulty.delay(50)
    await fresh.clock.advance(60)
    let isStopped = false
    const stopped = fresh.storage.stop().then(() => (isStopped = true))
    for (let i = 0; i < 10; i++) await fresh.clock.advance(50)
    expect(isStopped).toBe(true)
    await stopped
  })

  it('stops without waiting for the whole replay, and goes on where it was', async () => {
    story.faulty.down()
    await Promise.all(Array.from({ length: 3_000 }, (_, i) => story.notes.set(`k${i}`, i)))
    story.faulty.up()
    story.faulty.delay(50)
    while (story.storage.state.replayed === 0) await story.clock.advance(50)
    let isStopped = false
    const stopped = story.storage.stop().then(() => (isStopped = true))
    for (let i = 0; i < 10; i++) await story.clock.advance(50)
    expect(isStopped).toBe(true)
    await stopped
    story.restart()
    story.faulty.up()
    await story.storage.start()
    expect(story.storage.state.journalLength).toBeGreaterThan(0)
    await story.recover()
    expect(await story.primaryNotes.count()).toBe(3_001)
  })

  it('waits longer for a primary that opens slowly when there is no copy to serve from', async () => {
    const inner = new MemoryStorage({ clock: story.clock })
    inner.start = () =>
      new Promise((resolve) => {
        story.clock.after(5_000, () => resolve())
      })
    const other = new FailoverStory(inner, story.clock)
    const started = other.storage.start()
    await story.clock.advance(5_000)
    await started
    expect(other.storage.state.on).toBe('primary')
  })

  it('copies nothing over what was written while it was read', async () => {
    const inner = new MemoryStorage({ clock: story.clock })
    await inner.collection('notes').setMany([
      ['a', 'old'],
      ['b', 'old'],
    ])
    const release = heldBack(inner, 'notes')
    const other = new FailoverStory(inner, story.clock)
    await other.begin()
    await other.notes.set('a', 'new')
    await other.notes.delete('b')
    release()
    await story.clock.advance(0)
    other.faulty.down()
    expect([...(await other.notes.getMany(['a', 'b']))]).toEqual([['a', 'new']])
  })

  it('copies nothing of what was cleared while it was read', async () => {
    const inner = new MemoryStorage({ clock: story.clock })
    await inner.collection('notes').set('a', 'old')
    const release = heldBack(inner, 'notes')
    const other = new FailoverStory(inner, story.clock)
    await other.begin()
    await other.notes.clear()
    release()
    await story.clock.advance(0)
    other.faulty.down()
    expect(await other.notes.count()).toBe(0)
  })

  it('takes no copy for complete that failed in the meantime', async () => {
    const inner = new MemoryStorage({ clock: story.clock })
    await inner.collection('notes').set('a', 'old')
    await inner.collection('others').set('a', 'old')
    const release = heldBack(inner, 'others')
    const other = new FailoverStory(inner, story.clock)
    await other.begin()
    other.files.failAt = other.files.steps + 1
    await other.notes.set('a', 'new')
    release()
    await story.clock.advance(0)
    other.faulty.down()
    await expect(other.notes.get('a')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  })

  it('replays a thousand writes of one record as one', async () => {
    story.faulty.down()
    for (let i = 1; i <= 1_000; i++) await story.notes.set('count', i)
    const before = story.calls
    await story.recover()
    expect(story.storage.state).toMatchObject({ on: 'primary', replayed: 1_000, conflicts: 0 })
    expect(await story.primaryNotes.get('count')).toBe(1_000)
    expect(story.calls - before).toBeLessThan(80)
  })

  it('has no journal any more when it is killed after the replay', async () => {
    story.faulty.down()
    for (let i = 0; i < 3; i++) await story.notes.set(`k${i}`, i)
    await story.recover()
    story.restart('kill')
    await story.begin()
    expect(story.storage.state).toMatchObject({ on: 'primary', failovers: 0, journalLength: 0 })
  })

  it('shows a later write of its own while an earlier one becomes a conflict', async () => {
    story.faulty.down()
    await story.storage.batch([
      { type: 'set', collection: 'notes', key: 'old', value: 'mine' },
      { type: 'set', collection: 'notes', key: 'with it', value: 'mine' },
    ])
    await story.notes.set('with it', 'mine, later')
    await story.primaryNotes.set('old', 'theirs')
    let shown: Promise<Map<string, unknown>> | undefined
    story.storage.once('conflict', () => {
      shown = story.notes.getMany(['old', 'with it'])
    })
    await story.recover()
    expect([...((await shown) ?? [])]).toEqual([
      ['old', 'theirs'],
      ['with it', 'mine, later'],
    ])
  })

  it('keeps both collections out of the copy when two writes to it fail at once', async () => {
    await story.notes.set('a', 0)
    await story.storage.collection('others').set('a', 0)
    // One write of the disk carries both.
    story.files.failAt = story.files.steps + 1
    await Promise.all([story.notes.set('a', 1), story.storage.collection('others').set('a', 1)])
    story.faulty.down()
    await expect(story.notes.get('a')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
    await expect(story.storage.collection('others').get('a')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  })

  it('reads the doubts of a long brown-out in portions', async () => {
    const inner = new MemoryStorage({ clock: story.clock })
    let isStuck = false
    let reading = 0
    let most = 0
    const batch = inner.batch.bind(inner)
    inner.batch = (...parameters) => (isStuck ? new Promise(() => undefined) : batch(...parameters))
    const collection = inner.collection.bind(inner)
    inner.collection = ((name: string) => {
      const notes = collection(name)
      const entry = notes.entry.bind(notes)
      notes.entry = async (key) => {
        most = Math.max(most, ++reading)
        await Promise.resolve()
        return entry(key).finally(() => reading--)
      }
      return notes
    }) as never
    const other = new FailoverStory(inner)
    await other.begin()
    isStuck = true
    const outcomes = Promise.allSettled(Array.from({ length: 1_000 }, (_, i) => other.notes.set(`k${i}`, i)))
    await other.clock.advance(1_000)
    await outcomes
    isStuck = false
    await other.clock.advance(5_000)
    expect(other.storage.state.mirror.status).toBe('fresh')
    expect(most).toBeGreaterThan(1)
    expect(most).toBeLessThanOrEqual(500)
  })

  it('finds the one conflict among many batches without a transaction for each', async () => {
    story.faulty.down()
    for (let i = 0; i < 300; i++) await story.notes.set(`k${i}`, i)
    await story.primaryNotes.set('k250', 'theirs')
    const before = story.calls
    await story.recover()
    expect(story.storage.state).toMatchObject({ on: 'primary', conflicts: 1 })
    expect(await story.primaryNotes.count()).toBe(301)
    expect(story.calls - before).toBeLessThan(1_500)
  })

  it('takes smaller steps when the primary is too slow for large ones', async () => {
    const inner = new MemoryStorage({ clock: story.clock })
    const batch = inner.batch.bind(inner)
    let delayPerOperation = 0
    inner.batch = async (operations, options) => {
      const delay = operations.length * delayPerOperation
      if (delay > 0) await new Promise<void>((resolve) => story.clock.after(delay, resolve))
      if (delay >= 1_000) return new Promise<never>(() => undefined)
      return batch(operations, options)
    }
    const other = new FailoverStory(inner, story.clock)
    await other.begin()
    other.faulty.down()
    for (let i = 0; i < 200; i++) await other.notes.set(`k${i}`, i)
    delayPerOperation = 40
    other.faulty.up()
    for (let i = 0; i < 2_000; i++) await other.clock.advance(100)
    expect(other.storage.state).toMatchObject({ on: 'primary', journalLength: 0 })
    expect(await other.primaryNotes.count()).toBe(200)
  })
})

describe('FailoverStorage, on a disk that fails', () => {
  it.each(['one', 'many'] as const)(
    "loses nothing, whatever step fails, and heals, with writers: '%s'",
    async (writers) => {
      for (let step = 1; ; step++) {
        const story = new FailoverStory(undefined, undefined, { writers })
        await story.inner.collection('notes').set('old', 0)
        await story.begin()
        story.files.failAt = story.files.steps + step
        const acknowledged = new Map<string, unknown>()
        const write = async (key: string, value: unknown): Promise<void> => {
          const told = value === undefined ? story.notes.delete(key) : story.notes.set(key, value)
          await told.then(
            () => acknowledged.set(key, value),
            (error: { applied: string }) => {
              if (error.applied !== 'no') acknowledged.delete(key)
            },
          )
        }
        await write('a', 1)
        await write('old', undefined)
        if (writers === 'many') await story.primaryNotes.set('theirs', 1)
        await story.clock.advance(300)
        story.faulty.down()
        await write('a', 2)
        await write('b', 1)
        await write('old', 1)
        if (writers === 'many') await story.primaryNotes.set('theirs', 2)
        await story.recover()
        await write('a', 3)
        await write('b', undefined)
        const at = `step ${step}, ${story.files.log[story.files.failAt - 1]}`
        const isOver = story.files.steps < story.files.failAt
        await story.clock.advance(20_000)
        expect(story.storage.state, at).toMatchObject({ on: 'primary', conflicts: 0, mirror: { status: 'fresh' } })
        for (const [key, value] of acknowledged)
          expect(await story.primaryNotes.get(key), `${at}: ${key}`).toEqual(value)
        story.faulty.down()
        for (const key of ['a', 'b', 'old', 'theirs']) {
          expect(await story.notes.get(key), `${at}: copy of ${key}`).toEqual(await story.primaryNotes.get(key))
        }
        if (isOver) return expect(step).toBeGreaterThan(10)
      }
    },
  )
})
