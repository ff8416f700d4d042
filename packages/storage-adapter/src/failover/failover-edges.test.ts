import fc from 'fast-check'
import { expect, it } from 'vitest'
import { FailoverStory } from '../test-support/failover-story.js'
import type { MemoryStorage } from '../memory-storage.js'

it('replays a batch that takes the primary longer than any other call may take', async () => {
  const story = new FailoverStory()
  await story.begin()
  story.faulty.down()
  const many = Array.from({ length: 1_000 }, (_, i) => [`k${i}`, i] as const)
  await story.notes.setMany(many)
  const inner = story.inner as MemoryStorage
  const batch = inner.batch.bind(inner)
  let attempts = 0
  inner.batch = async (...parameters) => {
    if (parameters[0].length < 1_000) return batch(...parameters)
    attempts++
    await new Promise<void>((resolve) => story.clock.after(15_000, resolve))
    return batch(...parameters)
  }
  story.faulty.up()
  for (let i = 0; i < 300 && story.storage.state.on === 'fallback'; i++) await story.clock.advance(500)
  expect(story.storage.state).toMatchObject({ on: 'primary', conflicts: 0 })
  expect(await story.primaryNotes.count()).toBe(1_000)
  expect(attempts).toBeLessThan(10)
})

it('notices within the deadline of other calls that the primary goes while such a batch is under way', async () => {
  const story = new FailoverStory()
  await story.begin()
  story.faulty.down()
  await story.notes.setMany([
    ['a', 1],
    ['b', 2],
  ])
  const inner = story.inner as MemoryStorage
  const batch = inner.batch.bind(inner)
  let isSlow = true
  inner.batch = (...parameters) =>
    isSlow && parameters[0].length > 2 ? new Promise(() => undefined) : batch(...parameters)
  story.faulty.up()
  // By then a batch may take minutes.
  await story.clock.advance(300_000)
  expect(story.storage.state).toMatchObject({ on: 'fallback', journalLength: 1 })
  story.faulty.hang()
  await story.clock.advance(10_000)
  isSlow = false
  story.thaw()
  await story.clock.advance(20_000)
  expect(story.storage.state).toMatchObject({ on: 'primary', journalLength: 0 })
})

it('clears in an outage what a process that was killed had put there and never noted', async () => {
  const story = new FailoverStory()
  await story.begin()
  await story.notes.set('old', 1)
  // Killed when the primary has the write and the copy does not.
  story.killWhen = 'after'
  story.killAtCall = story.calls + 1
  void story.notes.set('stray', 1)
  await story.clock.advance(0)
  expect(story.isKilled).toBe(true)
  expect(await story.primaryNotes.get('stray')).toBe(1)
  story.faulty.down()
  story.restart('kill')
  await story.begin()
  expect(story.storage.state.on).toBe('fallback')
  await story.notes.clear()
  await story.notes.set('new', 2)
  await story.recover()
  expect(story.storage.state).toMatchObject({ on: 'primary', conflicts: 0 })
  expect(await story.primaryNotes.getMany(['old', 'stray', 'new'])).toEqual(new Map([['new', 2]]))
})

it('clears nothing of others that the copy did not know of', async () => {
  const story = new FailoverStory()
  await story.begin()
  await story.notes.set('old', 1)
  story.restart('kill')
  story.faulty.down()
  await story.begin()
  await story.primaryNotes.set('theirs', 1)
  await story.notes.clear()
  await story.recover()
  expect(await story.primaryNotes.getMany(['old', 'theirs'])).toEqual(new Map([['theirs', 1]]))
})

it('compares ever more seldom while the disk has no room for the copy', async () => {
  const story = new FailoverStory()
  await story.primaryNotes.setMany(Array.from({ length: 600 }, (_, i) => [`k${i}`, i] as const))
  await story.storage.start()
  const files = story.files
  files.failAt = files.steps + 1
  files.failCount = Infinity
  files.failCode = 'ENOSPC'
  await story.clock.advance(1_000)
  expect(story.storage.state.mirror.status).toBe('stale')
  const before = story.calls
  await story.clock.advance(600_000)
  expect(story.calls - before).toBeLessThan(200)
  files.failAt = Infinity
  for (let i = 0; i < 61; i++) await story.clock.advance(1_000)
  expect(story.storage.state.mirror.status).toBe('fresh')
})

it('makes the copy equal, whatever the two have', async () => {
  const keys = fc.uniqueArray(fc.integer({ min: 0, max: 1_500 }), { maxLength: 900 })
  await fc.assert(
    fc.asyncProperty(keys, keys, async (ours, theirs) => {
      const story = new FailoverStory()
      await story.begin()
      await story.notes.setMany(ours.map((key) => [`k${key}`, 'ours'] as const))
      // By its last writes it is seen to be the same primary.
      for (let i = 0; i < 20; i++) await story.notes.set(`~${i}`, 'last')
      await story.storage.stop()
      await story.inner.start()
      for (const key of ours) await story.primaryNotes.delete(`k${key}`)
      await story.primaryNotes.setMany(theirs.map((key) => [`k${key}`, 'theirs'] as const))
      await story.begin()
      for (let i = 0; i < 100 && story.storage.state.mirror.status === 'copying'; i++) await story.clock.advance(10)
      expect(story.storage.state.mirror.status).toBe('fresh')
      story.faulty.down()
      const found: string[] = []
      for await (const { key, value } of story.notes.scan()) found.push(`${key} ${String(value)}`)
      const expected: string[] = []
      for await (const { key, value } of story.primaryNotes.scan()) expected.push(`${key} ${String(value)}`)
      expect(found).toEqual(expected)
    }),
    { numRuns: 15 },
  )
})

it.each(['one', 'many'] as const)(
  "shows what was merged, also when the answer of that replay was lost, with writers: '%s'",
  async (writers) => {
    const merge = {
      notes: (base: unknown, mine: unknown, theirs: unknown) => Number(theirs) + Number(mine) - Number(base),
    }
    const story = new FailoverStory(undefined, undefined, { writers, merge })
    await story.primaryNotes.set('n', 10)
    await story.begin()
    story.faulty.down()
    await story.notes.set('n', 11)
    await story.primaryNotes.set('n', 15)
    const inner = story.inner as MemoryStorage
    const batch = inner.batch.bind(inner)
    inner.batch = async (...parameters) => {
      const receipt = await batch(...parameters)
      if (!parameters[0].some(({ collection }) => collection === 'notes')) return receipt
      inner.batch = batch
      throw Object.assign(new Error('reset'), { code: 'ECONNRESET' })
    }
    story.storage.once('replayed', () => story.faulty.down())
    await story.recover()
    expect(await story.notes.get('n')).toBe(16)
    await story.notes.set('n', 100)
    await story.recover()
    expect(await story.primaryNotes.get('n')).toBe(100)
  },
)
