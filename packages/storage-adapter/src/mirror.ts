import type { KeyedRecord, Mutation } from './backend.js'
import type { Gate } from './gate.js'
import type { LocalStore } from './local-store.js'
import { ONCE_COLLECTION } from './mutations.js'
import type { Primary } from './primary.js'
import type { KeyedEntry, Storage } from './storage.js'

/** Records that are compared at a time; writes wait for one such page. */
const PAGE = 250

/** What copying works with. */
export interface MirrorParts {
  readonly primary: Primary
  readonly local: LocalStore
  /** Closed while a page is compared, so that no write comes between reading the primary and changing the copy. */
  readonly gate: Gate
  /** Whether the primary still serves; copying ends when it does not. */
  isOnPrimary(): boolean
  now(): number
}

/** Makes the local copy equal to the primary, by writing only what differs. */
export async function copyPrimary(parts: MirrorParts): Promise<void> {
  const { primary, local } = parts
  const onPrimary = await primary.call('read', (storage) => storage.collections())
  const names = new Set([ONCE_COLLECTION, ...onPrimary, ...(await local.collections(parts.now()))])
  for (const name of names) {
    for (let after: string | undefined, isFirst = true; isFirst || after !== undefined; isFirst = false) {
      after = await parts.gate.exclusive(() => comparePage(parts, name, after))
    }
    await local.cover(name, parts.now())
  }
  await local.coverAll(parts.now())
}

/** @returns the last key of the page, or `undefined` when it was the last page */
async function comparePage(parts: MirrorParts, name: string, after: string | undefined): Promise<string | undefined> {
  const { primary, local } = parts
  if (!parts.isOnPrimary()) throw new Error('the primary went down while it was copied')
  const now = parts.now()
  const theirs = await primary.call('read', (storage) => readPage(storage, name, after))
  const last = theirs.length < PAGE ? undefined : theirs.at(-1)?.key
  // The first key after `last`, so that the range includes it.
  const before = last === undefined ? undefined : `${last}\0`
  const ours = await local.page(name, { after, before, limit: Number.MAX_SAFE_INTEGER }, now)
  await local.copy([...difference(name, theirs, ours)], now)
  return last
}

async function readPage(storage: Storage, name: string, after: string | undefined): Promise<KeyedEntry<unknown>[]> {
  const page: KeyedEntry<unknown>[] = []
  for await (const entry of storage.collection(name).scan({ after, limit: PAGE })) page.push(entry)
  return page
}

function* difference(
  collection: string,
  theirs: readonly KeyedEntry<unknown>[],
  ours: readonly KeyedRecord[],
): Generator<Mutation, void, undefined> {
  const mine = new Map(ours.map((record) => [record.key, record]))
  for (const { key, value, version, expiresAt } of theirs) {
    const isSame = mine.get(key)?.version === version
    mine.delete(key)
    if (isSame) continue
    yield { type: 'put', collection, key, json: JSON.stringify(value), version, expiresAt, expected: undefined }
  }
  for (const { key, version } of mine.values()) yield { type: 'delete', collection, key, version, expected: undefined }
}
