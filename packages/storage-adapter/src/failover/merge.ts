import type { StoredRecord } from '../backend.js'
import type { JournaledChange } from './local-journal.js'
import type { RecordMutation } from './record-mutation.js'
import { encodeValue } from '../values.js'

/**
 * Makes one value of two that were written independently: `mine` in the outage here, `theirs` meanwhile on the primary.
 *
 * It may be called several times, so it should only compute. `undefined` for an argument means that the record was not
 * there, or was deleted.
 *
 * @param base - what both began with
 * @param mine - what was written here
 * @param theirs - what the primary has now
 * @returns what the primary shall have, or `undefined` to leave it to a person: the batch becomes a conflict
 */
export type Merge = (base: unknown, mine: unknown, theirs: unknown) => unknown

/** By collection. */
export type Merges = ReadonlyMap<string, Merge>

/** The merged write, upon what was found; `undefined` when the merge leaves it to a person. */
export function mergeChange(
  merge: Merge,
  change: JournaledChange,
  theirs: StoredRecord | undefined,
  version: string,
): RecordMutation | undefined {
  const { collection, key, baseJson } = change
  const mine: unknown = change.type === 'set' ? JSON.parse(change.json) : undefined
  const value = merge(parse(baseJson), mine, parse(theirs?.json))
  if (value === undefined) return undefined
  const expiresAt = change.type === 'set' ? change.expiresAt : theirs?.expiresAt
  return {
    type: 'put',
    collection,
    key,
    json: encodeValue(value),
    version,
    expiresAt,
    expected: theirs?.version ?? null,
  }
}

function parse(json: string | undefined): unknown {
  return json === undefined ? undefined : JSON.parse(json)
}
