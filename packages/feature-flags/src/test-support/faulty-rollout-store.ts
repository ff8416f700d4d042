import type { StoredRecord, StoredValue, StoredVersion } from '../ports.js'
import type { RolloutStore } from '../rollout/rollout-ports.js'
import type { Evidence } from '../rollout/evidence.js'
import type { RolloutRecord } from '../rollout/rollout-record.js'

/** What a call, counted from 1, does instead of working. */
export type Fault =
  /** Rejects, nothing was written. */
  | 'refused'
  /** Rejects, but was written. */
  | 'written but refused'
  /** Says that somebody was faster, and it was this very write. */
  | 'written but says no'
  /** Never settles, nothing was written. */
  | 'hangs'
  /** Never settles, but was written. */
  | 'written but hangs'
  /** Never settles, and lands when `land()` is called. */
  | 'lands late'

/** What several processes share. */
export class SharedRecords {
  readonly entries = new Map<string, StoredValue>()
  versions = 0
}

/** The way of one process to the records, on which each write can go wrong in its own way, and which can be cut. */
export class FaultyRolloutStore implements RolloutStore {
  readonly scope = 'cluster'
  readonly records: SharedRecords
  readonly faults = new Map<number, Fault>()
  /** Calls of `compareAndSet`. */
  writes = 0
  /** Calls of whatever kind. */
  operations = 0
  /** Characters that were written by `compareAndSet`. */
  written = 0
  /** After this call, of whatever kind, nothing settles any more: the process ends in that moment. */
  lastOperation = Infinity
  /** Which call, of whatever kind, rejects: before it is done, or after that. */
  failing: { readonly at: number; readonly isDone: boolean } | undefined
  isDown = false
  /** From now on nothing settles: for this process, the store is gone. */
  isDead = false
  /** Called before a write reaches the records: somebody may be faster. */
  beforeWrite: ((write: number) => Promise<void> | void) | undefined
  readonly #late: (() => unknown)[] = []

  constructor(records: SharedRecords = new SharedRecords()) {
    this.records = records
  }

  /** The record of the rollout as it stands, whoever is dead. */
  get record(): RolloutRecord | undefined {
    return this.records.entries.get('rollout/newSearch')?.value as RolloutRecord | undefined
  }

  /** The evidence that the record names. */
  get evidence(): (Evidence & { readonly judge: { readonly calls: number; readonly earlier: number } }) | undefined {
    return this.records.entries.get(this.record?.evidence ?? '')?.value as never
  }

  /** The names of all evidence, also of what no record names. */
  get allEvidence(): string[] {
    return [...this.records.entries.keys()].filter((key) => key.startsWith('rollout/newSearch/evidence/'))
  }

  get tallies(): string[] {
    return [...this.records.entries.keys()].filter((key) => key.startsWith('rollout/newSearch/tally/'))
  }

  entry(key: string): Promise<StoredValue | undefined> {
    return this.#call(() => structuredClone(this.records.entries.get(key)))
  }

  compareAndSet(key: string, expected: string | undefined, value: unknown): Promise<StoredVersion | undefined> {
    return this.#call(() => this.#compareAndSet(key, expected, value))
  }

  async #compareAndSet(key: string, expected: string | undefined, value: unknown): Promise<StoredVersion | undefined> {
    const number = ++this.writes
    await this.beforeWrite?.(number)
    // What JSON would change is no value.
    const text = JSON.stringify(value)
    const stored = JSON.parse(text) as unknown
    this.written += text.length
    const write = (): StoredVersion | undefined => {
      if (this.records.entries.get(key)?.version !== expected) return undefined
      return this.#put(key, stored)
    }
    const fault = this.faults.get(number)
    if (fault === undefined) return write()
    if (fault === 'lands late') this.#late.push(write)
    if (fault === 'written but refused' || fault === 'written but hangs') write()
    if (fault === 'written but says no') {
      write()
      return undefined
    }
    if (fault === 'refused' || fault === 'written but refused') throw new Error('the connection was lost')
    return new Promise(() => undefined)
  }

  set(key: string, value: unknown): Promise<StoredVersion> {
    return this.#call(() => this.#put(key, JSON.parse(JSON.stringify(value))))
  }

  async delete(key: string): Promise<void> {
    await this.#call(() => this.records.entries.delete(key))
  }

  async *scan({ prefix }: { readonly prefix: string }): AsyncIterable<StoredRecord> {
    const found = await this.#call(() => [...this.records.entries].filter(([key]) => key.startsWith(prefix)))
    for (const [key, entry] of found) yield { key, ...structuredClone(entry) }
  }

  /** The writes that were late reach the records after all. */
  land(): void {
    for (const write of this.#late.splice(0)) write()
  }

  #put(key: string, value: unknown): StoredVersion {
    const version = String(++this.records.versions)
    this.records.entries.set(key, { value, version })
    return { version }
  }

  async #call<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.isDead) await new Promise(() => undefined)
    if (this.isDown) throw new Error('connection refused')
    this.operations += 1
    const isFailing = this.failing?.at === this.operations
    if (this.operations === this.lastOperation) this.isDead = true
    if (isFailing && this.failing?.isDone === false) throw new Error('the connection was lost')
    const result = await work()
    if (this.isDead && this.operations === this.lastOperation) await new Promise(() => undefined)
    if (isFailing) throw new Error('the connection was lost')
    return result
  }
}
