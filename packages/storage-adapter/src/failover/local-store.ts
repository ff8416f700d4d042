import { randomUUID } from 'node:crypto'
import type { Backend, KeyedRecord, Mutation, Range, StoredRecord } from '../backend.js'
import { Coverage } from './coverage.js'
import { UnavailableError } from '../errors.js'
import type { Announce, StorageEvents } from '../events.js'
import type { Conflict } from './failover-state.js'
import { extendTrail, type TrailChange, type TrailEntry } from './history.js'
import { toJournaledChange, toRecordChanges } from './journal-change.js'
import { doubtRecord, doubtRemoval, DOUBTS, idOf, LocalDoubts, type Doubt } from './local-doubts.js'
import {
  isJournal,
  journalRecord,
  LocalJournal,
  NO_VERSION,
  record,
  type JournaledBatch,
  type JournaledChange,
} from './local-journal.js'
import { META, metaRecords, readMeta, type Identity, type Meta } from './local-meta.js'
import { isRecordMutation, removal, unconditional, type RecordMutation } from './record-mutation.js'
import type { Turns } from './turns.js'
import { originOf } from '../versions.js'

/*
 * The local copy, the journal, and what must be remembered about the primary are collections of one file backend, so
 * that "change the copy and append to the journal" is one atomic commit.
 */
const CONFLICTS = '$conflicts'
const OWN: readonly string[] = [META, CONFLICTS, DOUBTS]

const ALL = Number.MAX_SAFE_INTEGER

/** What is kept, and of what. */
export interface LocalStoreOptions {
  /** The collections that are copied. */
  readonly mirror: 'all' | readonly string[]
  /** The collections whose journal keeps the value that a write replaced. */
  readonly keepsBase: (collection: string) => boolean
  /** Lets others have their turn of the event loop. */
  readonly turns?: Turns | undefined
}

/** What was known before collections were cleared. */
export interface BeforeClear {
  readonly coverage: 'all' | readonly string[]
  readonly trail: readonly TrailEntry[]
}

/** So many records are looked at before others have their turn. */
const PORTION = 500

const DEFAULTS: LocalStoreOptions = { mirror: 'all', keepsBase: () => false }

/** What is kept beside the primary. */
export class LocalStore {
  readonly #backend: Backend
  readonly #options: LocalStoreOptions
  readonly #journal: LocalJournal
  readonly #doubts = new LocalDoubts()
  #coverage = new Coverage('all', [])
  #identity: Identity = { id: '', storeId: undefined }
  #conflicts = 0
  #origins: readonly string[] = []
  #trail: readonly TrailEntry[] = []
  #history = 0
  #cursor: string | undefined

  constructor(backend: Backend, options: LocalStoreOptions = DEFAULTS) {
    this.#backend = backend
    this.#options = options
    this.#journal = new LocalJournal(backend)
  }

