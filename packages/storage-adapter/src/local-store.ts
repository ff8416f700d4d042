import { randomUUID } from 'node:crypto'
import type { Backend, DeleteMutation, KeyedRecord, Mutation, PutMutation, Range, StoredRecord } from './backend.js'
import { UnavailableError } from './errors.js'
import type { Announce, StorageEvents } from './events.js'
import { originOf } from './versions.js'
import type { Conflict, JournalChange, JournalEntry } from './failover-state.js'

/*
 * The local copy, the journal, and what must be remembered about the primary are collections of one file backend, so
 * that "change the copy and append to the journal" is one atomic commit.
 */
const META = '$failover'
const JOURNAL = '$journal'
const CONFLICTS = '$conflicts'
const DOUBTS = '$doubts'
const OWN: readonly string[] = [META, JOURNAL, CONFLICTS, DOUBTS]

/** Records of our own collections are never compared by version. */
const NO_VERSION = '-'
const SEQUENCE_DIGITS = 16
/** A run of copied records that is committed at once. */
const ALL = Number.MAX_SAFE_INTEGER

/** A change of one record. */
export type RecordMutation = PutMutation | DeleteMutation

/** A record of which the primary may have something else than the copy. */
export interface Doubt {
  readonly collection: string
  readonly key: string
}

interface Identity {
  /** Which local copy this is. */
  readonly id: string
  /** Which primary it is a copy of. */
  readonly storeId: string | undefined
}

/** What is kept beside the primary. */
export class LocalStore {
  readonly #backend: Backend
  #identity: Identity = { id: '', storeId: undefined }
  #covered: 'all' | Set<string> = new Set()
  #sequence = 0
  #journalLength = 0
  #conflicts = 0
  readonly #doubts = new Map<string, Doubt>()
  #origins: readonly string[] = []

  constructor(backend: Backend) {
    this.#backend = backend
  }

  async open(announce: Announce<StorageEvents>, now: number): Promise<void> {
    await this.#backend.open(announce, NO_VERSION)
    const keys = ['identity', 'coverage', 'sequence', 'origins']
    const [identity, coverage, sequence, origins] = await this.#backend.read(META, keys, now)
    this.#identity = parse<Identity>(identity) ?? { id: randomUUID(), storeId: undefined }
    if (identity === undefined) await this.#writeMeta('identity', this.#identity, now)
    const covered = parse<'all' | string[]>(coverage) ?? []
    this.#covered = covered === 'all' ? 'all' : new Set(covered)
    this.#sequence = parse<number>(sequence) ?? 0
    this.#journalLength = await this.#backend.count(JOURNAL, '', now)
    this.#conflicts = await this.#backend.count(CONFLICTS, '', now)
    this.#origins = parse<string[]>(origins) ?? []
    this.#doubts.clear()
    for (const { key, json } of await this.#backend.page(DOUBTS, { limit: ALL }, now)) {
      this.#doubts.set(key, JSON.parse(json) as Doubt)
    }
  }

  close(): Promise<void> {
    return this.#backend.close()
  }

  get id(): string {
    return this.#identity.id
  }

  get storeId(): string | undefined {
    return this.#identity.storeId
  }

  get journalLength(): number {
    return this.#journalLength
  }

  get conflictCount(): number {
    return this.#conflicts
  }

  get covered(): 'all' | readonly string[] {
    return this.#covered === 'all' ? 'all' : [...this.#covered]
  }

