import { FakeClock, FaultyStorage } from '@evenkeel/testing'
import { expect, it } from 'vitest'
import { RefusedError } from '../errors.js'
import { FailoverStorage } from './failover-storage.js'
import { MemoryStorage } from '../memory-storage.js'
import type { Storage } from '../storage.js'
import { backUp } from '../test-support/back-up.js'
import { CrashFiles } from '../test-support/crash-files.js'
import { FailoverStory } from '../test-support/failover-story.js'

const lost = (): Error => Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })

/** A way to a primary that can be exchanged, and never stops it. */
function exchangeable(first: Storage): { storage: Storage; current: Storage } {
  const way = { current: first } as { storage: Storage; current: Storage }
  way.storage = new Proxy({} as Storage, {
    get: (_, name) => {
      if (name === 'stop') return async () => undefined
      const value: unknown = Reflect.get(way.current, name, way.current)
      return typeof value === 'function' ? (value.bind(way.current) as unknown) : value
    },
    has: () => false,
  })
  return way
}

function many(inner: Storage, clock: FakeClock) {
  const way = exchangeable(inner)
  const faulty = new FaultyStorage(way.storage, { clock })
  const storage = new FailoverStorage(
    { primary: faulty.storage, path: '/local', writers: 'many', clock },
    new CrashFiles(),
  )
  return { way, faulty, storage, notes: storage.collection<unknown>('notes') }
}

it('keeps every acknowledged batch when two of a chunk conflict one after the other', async () => {
  const story = new FailoverStory()
  await story.begin()
  story.faulty.down()
  for (const k of ['k1', 'k2', 'k3', 'k4', 'k5', 'k6']) expect((await story.notes.set(k, 'mine')).kept).toBe('journal')
  await story.primaryNotes.set('k6', 'theirs')
  const inner = story.inner as MemoryStorage
  const batch = inner.batch.bind(inner)
  inner.batch = async (...parameters) => {
    try {
      return await batch(...parameters)
    } catch (error) {
      // Somebody else writes just when the first attempt was refused because of k6.
      if ((error as { key?: string }).key === 'k6') {
        inner.batch = batch
        await inner.collection('notes').set('k3', 'theirs')
      }
      throw error
    }
  }
  await story.recover()
  const there = Object.fromEntries(await story.primaryNotes.getMany(['k1', 'k2', 'k3', 'k4', 'k5', 'k6']))
  const kept = (await story.storage.conflicts()).flatMap(({ changes }) => changes.map(({ key }) => key))
  expect({ on: story.storage.state.on, there, kept }).toEqual({
    on: 'primary',
    there: { k1: 'mine', k2: 'mine', k3: 'theirs', k4: 'mine', k5: 'mine', k6: 'theirs' },
    kept: ['k3', 'k6'],
  })
})

it('with many writers notices that a primary came back without an acknowledged write that the log had told', async () => {
  const clock = new FakeClock()
  const inner = new MemoryStorage({ clock })
  await inner.collection('notes').set('old', 0)
  const a = many(inner, clock)
  await a.storage.start()
  await clock.advance(1_000)
  const backup = await backUp(inner, clock)
  expect((await a.notes.set('x', 1)).kept).toBe('primary')
  await clock.advance(1_000)
  a.faulty.down()
  expect(await a.notes.get('x')).toBe(1)
  a.way.current = backup
  a.faulty.up()
  await clock.advance(30_000)
  expect({ ...a.storage.state, x: await a.notes.get('x') }).toMatchObject({
    on: 'fallback',
    diverged: { kind: 'less history' },
    x: 1,
  })
})

it('replays a clear of more records than a batch may have', async () => {
  const story = new FailoverStory()
  await story.begin()
  for (let part = 0; part < 2; part++) {
    await story.notes.setMany(Array.from({ length: 50_001 }, (_, i) => [`${part}:${i}`, 1] as const))
  }
  story.faulty.down()
  expect((await story.notes.clear()).kept).toBe('journal')
  await story.recover()
  await story.clock.advance(120_000)
  expect(story.storage.state).toMatchObject({ on: 'primary', journalLength: 0 })
  expect(await story.primaryNotes.count()).toBe(0)
}, 60_000)

it('sets a batch aside that the primary refuses for good', async () => {
  const story = new FailoverStory()
  await story.begin()
  story.faulty.down()
  await story.notes.set('p', 'poison')
  await story.notes.set('q', 1)
  const inner = story.inner as MemoryStorage
  const batch = inner.batch.bind(inner)
  inner.batch = async (...parameters) => {
    if (parameters[0].some((o) => o.type === 'set' && o.value === 'poison'))
      throw new RefusedError('the server refuses it')
    return batch(...parameters)
  }
  await story.recover()
  await story.clock.advance(3_600_000)
  expect(story.storage.state).toMatchObject({ on: 'primary', journalLength: 0, conflicts: 1 })
  expect(await story.primaryNotes.get('q')).toBe(1)
})

it('clears in an outage what a write of unknown outcome had put there', async () => {
  const story = new FailoverStory()
  await story.begin()
  await story.notes.set('a', 1)
  story.faulty.failNext(1, lost(), { when: 'after' })
  await expect(story.notes.set('x', 1)).rejects.toMatchObject({ applied: 'unknown' })
  story.faulty.down()
  await story.clock.advance(0)
  expect((await story.notes.clear()).kept).toBe('journal')
  expect(await story.notes.count()).toBe(0)
  await story.recover()
  await story.clock.advance(5_000)
  expect(story.storage.state).toMatchObject({ on: 'primary', journalLength: 0, conflicts: 0 })
  expect(await story.notes.get('x')).toBeUndefined()
})

