import { FakeClock } from '@evenkeel/testing'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { FailoverStorageOptions } from './failover-options.js'
import { MemoryStorage } from '../memory-storage.js'
import type { BatchOperation, Kept } from '../storage.js'
import { FailoverStory } from '../test-support/failover-story.js'

type Name = 'a' | 'b'

/** A write, and what its writer was told. */
interface Attempt {
  readonly by: Name
  /** `undefined` for a clear. */
  readonly key: string | undefined
  /** As no other write has it; `undefined` for a removal. */
  readonly value: string | undefined
  told: 'primary' | 'journal' | 'no' | 'nothing'
  /** How much the primary had taken when it was told. */
  toldAfter: number
}

/** Two processes with a fail-over each, on one primary that notes whatever it takes. */
class Rivals {
  readonly clock = new FakeClock()
  readonly inner = new MemoryStorage({ clock: this.clock })
  /** What the primary took, in order. */
  readonly taken: BatchOperation[] = []
  readonly attempts: Attempt[] = []
  readonly stories: Readonly<Record<Name, FailoverStory>>

  /** At the next replay the answer is lost. */
  losesReplay = false

  constructor(options: Partial<FailoverStorageOptions> = {}) {
    const batch = this.inner.batch.bind(this.inner)
    this.inner.batch = async (...parameters) => {
      const receipt = await batch(...parameters)
      const taken = parameters[0].filter((operation) => operation.collection === 'notes')
      this.taken.push(...taken)
      const isReplay = parameters[0].length > taken.length && parameters[0][0]?.type === 'set'
      if (!this.losesReplay || !isReplay || taken.length === 0) return receipt
      this.losesReplay = false
      throw reset()
    }
    const both = { writers: 'many', mirrorIntervalMs: 1_000, ...options } as const
    this.stories = {
      a: new FailoverStory(this.inner, this.clock, both),
      b: new FailoverStory(this.inner, this.clock, both),
    }
  }

  async begin(): Promise<void> {
    for (const story of Object.values(this.stories)) await story.begin()
  }

  async set(by: Name, key: string): Promise<void> {
    const value = `${by}${this.attempts.length}`
    await this.#note({ by, key, value, told: 'nothing', toldAfter: 0 }, this.stories[by].notes.set(key, value))
  }

  /** @param key - without it, everything is removed */
  async remove(by: Name, key?: string): Promise<void> {
    const { notes } = this.stories[by]
    const attempt: Attempt = { by, key, value: undefined, told: 'nothing', toldAfter: 0 }
    await this.#note(attempt, key === undefined ? notes.clear() : notes.delete(key))
  }

  async #note(attempt: Attempt, write: Promise<{ readonly kept: Kept }>): Promise<void> {
    const story = this.stories[attempt.by]
    const { storage } = story
    this.attempts.push(attempt)
    const hear = (told: Attempt['told']): void => {
      if (story.isKilled || story.storage !== storage) return
      attempt.told = told
      attempt.toldAfter = this.taken.length
    }
    write.then(
      ({ kept }) => hear(kept === 'journal' ? 'journal' : 'primary'),
      ({ applied }: { applied?: string }) => applied === 'no' && hear('no'),
    )
    await this.clock.advance(0)
  }

  /** The places in what the primary took where it took this value. */
  places(value: string | undefined): number[] {
    return this.taken.flatMap((operation, i) => (operation.type === 'set' && operation.value === value ? [i] : []))
  }

  async end(): Promise<void> {
    for (const story of Object.values(this.stories)) {
      story.faulty.up()
      await story.storage.start()
    }
    for (let i = 0; i < 3; i++) await this.clock.advance(20_000)
  }
}

/** What each writer was told is true, and nobody was overwritten unseen. */
async function expectNothingLost(rivals: Rivals): Promise<void> {
  const { attempts, taken, stories } = rivals
  const kept = new Map<Name, Set<unknown>>()
  for (const [name, { storage }] of Object.entries(stories)) {
    expect(storage.state, name).toMatchObject({ on: 'primary', journalLength: 0, diverged: undefined })
    const conflicts = (await storage.conflicts()).flatMap(({ changes }) => changes)
    kept.set(name as Name, new Set(conflicts.map((change) => (change.type === 'set' ? change.value : undefined))))
  }
  const sets = attempts.filter(({ value }) => value !== undefined)
  for (const attempt of sets) {
    const { by, key, value, told, toldAfter } = attempt
    const places = rivals.places(value)
    const isLast = attempts.findLast((each) => each.by === by && (each.key ?? key) === key) === attempt
    const isKept = kept.get(by)?.has(value) === true
    if (told === 'no') expect(places, `${value} was refused`).toEqual([])
    if (told === 'primary') expect(places, `${value} was acknowledged`).toHaveLength(1)
    if (told !== 'journal') continue
    if (isLast) expect(places.length === 1 || isKept, `${value} was journaled`).toBe(true)
    const place = places[0] ?? toldAfter
    const before = taken.slice(toldAfter, place).findLast((each) => !('key' in each) || each.key === key)
    if (before?.type === 'set') expect(String(before.value), `${value} came over it`).toMatch(new RegExp(`^${by}`))
  }
  const there = await rivals.inner.collection('notes').getMany(['x', 'y', 'z'])
  for (const [name, story] of Object.entries(stories)) {
    story.faulty.down()
    expect(await story.notes.getMany(['x', 'y', 'z']), `the copy of ${name}`).toEqual(there)
  }
}

