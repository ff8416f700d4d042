import { FakeClock } from '@evenkeel/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import type { FailoverStorageOptions } from './failover-options.js'
import { FailoverStorage } from './failover-storage.js'
import { MemoryStorage } from '../memory-storage.js'
import type { BatchOperation, Collection, Storage } from '../storage.js'
import { FailoverStory } from '../test-support/failover-story.js'

const UNAVAILABLE = { code: 'STORAGE_UNAVAILABLE', applied: 'no' }

/** Notes each batch that the primary takes. */
function noteBatches(inner: Storage): BatchOperation[][] {
  const taken: BatchOperation[][] = []
  const batch = inner.batch.bind(inner)
  inner.batch = async (...parameters) => {
    const receipt = await batch(...parameters)
    taken.push([...parameters[0]])
    return receipt
  }
  return taken
}

/** The next batch with an operation on this key waits, until it is let go. */
function holdBack(inner: Storage, key: string): () => Promise<unknown> {
  const batch = inner.batch.bind(inner)
  let wake: () => Promise<unknown> = async () => undefined
  inner.batch = (...parameters) => {
    if (!parameters[0].some((operation) => 'key' in operation && operation.key === key)) return batch(...parameters)
    inner.batch = batch
    wake = () => batch(...parameters)
    return new Promise(() => undefined)
  }
  return () => wake()
}

describe('the local directory of a FailoverStorage', () => {
  it.each(['one', 'many'] as const)("is refused to a second one by name, with writers: '%s'", async (writers) => {
    const story = new FailoverStory(undefined, undefined, { writers })
    await story.begin()
    const options = { primary: story.inner, path: '/local', writers, clock: story.clock }
    const second = new FailoverStorage(options, story.files)
    await expect(second.start()).rejects.toMatchObject({
      ...{ code: 'STORAGE_LOCKED', path: '/local', pid: process.pid },
      message: expect.stringContaining(`/local is in use by process ${process.pid} since`) as string,
    })
    expect((await story.notes.set('a', 1)).kept).toBe('primary')
    await story.storage.stop()
    await second.start()
    expect(second.state.on).toBe('primary')
  })
})

describe.each(['one', 'many'] as const)("the mark of a FailoverStorage with writers: '%s'", (writers) => {
  let story: FailoverStory

  beforeEach(async () => {
    story = new FailoverStory(undefined, undefined, { writers })
    await story.inner.collection('notes').setMany([
      ['old', 0],
      ['older', 0],
    ])
    await story.begin()
  })

  it('is in the transaction of every write to the primary, and every replay names its last batch there', async () => {
    const taken = noteBatches(story.inner)
    await story.notes.set('a', 1)
    await story.notes.delete('old')
    await story.notes.update('a', (value) => value)
    await story.storage.batch([{ type: 'set', collection: 'notes', key: 'b', value: 1 }], { once: 'event' })
    await story.notes.clear()
    const isMark = (operation: BatchOperation): boolean =>
      operation.collection === '$failover' && 'key' in operation && operation.key.startsWith('writer')
    const written = taken.filter((batch) => batch.some(({ collection }) => collection === 'notes'))
    expect(written).toHaveLength(5)
    for (const batch of written) expect(batch.find(isMark)).toMatchObject({ type: 'check' })
    story.faulty.down()
    for (let i = 0; i < 3; i++) await story.notes.set(`k${i}`, i)
    taken.length = 0
    await story.recover()
    const replays = taken.filter((batch) => batch.some(({ collection }) => collection === 'notes'))
    expect(replays.map((batch) => batch.find(isMark))).toMatchObject([{ type: 'set', value: { sequence: 3 } }])
    // The epoch is raised first.
    expect(taken[0]?.find(isMark)).toMatchObject({ type: 'set', value: { sequence: 0 } })
  })

  it.each(['before', 'after'] as const)(
    'applies nothing twice when answers of a replay are lost %s it arrives',
    async (when) => {
      story.faulty.down()
      for (let i = 0; i < 1_200; i++) await story.notes.set(`k${i}`, i)
      const taken = noteBatches(story.inner)
      const batch = story.inner.batch.bind(story.inner)
      let lost = 0
      story.inner.batch = async (...parameters) => {
        const isLost = parameters[0].some(({ collection }) => collection === 'notes') && lost++ < 3
        if (!isLost) return batch(...parameters)
        if (when === 'after') await batch(...parameters)
        throw Object.assign(new Error('reset'), { code: 'ECONNRESET' })
      }
      story.faulty.up()
      await story.clock.advance(60_000)
      expect(lost).toBeGreaterThanOrEqual(3)
      expect(story.storage.state).toMatchObject({ on: 'primary', journalLength: 0, conflicts: 0 })
      const keys = taken
        .flat()
        .flatMap((each) => (each.type === 'set' && each.collection === 'notes' ? [each.key] : []))
      expect(keys).toHaveLength(1_200)
      expect(new Set(keys).size).toBe(1_200)
    },
  )

  it('goes on where it was when the option is changed, and refuses what was given up before', async () => {
    story.faulty.down()
    await story.notes.set('old', 1)
    await story.notes.delete('older')
    // Killed when the primary has the replay, and nobody here knows.
    const batch = story.inner.batch.bind(story.inner)
    story.inner.batch = async (...parameters) => {
      const receipt = await batch(...parameters)
      if (parameters[0].some(({ collection }) => collection === 'notes')) return new Promise(() => undefined)
      return receipt
    }
    story.faulty.up()
    for (let i = 0; i < 30 && (await story.primaryNotes.has('older')); i++) await story.clock.advance(500)
    expect(await story.primaryNotes.get('old')).toBe(1)
    story.inner.batch = batch
    story.restart('kill', { writers: writers === 'one' ? 'many' : 'one' })
    await story.begin()
    const wake = holdBack(story.inner, 'old')
    await story.recover()
    expect(story.storage.state).toMatchObject({ on: 'primary', journalLength: 0, conflicts: 0 })
    void story.notes.set('old', 'frozen').catch(() => undefined)
    await story.clock.advance(0)
    story.restart('kill', { writers })
    await story.begin()
    await story.notes.set('old', 'newer')
    await expect(wake()).rejects.toMatchObject({ code: 'STORAGE_CONFLICT' })
    expect(await story.primaryNotes.get('old')).toBe('newer')
  })
})

