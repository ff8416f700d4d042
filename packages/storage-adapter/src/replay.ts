import type { RecordMutation } from './local-store.js'
import { ConflictError } from './errors.js'
import type { Conflict, JournalChange, JournalEntry } from './failover-state.js'
import type { KeyQueue } from './key-queue.js'
import type { LocalStore } from './local-store.js'
import type { Primary } from './primary.js'
import type { BatchOperation, Entry } from './storage.js'
import type { WriterMark } from './writer-mark.js'

/** So many batches share one transaction, as long as no two of them touch the same record. */
const CHUNK = 100

/** How often a batch is tried with what was just found, before it is a conflict. */
const MAX_ATTEMPTS = 3

/** What a replay works with. */
export interface ReplayParts {
  readonly primary: Primary
  readonly local: LocalStore
  readonly mark: WriterMark
  /** Keeps writes of one record in line. */
  readonly locks: KeyQueue
}

/** What a step of a replay did. */
export interface ReplayStep {
  readonly replayed: number
  readonly conflicts: readonly Conflict[]
}

/**
 * Replays the oldest batches of a journal that is not empty, as many as one transaction takes.
 *
 * The journal forgets a batch only after the primary has it and was read back. Whatever happens in between, the mark
 * on the primary tells the next attempt what it has.
 */
export async function replayStep(parts: ReplayParts, now: number): Promise<ReplayStep> {
  const { local, mark } = parts
  const entries = await local.entries(CHUNK, now)
  const known = entries.filter(({ sequence }) => sequence <= mark.sequence)
  if (known.length > 0) {
    // A crash, or a lost answer, came between the primary's commit and ours.
    await local.settle(known, [], now)
    return { replayed: known.length, conflicts: [] }
  }
  const chunk = takeDisjoint(entries)
  // Whoever repeats this until the journal is empty must not do so for ever.
  if (chunk.length === 0) throw new Error('The journal holds fewer batches than it counts')
  try {
    await apply(parts, chunk)
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error
    return replayOne(parts, chunk[0] as JournalEntry, now)
  }
  return settle(parts, chunk, now)
}

/** Replays a single batch, which may be one that conflicts. */
async function replayOne(parts: ReplayParts, entry: JournalEntry, now: number): Promise<ReplayStep> {
  let expected = entry.changes.map(({ base }) => base)
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    try {
      await apply(parts, [entry], expected)
      return await settle(parts, [entry], now)
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
    }
    const found = await readVersions(parts.primary, entry.changes)
    if (!entry.changes.every((change, i) => isOurs(parts.local, change, found[i] ?? null, now))) break
    expected = found
  }
  return keepConflict(parts, entry, now)
}

async function apply(
  { mark }: ReplayParts,
  entries: readonly JournalEntry[],
  expected?: readonly (string | null)[],
): Promise<void> {
  const changes = entries.flatMap((entry) => entry.changes)
  const operations = changes.flatMap((change, i) =>
    toOperations(change, expected === undefined ? change.base : (expected[i] ?? null)),
  )
  await mark.replay(operations, Math.max(...entries.map(({ sequence }) => sequence)))
}

/** Reads back what was written, and then forgets it. */
async function settle(parts: ReplayParts, entries: readonly JournalEntry[], now: number): Promise<ReplayStep> {
  const arrived = await Promise.all(entries.map((entry) => isThere(parts.primary, entry, now)))
  const done = entries.filter((_, i) => arrived[i])
  await parts.local.settle(done, [], now)
  const conflicts: Conflict[] = []
  for (const entry of entries) {
    if (!done.includes(entry)) conflicts.push(...(await keepConflict(parts, entry, now)).conflicts)
  }
  return { replayed: done.length, conflicts }
}

async function isThere(primary: Primary, entry: JournalEntry, now: number): Promise<boolean> {
  const last = lastChanges(entry)
  const found = await readVersions(primary, last)
  return last.every((change, i) => hasArrived(change, found[i] ?? null, now))
}

async function keepConflict(parts: ReplayParts, entry: JournalEntry, now: number): Promise<ReplayStep> {
  const conflict: Conflict = { ...entry, found: await readVersions(parts.primary, entry.changes) }
  const keys = entry.changes.map(({ collection, key }) => JSON.stringify([collection, key]))
  await parts.locks.run(keys, async () => {
    // The primary's value stands, so it is what the copy must show.
    const records = await Promise.all(entry.changes.map((change) => readRecord(parts.primary, change)))
    await parts.local.copy(records, now)
    await parts.local.settle([entry], [conflict], now)
  })
  return { replayed: 0, conflicts: [conflict] }
}

/** As many of the first batches as change different records: a transaction judges all conditions before any change. */
function takeDisjoint(entries: readonly JournalEntry[]): JournalEntry[] {
  const seen = new Set<string>()
  const taken: JournalEntry[] = []
  for (const entry of entries) {
    const keys = entry.changes.map(({ collection, key }) => JSON.stringify([collection, key]))
    if (keys.some((key) => seen.has(key))) break
    for (const key of keys) seen.add(key)
    taken.push(entry)
  }
  return taken
}

/** Whether what the primary has is what the write was made upon, as far as this writer can know. */
function isOurs(local: LocalStore, change: JournalChange, found: string | null, now: number): boolean {
  if (found === change.base) return true
  if (found !== null) return local.isOwnVersion(found)
  return change.isDoubtful || (change.baseExpiresAt !== undefined && change.baseExpiresAt <= now)
}

function hasArrived(change: JournalChange, found: string | null, now: number): boolean {
  if (change.type === 'delete') return found === null
  return found === change.version || (found === null && change.expiresAt !== undefined && change.expiresAt <= now)
}

/** One batch may change a record twice; only the last change can be read back. */
function lastChanges({ changes }: JournalEntry): JournalChange[] {
  return [...new Map(changes.map((change) => [JSON.stringify([change.collection, change.key]), change])).values()]
}

function toOperations(change: JournalChange, expected: string | null): BatchOperation[] {
  const { collection, key, version } = change
  const condition = expected === null ? { ifAbsent: true } : { ifVersion: expected }
  if (change.type === 'set') {
    const { value, expiresAt } = change
    return [{ type: 'set', collection, key, value, version, expiresAt, ...condition }]
  }
  if (expected === null) return [{ type: 'check', collection, key, ifAbsent: true }]
  return [{ type: 'delete', collection, key, version, ifVersion: expected }]
}

async function readVersions(primary: Primary, changes: readonly JournalChange[]): Promise<(string | null)[]> {
  const entries = await Promise.all(changes.map((change) => readEntry(primary, change)))
  return entries.map((entry) => entry?.version ?? null)
}

/** What the primary has for a record, as a change that makes the copy equal. */
export async function readRecord(
  primary: Primary,
  record: { readonly collection: string; readonly key: string },
): Promise<RecordMutation> {
  const { collection, key } = record
  const entry = await readEntry(primary, record)
  if (entry === undefined) return { type: 'delete', collection, key, version: '-', expected: undefined }
  const { value, version, expiresAt } = entry
  return { type: 'put', collection, key, json: JSON.stringify(value), version, expiresAt, expected: undefined }
}

function readEntry(
  primary: Primary,
  { collection, key }: { readonly collection: string; readonly key: string },
): Promise<Entry<unknown> | undefined> {
  return primary.call('read', (storage) => storage.collection(collection).entry(key))
}
