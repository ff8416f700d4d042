import type { StoredRecord, StoredValue, StoredVersion } from '../ports.js'
import type { RolloutStore } from '../rollout/rollout-ports.js'
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

  get tallies(): string[] {
    return [...this.records.entries.keys()].filter((key) => key.startsWith('rollout/newSearch/tally/'))
  }

  async entry(key: string): Promise<StoredValue | undefined> {
    await this.#reach()
    return structuredClone(this.records.entries.get(key))
  }

  async compareAndSet(key: string, expected: string | undefined, value: unknown): Promise<StoredVersion | undefined> {
    await this.#reach()
    const number = ++this.writes
    await this.beforeWrite?.(number)
    // What JSON would change is no value.
    const stored = JSON.parse(JSON.stringify(value)) as unknown
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

  async set(key: string, value: unknown): Promise<StoredVersion> {
    await this.#reach()
    return this.#put(key, JSON.parse(JSON.stringify(value)))
  }

  async delete(key: string): Promise<void> {
    await this.#reach()
    this.records.entries.delete(key)
  }

  async *scan({ prefix }: { readonly prefix: string }): AsyncIterable<StoredRecord> {
    await this.#reach()
    for (const [key, entry] of this.records.entries)
      if (key.startsWith(prefix)) yield { key, ...structuredClone(entry) }
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

  async #reach(): Promise<void> {
    if (this.isDead) await new Promise(() => undefined)
    if (this.isDown) throw new Error('connection refused')
  }
}
