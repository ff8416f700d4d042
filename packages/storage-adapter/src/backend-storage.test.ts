import { expect, it } from 'vitest'
import type { Backend, Mutation } from './backend.js'
import { BackendStorage } from './backend-storage.js'
import type { BatchOperation } from './storage.js'

/** A backend that notes what is asked of it, and opens when it is told to. */
class StubBackend implements Backend {
  readonly scope = 'process'
  readonly calls: string[] = []
  readonly commits: (readonly Mutation[])[] = []
  opening: Promise<void> = Promise.resolve()

  async open(): Promise<void> {
    this.calls.push('open')
    await this.opening
  }
  async close(): Promise<void> {
    this.calls.push('close')
  }
  async read(): Promise<[]> {
    return []
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
  async commit(mutations: readonly Mutation[]): Promise<'primary'> {
    this.commits.push(mutations)
    return 'primary'
  }
  async health(): Promise<{ status: 'up'; reason: string }> {
    return { status: 'up', reason: 'It answers.' }
  }
}

it('is stopped when stop() was called last, although start() waited for the stop() before', async () => {
  const backend = new StubBackend()
  const storage = new BackendStorage(backend)
  await storage.start()
  const first = storage.stop()
  const starting = storage.start()
  const second = storage.stop()
  await expect(starting).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  await Promise.all([first, second])
  await expect(storage.collection('notes').get('a')).rejects.toThrow(/is stopped/)
  expect(backend.calls).toEqual(['open', 'close'])
})

it('is open when start() was called last', async () => {
  const backend = new StubBackend()
  const storage = new BackendStorage(backend)
  await storage.start()
  void storage.stop()
  await storage.start()
  expect(await storage.collection('notes').get('a')).toBeUndefined()
  expect(backend.calls).toEqual(['open', 'close', 'open'])
})

it('lets go of a look at its health when the signal aborts, also while it opens', async () => {
  const backend = new StubBackend()
  backend.opening = new Promise(() => undefined)
  const controller = new AbortController()
  const health = new BackendStorage(backend).health({ signal: controller.signal })
  controller.abort(new Error('no longer wanted'))
  await expect(health).rejects.toThrow('no longer wanted')
})

it('does not count what a fail-over adds to a batch of the largest size', async () => {
  const backend = new StubBackend()
  const storage = new BackendStorage(backend)
  const largest = Array.from({ length: 100_000 }, (): BatchOperation => ({ type: 'clear', collection: 'notes' }))
  const mark: BatchOperation = { type: 'set', collection: '$failover', key: 'mark', value: 1 }
  await storage.batch([mark, ...largest])
  // What it replays may be more, as one `clear` has become a removal of each record.
  await storage.batch([mark, ...largest, ...largest])
  expect(backend.commits.map(({ length }) => length)).toEqual([100_001, 200_001])
  await expect(storage.batch([...largest, largest[0] as BatchOperation])).rejects.toThrow(RangeError)
  expect(backend.commits.length).toBe(2)
})
