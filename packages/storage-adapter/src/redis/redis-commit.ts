import type { Expected, Mutation } from '../backend.js'
import type { RedisKeys } from './redis-keys.js'
import { packRecord, packVersion } from './redis-record.js'

/** What the script that commits is given. */
export interface CommitCall {
  readonly keys: string[]
  readonly parameters: (string | number)[]
}

/** How many keys, and how many parameters, come before those of the collections. */
const FIXED_KEYS = 3
const FIXED_PARAMETERS = 4

/** What does not depend on the mutations. */
export interface CommitHead {
  readonly store: string
  readonly now: number
  readonly keepChanges: number
}

/** Lays out a commit for the script; see COMMIT for the order. */
export function toCommitCall(
  mutations: readonly Mutation[],
  keys: RedisKeys,
  { store, now, keepChanges }: CommitHead,
): CommitCall {
  const numbers = new Map<string, number>()
  const names = [keys.meta, keys.collections, keys.changes]
  const body: (string | number)[] = []
  for (const mutation of mutations) {
    const { collection } = mutation
    let number = numbers.get(collection)
    if (number === undefined) {
      numbers.set(collection, (number = numbers.size))
      names.push(...keys.of(collection))
    }
    body.push(mutation.type, number, ...detailsOf(mutation))
  }
  return { keys: names, parameters: [store, now, keepChanges, keys.hints, ...numbers.keys()].concat(body) }
}

/** Whether the order of two commits matters: they write, remove or look at the same record. */
export function meet(one: CommitCall, other: CommitCall): boolean {
  const theirs = placesOf(other)
  return placesOf(one).some(([collection, key]) =>
    // What clears a collection has no key, and meets everything in it.
    theirs.some((their) => their[0] === collection && (their[1] === key || their[1] === '' || key === '')),
  )
}

function placesOf({ keys, parameters }: CommitCall): (readonly [collection: string, key: string])[] {
  const places: (readonly [string, string])[] = []
  const first = FIXED_PARAMETERS + (keys.length - FIXED_KEYS) / 3
  for (let at = first; at < parameters.length; at += 5) {
    places.push([keys[FIXED_KEYS + 3 * Number(parameters[at + 1])] ?? '', String(parameters[at + 2])])
  }
  return places
}

function detailsOf(mutation: Mutation): [key: string, condition: string, body: string] {
  switch (mutation.type) {
    case 'put':
      return [mutation.key, toCondition(mutation.expected), packRecord(mutation)]
    case 'delete':
      return [mutation.key, toCondition(mutation.expected), packVersion(mutation.version)]
    case 'clear':
      return ['', '', packVersion(mutation.version)]
    case 'check':
      return [mutation.key, toCondition(mutation.expected), '']
  }
}

function toCondition(expected: Expected): string {
  if (expected === undefined) return ''
  return expected === null ? '-' : `=${packVersion(expected)}`
}
