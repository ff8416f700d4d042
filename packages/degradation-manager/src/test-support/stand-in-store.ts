import { memoryState } from '../state/memory-state.js'
import type { StateStore, StoredValue, StoredVersion } from '../ports.js'

/** A store that the test breaks: refuses, hangs, loses answers, forgets. */
export class StandInStore implements StateStore {
  readonly scope = 'cluster'
  inner: StateStore = memoryState()
  calls = 0
  fault: 'none' | 'refused' | 'hung' | 'answer lost' = 'none'

  entry(key: string): Promise<StoredValue | undefined> {
    return this.#call(() => this.inner.entry(key))
  }

  compareAndSet(key: string, expected: string | undefined, value: unknown): Promise<StoredVersion | undefined> {
    return this.#call(() => this.inner.compareAndSet(key, expected, value))
  }

  forget(): void {
    this.inner = memoryState()
  }

  async put(key: string, value: unknown): Promise<void> {
    const version = (await this.inner.entry(key))?.version
    await this.inner.compareAndSet(key, version, value)
  }

  async #call<T>(run: () => Promise<T>): Promise<T> {
    this.calls += 1
    if (this.fault === 'refused') throw new Error('connect ECONNREFUSED')
    if (this.fault === 'hung') return new Promise<T>(() => undefined)
    const result = await run()
    if (this.fault === 'answer lost') throw new Error('read ECONNRESET')
    return result
  }
}
