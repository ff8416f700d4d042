import { memoryState } from '../memory-state.js'
import type { StateStore } from '../ports.js'
import type { StateRecord } from '../record.js'

/** What a write, counted from 1, does instead of working. */
export type Fault =
  /** Rejects, nothing was written. */
  | 'refused'
  /** Rejects, but was written. */
  | 'written but refused'
  /** Never settles, nothing was written. */
  | 'hangs'
  /** Never settles, but was written. */
  | 'written but hangs'
  /** Never settles, and lands when `land()` is called. */
  | 'lands late'
  /** Works, but only when `land()` is called. */
  | 'is slow'

/** A store in which each write can go wrong in its own way, and which can die as a whole. */
export class FaultyStore implements StateStore {
  readonly scope = 'process'
  readonly faults = new Map<number, Fault>()
  readonly inner: StateStore
  writes = 0
  /** From now on nothing settles: for this process, the store is gone. */
  isDead = false
  isDown = false
  /** The evidence is too large for it. */
  refusesEvidence = false
  /** The phase of each record that was written, in order. */
  readonly written: string[] = []
  readonly #late: (() => Promise<unknown>)[] = []

  constructor(inner: StateStore = memoryState()) {
    this.inner = inner
  }

  async entry(key: string): Promise<{ value: unknown; version: string } | undefined> {
    await this.#reach()
    return this.inner.entry(key)
  }

  async compareAndSet(
    key: string,
    expected: string | undefined,
    value: unknown,
  ): Promise<{ version: string } | undefined> {
    await this.#reach()
    if (this.refusesEvidence && key.endsWith(':evidence')) throw new Error('the value is too large')
    // What is kept beside the record is neither counted nor faulty: its writes come when they come.
    if (/:history:|:evidence$/.test(key))
      return this.inner.compareAndSet(key, expected, JSON.parse(JSON.stringify(value)))
    this.writes += 1
    const fault = this.faults.get(this.writes)
    const write = async (): Promise<{ version: string } | undefined> => {
      const record = JSON.parse(JSON.stringify(value)) as StateRecord
      const written = await this.inner.compareAndSet(key, expected, record)
      if (written !== undefined) this.written.push(record.state.deployment?.phase ?? 'IDLE')
      return written
    }
    switch (fault) {
      case undefined:
        return write()
      case 'refused':
        throw new Error('the disk is full')
      case 'written but refused':
        await write()
        throw new Error('the connection was lost')
      case 'hangs':
        return new Promise(() => undefined)
      case 'written but hangs':
        await write()
        return new Promise(() => undefined)
      case 'lands late':
        this.#late.push(write)
        return new Promise(() => undefined)
      case 'is slow':
        return new Promise((resolve) => this.#late.push(() => write().then(resolve)))
    }
  }

  /** The writes that were late reach the store after all. */
  async land(): Promise<void> {
    for (const write of this.#late.splice(0)) await write()
  }

  /** The record as it stands, whoever is dead. */
  async record(): Promise<StateRecord | undefined> {
    return (await this.inner.entry('blue-green:bot'))?.value as StateRecord | undefined
  }

  async #reach(): Promise<void> {
    if (this.isDead) await new Promise(() => undefined)
    if (this.isDown) throw new Error('connection refused')
  }
}
