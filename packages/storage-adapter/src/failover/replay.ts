import type { Mutation, StoredRecord } from '../backend.js'
import { ConflictError } from '../errors.js'
import type { Conflict } from './failover-state.js'
import { toJournalEntry } from './journal-change.js'
import type { KeyQueue } from '../key-queue.js'
import { idOf } from './local-doubts.js'
import type { JournaledBatch, JournaledChange } from './local-journal.js'
import type { LocalStore } from './local-store.js'
import type { RecordMutation } from './record-mutation.js'
import { foldChunk, takeChunk, toMutation } from './replay-chunk.js'
import { mergeChange, type Merges } from './merge.js'
import type { Primary } from './primary.js'
import { readAsChanges, readPage, readRecords, toChange } from './primary-records.js'
import type { WriterMark } from './writer-mark.js'

/** How often a batch is tried with what was just found, before it is a conflict. */
const MAX_ATTEMPTS = 5

/** So many records are looked at, at a time, for what a clear must remove too. */
const PAGE = 500

/** So many changes of a batch are read back: it is there whole, or not at all. */
const MAX_READ_BACK = 100

/** What a replay works with. */
export interface ReplayParts {
  readonly primary: Primary
  readonly local: LocalStore
  readonly mark: WriterMark
  /** Keeps writes of one record in line. */
  readonly locks: KeyQueue
  readonly merges: Merges
  /** With many writers, what was replayed may be overwritten before it is read back. */
  readonly writers: 'one' | 'many'
  /** Makes versions for merged values, of which no process takes one for a write of its own. */
  readonly mint: () => string
  readonly now: () => number
  /** Lets others have their turn of the event loop. */
  readonly breathe: () => Promise<void>
  /** The primary got, or kept, something that the copy did not show. */
  readonly onChanged: (changes: readonly Mutation[]) => void
}

/** How much a step of a replay takes on, and how long that may take. */
export interface ReplayBounds {
  /** About so many changes at most. A batch is not divided, however large it is. */
  readonly limit: number
  /** Milliseconds for the transaction; `undefined` for as many as any other call has. */
  readonly timeoutMs: number | undefined
}

/** What a step of a replay did. */
export interface ReplayStep {
  readonly replayed: number
  readonly conflicts: readonly Conflict[]
}

/** How a batch is to be written, given what the primary has. */
interface Plan {
  readonly mutations: readonly RecordMutation[]
  /** What a merge made, for the copy. */
  readonly merged: readonly RecordMutation[]
}

/**
 * Replays the oldest batches of a journal that is not empty, as many as one transaction takes.
 *
 * The journal forgets a batch only after the primary has it and was read back. Whatever happens in between, the mark
 * on the primary tells the next attempt what it has.
 */
export async function replayStep(parts: ReplayParts, bounds: ReplayBounds): Promise<ReplayStep> {
  const { local, mark, now } = parts
  const { limit } = bounds
  const entries = await local.entries(limit, now())
  await parts.breathe()
  const isKnown = await local.isWaiting(mark.sequence, mark.last, now())
  const known = isKnown ? entries.filter(({ sequence }) => sequence <= mark.sequence) : []
  if (known.length > 0) {
    // A crash, or a lost answer, came between the primary's commit and ours.
    await forgetKnown(parts, known)
    return { replayed: known.length, conflicts: [] }
  }
  // Whoever repeats this until the journal is empty must not do so for ever.
  if (entries.length === 0) throw new Error('The journal holds fewer batches than it counts')
  const chunk = takeChunk(entries, limit)
  const [first] = chunk
  return replayChunk(
    parts,
    first?.clears === undefined ? chunk : [await withStrays(parts, first, first.clears)],
    bounds,
  )
}

/** Forgets what the primary has. Of what a merge made there, only the primary knows. */
async function forgetKnown(parts: ReplayParts, known: readonly JournaledBatch[]): Promise<void> {
  const { primary, local, merges, now } = parts
  let plain: JournaledBatch[] = []
  for (const entry of known) {
    if (!entry.changes.some(({ collection }) => merges.has(collection))) {
      plain.push(entry)
      continue
    }
    local.forget(plain)
    plain = []
    const found = await readAsChanges(primary, entry.changes, now())
    await adoptOver(parts, entry, found, undefined)
  }
  local.forget(plain)
}

