import { randomUUID } from 'node:crypto'
import type { Expected, Mutation, PutMutation } from '../backend.js'
import { FAILOVER_COLLECTION } from '../mutations.js'
import { ConflictError, FencedError, UnavailableError } from '../errors.js'
import type { JournaledBatch } from './local-journal.js'
import type { LocalStore } from './local-store.js'
import type { Primary } from './primary.js'
import { commitChanges, readRecords } from './primary-records.js'
import { toOperation } from '../mutations.js'
import { VersionSource } from '../versions.js'

const COLLECTION = FAILOVER_COLLECTION
const STORE = 'store'
/** The mark of the only writer. */
const WRITER = 'writer'

/** What the mark of one of many writers begins with. */
const WRITER_OF_MANY = 'writer:'

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
  /** The id of that batch. */
  readonly last: string
}

/** Says how often this writer has noted that it is there. */
interface HistoryRecord {
  readonly format: 1
  readonly count: number
}

/** The primary is not the one that was left. */
export interface OtherPrimary {
  readonly kind: 'other store' | 'less history'
  readonly expected: string
  readonly found: string | undefined
}

interface Found<T> {
  readonly value: T
  readonly version: string
}

/** What the mark works with. */
export interface WriterMarkParts {
  readonly primary: Primary
  readonly local: LocalStore
  readonly writers: 'one' | 'many'
  /** Whether writes are missing that the primary had acknowledged; it has our batches up to this one. */
  readonly lacksWrites: (sequence: number) => Promise<boolean>
  readonly now: () => number
}

/**
 * Three records on the primary, kept by the failover.
 *
 * The first says which store it is. The second, the mark, names the writer and the last batch that was replayed. It is
 * changed in the transaction of every replayed batch, so a batch is never applied twice. Every other write is
 * conditional on it, so that a write given up as lost is refused when it wakes up after the mark was changed. A single
 * writer's mark has one place, so a second one is refused, too; each of many writers has a mark of its own. The third
 * record counts, now and then, and so tells a primary that was set back.
 */
export class WriterMark {
  readonly #parts: WriterMarkParts
  readonly #versions = new VersionSource()
  #version: string | undefined
  #sequence = 0
  #last = ''
  #isForeign = false
  /** Whether another writer took the mark from us in this life. */
  #isFenced = false
  #history: Found<HistoryRecord> | undefined
  /** Our mark from when `writers` was the other one of the two. */
  #former: Found<WriterRecord> | undefined

  constructor(parts: WriterMarkParts) {
    this.#parts = parts
  }

  /** The last batch of our journal that the primary has. */
  get sequence(): number {
    return this.#sequence
  }

  /** The id of the last batch that the primary has from our journal. */
  get last(): string {
    return this.#last
  }

  /** Whether another writer had the mark when it was claimed. */
  get wasForeign(): boolean {
    return this.#isForeign
  }

  /** A new life: whoever starts it anew means it to be the writer. */
  begin(): void {
    this.#isFenced = false
  }

