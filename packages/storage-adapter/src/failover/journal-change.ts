import type { Backend, Mutation, StoredRecord } from '../backend.js'
import type { JournalEntry } from './failover-state.js'
import { idOf } from './local-doubts.js'
import type { JournaledBatch, JournaledChange } from './local-journal.js'
import { isRecordMutation, removal, type RecordMutation } from './record-mutation.js'

const ALL = Number.MAX_SAFE_INTEGER

/**
 * The last change of each record of a batch. A `clear` becomes deletes of what is there, so that the replay can tell
 * what it did not mean.
 */
export async function toRecordChanges(
  backend: Pick<Backend, 'page'>,
  mutations: readonly Mutation[],
  now: number,
  doubts: readonly { readonly collection: string; readonly key: string }[] = [],
): Promise<RecordMutation[]> {
  const last = new Map<string, RecordMutation>()
  const add = (change: RecordMutation): void => void last.set(idOf(change), change)
  for (const mutation of mutations) {
    if (isRecordMutation(mutation)) add(mutation)
    if (mutation.type !== 'clear') continue
    const { collection } = mutation
    for (const change of last.values()) if (change.collection === collection) add(removal(collection, change.key))
    // What may have arrived is not in the copy, and is cleared all the same.
    for (const doubt of doubts) if (doubt.collection === collection) add(removal(collection, doubt.key))
    for (const { key } of await backend.page(collection, { limit: ALL }, now)) add(removal(collection, key))
  }
  return [...last.values()]
}

/**
 * A change as the journal keeps it.
 *
 * @param before - what it replaces
 */
export function toJournaledChange(
  change: RecordMutation,
  before: StoredRecord | undefined,
  { isDoubtful, isBaseKept }: { readonly isDoubtful: boolean; readonly isBaseKept: boolean },
): JournaledChange {
  const { collection, key, version } = change
  const base = before?.version ?? null
  const baseJson = isBaseKept ? before?.json : undefined
  const common = { collection, key, version, isDoubtful, base, baseExpiresAt: before?.expiresAt, baseJson }
  if (change.type === 'delete') return { type: 'delete', ...common }
  return { type: 'set', ...common, json: change.json, expiresAt: change.expiresAt }
}

/** A batch as people see it. */
export function toJournalEntry({ changes, ...batch }: JournaledBatch): JournalEntry {
  const shown = changes.map((change) => {
    const { baseJson, ...rest } = change
    const baseValue = baseJson === undefined ? undefined : (JSON.parse(baseJson) as unknown)
    if (rest.type === 'delete') return { ...rest, baseValue }
    const { json, ...set } = rest
    return { ...set, baseValue, value: JSON.parse(json) as unknown }
  })
  return { ...batch, changes: shown }
}
