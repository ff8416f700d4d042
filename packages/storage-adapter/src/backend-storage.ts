import { EventEmitter } from 'eventemitter3'
import { BackendCollection } from './backend-collection.js'
import type { Backend, ChangeLog } from './backend.js'
import { ConflictError, UnavailableError } from './errors.js'
import { announcer, type StorageEvents } from './events.js'
import { KeyQueue } from './key-queue.js'
import { lookForDamage } from './look-for-damage.js'
import { Meter } from './meter.js'
import { FAILOVER_COLLECTION, ONCE_COLLECTION, onceMutation, toMutation } from './mutations.js'
import type { Clock } from './ports.js'
import { RecentChanges } from './recent-changes.js'
import type {
  BatchOperation,
  BatchOptions,
  BatchReceipt,
  ChangePage,
  ChangesOptions,
  CheckReport,
  Collection,
  HealthOptions,
  OperationKind,
  Scope,
  Storage,
  StorageHealth,
  StorageMetrics,
} from './storage.js'
import { systemClock } from './system-clock.js'
import { VersionSource } from './versions.js'

/** How many changes are read at once, unless told otherwise. */
const CHANGES_LIMIT = 500

/** How many changes may be asked for at once: they are held in memory together. */
const MAX_CHANGES = 10_000

/** How many operations a batch may have on every backend. */
const MAX_OPERATIONS = 100_000

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
  readonly #mint = (): string => this.#versions.next()
  readonly #meter = new Meter()
  /** Kept here for a backend that has none: then all writes come through here. */
  readonly #recent: RecentChanges | undefined
  readonly #log: ChangeLog
  #life = new AbortController()
  /** The backend while it is open: what is asked most must not wait to learn that. */
  #ready: Backend<Events> | undefined
  #opening: Promise<Backend<Events>> | undefined
  #stopping: Promise<void> | undefined
  #isStopped = false
  /** How often start() and stop() were called: the last call counts. */
  #calls = 0

  /**
   * @param backend - where the records are kept
   * @param options - the clock
   */
  constructor(backend: Backend<Events>, { clock = systemClock }: BackendStorageOptions = {}) {
    super()
    this.scope = backend.scope
    this.#backend = backend
    this.#clock = clock
    this.#recent = backend.log === undefined ? new RecentChanges() : undefined
    this.#log = this.#metered(backend.log ?? (this.#recent as RecentChanges))
  }

  /**
   * The backend of a storage of ours, for a wrapper in a hurry. Not of one whose log of changes is kept here, and would miss
   * what is written past it; nor of a proxy that stands in front of one.
   *
   * @internal
   */
  static backendOf(storage: object): Promise<Backend> | undefined {
    if (!(#backend in storage) || storage.#backend.log === undefined) return undefined
    return storage.opened() as Promise<Backend>
  }

  collection<T = unknown>(name: string): Collection<T> {
    return new BackendCollection<T>(name, {
      clock: this.#clock,
      scope: this.scope,
      servedBy: () => this.#backend.servedBy ?? 'primary',
      updates: this.#updates,
      meter: this.#meter,
      life: () => this.#life.signal,
      ready: () => this.#ready,
      open: () => this.opened(),
      log: this.#log,
      batch: (operations) => this.batch(operations),
    })
  }

  async collections(): Promise<string[]> {
    const backend = await this.opened()
    const names = await backend.collections(this.#clock.now())
    return names.filter((name) => !name.startsWith('$'))
  }

  async batch(operations: readonly BatchOperation[], { once }: BatchOptions = {}): Promise<BatchReceipt> {
    checkSize(operations)
    const now = this.#clock.now()
    const mutations = operations.map((operation) => toMutation(operation, this.#mint, now))
    const versions = mutations.map((mutation) => ('version' in mutation ? mutation.version : (mutation.expected ?? '')))
    if (once !== undefined) mutations.unshift(onceMutation(once, this.#versions.next(), now))
    const backend = this.#ready ?? (await this.opened())
    if (mutations.length === 0) return { applied: true, kept: 'primary', versions }
    const startedMs = this.#clock.monotonic()
    let isError = false
    try {
      const kept = await backend.commit(mutations, now)
      this.#recent?.add(mutations)
      return { applied: true, kept, versions }
    } catch (error) {
      const isRepeated = error instanceof ConflictError && error.collection === ONCE_COLLECTION && error.key === once
      if (isRepeated) return { applied: false, kept: 'primary', versions: [] }
      isError = true
      if (mayBeApplied(error)) this.#recent?.add(mutations)
      throw error
    } finally {
      this.#meter.record('write', startedMs, this.#clock.monotonic(), isError)
    }
  }

  async changes({ since, limit = CHANGES_LIMIT }: ChangesOptions = {}): Promise<ChangePage> {
    if (since !== undefined && typeof since !== 'string') throw new TypeError('since must be a cursor')
    if (!(Number.isSafeInteger(limit) && limit >= 1 && limit <= MAX_CHANGES)) {
      throw new RangeError(`limit must be a whole number from 1 to ${MAX_CHANGES}, not ${limit}`)
    }
    await this.opened()
    return this.#log.changes(since, limit)
  }

  async check({ signal }: HealthOptions = {}): Promise<CheckReport> {
    signal?.throwIfAborted()
    const backend = await this.opened()
    const startedMs = this.#clock.monotonic()
    const now = this.#clock.now()
    const problems = await (backend.check?.(signal) ?? lookForDamage(backend, now, signal))
    return { ok: problems.length === 0, problems, tookMs: this.#clock.monotonic() - startedMs }
  }

  metrics(): StorageMetrics {
    return { operations: this.#meter.read(this.#clock.monotonic()), gauges: this.#backend.gauges?.() ?? {} }
  }

  async health({ signal }: HealthOptions = {}): Promise<StorageHealth> {
    signal?.throwIfAborted()
    const health = this.opened().then((backend) => backend.health(signal))
    return signal === undefined ? health : orAborted(health, signal)
  }

  async start(): Promise<void> {
    const call = ++this.#calls
    await this.#stopping
    // Whoever called stop() meanwhile has the last word.
    if (call === this.#calls) this.#isStopped = false
    await this.opened()
  }

  stop(): Promise<void> {
    this.#calls++
    this.#isStopped = true
    this.#ready = undefined
    this.#life.abort()
    this.#stopping ??= this.#close().finally(() => (this.#stopping = undefined))
    return this.#stopping
  }

  /** The same as `stop`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** The backend, open. */
  protected async opened(): Promise<Backend<Events>> {
    if (this.#isStopped) throw stopped()
    if (this.#life.signal.aborted) this.#life = new AbortController()
    this.#opening ??= this.#backend.open(announcer(this, this.#clock), this.#versions.origin).then(
      () => {
        if (!this.#isStopped) this.#ready = this.#backend
        return this.#backend
      },
      (error: unknown) => {
        // The next use tries again: the reason may have gone.
        this.#opening = undefined
        throw error
      },
    )
    const backend = await this.#opening
    // Nothing may begin on a backend that is being closed meanwhile.
    if (this.#isStopped) throw stopped()
    return backend
  }

  async #close(): Promise<void> {
    const opening = this.#opening
    this.#opening = undefined
    if (opening === undefined) return
    await opening.catch(() => undefined)
    await this.#backend.close()
  }

  #metered(log: ChangeLog): ChangeLog {
    return {
      changes: (cursor, limit) => this.#measure('changes', () => log.changes(cursor, limit)),
      onHint: (wake) => log.onHint(wake),
    }
  }

  async #measure<T>(kind: OperationKind, run: () => Promise<T>): Promise<T> {
    const startedMs = this.#clock.monotonic()
    let isError = true
    try {
      const value = await run()
      isError = false
      return value
    } finally {
      this.#meter.record(kind, startedMs, this.#clock.monotonic(), isError)
    }
  }
}

function stopped(): UnavailableError {
  return new UnavailableError('The storage is stopped; call start() before you use it again')
}

function checkSize(operations: readonly BatchOperation[]): void {
  if (operations.length <= MAX_OPERATIONS) return
  // What a fail-over replays was one call once, such as the clear of a large collection.
  if (operations.some(({ collection }) => collection === FAILOVER_COLLECTION)) return
  throw new RangeError(`A batch takes ${MAX_OPERATIONS} operations at most, not ${operations.length}; split it`)
}

/** Lets go of the wait when the signal aborts; what was waited for goes on unheard. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** Whoever does not say that it was not applied did not rule it out. */
function mayBeApplied(error: unknown): boolean {
  return (error as { applied?: unknown } | undefined)?.applied !== 'no'
}