it('with many writers does not bring back what another one deleted, after a write of unknown outcome', async () => {
  const clock = new FakeClock()
  const inner = new MemoryStorage({ clock })
  await inner.collection('notes').set('old', 0)
  const a = many(inner, clock)
  await a.storage.start()
  await clock.advance(1_000)
  a.faulty.failNext(1, lost())
  await expect(a.notes.set('old', 1)).rejects.toMatchObject({ applied: 'unknown' })
  a.faulty.down()
  await clock.advance(0)
  await inner.collection('notes').delete('old')
  expect((await a.notes.set('old', 2)).kept).toBe('journal')
  a.faulty.up()
  await clock.advance(20_000)
  expect(a.storage.state).toMatchObject({ on: 'primary', conflicts: 1 })
  expect(await inner.collection('notes').has('old')).toBe(false)
})

it('loses no acknowledged write after an old line of the local journal was damaged', async () => {
  const story = new FailoverStory()
  await story.begin()
  story.faulty.down()
  await story.notes.set('a', 1)
  await story.recover()
  await story.notes.set('b', 1)
  await story.storage.stop()
  const bytes = Buffer.from(story.files.content('/local/journal.jsonl') as Buffer)
  const at = bytes.indexOf('"set":"sequence"')
  expect(at).toBeGreaterThan(0)
  bytes[at + 7] = (bytes[at + 7] as number) ^ 1
  story.files.plant('/local/journal.jsonl', bytes)
  await expectReplayed(story)
})

it('loses no acknowledged write after the local directory came back from an older copy', async () => {
  const story = new FailoverStory()
  await story.begin()
  await story.storage.stop()
  const saved = new Map(story.files.paths.map((path) => [path, Buffer.from(story.files.content(path) as Buffer)]))
  await story.begin()
  story.faulty.down()
  await story.notes.set('a', 1)
  await story.notes.set('b', 1)
  await story.recover()
  await story.storage.stop()
  for (const [path, bytes] of saved) story.files.plant(path, bytes)
  await expectReplayed(story)
})

it('a fenced writer stays fenced after a short outage of its own', async () => {
  const story = new FailoverStory()
  await story.begin()
  const second = new FailoverStorage(
    { primary: exchangeable(story.inner).storage, path: '/elsewhere', writers: 'one', clock: story.clock },
    new CrashFiles(),
  )
  await second.start()
  await expect(story.notes.set('a', 1)).rejects.toMatchObject({ code: 'STORAGE_FENCED' })
  story.faulty.down()
  await story.notes.get('a')
  await story.recover()
  expect((await second.collection('notes').set('a', 2)).kept).toBe('primary')
})

it('serves no absence from a copy that another writer has made old', async () => {
  const story = new FailoverStory()
  await story.begin()
  await story.storage.stop()
  const second = new FailoverStorage(
    { primary: exchangeable(story.inner).storage, path: '/elsewhere', writers: 'one', clock: story.clock },
    new CrashFiles(),
  )
  await second.collection('notes').set('new', 'a week of work')
  await second.stop()
  await story.storage.start()
  expect(story.storage.state.on).toBe('primary')
  story.faulty.down()
  await expect(story.notes.get('new')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
})

it('returns with a short pause when the end of the journal conflicts', async () => {
  const story = new FailoverStory()
  await story.begin()
  story.faulty.down()
  for (let i = 0; i < 19; i++) await story.notes.set(`k${i}`, 'mine')
  for (let i = 0; i < 19; i++) await story.primaryNotes.set(`k${i}`, 'theirs')
  story.faulty.up()
  story.faulty.delay(1)
  const inner = story.inner as MemoryStorage
  const batch = inner.batch.bind(inner)
  let tookMs: number | undefined
  inner.batch = (...p) =>
    batch(...p).catch((e: Error) => {
      inner.batch = batch
      const from = story.clock.monotonic()
      void story.notes.set('live', 1).then(() => (tookMs = story.clock.monotonic() - from))
      throw e
    })
  for (let i = 0; i < 15_000 && tookMs === undefined; i++) await story.clock.advance(1)
  expect(tookMs).toBeLessThan(10)
})

it('tells a conflict in a message that a chat can take', async () => {
  const story = new FailoverStory()
  await story.begin()
  await story.notes.setMany(Array.from({ length: 5_000 }, (_, i) => [`a key of some length ${i}`, 1] as const))
  story.faulty.down()
  await story.notes.clear()
  await story.primaryNotes.set('a key of some length 7', 'theirs')
  let length = 0
  story.storage.on('conflict', ({ message }) => (length = message.length))
  await story.recover()
  expect(length).toBeGreaterThan(0)
  expect(length).toBeLessThan(2_000)
})

/** What is written in the outage of a new process arrives. */
async function expectReplayed(story: FailoverStory): Promise<void> {
  story.restart('kill')
  await story.begin()
  story.faulty.down()
  expect((await story.notes.set('c', 'acknowledged')).kept).toBe('journal')
  await story.recover()
  expect(story.storage.state).toMatchObject({ on: 'primary', conflicts: 0 })
  expect(await story.primaryNotes.get('c')).toBe('acknowledged')
}
