import type { DeleteMutation, Mutation, PutMutation } from '../backend.js'
import { compareKeys } from '../keys.js'

interface Name {
  readonly collection: string
  readonly key: string
}

/** A record that a batch locks for itself: to write it, to remove it, or because it must stay absent. */
export interface Touched extends Name {
  readonly type: 'put' | 'delete' | 'check'
  /** Empty, which is no JSON, unless it is put. */
  readonly json: string
  /** Empty for a check, which has none. */
  readonly version: string
  readonly expiresAt: number | undefined
}

/** A condition of a batch. */
export interface Judged extends Name {
  readonly expected: string | null
  /** The version by which the record is known as one that the batch itself inserted to lock it. */
  readonly ownVersion: string | undefined
}

/** A record that a batch only looks at. */
export interface Shared extends Name {
  /** How many of the touched records are locked before it. */
  readonly after: number
}

/** What a batch comes to: of several writes of one key, only the last is left. */
export interface BatchPlan {
  readonly cleared: readonly { readonly collection: string; readonly version: string }[]
  /** In the order of their keys, in which they are locked, so that two batches do not wait for each other. */
  readonly touched: readonly Touched[]
  /** Records that must keep their version but are not written, so that others may look at them too; in order as well. */
  readonly shared: readonly Shared[]
  /** In the order in which they were given. */
  readonly judged: readonly Judged[]
}

/** The last write of each key, in order; `undefined` when the batch does anything else than to write. */
export function onlyPuts(mutations: readonly Mutation[]): readonly PutMutation[] | undefined {
  const puts: PutMutation[] = []
  for (const mutation of mutations) {
    if (mutation.type !== 'put' || mutation.expected !== undefined) return undefined
    puts.push(mutation)
  }
  // Those of one key stay in the order in which they were given.
  puts.sort(byName)
  return puts.filter((put, i) => {
    const next = puts[i + 1]
    return next === undefined || next.key !== put.key || next.collection !== put.collection
  })
}

/** Works out what a batch comes to. */
export function planBatch(mutations: readonly Mutation[]): BatchPlan {
  const cleared = new Map<string, string>()
  /** By collection first, so that a clear takes away what was written before it at once. */
  const written = new Map<string, Map<string, Touched>>()
  const shared = new Map<string, Name>()
  const conditions: (Name & { readonly expected: string | null })[] = []
  for (const mutation of mutations) {
    if (mutation.type === 'clear') {
      cleared.set(mutation.collection, mutation.version)
      written.delete(mutation.collection)
      continue
    }
    const { collection, key, expected } = mutation
    if (expected !== undefined) conditions.push({ collection, key, expected })
    if (mutation.type === 'check') continue
    const records = written.get(collection) ?? new Map<string, Touched>()
    written.set(collection, records.set(key, toTouched(mutation)))
  }
  const touched = new Map<string, Touched>()
  for (const records of written.values()) for (const record of records.values()) touched.set(nameOf(record), record)
  for (const { collection, key, expected } of conditions) {
    const name = nameOf({ collection, key })
    if (touched.has(name)) continue
    // What is absent cannot be locked for many at once.
    if (expected === null) touched.set(name, toTouched({ type: 'check', collection, key }))
    else shared.set(name, { collection, key })
  }
  const inOrder = [...touched.values()].sort(byName)
  return {
    cleared: [...cleared].map(([collection, version]) => ({ collection, version })),
    touched: inOrder,
    shared: [...shared]
      .flatMap(([name, record]) => (touched.has(name) ? [] : [record]))
      .sort(byName)
      .map(withCountBefore(inOrder)),
    judged: conditions.map((condition) => ({ ...condition, ownVersion: touched.get(nameOf(condition))?.version })),
  }
}

/** Says of records in order how many of some others, in order too, come before each. */
function withCountBefore(others: readonly Name[]): (record: Name) => Shared {
  let after = 0
  return (record) => {
    for (let next = others[after]; next !== undefined && byName(next, record) <= 0; next = others[after]) after++
    return { ...record, after }
  }
}

function toTouched(mutation: PutMutation | DeleteMutation | (Name & { readonly type: 'check' })): Touched {
  const { type, collection, key } = mutation
  const blank = { type, collection, key, json: '', version: '', expiresAt: undefined }
  if (mutation.type === 'check') return blank
  if (mutation.type === 'delete') return { ...blank, version: mutation.version }
  return { ...blank, json: mutation.json, version: mutation.version, expiresAt: mutation.expiresAt }
}

/** One text for both names. Neither can hold half a surrogate pair, so none is like another. */
function nameOf({ collection, key }: Name): string {
  return `${collection.length} ${collection}${key}`
}

function byName(a: Name, b: Name): number {
  return a.collection === b.collection ? compareKeys(a.key, b.key) : compareKeys(a.collection, b.collection)
}