  /**
   * Finds out whether this is the store that was left, and becomes its writer: from now on, no earlier write of ours
   * can arrive any more.
   *
   * @returns how it differs, or `undefined` when it is the right one
   */
  async claim(): Promise<OtherPrimary | undefined> {
    const { local, now, lacksWrites } = this.#parts
    const { store } = await this.#look()
    // Two that take it from each other at every hiccup would help nobody.
    if (this.#isFenced && this.#isForeign) throw new FencedError()
    const expected = local.storeId
    if (expected !== undefined && store !== expected) return { kind: 'other store', expected, found: store }
    if (this.#isSetBack || (await lacksWrites(this.#sequence)))
      return { kind: 'less history', expected: expected ?? '', found: store }
    await local.setStoreId(store ?? (await this.#nameStore()), now())
    await this.fence()
    return undefined
  }

  /** Changes the mark, so that writes under way that were given up are refused. */
  async fence(): Promise<void> {
    try {
      await this.#fenceOnce()
    } catch (error) {
      if (!(error instanceof FencedError)) throw error
      // Our own change of the mark, given up as lost, may have arrived late.
      await this.#lookAgain(error)
      await this.#fenceOnce()
    }
  }

  /** Notes on the primary that we are there, by which a copy of it from before can be told. */
  async beat(): Promise<void> {
    const history = this.#nextHistory()
    try {
      await this.#write([this.#check(), history.record])
    } catch (error) {
      if (!(error instanceof FencedError)) throw error
      return this.#lookAgain(error)
    }
    await this.#noted(history)
  }

  /**
   * Commits replayed batches and, with them, that they were.
   *
   * @param timeoutMs - how long it may take; `undefined` for as long as any other call
   */
  async replay(
    mutations: readonly Mutation[],
    { sequence, id }: Pick<JournaledBatch, 'sequence' | 'id'>,
    timeoutMs: number | undefined,
  ): Promise<void> {
    const mark = this.#nextMark(sequence, id)
    try {
      await commitChanges(this.#parts.primary, [mark, ...mutations], this.#parts.now(), timeoutMs)
    } catch (error) {
      throw asFenced(error)
    }
    this.#version = mark.version
    this.#sequence = sequence
    this.#last = id
  }

  /** @throws UnavailableError when the primary does not have what it acknowledged last */
  async confirm(): Promise<void> {
    const { primary, now } = this.#parts
    const [mark] = await readRecords(primary, [{ collection: COLLECTION, key: this.#ownKey }], now())
    if (mark?.version !== this.#version) throw new UnavailableError('The primary lost what it had acknowledged')
  }

  /**
   * Commits what is not replayed, on the condition that the mark is still ours.
   *
   * @throws FencedError when another writer has it
   */
  async commit(mutations: readonly Mutation[]): Promise<void> {
    try {
      await this.#write([this.#check(), ...mutations])
    } catch (error) {
      if (!(error instanceof FencedError)) throw error
      await this.#lookAgain(error)
      await this.#write([this.#check(), ...mutations])
    }
  }

  async #fenceOnce(): Promise<void> {
    const mark = this.#nextMark(this.#sequence, this.#last)
    const history = this.#nextHistory()
    // What was given up under the former mark is refused, too, and nobody goes on from there again.
    await this.#write([mark, history.record, ...this.#endFormer()])
    this.#version = mark.version
    this.#former = undefined
    await this.#noted(history)
  }

  /** Reads all three records anew. */
  async #look(): Promise<{ readonly store: string | undefined; readonly isOurs: boolean }> {
    const { primary, now } = this.#parts
    const keys = [STORE, this.#ownKey, this.#formerKey, this.#historyKey]
    const names = keys.map((key) => ({ collection: COLLECTION, key }))
    const [store, own, other, history] = await readRecords(primary, names, now())
    const mark = parse<WriterRecord>(own)
    const former = parse<WriterRecord>(other)
    this.#version = mark?.version
    this.#former = this.#isOurs(former) ? former : undefined
    // A writer that was the only one, and now is one of many, goes on where it was, and the other way round.
    const known = (this.#former ?? (this.#isOurs(mark) ? mark : undefined))?.value
    this.#sequence = known?.sequence ?? 0
    this.#last = known?.last ?? ''
    this.#isForeign = mark !== undefined && !this.#isOurs(mark)
    this.#history = parse<HistoryRecord>(history)
    return { store: parse<StoreRecord>(store)?.value.storeId, isOurs: this.#isOurs(mark) }
  }

  /** @throws the error, unless what was in the way is our own */
  async #lookAgain(error: FencedError): Promise<void> {
    const before = this.#version
    const { store, isOurs } = await this.#look()
    const isOther = store !== this.#parts.local.storeId || this.#isSetBack || this.#version === undefined
    if (isOurs && !isOther) return
    this.#version = before
    // To leave it now means to find out, before it serves again, what it is.
    if (isOther) throw new UnavailableError('The primary was replaced or set back', 'no', { cause: error })
    this.#isFenced = true
    throw error
  }

  async #nameStore(): Promise<string> {
    const storeId = randomUUID()
    const value: StoreRecord = { format: 1, storeId }
    try {
      await this.#write([this.#put(STORE, value, null)])
      return storeId
    } catch (error) {
      if (!(error instanceof FencedError)) throw error
      // Another writer of many has just named it.
      const { store } = await this.#look()
      if (store === undefined) throw error
      return store
    }
  }

  get #isSetBack(): boolean {
    return (this.#history?.value.count ?? 0) < this.#parts.local.history
  }

  get #ownKey(): string {
    return this.#parts.writers === 'one' ? WRITER : `${WRITER_OF_MANY}${this.#parts.local.id}`
  }

  get #formerKey(): string {
    return this.#parts.writers === 'one' ? `${WRITER_OF_MANY}${this.#parts.local.id}` : WRITER
  }

  get #historyKey(): string {
    return `history:${this.#parts.local.id}`
  }

  #nextMark(sequence: number, last: string): PutMutation {
    const value: WriterRecord = { format: 1, writer: this.#parts.local.id, sequence, last }
    return this.#put(this.#ownKey, value, this.#version ?? null)
  }

  #endFormer(): Mutation[] {
    if (this.#former === undefined) return []
    const { version: expected } = this.#former
    return [{ type: 'delete', collection: COLLECTION, key: this.#formerKey, version: this.#versions.next(), expected }]
  }

  #nextHistory(): { readonly record: PutMutation; readonly value: HistoryRecord } {
    const value: HistoryRecord = { format: 1, count: (this.#history?.value.count ?? 0) + 1 }
    return { record: this.#put(this.#historyKey, value, this.#history?.version ?? null), value }
  }

  async #noted({ record, value }: { readonly record: PutMutation; readonly value: HistoryRecord }): Promise<void> {
    const { local, now } = this.#parts
    this.#history = { value, version: record.version }
    // The primary has it in any case; what is not noted here is merely not asked for later.
    await local.setHistory(value.count, now()).catch(() => undefined)
  }

  #put(key: string, value: unknown, expected: Expected): PutMutation {
    const version = this.#versions.next()
    const json = JSON.stringify(value)
    return { type: 'put', collection: COLLECTION, key, json, version, expiresAt: undefined, expected }
  }

  #check(): Mutation {
    return { type: 'check', collection: COLLECTION, key: this.#ownKey, expected: this.#version ?? '' }
  }

  #isOurs(mark: Found<WriterRecord> | undefined): boolean {
    return mark?.value.writer === this.#parts.local.id
  }

  async #write(mutations: readonly Mutation[]): Promise<void> {
    try {
      await this.#parts.primary.call('write', (storage) => storage.batch(mutations.map(toOperation)))
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

function parse<T>(record: { readonly json: string; readonly version: string } | undefined): Found<T> | undefined {
  return record && { value: JSON.parse(record.json) as T, version: record.version }
}
