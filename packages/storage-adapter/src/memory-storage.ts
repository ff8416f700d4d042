import { BackendStorage, type BackendStorageOptions } from './backend-storage.js'
import type { Backend, KeyedRecord, Mutation, Range, StoredRecord } from './backend.js'
import { checkOptions } from './options.js'
import type { Kept, Scope, StorageHealth } from './storage.js'
import { judge, Tables } from './tables.js'

/** The options of a {@link MemoryStorage}. */
export type MemoryStorageOptions = BackendStorageOptions

/**
 * Keeps records in memory: for tests, and for what may be gone after a restart.
 *
 * @example
 * ```ts
 * import { MemoryStorage } from '@evenkeel/storage-adapter'
 *
 * const notes = new MemoryStorage().collection<string>('notes')
 * await notes.set('7:1', 'tea')
 * console.log(await notes.get('7:1')) // => tea
 * ```
 */
export class MemoryStorage extends BackendStorage {
  /** @param options - the clock */
  constructor(options: MemoryStorageOptions = {}) {
    checkOptions('MemoryStorage', options, ['clock'])
    super(new MemoryBackend(), options)
  }
}

/** Records stay when it is stopped and started, until the object is gone. */
class MemoryBackend implements Backend {
  readonly scope: Scope = 'process'
  readonly #tables = new Tables()

  async open(): Promise<void> {}

  async close(): Promise<void> {}

  async read(collection: string, keys: readonly string[], now: number): Promise<(StoredRecord | undefined)[]> {
    return this.#tables.read(collection, keys, now)
  }

  async page(collection: string, range: Range, now: number): Promise<KeyedRecord[]> {
    return this.#tables.page(collection, range, now)
  }

  async count(collection: string, prefix: string, now: number): Promise<number> {
    return this.#tables.count(collection, prefix, now)
  }

  async collections(now: number): Promise<string[]> {
    return this.#tables.collections(now)
  }

  async commit(mutations: readonly Mutation[], now: number): Promise<Kept> {
    judge(mutations, this.#tables, now)
    for (const mutation of mutations) this.#tables.apply(mutation)
    this.#tables.sweep(now)
    return 'primary'
  }

  async health(): Promise<StorageHealth> {
    return { status: 'up', reason: 'Memory is always there.' }
  }
}
