import { EventEmitter } from 'eventemitter3'
import { BackendCollection } from './backend-collection.js'
import type { Backend } from './backend.js'
import { ConflictError, UnavailableError } from './errors.js'
import { announcer, type StorageEvents } from './events.js'
import { KeyQueue } from './key-queue.js'
import { ONCE_COLLECTION, onceMutation, toMutation } from './mutations.js'
import type { Clock } from './ports.js'
import type {
  BatchOperation,
  BatchOptions,
  BatchReceipt,
  Collection,
  HealthOptions,
  Scope,
  Storage,
  StorageHealth,
} from './storage.js'
import { systemClock } from './system-clock.js'
import { VersionSource } from './versions.js'

/** What every storage may be given. */
export interface BackendStorageOptions {
  /** The time by which records expire; for tests. */
  readonly clock?: Clock | undefined
}

/**
 * A storage over a {@link Backend}: everything that is the same for all of them. Extend it to write your own.
 *
 * @typeParam Events - the events of the storage
 */
export class BackendStorage<Events extends StorageEvents = StorageEvents>
  extends EventEmitter<Events>
  implements Storage
{
  readonly scope: Scope
  readonly #backend: Backend<Events>
  readonly #clock: Clock
  readonly #updates = new KeyQueue()
  readonly #versions = new VersionSource()
  #opening: Promise<Backend<Events>> | undefined
  #stopping: Promise<void> | undefined
  #isStopped = false

  /**
   * @param backend - where the records are kept
   * @param options - the clock
   */
  constructor(backend: Backend<Events>, { clock = systemClock }: BackendStorageOptions = {}) {
    super()
    this.scope = backend.scope
    this.#backend = backend
    this.#clock = clock
  }

  collection<T = unknown>(name: string): Collection<T> {
    return new BackendCollection<T>(name, {
      clock: this.#clock,
      scope: this.scope,
      updates: this.#updates,
      open: () => this.opened(),
      batch: (operations) => this.batch(operations),
    })
  }

  async collections(): Promise<string[]> {
    const backend = await this.opened()
    const names = await backend.collections(this.#clock.now())
    return names.filter((name) => !name.startsWith('$'))
  }

  async batch(operations: readonly BatchOperation[], { once }: BatchOptions = {}): Promise<BatchReceipt> {
    const now = this.#clock.now()
    const mutations = operations.map((operation) => toMutation(operation, () => this.#versions.next(), now))
    const versions = mutations.map((mutation) => ('version' in mutation ? mutation.version : (mutation.expected ?? '')))
    if (once !== undefined) mutations.unshift(onceMutation(once, this.#versions.next(), now))
    const backend = await this.opened()
    if (mutations.length === 0) return { applied: true, kept: 'primary', versions }
    try {
      return { applied: true, kept: await backend.commit(mutations, now), versions }
    } catch (error) {
      const isRepeated = error instanceof ConflictError && error.collection === ONCE_COLLECTION && error.key === once
      if (!isRepeated) throw error
      return { applied: false, kept: 'primary', versions: [] }
    }
  }

  async health({ signal }: HealthOptions = {}): Promise<StorageHealth> {
    signal?.throwIfAborted()
    const backend = await this.opened()
    return backend.health(signal)
  }

  async start(): Promise<void> {
    await this.#stopping
    this.#isStopped = false
    await this.opened()
  }

  stop(): Promise<void> {
    this.#isStopped = true
    this.#stopping ??= this.#close().finally(() => (this.#stopping = undefined))
    return this.#stopping
  }

  /** The same as `stop`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** The backend, open. */
  protected async opened(): Promise<Backend<Events>> {
    if (this.#isStopped) throw new UnavailableError('The storage is stopped; call start() before you use it again')
    this.#opening ??= this.#backend.open(announcer(this, this.#clock), this.#versions.origin).then(
      () => this.#backend,
      (error: unknown) => {
        // The next use tries again: the reason may have gone.
        this.#opening = undefined
        throw error
      },
    )
    return this.#opening
  }

  async #close(): Promise<void> {
    const opening = this.#opening
    this.#opening = undefined
    if (opening === undefined) return
    await opening.catch(() => undefined)
    await this.#backend.close()
  }
}