/** A batch that also removes what the cleared collections have of ours, and the copy did not know of. */
async function withStrays(
  { primary, local, mint, now, breathe }: ReplayParts,
  entry: JournaledBatch,
  clears: readonly string[],
): Promise<JournaledBatch> {
  const known = new Set(entry.changes.map(idOf))
  const strays: JournaledChange[] = []
  for (const collection of new Set(clears)) {
    for (let after: string | undefined; ;) {
      const page = await readPage(primary, collection, { after, limit: PAGE }, now())
      for (const { key, version: base } of page) {
        if (known.has(idOf({ collection, key })) || !local.isOwnVersion(base)) continue
        strays.push({ type: 'delete', collection, key, version: mint(), base, isDoubtful: true })
      }
      if (page.length < PAGE) break
      after = page.at(-1)?.key
      await breathe()
    }
  }
  return { ...entry, changes: [...entry.changes, ...strays] }
}

async function replayChunk(
  parts: ReplayParts,
  chunk: readonly JournaledBatch[],
  bounds: ReplayBounds,
): Promise<ReplayStep> {
  try {
    const end = chunk.at(-1) as JournaledBatch
    await parts.mark.replay(foldChunk(chunk), end, bounds.timeoutMs)
    await parts.breathe()
    return await settle(parts, chunk)
  } catch (error) {
    if (isRefusal(error)) return replayOne(parts, chunk[0] as JournaledBatch, bounds)
    if (!(error instanceof ConflictError)) throw error
    const odd = chunk.findIndex(({ changes }) =>
      changes.some(({ collection, key }) => collection === error.collection && key === error.key),
    )
    // Conditions are judged in order, so all before the odd one hold, unless somebody is writing right now.
    const before = odd > 0 ? await replayChunk(parts, chunk.slice(0, odd), bounds) : NOTHING
    // Somebody was writing right now: what is left before the odd one comes first, in the next step.
    if (before.replayed + before.conflicts.length < odd) return before
    const one = await replayOne(parts, chunk[Math.max(odd, 0)] as JournaledBatch, bounds)
    return { replayed: before.replayed + one.replayed, conflicts: [...before.conflicts, ...one.conflicts] }
  }
}

const NOTHING: ReplayStep = { replayed: 0, conflicts: [] }

/** Replays a single batch, which may be one that conflicts. */
async function replayOne(parts: ReplayParts, entry: JournaledBatch, { timeoutMs }: ReplayBounds): Promise<ReplayStep> {
  let why = 'somebody else changed the primary during the outage'
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const found = await readRecords(parts.primary, entry.changes, parts.now())
    let plan: Plan | undefined
    try {
      plan = planBatch(parts, entry, found)
    } catch (error) {
      why = `${why}, and merge failed: ${error instanceof Error ? error.message : String(error)}`
    }
    if (plan === undefined) break
    try {
      await parts.mark.replay(plan.mutations, entry, timeoutMs)
      await adoptOver(parts, entry, plan.merged, undefined)
      return { replayed: 1, conflicts: [] }
    } catch (error) {
      if (isRefusal(error)) return keepConflict(parts, entry, `the primary refuses it: ${(error as Error).message}`)
      if (!(error instanceof ConflictError)) throw error
    }
  }
  return keepConflict(parts, entry, why)
}

/** `undefined` when what the primary has is somebody else's, and nobody merges it. */
function planBatch(
  { local, merges, mint, now }: ReplayParts,
  entry: JournaledBatch,
  found: readonly (StoredRecord | undefined)[],
): Plan | undefined {
  const mutations: RecordMutation[] = []
  const merged: RecordMutation[] = []
  for (const [i, change] of entry.changes.entries()) {
    const theirs = found[i]
    if (isOurs(local, change, theirs?.version ?? null, now())) {
      mutations.push(toMutation(change, theirs?.version ?? null))
      continue
    }
    const merge = merges.get(change.collection)
    if (merge === undefined) return undefined
    const mutation = mergeChange(merge, change, theirs, mint())
    if (mutation === undefined) return undefined
    mutations.push(mutation)
    merged.push({ ...mutation, expected: undefined })
  }
  return { mutations, merged }
}

