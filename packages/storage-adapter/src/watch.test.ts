import { FakeClock } from '@evenkeel/testing'
import { describe, expect, it } from 'vitest'
import type { Backend, ChangeLog, StoredRecord } from './backend.js'
import { BackendStorage } from './backend-storage.js'
import { MemoryStorage } from './memory-storage.js'
import { RecentChanges } from './recent-changes.js'
import type { ChangePage, Notice } from './storage.js'

/** A shared backend whose log can be out of reach, and whose hints can be lost. */
class Shared implements Backend {
  readonly scope = 'cluster'
  readonly #changes = new RecentChanges()
  readonly #records = new Map<string, StoredRecord>()
  readonly log: ChangeLog
  isDown = false
  losesHints = false
  looks = 0

  constructor() {
    this.log = {
      changes: async (cursor, limit): Promise<ChangePage> => {
        this.looks++
        this.#requireUp()
        return this.#changes.changes(cursor, limit)
      },
      onHint: (wake) => this.#changes.onHint(() => !this.losesHints && wake()),
    }
  }

  async open(): Promise<void> {}
  async close(): Promise<void> {}
  async read(_: string, keys: readonly string[]): Promise<(StoredRecord | undefined)[]> {
    this.#requireUp()
    return keys.map((key) => this.#records.get(key))
  }
  async page(): Promise<[]> {
    return []
  }
  async count(): Promise<number> {
    return 0
  }
  async collections(): Promise<[]> {
    return []
  }
  async commit(mutations: Parameters<Backend['commit']>[0]): Promise<'primary'> {
    for (const mutation of mutations) if (mutation.type === 'put') this.#records.set(mutation.key, mutation)
    this.#changes.add(mutations)
    return 'primary'
  }
  async health(): Promise<{ status: 'up'; reason: string }> {
    return { status: 'up', reason: '' }
  }

  #requireUp(): void {
    if (this.isDown) throw new Error('out of reach')
  }
}

async function follow(clock: FakeClock): Promise<{
  shared: Shared
  storage: BackendStorage
  next: () => Promise<IteratorResult<Notice<number>, unknown>>
}> {
  const shared = new Shared()
  const storage = new BackendStorage(shared, { clock })
  const watch = storage.collection<number>('notes').watch()[Symbol.asyncIterator]()
  await watch.next()
  return { shared, storage, next: () => watch.next() }
}

describe('a watch', () => {
  it('rejects when the backend cannot be reached at the beginning', async () => {
    const shared = new Shared()
    shared.isDown = true
    const watch = new BackendStorage(shared).collection('notes').watch()
    await expect(watch[Symbol.asyncIterator]().next()).rejects.toThrow('out of reach')
  })

  it('goes on by itself after the backend was out of reach, and misses nothing', async () => {
    const clock = new FakeClock()
    const { shared, storage, next } = await follow(clock)
    shared.isDown = true
    await storage.collection('notes').set('a', 1)
    const notice = next()
    await clock.advance(5_000)
    expect(shared.looks).toBeGreaterThan(5)
    shared.isDown = false
    await clock.advance(1_000)
    expect((await notice).value).toMatchObject({ type: 'set', key: 'a', value: 1 })
    await storage.stop()
  })

  it('hears of a change whose hint was lost', async () => {
    const clock = new FakeClock()
    const { shared, storage, next } = await follow(clock)
    const notice = next()
    shared.losesHints = true
    await storage.collection('notes').set('a', 1)
    await clock.advance(1_000)
    expect((await notice).value).toMatchObject({ type: 'set', key: 'a' })
    await storage.stop()
  })

  it('looks again when a hint comes while it looks', async () => {
    const clock = new FakeClock()
    const { storage, next } = await follow(clock)
    const notes = storage.collection('notes')
    // Each write wakes the watch, at whatever point it is; no timer fires.
    for (let n = 0; n < 50; n++) {
      const notice = next()
      await notes.set('a', n)
      expect((await notice).value).toMatchObject({ key: 'a', value: n })
    }
    await storage.stop()
  })

  it('keeps no timer and no listener of a signal after it ended', async () => {
    const clock = new FakeClock()
    const storage = new MemoryStorage({ clock })
    const controller = new AbortController()
    const watch = storage.collection('notes').watch({ signal: controller.signal })[Symbol.asyncIterator]()
    await watch.next()
    const pending = watch.next()
    await clock.advance(1)
    await watch.return?.()
    expect((await pending).done).toBe(true)
    expect(clock.pending).toBe(0)
  })

  it('refuses a prefix that no key can have, and a cursor that is none', () => {
    const notes = new MemoryStorage().collection('notes')
    expect(() => notes.watch({ prefix: '\ud800' })).toThrow(TypeError)
    expect(() => notes.watch({ since: 7 as never })).toThrow('since must be the cursor of a notice')
  })
})
