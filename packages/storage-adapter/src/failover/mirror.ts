import type { KeyedRecord, Mutation } from '../backend.js'
import type { Gate } from './gate.js'
import type { KeyQueue } from '../key-queue.js'
import { compareKeys } from '../keys.js'
import { idOf, type Doubt as RecordName } from './local-doubts.js'
import { NO_VERSION } from './local-journal.js'
import type { LocalStore } from './local-store.js'
import { isRecordMutation, type RecordMutation } from './record-mutation.js'
import { ONCE_COLLECTION } from '../mutations.js'
import type { Primary } from './primary.js'
import { readAsChanges, readPage } from './primary-records.js'
import type { LoggedChange } from '../storage.js'
import type { Turns } from './turns.js'

/** Records that are compared at a time, and changes that are followed at a time. */
const PAGE = 250

/** What copying works with. */
export interface MirrorParts {
  readonly primary: Primary
  readonly local: LocalStore
  /** Shared while the copy is changed, so that the storage does not leave the primary in the middle of that. */
  readonly gate: Gate
  /** Keeps changes of one record in line with the writes of this process. */
  readonly locks: KeyQueue
  /** Whether others write to the primary, whose changes must be followed. */
  readonly follows: boolean
  /** Whether the primary still serves, and we are wanted; copying ends when not. */
  readonly isWanted: () => boolean
  readonly now: () => number
  /** Lets others have their turn of the event loop. */
  readonly turns: Turns
  /** The copy was changed by what others did. */
  readonly onChanged: (changes: readonly Mutation[]) => void
}

/** What this process wrote while a page was on its way. */
interface Written {
  readonly names: Set<string>
  readonly cleared: Set<string>
}

/** Makes the local copy equal to the primary, and keeps it so: first compares the two, then follows the log of changes. */
export class Mirror {
  readonly #parts: MirrorParts
  readonly #onCompare: () => void
  /** Everything must be compared, because the copy lacks something, nobody knows what. */
  #mustCompare = true
  #written: Written | undefined
  #followedAt: number | undefined

  /** @param onCompare - called when everything is about to be compared */
  constructor(parts: MirrorParts, onCompare: () => void) {
    this.#parts = parts
    this.#onCompare = onCompare
  }

  /** Whether the copy lacks something, as far as is known. */
  get isBehind(): boolean {
    return this.#mustCompare
  }

  /** When the copy was last known to have everything, in epoch milliseconds. */
  get followedAt(): number | undefined {
    return this.#followedAt
  }

  /** The copy may lack anything. */
  invalidate(): void {
    this.#mustCompare = true
  }

  /** The storage is opened: what the last process left is complete, or not. */
  begin(): void {
    const { local, follows } = this.#parts
    this.#followedAt = undefined
    this.#mustCompare = !(follows && local.cursor !== undefined && local.coverage.isComplete)
  }

