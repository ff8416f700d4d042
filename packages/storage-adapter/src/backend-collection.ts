import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Backend, ChangeLog, KeyedRecord, Range, StoredRecord } from './backend.js'
import { ConflictError, CorruptError } from './errors.js'
import type { KeyQueue } from './key-queue.js'
import { checkKey, checkName } from './keys.js'
import type { Meter } from './meter.js'
import { toExpiry } from './mutations.js'
import type { Clock } from './ports.js'
import type {
  BatchOperation,
  BatchReceipt,
  Collection,
  DeleteOptions,
  Entry,
  ExpiryOptions,
  KeyedEntry,
  Notice,
  OperationKind,
  Receipt,
  ScanOptions,
  Scope,
  SetOptions,
  UpdateOptions,
  UpdateReceipt,
  WatchOptions,
} from './storage.js'
import { Watch } from './watch.js'

/** How many records a scan reads at a time. */
const PAGE_SIZE = 256

/** Where values are large, fewer: the one that brings them to so many characters is the last of its page. */
const MAX_PAGE_CHARACTERS = 8_000_000

/** Each failed attempt means that another writer succeeded; so many in a row mean that something else is wrong. */
const MAX_UPDATE_ATTEMPTS = 1_000

type Readers = Pick<Backend, 'read' | 'page' | 'count'>

/** What a collection needs from its storage. */
export interface CollectionHost {
  readonly clock: Clock
  readonly scope: Scope
  servedBy(): 'primary' | 'fallback'
  /** Keeps updates of one key in line. */
  readonly updates: KeyQueue
  readonly meter: Meter
  readonly log: ChangeLog
  /** Aborted when the storage is stopped. */
  life(): AbortSignal
  /** The backend, if it is open. */
  ready(): Readers | undefined
  /** The backend, open. */
  open(): Promise<Readers>
  batch(operations: readonly BatchOperation[]): Promise<BatchReceipt>
}

/** The collection over any backend. */
export class BackendCollection<T> implements Collection<T> {
  readonly name: string
  readonly scope: Scope
  readonly #host: CollectionHost

  constructor(name: string, host: CollectionHost) {
    checkName(name)
    this.name = name
    this.scope = host.scope
    this.#host = host
  }

  get servedBy(): 'primary' | 'fallback' {
    return this.#host.servedBy()
  }

  async get(key: string): Promise<T | undefined> {
    const record = await this.#readOne(key)
    return record === undefined ? undefined : this.#parse(key, record)
  }

  async entry(key: string): Promise<Entry<T> | undefined> {
    const record = await this.#readOne(key)
    return record === undefined ? undefined : this.#entry(key, record)
  }