  get doubts(): readonly Doubt[] {
    return [...this.#doubts.values()]
  }

  /** Whether the collection can be read here; our own always can. */
  covers(collection: string): boolean {
    return this.#covered === 'all' || this.#covered.has(collection)
  }

  async setStoreId(storeId: string, now: number): Promise<void> {
    if (this.storeId === storeId) return
    const identity = { ...this.#identity, storeId }
    await this.#writeMeta('identity', identity, now)
    this.#identity = identity
  }

  /** From now on the collection can be read here. */
  async cover(collection: string, now: number): Promise<void> {
    if (this.covers(collection) || this.#covered === 'all') return
    this.#covered.add(collection)
    await this.#writeMeta('coverage', this.covered, now)
  }

  /** From now on every collection can be read here, also those that do not exist yet. */
  async coverAll(now: number): Promise<void> {
    if (this.#covered === 'all') return
    this.#covered = 'all'
    await this.#writeMeta('coverage', this.covered, now)
  }

  /** Takes back what `uncover` did. */
  async restoreCoverage(covered: 'all' | readonly string[], now: number): Promise<void> {
    this.#covered = covered === 'all' ? 'all' : new Set(covered)
    await this.#writeMeta('coverage', this.covered, now)
  }

  /** From now on these collections cannot be read here. */
  async uncover(collections: readonly string[], now: number): Promise<void> {
    const known = this.#covered === 'all' ? await this.collections(now) : this.#covered
    this.#covered = new Set([...known].filter((name) => !collections.includes(name)))
    await this.#writeMeta('coverage', this.covered, now)
  }

  /**
   * @param collection - its name, or `undefined` for all of them
   * @throws UnavailableError when the local copy does not know it
   */
  requireCovered(collection: string | undefined, why: string): void {
    if (collection === undefined ? this.#covered === 'all' : this.covers(collection)) return
    const what = collection === undefined ? 'The list of collections' : JSON.stringify(collection)
    throw new UnavailableError(`${what} has not been copied yet and the primary is down (${why}); try again later`)
  }

  read(collection: string, keys: readonly string[], now: number): Promise<(StoredRecord | undefined)[]> {
    return this.#backend.read(collection, keys, now)
  }

  page(collection: string, range: Range, now: number): Promise<KeyedRecord[]> {
    return this.#backend.page(collection, range, now)
  }

  count(collection: string, prefix: string, now: number): Promise<number> {
    return this.#backend.count(collection, prefix, now)
  }

  /** Without our own. */
  async collections(now: number): Promise<string[]> {
    return (await this.#backend.collections(now)).filter((name) => !OWN.includes(name))
  }

  async health(): Promise<void> {
    await this.#backend.health(undefined)
  }

  /** Follows the primary, which has judged the conditions already. */
  async copy(mutations: readonly Mutation[], now: number): Promise<void> {
    await this.settleDoubts([], mutations, now)
  }

  /**
   * Takes a batch in an outage: judges its conditions, changes the copy and appends to the journal, in one commit.
   * Nobody else may write to these keys meanwhile.
   */
  async journal(mutations: readonly Mutation[], now: number): Promise<void> {
    const changes = await this.#recordChanges(mutations, now)
    if (changes.length === 0) {
      await this.#backend.commit(mutations, now)
      return
    }
    const sequence = this.#sequence + 1
    // Taken at once: another batch must not take the same number while this one is written.
    this.#sequence = sequence
    const entry: JournalEntry = {
      sequence,
      at: now,
      changes: await Promise.all(changes.map((change) => this.#journalChange(change, now))),
    }
    const own = [put(JOURNAL, journalKey(sequence), entry), put(META, 'sequence', sequence)]
    await this.#backend.commit([...mutations, ...own], now)
    this.#journalLength++
  }

  /** The oldest batches of the journal. */
  async entries(limit: number, now: number): Promise<JournalEntry[]> {
    const records = await this.#backend.page(JOURNAL, { limit }, now)
    return records.map(({ json }) => JSON.parse(json) as JournalEntry)
  }

  /** The journal forgets these batches; those that became conflicts are kept apart, in the same commit. */
  async settle(entries: readonly JournalEntry[], conflicts: readonly Conflict[], now: number): Promise<void> {
    if (entries.length === 0) return
    const removals = entries.map(({ sequence }) => remove(JOURNAL, journalKey(sequence)))
    const kept = conflicts.map((conflict) => put(CONFLICTS, journalKey(conflict.sequence), conflict))
    await this.#backend.commit([...removals, ...kept], now)
    this.#journalLength -= entries.length
    this.#conflicts += conflicts.length
  }

  async conflicts(now: number): Promise<Conflict[]> {
    const records = await this.#backend.page(CONFLICTS, { limit: ALL }, now)
    return records.map(({ json }) => JSON.parse(json) as Conflict)
  }

  /** @returns whether there was such a conflict */
  async dismissConflict(sequence: number, now: number): Promise<boolean> {
    const key = journalKey(sequence)
    const [record] = await this.#backend.read(CONFLICTS, [key], now)
    if (record === undefined) return false
    await this.#backend.commit([remove(CONFLICTS, key)], now)
    this.#conflicts--
    return true
  }

  /**
   * Remembers that the outcome of these changes is not known.
   *
   * @returns the records that were not in doubt before
   */
  async doubt(changes: readonly RecordMutation[], now: number): Promise<Doubt[]> {
    const doubts = changes.map(({ collection, key }): Doubt => ({ collection, key }))
    const added = doubts.filter((doubt) => !this.#doubts.has(idOf(doubt)))
    for (const doubt of added) this.#doubts.set(idOf(doubt), doubt)
    if (added.length > 0)
      await this.#backend.commit(
        added.map((doubt) => put(DOUBTS, idOf(doubt), doubt)),
        now,
      )
    return added
  }

  /** What the primary has is known again: the copy takes it, and the doubts end, in one commit. */
  async settleDoubts(doubts: readonly Doubt[], found: readonly Mutation[], now: number): Promise<void> {
    const ids = doubts.map(idOf)
    const changes = found.filter(isChange).map(unconditional)
    const removals = ids.map((id) => remove(DOUBTS, id))
    if (changes.length + removals.length > 0) await this.#backend.commit([...changes, ...removals], now)
    for (const id of ids) this.#doubts.delete(id)
  }

  /**
   * From now on versions of this origin are known as ours.
   *
   * A process that is killed may leave a write on the primary that the copy lacks. It has a version of that process, so
   * a later write of the record can tell it from the write of somebody else.
   */
  async addOrigin(origin: string, now: number): Promise<void> {
    if (!this.#origins.includes(origin)) await this.#writeOrigins([...this.#origins, origin], now)
  }

  /** The copy has all that earlier processes wrote, so their versions need not be known any more. */
  async keepOrigin(origin: string, now: number): Promise<void> {
    if (this.#origins.length > 1) await this.#writeOrigins([origin], now)
  }

  /** Whether this process made the version, or an earlier one whose writes the copy may lack. */
  isOwnVersion(version: string): boolean {
    return this.#origins.includes(originOf(version))
  }

  async #writeOrigins(origins: readonly string[], now: number): Promise<void> {
    await this.#writeMeta('origins', origins, now)
    this.#origins = origins
  }

  async #journalChange(change: RecordMutation, now: number): Promise<JournalChange> {
    const { collection, key, version } = change
    const [before] = await this.#backend.read(collection, [key], now)
    const isDoubtful = this.#doubts.has(idOf(change))
    const common = {
      collection,
      key,
      version,
      base: before?.version ?? null,
      baseExpiresAt: before?.expiresAt,
      isDoubtful,
    }
    if (change.type === 'delete') return { type: 'delete', ...common }
    return { type: 'set', ...common, value: JSON.parse(change.json) as unknown, expiresAt: change.expiresAt }
  }

  /** A `clear` becomes deletes of what is there, so that the replay can tell what it did not mean. */
  async #recordChanges(mutations: readonly Mutation[], now: number): Promise<RecordMutation[]> {
    const changes: RecordMutation[] = []
    for (const mutation of mutations) {
      if (mutation.type === 'put' || mutation.type === 'delete') changes.push(mutation)
      if (mutation.type !== 'clear') continue
      const { collection } = mutation
      const records = await this.#backend.page(collection, { limit: ALL }, now)
      const written = changes.filter((change) => change.collection === collection)
      changes.push(...[...records, ...written].map(({ key }) => remove(collection, key)))
    }
    return changes
  }

  async #writeMeta(key: string, value: unknown, now: number): Promise<void> {
    await this.#backend.commit([put(META, key, value)], now)
  }
}

function put(collection: string, key: string, value: unknown): Mutation {
  const json = JSON.stringify(value)
  return { type: 'put', collection, key, json, version: NO_VERSION, expiresAt: undefined, expected: undefined }
}

function remove(collection: string, key: string): RecordMutation {
  return { type: 'delete', collection, key, version: NO_VERSION, expected: undefined }
}

/** Padded, so that the order of keys is the order of numbers. */
function journalKey(sequence: number): string {
  return String(sequence).padStart(SEQUENCE_DIGITS, '0')
}

function idOf({ collection, key }: Doubt): string {
  return JSON.stringify([collection, key])
}

function isChange(mutation: Mutation): boolean {
  return mutation.type !== 'check'
}

function unconditional(mutation: Mutation): Mutation {
  return mutation.type === 'put' || mutation.type === 'delete' ? { ...mutation, expected: undefined } : mutation
}

function parse<T>(record: StoredRecord | undefined): T | undefined {
  return record === undefined ? undefined : (JSON.parse(record.json) as T)
}
