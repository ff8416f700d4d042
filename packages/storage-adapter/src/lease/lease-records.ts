import { FormatError, UnavailableError } from '../errors.js'
import type { LeaseEntry, LeaseReceipt, LeaseStore, RunStore } from './lease-ports.js'

/** The only format so far. A release that changes a shape raises it and keeps reading the old one. */
const FORMAT = 1

/** Who holds a lease. It is written at each renewal, so its version shows challengers that the holder lives. */
export interface LeaseRecord {
  /** The number of the term; each one that begins has a greater one. */
  readonly token: number
  /** Tells apart all that ever compete, also within one process; `null` when nobody holds the lease. */
  readonly holder: string | null
  /** Who that is, for people. */
  readonly owner: string
  /** How long the record must stand unchanged before another may take over, in milliseconds. */
  readonly leaseMs: number
  /** When the term began, in epoch milliseconds. For people; nothing is ordered by it. */
  readonly at: number
}

/** How far a job has come. */
export interface RunRecord {
  /** `interrupted`: it was asked to end, and did. `skipped`: this due time was passed over on purpose. */
  readonly state: 'running' | 'done' | 'failed' | 'interrupted' | 'skipped'
  /** How often the job has been begun. */
  readonly attempt: number
  /** When that was written, in epoch milliseconds. */
  readonly at: number
  /** The due time that this is about, in epoch milliseconds, for a job of a schedule. */
  readonly dueAt?: number | undefined
}

/** Whose writes count. Renewals leave it alone, so a write may depend on its version for as long as the term lasts. */
export interface FenceRecord {
  /** The number of the term. */
  readonly token: number
  /** Who is in its term. */
  readonly holder: string
  /** Who that is, for people. */
  readonly owner: string
  /** What that term has made of a job. */
  readonly run?: RunRecord | undefined
}

/** A record as it was read. */
export interface Versioned<T> {
  readonly value: T
  readonly version: string
}

/** The keys of the two records of one lease. */
export interface LeaseKeys {
  readonly lease: string
  readonly fence: string
}

/** Reads and writes the two records of one lease. */
export class LeaseRecords {
  readonly keys: LeaseKeys
  readonly #store: LeaseStore | RunStore
  readonly #ttlMs: number | undefined

  /**
   * @param ttlMs - how long the records live when the run is over, in milliseconds; without it for ever, and a
   * {@link LeaseStore} will do. While it goes on they do not expire: no wall clock may end a lease.
   */
  constructor(store: LeaseStore, keys: LeaseKeys, ttlMs?: undefined)
  constructor(store: RunStore, keys: LeaseKeys, ttlMs: number)
  constructor(store: LeaseStore | RunStore, keys: LeaseKeys, ttlMs: number | undefined) {
    this.#store = store
    this.keys = keys
    this.#ttlMs = ttlMs
  }

  /** The collection that the records are in. */
  get collection(): string {
    return this.#store.name
  }

  async readLease(): Promise<Versioned<LeaseRecord> | undefined> {
    return this.#read(this.keys.lease, isLease)
  }

  async readFence(): Promise<Versioned<FenceRecord> | undefined> {
    return this.#read(this.keys.fence, isFence)
  }

  /** @returns the version, or `undefined` when somebody else was first */
  writeLease(expected: string | undefined, record: LeaseRecord): Promise<string | undefined> {
    return this.#write(this.keys.lease, expected, record, record.holder === null ? this.#ttlMs : undefined)
  }

  /** @returns the version, or `undefined` when somebody else was first */
  writeFence(expected: string | undefined, record: FenceRecord): Promise<string | undefined> {
    return this.#write(this.keys.fence, expected, record, record.run?.state === 'running' ? undefined : this.#ttlMs)
  }

  async #read<T>(key: string, isSound: (value: object) => value is T & object): Promise<Versioned<T> | undefined> {
    const entry: LeaseEntry | undefined = await this.#store.entry(key)
    if (entry === undefined) return undefined
    const { value, version } = entry
    const format = (value as { format?: unknown } | null)?.format
    if (format !== FORMAT || !isSound(value as object)) {
      const found = typeof format === 'number' && format !== FORMAT ? String(format) : 'unknown'
      throw new FormatError(`The record ${JSON.stringify(key)} in ${this.#store.name}`, found, String(FORMAT))
    }
    return { value: value as T, version }
  }

  async #write(
    key: string,
    expected: string | undefined,
    record: object,
    ttlMs: number | undefined,
  ): Promise<string | undefined> {
    const value = { format: FORMAT, ...record }
    const receipt =
      ttlMs === undefined
        ? await this.#store.compareAndSet(key, expected, value)
        : await setFor(this.#store as RunStore, key, expected, value, ttlMs)
    if (receipt?.kept === 'journal') {
      const why = `The store of the lease ${JSON.stringify(key)} is failed over; hand it the primary`
      throw new UnavailableError(`${why}, where all can see it`, 'unknown')
    }
    return receipt?.version
  }
}

/** A compare-and-set of a record that lives for a limited time. */
async function setFor(
  store: RunStore,
  key: string,
  expected: string | undefined,
  value: unknown,
  ttlMs: number,
): Promise<LeaseReceipt | undefined> {
  const condition = expected === undefined ? { ifAbsent: true } : { ifVersion: expected }
  try {
    return await store.set(key, value, { ...condition, ttlMs })
  } catch (error) {
    if ((error as { code?: unknown } | undefined)?.code === 'STORAGE_CONFLICT') return undefined
    throw error
  }
}

function isLease(value: object): value is LeaseRecord {
  const { token, holder, owner, leaseMs } = value as Partial<LeaseRecord>
  const isHolder = holder === null || typeof holder === 'string'
  return isToken(token) && isHolder && typeof owner === 'string' && typeof leaseMs === 'number' && leaseMs > 0
}

function isFence(value: object): value is FenceRecord {
  const { token, holder, owner } = value as Partial<FenceRecord>
  return isToken(token) && typeof holder === 'string' && typeof owner === 'string'
}

function isToken(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1
}