  async getMany(keys: Iterable<string>): Promise<Map<string, T>> {
    const list = [...keys]
    for (const key of list) checkKey(key)
    const now = this.#host.clock.now()
    const records = await this.#measure('read', (backend) => backend.read(this.name, list, now))
    const found = new Map<string, T>()
    for (const [i, key] of list.entries()) {
      const record = records[i]
      if (record !== undefined) found.set(key, this.#parse(key, record))
    }
    return found
  }

  async has(key: string): Promise<boolean> {
    return (await this.#readOne(key)) !== undefined
  }

  async count({ prefix = '' }: { readonly prefix?: string | undefined } = {}): Promise<number> {
    if (prefix !== '') checkKey(prefix, 'prefix')
    return this.#measure('count', (backend) => backend.count(this.name, prefix, this.#host.clock.now()))
  }

  async *scan(options: ScanOptions = {}): AsyncGenerator<KeyedEntry<T>, void, undefined> {
    checkScan(options)
    let left = options.limit ?? Infinity
    let range = options
    while (left > 0) {
      const limit = Math.min(left, PAGE_SIZE)
      const page: KeyedRecord[] = await this.#page({ ...range, limit, maxCharacters: MAX_PAGE_CHARACTERS })
      let characters = 0
      for (const { key, ...record } of page) {
        characters += record.json.length
        yield { key, ...this.#entry(key, record) }
      }
      const last = page.at(-1)
      if (last === undefined || (page.length < limit && characters < MAX_PAGE_CHARACTERS)) return
      left -= page.length
      // A backend that answers at once would keep everything else waiting until the last page.
      await nextTurn()
      range = options.reverse === true ? { ...options, before: last.key } : { ...options, after: last.key }
    }
  }

  async set(key: string, value: T, options: SetOptions = {}): Promise<Receipt> {
    const { ttlMs, expiresAt, ifVersion, ifAbsent } = options
    const { name: collection } = this
    const operation = { type: 'set', collection, key, value, ttlMs, expiresAt, ifVersion, ifAbsent } as const
    // Without the promise that `#one` adds, since this is the write that is asked most.
    const { versions, kept } = await this.#host.batch([operation])
    return { version: versions[0] ?? '', kept }
  }

  async setMany(
    entries: Iterable<readonly [key: string, value: T]>,
    { ttlMs, expiresAt }: ExpiryOptions = {},
  ): Promise<BatchReceipt> {
    const collection = this.name
    return this.#host.batch(
      Array.from(entries, ([key, value]) => ({ type: 'set', collection, key, value, ttlMs, expiresAt })),
    )
  }

  async delete(key: string, { ifVersion }: DeleteOptions = {}): Promise<Receipt> {
    return this.#one({ type: 'delete', collection: this.name, key, ifVersion })
  }

  async clear(): Promise<Receipt> {
    return this.#one({ type: 'clear', collection: this.name })
  }

  async update(
    key: string,
    change: (value: T) => T | Promise<T>,
    options: UpdateOptions<T> = {},
  ): Promise<UpdateReceipt<T> | undefined> {
    checkKey(key)
    return this.#host.updates.run([JSON.stringify([this.name, key])], () => this.#update(key, change, options))
  }

  async compareAndSet(key: string, expected: string | undefined, value: T): Promise<Receipt | undefined> {
    try {
      return await this.set(key, value, expected === undefined ? { ifAbsent: true } : { ifVersion: expected })
    } catch (error) {
      if (error instanceof ConflictError && error.collection === this.name && error.key === key) return undefined
      throw error
    }
  }

  watch(options?: WatchOptions): AsyncIterable<Notice<T>> {
    const { clock, log } = this.#host
    const open = async (): Promise<{ backend: Readers; log: ChangeLog }> => ({ backend: await this.#host.open(), log })
    return new Watch<T>({ clock, life: () => this.#host.life(), open }, this.name, options)
  }

  async #update(
    key: string,
    change: (value: T) => T | Promise<T>,
    { initial, ttlMs }: UpdateOptions<T>,
  ): Promise<UpdateReceipt<T> | undefined> {
    for (let attempt = 1; ; attempt++) {
      const entry = await this.entry(key)
      const before = entry === undefined ? structuredClone(initial) : entry.value
      if (before === undefined) return undefined
      const value = await change(before)
      const expiresAt = ttlMs === undefined ? entry?.expiresAt : toExpiry({ ttlMs }, this.#host.clock.now())
      const condition = entry === undefined ? { ifAbsent: true } : { ifVersion: entry.version }
      try {
        return { ...(await this.set(key, value, { expiresAt, ...condition })), value }
      } catch (error) {
        if (!(error instanceof ConflictError) || attempt >= MAX_UPDATE_ATTEMPTS) throw error
      }
    }
  }

  async #one(operation: BatchOperation): Promise<Receipt> {
    const { versions, kept } = await this.#host.batch([operation])
    return { version: versions[0] ?? '', kept }
  }

  /** What is asked most; so it is measured here, without the promises that `#measure` adds. */
  async #readOne(key: string): Promise<StoredRecord | undefined> {
    checkKey(key)
    const { clock, meter } = this.#host
    const backend = this.#host.ready() ?? (await this.#host.open())
    const startedMs = clock.monotonic()
    let isError = true
    try {
      const records = await backend.read(this.name, [key], clock.now())
      isError = false
      return records[0]
    } finally {
      meter.record('read', startedMs, clock.monotonic(), isError)
    }
  }

  #page(range: Range): Promise<KeyedRecord[]> {
    return this.#measure('scan', (backend) => backend.page(this.name, range, this.#host.clock.now()))
  }

  async #measure<R>(kind: OperationKind, run: (backend: Readers) => Promise<R>): Promise<R> {
    const { clock, meter } = this.#host
    const backend = this.#host.ready() ?? (await this.#host.open())
    const startedMs = clock.monotonic()
    let isError = true
    try {
      const result = await run(backend)
      isError = false
      return result
    } finally {
      meter.record(kind, startedMs, clock.monotonic(), isError)
    }
  }

  #entry(key: string, record: StoredRecord): Entry<T> {
    return { value: this.#parse(key, record), version: record.version, expiresAt: record.expiresAt }
  }

  #parse(key: string, { json }: StoredRecord): T {
    try {
      return JSON.parse(json) as T
    } catch (cause) {
      const place = `${JSON.stringify(key)} in ${JSON.stringify(this.name)}`
      throw new CorruptError(place, 'is not what was written', 'no', { cause, remedy: 'see check(), and restore it' })
    }
  }
}

function checkScan({ prefix, after, before, reverse, limit }: ScanOptions): void {
  if (prefix !== undefined && prefix !== '') checkKey(prefix, 'prefix')
  if (after !== undefined && after !== '') checkKey(after, 'after')
  if (before !== undefined) checkKey(before, 'before')
  if (reverse !== undefined && typeof reverse !== 'boolean') throw new TypeError('reverse must be a boolean')
  if (limit !== undefined && limit !== Infinity && !(Number.isInteger(limit) && limit >= 0)) {
    throw new RangeError(`limit must be a whole number of at least 0, not ${limit}`)
  }
}