  /** This process writes to the primary, and the copy follows at once. */
  note(mutations: readonly Mutation[]): void {
    if (this.#written === undefined) return
    for (const mutation of mutations) {
      if (mutation.type === 'clear') this.#written.cleared.add(mutation.collection)
      else if (isRecordMutation(mutation)) this.#written.names.add(idOf(mutation))
    }
  }

  /**
   * Brings the copy up to date.
   *
   * @throws when the primary went meanwhile, or when the copy cannot be written
   */
  async update(): Promise<void> {
    const { now, local, follows, turns } = this.#parts
    const startedAt = now()
    turns.begin()
    if (!this.#mustCompare && follows) await this.#follow()
    if (this.#mustCompare) await this.#compare()
    this.#written = undefined
    // A write that the copy missed meanwhile asks for another round.
    if (!this.#mustCompare && local.coverage.isComplete) this.#followedAt = startedAt
  }

  async #compare(): Promise<void> {
    const { primary, local, gate, now, follows } = this.#parts
    this.#mustCompare = false
    this.#onCompare()
    try {
      // The log is followed from before the first page is read, so nothing falls between the two.
      const cursor = follows ? (await primary.call('read', (storage) => storage.changes())).cursor : undefined
      const onPrimary = await primary.call('read', (storage) => storage.collections())
      const names = new Set([ONCE_COLLECTION, ...onPrimary, ...(await local.collections(now()))])
      for (const name of names) if (local.coverage.mirrors(name)) await this.#compareCollection(name)
      // Beside no `clear`, which takes coverage away and gives it back.
      await gate.shared(async () => {
        this.#insist()
        if (this.#mustCompare) return
        await local.coverAll(now())
        if (cursor !== undefined) await local.setCursor(cursor, now())
      })
    } catch (error) {
      this.#mustCompare = true
      throw error
    }
  }

  async #compareCollection(name: string): Promise<void> {
    const { local, gate, now } = this.#parts
    let after: string | undefined
    do after = await this.#comparePage(name, after)
    while (after !== undefined)
    await gate.shared(async () => {
      if (!this.#mustCompare) await local.cover(name, now())
    })
  }

  /** @returns the last key of the page, or `undefined` when it was the last page */
  async #comparePage(name: string, after: string | undefined): Promise<string | undefined> {
    const { primary, local, now, turns } = this.#parts
    this.#insist()
    const written: Written = { names: new Set(), cleared: new Set() }
    this.#written = written
    const theirs = await readPage(primary, name, { after, limit: PAGE }, now())
    const ours = await local.page(name, { after, limit: PAGE }, now())
    // What is behind the end of a full page is not known yet, so the two are compared up to where the first of them ends.
    const ends = [theirs, ours].flatMap((page) => (page.length < PAGE ? [] : [(page.at(-1) as KeyedRecord).key]))
    const last = ends.sort(compareKeys)[0]
    const isCompared = ({ key }: KeyedRecord): boolean => last === undefined || compareKeys(key, last) <= 0
    await this.#adopt(difference(name, theirs.filter(isCompared), ours.filter(isCompared)), written)
    await turns.breathe()
    return last
  }

  /**
   * Follows the log of changes to its end. It tells names; what a record is now is asked of the primary, so a record
   * that changed often is read once.
   */
  async #follow(): Promise<void> {
    const { primary, local, now, turns } = this.#parts
    for (;;) {
      this.#insist()
      const since = local.cursor
      const page = await primary.call('read', (storage) => storage.changes({ since, limit: PAGE }))
      if (page.isReset) return this.invalidate()
      await this.#takeIn(page.changes)
      await local.setCursor(page.cursor, now())
      if (page.changes.length < PAGE) return
      await turns.breathe()
    }
  }

  async #takeIn(changes: readonly LoggedChange[]): Promise<void> {
    const { local } = this.#parts
    const names = new Map<string, LoggedChange>()
    for (const change of changes) {
      const { type, collection } = change
      if (!local.coverage.mirrors(collection)) continue
      if (collection.startsWith('$') && collection !== ONCE_COLLECTION) continue
      if (type === 'clear') await this.#compareCollection(collection)
      else names.set(idOf(change), change)
    }
    const others: RecordName[] = []
    for (const change of names.values()) if (!(await this.#has(change))) others.push(change)
    if (others.length > 0) await this.#adopt(await this.#readOthers(others), this.#written)
  }

  /** Whether the copy shows this change already, as it does for one of our own. */
  async #has({ type, collection, key, version }: LoggedChange): Promise<boolean> {
    const { local, now } = this.#parts
    const [here] = await local.read(collection, [key], now())
    return type === 'put' ? here?.version === version : here === undefined
  }

  #readOthers(names: readonly RecordName[]): Promise<RecordMutation[]> {
    this.#written = { names: new Set(), cleared: new Set() }
    return readAsChanges(this.#parts.primary, names, this.#parts.now())
  }

  /**
   * The copy takes what was found, while no write of ours is on its way to these records. What we have written since it
   * was found is asked for again: others may have come after us.
   */
  async #adopt(found: readonly RecordMutation[], written: Written | undefined): Promise<void> {
    if (found.length === 0) return
    const { primary, local, gate, locks, now, onChanged } = this.#parts
    await gate.shared(() =>
      locks.run(found.map(idOf), async () => {
        this.#insist()
        const isStale = (change: RecordMutation): boolean =>
          written?.names.has(idOf(change)) === true || written?.cleared.has(change.collection) === true
        const again = await readAsChanges(primary, found.filter(isStale), now())
        const changes = [...found.filter((change) => !isStale(change)), ...again]
        await local.adopt(changes, [], now())
        onChanged(changes)
      }),
    )
  }

  #insist(): void {
    if (!this.#parts.isWanted()) throw new Error('the primary went while it was copied')
  }
}

function difference(
  collection: string,
  theirs: readonly KeyedRecord[],
  ours: readonly KeyedRecord[],
): RecordMutation[] {
  const mine = new Map(ours.map((record) => [record.key, record]))
  const changes: RecordMutation[] = []
  for (const record of theirs) {
    const isSame = mine.get(record.key)?.version === record.version
    mine.delete(record.key)
    if (!isSame) changes.push({ type: 'put', collection, ...record, expected: undefined })
  }
  for (const key of mine.keys()) {
    changes.push({ type: 'delete', collection, key, version: NO_VERSION, expected: undefined })
  }
  return changes
}