  async open(announce: Announce<StorageEvents>, now: number): Promise<void> {
    await this.#backend.open(announce, NO_VERSION)
    const meta = await readMeta(this.#backend, now)
    this.#identity = meta.identity ?? { id: randomUUID(), storeId: undefined }
    if (meta.identity === undefined) await this.#write({ identity: this.#identity }, now)
    this.#coverage = new Coverage(this.#options.mirror, meta.coverage ?? [])
    this.#origins = meta.origins ?? []
    this.#trail = meta.trail ?? []
    this.#history = meta.history ?? 0
    this.#cursor = meta.cursor
    await this.#journal.open(meta.first ?? 1, meta.sequence ?? 0, now)
    this.#conflicts = await this.#backend.count(CONFLICTS, '', now)
    await this.#doubts.open(this.#backend, now)
    if (this.#options.mirror !== 'all') await this.#dropUnmirrored(now)
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
    return this.#journal.length
  }

  get conflictCount(): number {
    return this.#conflicts
  }

  get doubts(): LocalDoubts {
    return this.#doubts
  }

  get coverage(): Pick<Coverage, 'mirrors' | 'covers' | 'isComplete' | 'isEverything' | 'value'> {
    return this.#coverage
  }

  /** The last writes that the primary acknowledged. */
  get trail(): readonly TrailEntry[] {
    return this.#trail
  }

  get history(): number {
    return this.#history
  }

  get cursor(): string | undefined {
    return this.#cursor
  }

  async setStoreId(storeId: string, now: number): Promise<void> {
    if (this.storeId === storeId) return
    const identity = { ...this.#identity, storeId }
    await this.#write({ identity }, now)
    this.#identity = identity
  }

  /** The primary has noted so often that we are there. */
  async setHistory(history: number, now: number): Promise<void> {
    await this.#write({ history }, now)
    this.#history = history
  }

  /**
   * The log of the primary's changes has been followed up to here. What was seen in it stays in the trail all the same: an
   * older backup has a log that never told of it.
   */
  async setCursor(cursor: string, now: number): Promise<void> {
    if (cursor === this.#cursor) return
    await this.#write({ cursor, trail: this.#trail }, now)
    this.#cursor = cursor
  }

  /** Takes another store, or another history, for the primary: nothing that was known about the last one holds. */
  async forgetPrimary(storeId: string | undefined, now: number): Promise<void> {
    const identity = { ...this.#identity, storeId }
    await this.#backend.commit(
      [...metaRecords({ identity, history: 0, trail: [], origins: [] }), removal(META, 'cursor')],
      now,
    )
    this.#identity = identity
    this.#history = 0
    this.#trail = []
    this.#origins = []
    this.#cursor = undefined
  }

  /** From now on the collection can be read here. */
  async cover(collection: string, now: number): Promise<void> {
    if (this.#coverage.covers(collection)) return
    this.#coverage.add(collection)
    await this.#writeCoverage(now)
  }

  /** From now on everything that is copied can be read here. */
  async coverAll(now: number): Promise<void> {
    if (this.#coverage.isComplete) return
    this.#coverage.addAll()
    await this.#writeCoverage(now)
  }

  /** From now on these collections cannot be read here. */
  async uncover(collections: readonly string[], now: number): Promise<void> {
    const known = await this.collections(now)
    // In memory at once, also when the disk does not take it.
    this.#coverage.remove(collections, known)
    await this.#writeCoverage(now)
  }

  /**
   * These collections are about to be cleared on the primary. Until it is known whether they were, they cannot be read
   * here, and that a record of theirs is gone does not mean that the primary lacks a write.
   *
   * @returns what was known before
   */
  async beginClear(collections: readonly string[], now: number): Promise<BeforeClear> {
    const before = { coverage: this.#coverage.value, trail: this.#trail }
    const clears = collections.map((collection) => ({ type: 'clear', collection }) as const)
    this.#trail = extendTrail(this.#trail, clears, undefined)
    await this.uncover(collections, now)
    return before
  }

  /**
   * It is known what became of them.
   *
   * @param isCleared - whether they were cleared; else it is as if nothing had been tried
   */
  async endClear({ coverage, trail }: BeforeClear, isCleared: boolean, now: number): Promise<void> {
    this.#coverage.restore(coverage)
    if (!isCleared) this.#trail = trail
    await this.#writeCoverage(now)
  }

  /**
   * @param collection - its name, or `undefined` for all of them
   * @throws UnavailableError when the local copy does not know it
   */
  requireCovered(collection: string | undefined, why: string): void {
    if (collection === undefined ? this.#coverage.isEverything : this.#coverage.covers(collection)) return
    const what = collection === undefined ? 'The list of collections' : JSON.stringify(collection)
    const isMirrored = collection === undefined ? this.#options.mirror === 'all' : this.#coverage.mirrors(collection)
    throw new UnavailableError(
      isMirrored
        ? `${what} has not been copied yet and the primary is down (${why}); try again later`
        : `${what} is not copied, as the option mirror says, and the primary is down (${why}); try again later`,
    )
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
    return (await this.#backend.collections(now)).filter((name) => !OWN.includes(name) && !isJournal(name))
  }

  async health(): Promise<void> {
    await this.#backend.health(undefined)
  }

  /** Takes what the primary has, whoever wrote it, and ends the doubts about it, in one commit. */
  async adopt(found: readonly RecordMutation[], doubts: readonly Doubt[], now: number): Promise<void> {
    const settled = this.#doubts.current(doubts)
    const changes = found.filter(({ collection }) => this.#coverage.mirrors(collection)).map(unconditional)
    const own = [...settled.map(doubtRemoval), ...this.#extendTrail(changes, undefined)]
    if (changes.length + own.length > 0) await this.#backend.commit([...changes, ...own], now)
    this.#doubts.remove(settled)
  }

  /**
   * Follows a batch of ours that the primary has acknowledged; none when it was refused.
   *
   * @param doubts - those that were noted before the batch, and are settled by its outcome
   */
  async follow(mutations: readonly Mutation[], doubts: readonly Doubt[], now: number): Promise<void> {
    const changes = mutations
      .filter(({ type, collection }) => type !== 'check' && this.#coverage.mirrors(collection))
      .map(unconditional)
    const step = await this.#trailEntry(changes, now)
    // From here to the commit nothing is awaited, so that no step of another batch is lost.
    const own = [...doubts.map(doubtRemoval), ...this.#extendTrail(changes, step)]
    if (changes.length + own.length > 0) await this.#commit([...changes, ...own], now)
    this.#doubts.remove(doubts)
  }

  /**
   * Takes a batch in an outage: judges its conditions, changes the copy and appends to the journal, in one commit.
   * Nobody else may write to these keys meanwhile.
   */
  async journal(mutations: readonly Mutation[], now: number): Promise<void> {
    const changes = await toRecordChanges(this.#backend, mutations, now, this.#doubts.all)
    const mayLack = this.#origins.length > 1
    const clears = mayLack ? mutations.filter(({ type }) => type === 'clear').map(({ collection }) => collection) : []
    if (changes.length + clears.length === 0) {
      await this.#backend.commit(mutations, now)
      return
    }
    const journaled: JournaledChange[] = []
    this.#options.turns?.begin()
    for (let at = 0; at < changes.length; at += PORTION) {
      if (at > 0) await this.#options.turns?.breathe()
      const portion = changes.slice(at, at + PORTION)
      journaled.push(...(await Promise.all(portion.map((change) => this.#toJournaled(change, now)))))
    }
    // From here to the commit nothing is awaited, so numbers are written down in the order in which they are taken.
    const sequence = this.#journal.take()
    const batch = { sequence, id: randomUUID(), at: now, changes: journaled }
    const entry: JournaledBatch = clears.length > 0 ? { ...batch, clears } : batch
    await this.#commit([...mutations, journalRecord(entry), ...metaRecords({ sequence })], now)
    this.#journal.added(sequence)
  }

  /** Whether this very batch waits. */
  async isWaiting(sequence: number, id: string, now: number): Promise<boolean> {
    return (await this.#journal.at(sequence, now))?.id === id
  }

  /** The oldest batches of the journal. */
  entries(limit: number, now: number): Promise<JournaledBatch[]> {
    return this.#journal.entries(limit, now)
  }

  /** Those up to this one, some at a time. */
  async *entriesUpTo(sequence: number, now: number): AsyncGenerator<JournaledBatch[], void, undefined> {
    this.#options.turns?.begin()
    for (let after = 0; ;) {
      const entries = await this.#journal.entries(PORTION, now, { after, last: sequence })
      if (entries.length === 0) return
      yield entries
      after = (entries.at(-1) as JournaledBatch).sequence
      await this.#options.turns?.breathe()
    }
  }

  /**
   * The journal forgets its oldest batches, all of them up to the last one given: the primary has them. It says so
   * itself, so the disk may be told later.
   */
  forget(entries: readonly JournaledBatch[]): void {
    const last = entries.at(-1)
    if (last === undefined) return
    this.#journal.removed(last.sequence)
    const changes = entries.flatMap((entry) => entry.changes)
    this.#trail = extendTrail(this.#trail, changes, lastWritten(last, changes))
  }

  /** Tells the disk what was forgotten. */
  async writeForgotten(now: number): Promise<void> {
    if (this.#journal.isUnwritten) await this.#commit([], now)
  }

  /**
   * The journal forgets its oldest batch, in one commit with what that means.
   *
   * @param conflict - the batch, when it was not replayed, and is kept apart
   * @param found - what the primary has instead, for the copy
   */
  async settle(
    { sequence, changes }: JournaledBatch,
    conflict: Conflict | undefined,
    found: readonly RecordMutation[],
    now: number,
  ): Promise<void> {
    const kept = conflict === undefined ? [] : [record(CONFLICTS, conflictKey(sequence), conflict)]
    this.#trail = extendTrail(this.#trail, changes, undefined)
    await this.#commit([...found, ...kept], now, sequence)
    this.#journal.removed(sequence)
    if (conflict !== undefined) this.#conflicts++
  }

  async conflicts(now: number): Promise<Conflict[]> {
    const records = await this.#backend.page(CONFLICTS, { limit: ALL }, now)
    return records.map(({ json }) => JSON.parse(json) as Conflict)
  }

  /** @returns whether there was such a conflict */
  async dismissConflict(sequence: number, now: number): Promise<boolean> {
    const key = conflictKey(sequence)
    const [conflict] = await this.#backend.read(CONFLICTS, [key], now)
    if (conflict === undefined) return false
    await this.#backend.commit([removal(CONFLICTS, key)], now)
    this.#conflicts--
    return true
  }

  /**
   * Remembers that the outcome of these changes is not known.
   *
   * @returns the records that were not in doubt before
   */
  async doubt(changes: readonly RecordMutation[], now: number): Promise<Doubt[]> {
    const mirrored = changes.filter(({ collection }) => this.#coverage.mirrors(collection))
    const { added, changed } = this.#doubts.add(
      mirrored.map((change): Doubt => ({
        collection: change.collection,
        key: change.key,
        mayRemove: change.type === 'delete' || change.expiresAt !== undefined,
      })),
    )
    if (changed.length > 0) await this.#backend.commit(changed.map(doubtRecord), now)
    return added
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
    if (this.#origins.length !== 1 || this.#origins[0] !== origin) await this.#writeOrigins([origin], now)
  }

  /** Whether this process made the version, or an earlier one whose writes the copy may lack. */
  isOwnVersion(version: string): boolean {
    return this.#origins.includes(originOf(version))
  }

  async #writeOrigins(origins: readonly string[], now: number): Promise<void> {
    await this.#write({ origins }, now)
    this.#origins = origins
  }

  async #toJournaled(change: RecordMutation, now: number): Promise<JournaledChange> {
    const [before] = await this.#backend.read(change.collection, [change.key], now)
    const isBaseKept = this.#options.keepsBase(change.collection)
    return toJournaledChange(change, before, { isDoubtful: this.#doubts.mayRemove(change), isBaseKept })
  }

  /** The last record of a batch stands for all of it, since a batch is there whole or not at all. */
  async #trailEntry(mutations: readonly Mutation[], now: number): Promise<TrailEntry | undefined> {
    const last = mutations.findLast(isRecordMutation)
    if (last === undefined) return undefined
    const { collection, key, type } = last
    const [before] = await this.#backend.read(collection, [key], now)
    const isDelete = type === 'delete'
    if (isDelete && before === undefined) return undefined
    const expiresAt = isDelete ? undefined : last.expiresAt
    return { collection, key, version: last.version, isDelete, before: before?.version ?? null, expiresAt }
  }

  /** @returns what is to be written down, if anything */
  #extendTrail(changes: readonly TrailChange[], entry: TrailEntry | undefined): Mutation[] {
    const trail = extendTrail(this.#trail, changes, entry)
    if (trail === this.#trail) return []
    this.#trail = trail
    return metaRecords({ trail })
  }

  async #dropUnmirrored(now: number): Promise<void> {
    const names = (await this.collections(now)).filter((name) => !this.#coverage.mirrors(name))
    const clears = names.map((collection): Mutation => ({ type: 'clear', collection, version: NO_VERSION }))
    await this.#backend.commit([...clears, ...metaRecords({ coverage: this.#coverage.value })], now)
  }

  async #writeCoverage(now: number): Promise<void> {
    await this.#write({ coverage: this.#coverage.value, trail: this.#trail }, now)
  }

  /**
   * Commits, and tells the disk on the occasion what was forgotten: a later commit must not outlive that.
   *
   * @param last - a batch that is forgotten with this commit
   */
  async #commit(mutations: readonly Mutation[], now: number, last?: number): Promise<void> {
    const first = this.#journal.first(last)
    const isNews = last !== undefined || this.#journal.isUnwritten
    const own = isNews ? [...this.#journal.removals(first), ...metaRecords({ first, trail: this.#trail })] : []
    await this.#backend.commit([...mutations, ...own], now)
    this.#journal.written(first)
  }

  async #write(meta: Partial<Meta>, now: number): Promise<void> {
    await this.#backend.commit(metaRecords(meta), now)
  }
}

/** Padded, so that the order of keys is the order of numbers. */
function conflictKey(sequence: number): string {
  return String(sequence).padStart(16, '0')
}

/**
 * What a batch wrote last.
 *
 * @param changes - those that the primary took together with it: of what was in between, it has seen nothing
 */
function lastWritten(last: JournaledBatch, changes: readonly JournaledChange[]): TrailEntry | undefined {
  const change = last.changes.at(-1)
  if (change === undefined) return undefined
  const { collection, key, version } = change
  const before = changes.find((each) => idOf(each) === idOf(change))?.base ?? null
  if (change.type === 'delete' && before === null) return undefined
  const isDelete = change.type === 'delete'
  const expiresAt = isDelete ? undefined : change.expiresAt
  return { collection, key, version, isDelete, before, expiresAt }
}
