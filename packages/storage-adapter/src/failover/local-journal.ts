import type { Backend, Mutation } from '../backend.js'
import { decodeBatch, encodeBatch } from './batch-text.js'
import type { DeleteChange, SetChange } from './failover-state.js'
import { toJson } from '../values.js'

/** What the journal keeps of what a change replaces: a value is the text that it was, and need not be taken apart. */
interface JournaledBase {
  readonly baseJson?: string | undefined
}

/** A record that a batch writes, with its value as the text that it was and will be. */
export interface JournaledSet extends Omit<SetChange, 'value' | 'baseValue'>, JournaledBase {
  readonly json: string
}

/** A record that a batch removes. */
export interface JournaledDelete extends Omit<DeleteChange, 'baseValue'>, JournaledBase {}

/** A change of one record, as the journal keeps it. */
export type JournaledChange = JournaledSet | JournaledDelete

/** A batch, as the journal keeps it. */
export interface JournaledBatch {
  readonly sequence: number
  /** Tells it from another batch that a restored or damaged directory gave the same number. */
  readonly id: string
  readonly at: number
  readonly changes: readonly JournaledChange[]
  /**
   * Collections that it clears, of which the copy may have lacked something: a record that a process wrote just before
   * it was killed. What the primary has of those is removed too.
   */
  readonly clears?: readonly string[] | undefined
}

/** A section of the journal: what is behind a batch, up to another one. */
interface Section {
  readonly after?: number
  readonly last?: number
}

/** What the names of the collections that hold the batches of an outage begin with. */
const JOURNAL = '$journal'

/** So much text of batches is taken apart at a time, in characters: a batch may be large. */
const MAX_TEXT = 512 * 1_024

/** So many batches share a collection, which is cleared as a whole. */
const SEGMENT = 1_000

/** Records of our own collections are never compared by version. */
export const NO_VERSION = '-'

/**
 * The batches that wait to be replayed, oldest first. They are forgotten in the same order, so the number of the first
 * one says which.
 *
 * They are records of the local copy's backend, asked for by their keys, in collections of a bounded size: to walk a
 * long queue in order, and to take its beginning away one by one, is what a sorted index is worst at.
 */
export class LocalJournal {
  readonly #backend: Backend
  /** A number that is missing belongs to a batch that the disk did not take. */
  readonly #waiting = new Set<number>()
  #last = 0
  #first = 1
  #firstOnDisk = 1

  constructor(backend: Backend) {
    this.#backend = backend
  }

  /**
   * @param first - nothing before it waits
   * @param last - the last number that was taken, as far as it was written down
   */
  async open(first: number, last: number, now: number): Promise<void> {
    this.#waiting.clear()
    this.#last = last
    this.#first = first
    this.#firstOnDisk = first
    for (let start = first, isMore = true; isMore; start += SEGMENT) {
      const sequences = Array.from({ length: SEGMENT }, (_, i) => start + i)
      const found = await this.#read(sequences, now)
      for (const [i, sequence] of sequences.entries()) if (found[i] !== undefined) this.#waiting.add(sequence)
      isMore = start + SEGMENT <= last || found.some((json) => json !== undefined)
    }
    for (const sequence of this.#waiting) this.#last = Math.max(this.#last, sequence)
  }

  get length(): number {
    return this.#waiting.size
  }

  /** The number of the next batch. It is taken at once, so that no other batch takes the same. */
  take(): number {
    return ++this.#last
  }

  added(sequence: number): void {
    this.#waiting.add(sequence)
  }

  /** The batch of this number, while it waits. */
  async at(sequence: number, now: number): Promise<JournaledBatch | undefined> {
    if (!this.#waiting.has(sequence)) return undefined
    const [json] = await this.#read([sequence], now)
    return json === undefined ? undefined : decodeBatch(json)
  }

  /** The oldest batches: so many of them at most, and of these about as many as {@link MAX_TEXT} holds. */
  async entries(limit: number, now: number, { after = 0, last = Infinity }: Section = {}): Promise<JournaledBatch[]> {
    const sequences: number[] = []
    for (const sequence of this.#waiting) {
      if (sequences.length >= limit || sequence > last) break
      if (sequence > after) sequences.push(sequence)
    }
    const entries: JournaledBatch[] = []
    let length = 0
    for (const json of await this.#read(sequences, now)) {
      if (json === undefined) continue
      length += json.length
      if (entries.length > 0 && length > MAX_TEXT) break
      entries.push(decodeBatch(json))
    }
    return entries
  }

  /** They are forgotten here; the disk is told later. */
  removed(last: number): void {
    for (const sequence of this.#waiting) {
      if (sequence > last) break
      this.#waiting.delete(sequence)
    }
    this.#first = Math.max(this.#first, last + 1)
  }

  /** Whether the disk remembers batches that are forgotten here. */
  get isUnwritten(): boolean {
    return this.#first > this.#firstOnDisk
  }

  /** The first batch that is not forgotten here, or would not be after one more. */
  first(last: number = 0): number {
    return Math.max(this.#first, last + 1)
  }

  /** What makes the disk forget all before this batch, beside its number. */
  removals(first: number): Mutation[] {
    const removals: Mutation[] = []
    for (let segment = segmentOf(this.#firstOnDisk); segment < segmentOf(first); segment++) {
      removals.push({ type: 'clear', collection: collectionOf(segment), version: NO_VERSION })
    }
    return removals
  }

  written(first: number): void {
    this.#firstOnDisk = Math.max(this.#firstOnDisk, first)
  }

  async #read(sequences: readonly number[], now: number): Promise<(string | undefined)[]> {
    const found: (string | undefined)[] = []
    for (let at = 0; at < sequences.length;) {
      const segment = segmentOf(sequences[at] as number)
      const keys: string[] = []
      for (; at < sequences.length && segmentOf(sequences[at] as number) === segment; at++) {
        keys.push(String(sequences[at]))
      }
      for (const stored of await this.#backend.read(collectionOf(segment), keys, now)) found.push(stored?.json)
    }
    return found
  }
}

/** The record of a batch. */
export function journalRecord(entry: JournaledBatch): Mutation {
  return put(collectionOf(segmentOf(entry.sequence)), String(entry.sequence), encodeBatch(entry))
}

/** Whether the collection holds batches. */
export function isJournal(collection: string): boolean {
  return collection.startsWith(`${JOURNAL}:`)
}

/** Writes a record of one of our own collections. */
export function record(collection: string, key: string, value: unknown): Mutation {
  return put(collection, key, toJson(value))
}

function put(collection: string, key: string, json: string): Mutation {
  return { type: 'put', collection, key, json, version: NO_VERSION, expiresAt: undefined, expected: undefined }
}

function segmentOf(sequence: number): number {
  return Math.floor(sequence / SEGMENT)
}

function collectionOf(segment: number): string {
  return `${JOURNAL}:${segment}`
}
