import { idOf } from './local-doubts.js'
import type { JournaledBatch, JournaledChange } from './local-journal.js'
import type { RecordMutation } from './record-mutation.js'

/*
 * Several batches share a transaction. It judges all conditions before it changes anything, so of the batches that
 * follow one another on a record only the first has a condition to be judged, and only the last has a value to be
 * written. What was in between, nobody could see anyway.
 */

/** As many of the first batches as one transaction takes: each is made upon what the primary had, or the one before. */
export function takeChunk(entries: readonly JournaledBatch[], limit: number): JournaledBatch[] {
  /** The version that a record has after the batches that were taken; `null` when it is absent. */
  const made = new Map<string, string | null>()
  const taken: JournaledBatch[] = []
  let size = 0
  for (const entry of entries) {
    const names = entry.changes.map(idOf)
    const follows = entry.changes.every(({ base }, i) => {
      const before = made.get(names[i] as string)
      return before === undefined || before === base
    })
    if (!follows || (taken.length > 0 && size + names.length > limit)) break
    // What it removes is found out when all before it is there.
    if (entry.clears !== undefined && taken.length > 0) break
    size += names.length
    for (const [i, { type, version }] of entry.changes.entries()) {
      made.set(names[i] as string, type === 'delete' ? null : version)
    }
    taken.push(entry)
    if (entry.clears !== undefined) break
  }
  return taken
}

/** One change for each record: the condition of its first batch, and what its last one made. */
export function foldChunk(chunk: readonly JournaledBatch[]): RecordMutation[] {
  const folded = new Map<string, { readonly base: string | null; last: JournaledChange }>()
  for (const { changes } of chunk) {
    for (const change of changes) {
      const name = idOf(change)
      const found = folded.get(name)
      if (found === undefined) folded.set(name, { base: change.base, last: change })
      else found.last = change
    }
  }
  return Array.from(folded.values(), ({ base, last }) => toMutation(last, base))
}

/** The write that a journaled change stands for, upon a version, or upon nothing. */
export function toMutation(change: JournaledChange, expected: string | null): RecordMutation {
  const { collection, key, version } = change
  if (change.type === 'delete') return { type: 'delete', collection, key, version, expected }
  const { json, expiresAt } = change
  return { type: 'put', collection, key, json, version, expiresAt, expected }
}
