import assert from 'node:assert/strict'
import type { Clock } from '../ports.js'
import type { Collection, KeyedEntry, Notice, Storage } from '../storage.js'
import { holdProcess, systemClock } from '../system-clock.js'

/** Handed on from here, since a bundler keeps an import of Node for each file that has one. */
export { assert }

/** Declares a test of a new storage, on a clock of its own. */
export type Declare = (name: string, body: (storage: Storage, clock: MovableClock) => Promise<void>) => void

/** Makes a storage. */
export type Make = (clock: Clock) => Storage | Promise<Storage>

/** The time of the machine, and as much later as a test wants. */
export class MovableClock implements Clock {
  #skippedMs = 0
  readonly #startAt = Math.floor(systemClock.now())

  now(): number {
    return this.#startAt + this.#skippedMs
  }

  monotonic(): number {
    return systemClock.monotonic()
  }

  after(delayMs: number, run: () => void): () => void {
    return systemClock.after(delayMs, run)
  }

  skip(ms: number): void {
    this.#skippedMs += ms
  }
}

/** How long a test waits for a notice, in milliseconds. */
const NOTICE_MS = 10_000

/** A watch whose notices are awaited one by one, each with a deadline. */
export class Watched<T> {
  readonly #notices: AsyncIterator<Notice<T>, unknown, undefined>

  constructor(watch: AsyncIterable<Notice<T>>) {
    this.#notices = watch[Symbol.asyncIterator]() as AsyncIterator<Notice<T>, unknown, undefined>
  }

  async next(): Promise<Notice<T>> {
    const { done, value } = await this.#within('no notice came')
    assert.notEqual(done, true)
    return value as Notice<T>
  }

  async isDone(): Promise<boolean> {
    return (await this.#within('the watch did not end')).done === true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#notices.return?.()
  }

  async #within(failure: string): Promise<IteratorResult<Notice<T>, unknown>> {
    let cancel = (): void => undefined
    const late = new Promise<never>((_, reject) => {
      cancel = systemClock.after(NOTICE_MS, () => reject(new Error(`${failure} within ${NOTICE_MS} ms`)))
    })
    // A watch alone keeps no process alive, and a test runner may have nothing else to do.
    const letGo = holdProcess()
    try {
      return await Promise.race([this.#notices.next(), late])
    } finally {
      cancel()
      letGo()
    }
  }
}

/** All that a scan gives. */
export async function collect<T>(
  collection: Collection<T>,
  options?: Parameters<Collection<T>['scan']>[0],
): Promise<KeyedEntry<T>[]> {
  const entries: KeyedEntry<T>[] = []
  for await (const entry of collection.scan(options)) entries.push(entry)
  return entries
}

/** Expects a rejection by this code, of something that took no effect. */
export async function rejects(promise: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(promise, (error: { code?: string; applied?: string }) => {
    assert.equal(error.code, code)
    assert.equal(error.applied, 'no')
    return true
  })
}