describe("two FailoverStorage with writers: 'many' in an outage", () => {
  let clock: FakeClock
  let inner: MemoryStorage

  beforeEach(async () => {
    clock = new FakeClock()
    inner = new MemoryStorage({ clock })
    await inner.collection('notes').set('both', 10)
  })

  async function begin(options: Partial<FailoverStorageOptions> = {}): Promise<FailoverStory> {
    const story = new FailoverStory(inner, clock, { writers: 'many', ...options })
    await story.begin()
    return story
  }

  it('keep one of two writes of a record, and the other apart, with all of its batch', async () => {
    const [a, b] = [await begin(), await begin()]
    a.faulty.down()
    b.faulty.down()
    await a.notes.setMany([
      ['both', 'a'],
      ['a', 1],
    ])
    await b.notes.setMany([
      ['both', 'b'],
      ['b', 1],
    ])
    await b.recover()
    await a.recover()
    expect(await inner.collection('notes').getMany(['both', 'a', 'b'])).toEqual(
      new Map<string, unknown>([
        ['both', 'b'],
        ['b', 1],
      ]),
    )
    expect(b.storage.state).toMatchObject({ on: 'primary', conflicts: 0 })
    expect(await a.storage.conflicts()).toMatchObject([{ changes: [{ key: 'both', value: 'a' }, { key: 'a' }] }])
    expect(a.events).toContain('conflict')
  })

  it('add up what both added, with a merge that does', async () => {
    const merge = {
      notes: (base: unknown, mine: unknown, theirs: unknown) => Number(theirs) + Number(mine) - Number(base),
    }
    const [a, b] = [await begin({ merge }), await begin({ merge })]
    a.faulty.down()
    b.faulty.down()
    await a.notes.set('both', 11)
    await a.notes.set('both', 12)
    await b.notes.set('both', 15)
    await Promise.all([a.recover(), b.recover()])
    expect(await inner.collection('notes').get('both')).toBe(17)
    for (const { storage, faulty, notes } of [a, b]) {
      expect(storage.state).toMatchObject({ on: 'primary', conflicts: 0 })
      faulty.down()
      expect(await notes.get('both')).toBe(17)
    }
  })

  it('leave a whole batch to a person when one of its records has no merge', async () => {
    const a = await begin({ merge: { notes: () => 'merged' } })
    await a.storage.collection('others').set('k', 0)
    a.faulty.down()
    await a.storage.batch([
      { type: 'set', collection: 'notes', key: 'both', value: 'mine' },
      { type: 'set', collection: 'others', key: 'k', value: 'mine' },
    ])
    await inner.collection('notes').set('both', 'theirs')
    await inner.collection('others').set('k', 'theirs')
    await a.recover()
    expect(await a.notes.get('both')).toBe('theirs')
    expect(await a.storage.collection('others').get('k')).toBe('theirs')
    expect(a.storage.state.conflicts).toBe(1)
  })

  it('clear what was seen: a record that another one changed stays, and so does all else, for a person', async () => {
    const a = await begin()
    await a.notes.set('mine', 1)
    a.faulty.down()
    await a.notes.clear()
    expect(await a.notes.count()).toBe(0)
    await inner.collection('notes').set('both', 'theirs')
    await inner.collection('notes').set('new', 'theirs')
    await a.recover()
    expect(await a.notes.getMany(['both', 'mine', 'new'])).toHaveProperty('size', 3)
    const [conflict] = await a.storage.conflicts()
    expect(conflict?.changes.map(({ type, key }) => `${type} ${key}`).sort()).toEqual(['delete both', 'delete mine'])
  })
})

