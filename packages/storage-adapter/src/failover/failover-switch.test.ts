import { beforeEach, describe, expect, it } from 'vitest'
import {
  BusyError,
  ConflictError,
  CorruptError,
  RefusedError,
  StorageTimeoutError,
  UnavailableError,
} from '../errors.js'
import type { FailoverState } from './failover-state.js'
import type { MemoryStorage } from '../memory-storage.js'
import { FailoverStory } from '../test-support/failover-story.js'

const STAYED = { on: 'primary', failovers: 0, journalLength: 0 } satisfies Partial<FailoverState>
const LEFT = { on: 'fallback', failovers: 1 } satisfies Partial<FailoverState>

function withCode(code: string): Error {
  return Object.assign(new Error(`${code} (injected)`), { code })
}

describe.each(['one', 'many'] as const)("FailoverStorage with writers: '%s'", (writers) => {
  let story: FailoverStory

  beforeEach(async () => {
    story = new FailoverStory(undefined, undefined, { writers })
    await story.inner.collection('notes').set('old', 'from before')
    await story.begin()
  })

  describe('leaves at once', () => {
    it.each<[string, Error]>([
      ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'].map((code): [string, Error] => [
        code,
        withCode(code),
      ]),
      ['a storage that is unavailable', new UnavailableError('the pool has ended')],
      ['a damaged file', new CorruptError('/data/bot.db', 'is no database')],
    ])('when it is refused by %s, and journals the write', async (_, error) => {
      story.faulty.failAlways(error)
      expect((await story.notes.set('old', 1)).kept).toBe('journal')
      expect(story.storage.state).toMatchObject({ ...LEFT, journalLength: 1 })
    })

    it.each(['ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT'])(
      'when a connection breaks with %s, and says that the outcome is unknown',
      async (code) => {
        story.faulty.failNext(1, withCode(code))
        await expect(story.notes.set('old', 1)).rejects.toMatchObject({ applied: 'unknown' })
        await story.clock.advance(0)
        expect(story.storage.state).toMatchObject({ ...LEFT, journalLength: 0 })
      },
    )

    it.each(['ECONNREFUSED', 'ECONNRESET'])('when a read meets %s, which the copy then serves', async (code) => {
      story.faulty.failNext(1, withCode(code))
      expect(await story.notes.get('old')).toBe('from before')
      expect(story.storage.state).toMatchObject(LEFT)
    })
  })

  describe('never leaves', () => {
    it.each<[string, Error]>([
      ['contention', new BusyError('/data/bot.db', 5_000)],
      ['what the primary refuses for good', new RefusedError('the value is too large')],
      ['a condition that does not hold', new ConflictError('notes', 'old', undefined, 'v.1')],
      ['a deadline of the primary itself', new StorageTimeoutError(5_000, 'unknown')],
      ['bad input', new TypeError('value.at is a Date')],
      ['a number out of range', new RangeError('limit must be at least 1')],
      ['an error that it does not know', new Error('something else')],
    ])('because of %s, however often', async (_, error) => {
      for (let i = 0; i < 20; i++) {
        story.faulty.failNext(1, error)
        await expect(story.notes.set('old', i)).rejects.toThrow(error.message)
        story.faulty.failNext(1, error)
        await expect(story.notes.delete('old')).rejects.toThrow(error.message)
        story.faulty.failNext(1, error)
        await expect(story.notes.clear()).rejects.toThrow(error.message)
        story.faulty.failNext(1, error)
        await expect(story.notes.get('old')).rejects.toThrow(error.message)
        await story.clock.advance(500)
      }
      expect(story.storage.state).toMatchObject(STAYED)
      await story.clock.advance(120_000)
      expect(story.storage.state).toMatchObject({ ...STAYED, mirror: { status: 'fresh' } })
      expect(await story.notes.get('old')).toBe('from before')
      story.faulty.down()
      expect(await story.notes.get('old')).toBe('from before')
    })

    it.each(['read', 'write'])('because a %s is not answered in time, while a probe is', async (kind) => {
      let probedAtMs: number | undefined
      const { inner, clock } = story
      const health = inner.health.bind(inner)
      inner.health = (...parameters) => {
        probedAtMs ??= clock.monotonic()
        return health(...parameters)
      }
      const resume = stick(inner as MemoryStorage)
      const begunAtMs = clock.monotonic()
      for (let i = 0; i < 5; i++) {
        const call = kind === 'read' ? story.notes.get('old') : story.notes.set('old', 1)
        const outcome = expect(call).rejects.toMatchObject({ code: 'STORAGE_TIMEOUT', timeoutMs: 1_000 })
        // A write also waits while an earlier one, whose outcome is not known, is looked after.
        await clock.advance(kind === 'read' ? 1_000 : 2_000)
        await outcome
      }
      expect((probedAtMs ?? 0) - begunAtMs).toBe(500)
      resume()
      await clock.advance(10_000)
      expect(story.storage.state).toMatchObject(STAYED)
      expect((await story.notes.set('old', 2)).kept).toBe('primary')
    })

    it('because a probe meets contention', async () => {
      const resume = stick(story.inner as MemoryStorage)
      const health = story.inner.health.bind(story.inner)
      story.inner.health = async () => {
        throw new BusyError('/data/bot.db', 500)
      }
      const outcome = expect(story.notes.get('old')).rejects.toMatchObject({ code: 'STORAGE_TIMEOUT' })
      await story.clock.advance(1_000)
      await outcome
      story.inner.health = health
      resume()
      expect(story.storage.state).toMatchObject(STAYED)
    })
  })

  describe('on the way back', () => {
    it('takes contention for neither steadiness nor a conflict', async () => {
      story.faulty.down()
      await story.notes.set('a', 1)
      const batch = story.inner.batch.bind(story.inner)
      let refusals = 0
      story.inner.batch = async (...parameters) => {
        if (!parameters[0].some(({ collection }) => collection === 'notes') || refusals >= 5)
          return batch(...parameters)
        refusals++
        throw new BusyError('/data/bot.db', 5_000)
      }
      const health = story.inner.health.bind(story.inner)
      story.inner.health = async () => {
        throw new BusyError('/data/bot.db', 5_000)
      }
      await story.recover()
      expect(story.storage.state).toMatchObject({ on: 'fallback', journalLength: 1 })
      expect(refusals).toBe(0)
      story.inner.health = health
      await story.clock.advance(60_000)
      expect(refusals).toBe(5)
      expect(story.storage.state).toMatchObject({ on: 'primary', journalLength: 0, conflicts: 0 })
      expect(await story.primaryNotes.get('a')).toBe(1)
    })

    it.each([37, 50, 100, 125, 333, 4_500])(
      'switches at most once per cool-down while the primary comes or goes every %i ms',
      async (everyMs) => {
        const switches = { primary: [] as number[], fallback: [] as number[] }
        story.storage.on('change', ({ what, to }) => {
          if (what === 'storage') switches[to as 'primary' | 'fallback'].push(story.clock.monotonic())
        })
        const { length } = Array.from({ length: Math.ceil(60_000 / everyMs) })
        for (let i = 0; i < length; i++) {
          if (i % 2 === 0) story.faulty.down()
          else story.faulty.up()
          await story.notes.set('a', i)
          await story.clock.advance(everyMs)
        }
        expect(switches.fallback.length).toBeGreaterThan(0)
        for (const times of Object.values(switches)) {
          const pauses = times.slice(1).map((time, i) => time - (times[i] as number))
          expect(Math.min(...pauses, Infinity)).toBeGreaterThanOrEqual(10_000)
        }
        await story.recover()
        expect(await story.primaryNotes.get('a')).toBe(length - 1)
        expect(story.storage.state).toMatchObject({ on: 'primary', conflicts: 0 })
      },
    )
  })
})

/** Reads and writes get stuck, while the storage is well otherwise. */
function stick(inner: MemoryStorage): () => void {
  const batch = inner.batch.bind(inner)
  const collection = inner.collection.bind(inner)
  const never = (): Promise<never> => new Promise(() => undefined)
  inner.batch = never
  inner.collection = ((name: string) =>
    new Proxy(collection(name), {
      get: (target, key) => (key === 'get' || key === 'entry' ? never : (Reflect.get(target, key, target) as unknown)),
    })) as never
  return () => Object.assign(inner, { batch, collection })
}