/**
 * Reads back what was written, and then forgets it. A transaction is there whole or not at all, so its last batch tells
 * of all.
 */
async function settle(parts: ReplayParts, entries: readonly JournaledBatch[]): Promise<ReplayStep> {
  const last = entries.at(-1) as JournaledBatch
  if (await isThere(parts, last)) {
    parts.local.forget(entries)
    return { replayed: entries.length, conflicts: [] }
  }
  // Then either all of it is gone, and is replayed again, or somebody else has just changed this one.
  await parts.mark.confirm()
  parts.local.forget(entries.slice(0, -1))
  const { conflicts } = await keepConflict(parts, last, 'somebody else changed it when it had just been replayed')
  return { replayed: entries.length - 1, conflicts }
}

async function isThere({ primary, writers, now }: ReplayParts, batch: JournaledBatch): Promise<boolean> {
  const changes = batch.changes.slice(-MAX_READ_BACK)
  const found = await readRecords(primary, changes, now())
  return changes.every((change, i) => hasArrived(change, found[i]?.version ?? null, writers, now()))
}

async function keepConflict(parts: ReplayParts, entry: JournaledBatch, why: string): Promise<ReplayStep> {
  const found = await readRecords(parts.primary, entry.changes, parts.now())
  const conflict: Conflict = { ...toJournalEntry(entry), found: found.map((record) => record?.version ?? null), why }
  const theirs = entry.changes.map(({ collection, key }, i) => toChange(collection, key, found[i]))
  await adoptOver(parts, entry, theirs, conflict)
  return { replayed: 0, conflicts: [conflict] }
}

/**
 * Forgets a batch whose records are not what it made them: the copy must show what they are, but not in place of
 * something that was written to them since, and that is still to be replayed.
 */
async function adoptOver(
  { local, locks, now, onChanged }: ReplayParts,
  entry: JournaledBatch,
  changes: readonly RecordMutation[],
  conflict: Conflict | undefined,
): Promise<void> {
  const written = new Map(entry.changes.map((change) => [idOf(change), change]))
  await locks.run([...written.keys()], async () => {
    const shown: RecordMutation[] = []
    for (const change of changes) {
      const [here] = await local.read(change.collection, [change.key], now())
      if (isAsWritten(written.get(idOf(change)), here, now())) shown.push(change)
    }
    await local.settle(entry, conflict, shown, now())
    onChanged(shown)
  })
}

/** Whether the copy shows what this change made, rather than what a later one did. */
function isAsWritten(change: JournaledChange | undefined, here: StoredRecord | undefined, now: number): boolean {
  if (here !== undefined) return change?.type === 'set' && here.version === change.version
  return change?.type === 'delete' || (change?.expiresAt !== undefined && change.expiresAt <= now)
}

/** Whether what the primary has is what the write was made upon, as far as this writer can know. */
function isOurs(local: LocalStore, change: JournaledChange, found: string | null, now: number): boolean {
  if (found === change.base) return true
  if (found !== null) return local.isOwnVersion(found)
  return change.isDoubtful || (change.baseExpiresAt !== undefined && change.baseExpiresAt <= now)
}

function hasArrived(change: JournaledChange, found: string | null, writers: 'one' | 'many', now: number): boolean {
  if (change.type === 'delete' ? found === null : found === change.version) return true
  if (change.type === 'set' && found === null && change.expiresAt !== undefined && change.expiresAt <= now) return true
  // Another writer may have come since. What it cannot have done is to bring back what was there before.
  return writers === 'many' && found !== change.base
}

/** The same call fails again: no outage, and nothing to wait for. */
function isRefusal(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown }
  return code === 'STORAGE_REFUSED' || error instanceof TypeError || error instanceof RangeError
}