it('is true to two writers in any history of their writes, outages, lost answers and kills', async () => {
  const by = fc.constantFrom<Name>('a', 'b')
  const write = fc.record({ do: fc.constantFrom('set', 'set', 'delete'), by, key: fc.constantFrom('x', 'y', 'z') })
  const event = fc.record({
    do: fc.constantFrom('clear', 'down', 'down', 'up', 'wait', 'wait long', 'lose an answer', 'kill', 'power cut'),
    by,
    key: fc.constant(''),
  })
  const step = fc.oneof({ weight: 2, arbitrary: write }, { weight: 1, arbitrary: event })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (history) => {
      const rivals = new Rivals()
      await rivals.begin()
      for (const { do: what, by, key } of history) {
        const story = rivals.stories[by]
        if (what === 'set') await rivals.set(by, key)
        else if (what === 'delete') await rivals.remove(by, key)
        else if (what === 'clear') await rivals.remove(by)
        else if (what === 'down') story.faulty.down()
        else if (what === 'up') story.faulty.up()
        else if (what === 'wait') await rivals.clock.advance(700)
        else if (what === 'wait long') await rivals.clock.advance(15_000)
        else if (what === 'kill' || what === 'power cut') story.restart(what)
        else story.faulty.failNext(1, reset(), { when: 'after' })
      }
      await rivals.end()
      await expectNothingLost(rivals)
    }),
    { numRuns: 150 },
  )
}, 60_000)

/** Adds one, in an outage upon what the copy says, which a merge puts right later. */
async function addOne({ notes }: FailoverStory): Promise<void> {
  try {
    await notes.update('count', (count) => Number(count) + 1, { initial: 0 })
  } catch (error) {
    expect(error).toMatchObject({ code: 'STORAGE_UNAVAILABLE', applied: 'no' })
    const { kept } = await notes.set('count', Number((await notes.get('count')) ?? 0) + 1)
    expect(kept).toBe('journal')
  }
}

it('adds up what two writers add, with a merge that does, in any history of outages, kills and lost replays', async () => {
  const step = fc.record({
    do: fc.constantFrom('add', 'add', 'add', 'down', 'up', 'wait', 'wait long', 'kill', 'lose a replay'),
    by: fc.constantFrom<Name>('a', 'b'),
  })
  const add = (base: unknown, mine: unknown, theirs: unknown): number =>
    Number(theirs ?? 0) + Number(mine ?? 0) - Number(base ?? 0)
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (history) => {
      const rivals = new Rivals({ merge: { notes: add } })
      await rivals.begin()
      let sum = 0
      for (const { do: what, by } of history) {
        const story = rivals.stories[by]
        if (what === 'add') void addOne(story).then(() => sum++)
        else if (what === 'down') story.faulty.down()
        else if (what === 'up') story.faulty.up()
        else if (what === 'wait') await rivals.clock.advance(700)
        else if (what === 'wait long') await rivals.clock.advance(15_000)
        else if (what === 'lose a replay') rivals.losesReplay = true
        else {
          story.restart('kill')
          await story.storage.start()
        }
        await rivals.clock.advance(0)
      }
      await rivals.end()
      expect(sum).toBe(history.filter(({ do: what }) => what === 'add').length)
      for (const { storage } of Object.values(rivals.stories)) {
        expect(storage.state).toMatchObject({ on: 'primary', journalLength: 0, conflicts: 0, diverged: undefined })
      }
      expect((await rivals.inner.collection('notes').get('count')) ?? 0).toBe(sum)
    }),
    { numRuns: 100 },
  )
}, 60_000)

function reset(): Error {
  return Object.assign(new Error('reset'), { code: 'ECONNRESET' })
}
