import { randomUUID } from 'node:crypto'
import { ConflictError, FencedError } from './errors.js'
import type { LocalStore } from './local-store.js'
import type { Primary } from './primary.js'
import type { BatchOperation, Entry } from './storage.js'
import { VersionSource } from './versions.js'

const COLLECTION = '$failover'
const STORE = 'store'
const WRITER = 'writer'

/** Says which store the primary is; written once. */
interface StoreRecord {
  readonly format: 1
  readonly storeId: string
}

/** Says who writes to the primary, and how far its journal has been replayed. */
interface WriterRecord {
  readonly format: 1
  readonly writer: string
  readonly sequence: number
}

/** Another store was found than the one that was left. */
export interface OtherStore {
  readonly expected: string
  readonly found: string | undefined
}

/**
 * Two records on the primary, kept by the failover.
 *
 * The first says which store it is. The second, the mark, names the writer and the last batch that was replayed. It is
 * changed in the transaction of every replayed batch, so a batch is never applied twice. Every other write is
 * conditional on it, so that a write given up as lost is refused when it wakes up after a replay, and so is a second
 * writer.
 */
export class WriterMark {
  readonly #primary: Primary
  readonly #local: LocalStore
  readonly #versions = new VersionSource()
  #version: string | undefined
  #sequence = 0

  constructor(primary: Primary, local: LocalStore) {
    this.#primary = primary
    this.#local = local
  }

  /** The last batch of our journal that the primary has. */
  get sequence(): number {
    return this.#sequence
  }

  /**
   * Finds out whether this is the store that was left, and becomes its writer.
   *
   * @returns how it differs, or `undefined` when it is the right one
   */
  async claim(now: number): Promise<OtherStore | undefined> {
    const store = await this.#read<StoreRecord>(STORE)
    const expected = this.#local.storeId
    const found = store?.value.storeId
    if (expected !== undefined && found !== expected) return { expected, found }
    const storeId = found ?? randomUUID()
    if (found === undefined) {
      const value: StoreRecord = { format: 1, storeId }
      await this.#write([{ type: 'set', collection: COLLECTION, key: STORE, value, ifAbsent: true }])
    }
    await this.#local.setStoreId(storeId, now)
    const mark = await this.#read<WriterRecord>(WRITER)
    this.#adopt(mark)
    if (!this.#isOurs(mark)) await this.fence()
    return undefined
  }

  /** Changes the mark, so that writes under way that were given up are refused. */
  async fence(): Promise<void> {
    await this.replay([], this.#sequence)
  }

  /** Commits replayed batches and, with them, that they were. */
  async replay(operations: readonly BatchOperation[], sequence: number): Promise<void> {
    const value: WriterRecord = { format: 1, writer: this.#local.id, sequence }
    const version = this.#versions.next()
    const condition = this.#version === undefined ? { ifAbsent: true } : { ifVersion: this.#version }
    await this.#write([
      { type: 'set', collection: COLLECTION, key: WRITER, value, version, ...condition },
      ...operations,
    ])
    this.#version = version
    this.#sequence = sequence
  }

  /**
   * Commits what is not replayed, on the condition that the mark is still ours.
   *
   * @throws FencedError when another writer has it
   */
  async commit(operations: readonly BatchOperation[]): Promise<void> {
    try {
      await this.#write([this.#check(), ...operations])
    } catch (error) {
      if (!(error instanceof FencedError)) throw error
      // Our own change of the mark, given up as lost, may have arrived late.
      const mark = await this.#read<WriterRecord>(WRITER)
      if (!this.#isOurs(mark)) throw error
      this.#adopt(mark)
      await this.#write([this.#check(), ...operations])
    }
  }

  #check(): BatchOperation {
    return { type: 'check', collection: COLLECTION, key: WRITER, ifVersion: this.#version ?? '' }
  }

  #isOurs(mark: Entry<WriterRecord> | undefined): boolean {
    return mark?.value.writer === this.#local.id
  }

  #adopt(mark: Entry<WriterRecord> | undefined): void {
    this.#version = mark?.version
    this.#sequence = mark !== undefined && this.#isOurs(mark) ? mark.value.sequence : 0
  }

  async #read<T>(key: string): Promise<Entry<T> | undefined> {
    return this.#primary.call('read', (storage) => storage.collection<T>(COLLECTION).entry(key))
  }

  async #write(operations: readonly BatchOperation[]): Promise<void> {
    try {
      await this.#primary.call('write', (storage) => storage.batch(operations))
    } catch (error) {
      throw asFenced(error)
    }
  }
}

/** A conflict with the mark means that somebody else has it. */
function asFenced(error: unknown): unknown {
  if (!(error instanceof ConflictError) || error.collection !== COLLECTION) return error
  return new FencedError({ cause: error })
}