describe('the copy', () => {
  it('misses nothing that another writer does while it is compared for the first time', async () => {
    const clock = new FakeClock()
    const inner = new MemoryStorage({ clock })
    const notes = inner.collection('notes')
    await notes.setMany(Array.from({ length: 1_000 }, (_, i) => [`k${i}`, 0] as const))
    const story = new FailoverStory(inner, clock, { writers: 'many' })
    story.faulty.delay(1)
    const started = story.storage.start()
    for (let i = 0; i < 1_000; i += 5) {
      await clock.advance(10)
      await notes.set(`k${i}`, 1)
      await notes.delete(`k${i + 1}`)
      await notes.set(`new${i}`, 1)
    }
    await started
    story.faulty.up()
    for (let i = 0; i < 50 && story.storage.state.mirror.status !== 'fresh'; i++) await clock.advance(1_000)
    await clock.advance(1_000)
    story.faulty.down()
    const found: string[] = []
    for await (const { key, value } of story.notes.scan()) found.push(`${key} ${String(value)}`)
    const expected: string[] = []
    for await (const { key, value } of notes.scan()) expected.push(`${key} ${String(value)}`)
    expect(found).toEqual(expected)
  })

  it.each<[string, (logs: Collection<unknown>, storage: FailoverStorage) => Promise<unknown>]>([
    ['get', (logs) => logs.get('k')],
    ['entry', (logs) => logs.entry('k')],
    ['getMany', (logs) => logs.getMany(['k', 'l'])],
    ['has', (logs) => logs.has('k')],
    ['count', (logs) => logs.count()],
    ['scan', (logs) => logs.scan()[Symbol.asyncIterator]().next()],
    ['update', (logs) => logs.update('k', () => 1)],
    ['clear', (logs) => logs.clear()],
    ['collections', (_, storage) => storage.collections()],
    ['a batch that is in part about it', (_, storage) => storage.batch(ofBoth)],
  ])('that lacks a collection never says that there is nothing: %s rejects', async (_, ask) => {
    const story = new FailoverStory(undefined, undefined, { mirror: ['notes'] })
    await story.inner.collection('logs').set('k', 1)
    await story.begin()
    story.faulty.down()
    await expect(ask(story.storage.collection('logs'), story.storage)).rejects.toMatchObject(UNAVAILABLE)
    expect(story.storage.state).toMatchObject({ on: 'fallback', journalLength: 0 })
    expect(await story.notes.has('k')).toBe(false)
  })

  it('has the names of batches also where only some collections are copied', async () => {
    const story = new FailoverStory(undefined, undefined, { mirror: ['notes'] })
    await story.begin()
    const operations = [{ type: 'set', collection: 'notes', key: 'a', value: 1 }] as const
    await story.storage.batch(operations, { once: 'before' })
    story.faulty.down()
    expect((await story.storage.batch(operations, { once: 'before' })).applied).toBe(false)
    expect((await story.storage.batch(operations, { once: 'during' })).applied).toBe(true)
    await story.recover()
    expect((await story.storage.batch(operations, { once: 'during' })).applied).toBe(false)
  })
})

const ofBoth: readonly BatchOperation[] = [
  { type: 'set', collection: 'notes', key: 'k', value: 1 },
  { type: 'set', collection: 'logs', key: 'k', value: 1 },
]
