import type { KeyedRecord, Mutation, Range, StoredRecord } from '../backend.js'
import { BackendStorage } from '../backend-storage.js'
import type { RecordMutation } from './record-mutation.js'
import type { Doubt as RecordName } from './local-doubts.js'
import { NO_VERSION } from './local-journal.js'
import { toOperation } from '../mutations.js'
import type { Primary } from './primary.js'
import type { Storage } from '../storage.js'
import { toJson } from '../values.js'

/*
 * Many records of the primary at a time, as JSON text. A storage of this package is asked below its collections, where a
 * record is text already; whatever else is a storage is asked as anybody would ask it.
 */

/** What the primary has for each of these records. */
export async function readRecords(
  primary: Primary,
  records: readonly RecordName[],
  now: number,
): Promise<(StoredRecord | undefined)[]> {
  if (records.length === 0) return []
  const places = new Map<string, number[]>()
  for (const [i, { collection }] of records.entries()) {
    const list = places.get(collection)
    if (list === undefined) places.set(collection, [i])
    else list.push(i)
  }
  const found: (StoredRecord | undefined)[] = Array.from({ length: records.length })
  await primary.call('read', async (storage) => {
    const backend = await BackendStorage.backendOf(storage)
    for (const [collection, list] of places) {
      const keys = list.map((i) => (records[i] as RecordName).key)
      const stored = await (backend?.read(collection, keys, now) ?? readEntries(storage, collection, keys))
      for (const [n, i] of list.entries()) found[i] = stored[n]
    }
  })
  return found
}

/** What the primary has for each of these records, as changes that make the copy equal. */
export async function readAsChanges(
  primary: Primary,
  records: readonly RecordName[],
  now: number,
): Promise<RecordMutation[]> {
  const found = await readRecords(primary, records, now)
  return records.map(({ collection, key }, i) => toChange(collection, key, found[i]))
}

/** The change that makes a copy equal to what was found. */
export function toChange(collection: string, key: string, found: StoredRecord | undefined): RecordMutation {
  return found === undefined
    ? { type: 'delete', collection, key, version: NO_VERSION, expected: undefined }
    : { type: 'put', collection, key, ...found, expected: undefined }
}

/** The first records of a range. */
export function readPage(primary: Primary, collection: string, range: Range, now: number): Promise<KeyedRecord[]> {
  return primary.call('read', async (storage) => {
    const backend = await BackendStorage.backendOf(storage)
    if (backend !== undefined) return backend.page(collection, range, now)
    return scanPage(storage, collection, range)
  })
}

/** Commits changes that were taken in before, with the versions that they have. */
export async function commitChanges(
  primary: Primary,
  mutations: readonly Mutation[],
  now: number,
  timeoutMs: number | undefined,
): Promise<void> {
  const commit = async (storage: Storage): Promise<void> => {
    const backend = await BackendStorage.backendOf(storage)
    if (backend !== undefined) await backend.commit(mutations, now)
    else await storage.batch(mutations.map(toOperation))
  }
  await primary.call('write', commit, timeoutMs)
}

/** Asks as anybody would. */
export async function scanPage(storage: Storage, collection: string, range: Range): Promise<KeyedRecord[]> {
  const page: KeyedRecord[] = []
  for await (const { key, value, version, expiresAt } of storage.collection(collection).scan(range)) {
    page.push({ key, json: toJson(value), version, expiresAt })
  }
  return page
}

/** What these records are, at one moment where the primary knows what that is. */
export async function readMany(
  storage: Storage,
  collection: string,
  keys: readonly string[],
  now: number,
): Promise<(StoredRecord | undefined)[]> {
  const backend = keys.length > 1 ? await BackendStorage.backendOf(storage) : undefined
  return backend === undefined ? readEntries(storage, collection, keys) : backend.read(collection, keys, now)
}

/** Asks as anybody would. */
async function readEntries(
  storage: Storage,
  collection: string,
  keys: readonly string[],
): Promise<(StoredRecord | undefined)[]> {
  const asked = storage.collection(collection)
  const entries = await Promise.all(keys.map((key) => asked.entry(key)))
  return entries.map((entry) => entry && { ...entry, json: toJson(entry.value) })
}
