import { canonicalJson, digest } from './canonical.js'
import type { NameOf } from './errors.js'
import type { ReadableStorage, RecordToWrite, WritableStorage } from './ports.js'

/** What is remembered of a row: about 150 bytes, whatever is in it. */
export interface RowMark {
  /** SHA-256 of its canonical content, in hex. */
  readonly hash: string
  /** Size of key and content in bytes of UTF-8. */
  readonly bytes: number
  /** When the row ceases to exist by itself, in epoch ms. */
  readonly expiresAt: number | undefined
}

/** Every row of a store, by collection and key. */
export type Snapshot = ReadonlyMap<string, ReadonlyMap<string, RowMark>>

/** One collection, or the whole, in numbers. */
export interface Extent {
  /** SHA-256 over all rows in the order of their keys, in hex. */
  readonly hash: string
  /** How many rows. */
  readonly rows: number
  /** Bytes of UTF-8 of keys and canonical JSON; files on a disk are larger. */
  readonly bytes: number
}

/** A store in numbers. */
export interface StoreExtent extends Extent {
  /** Each collection by its name. */
  readonly collections: Readonly<Record<string, Extent>>
}

/** A row that is not as it should be. */
export interface Difference {
  /** Its collection. */
  readonly collection: string
  /** Its key; a short name for it in the report of a rehearsal with real data. */
  readonly key: string
  /** `added`: it should not be there. `removed`: it should. `changed`: it has another content. */
  readonly what: 'added' | 'removed' | 'changed'
}

/** How two stores differ. */
export interface Comparison {
  /** How many rows differ. */
  readonly count: number
  /** The first of them. */
  readonly first: readonly Difference[]
  /** How many by collection and kind. */
  readonly collections: ReadonlyMap<string, Readonly<Record<Difference['what'], number>>>
}

export function rowMark(key: string, content: string, expiresAt?: number): RowMark {
  const hash = digest([key, content, String(expiresAt ?? '')])
  return { hash, bytes: Buffer.byteLength(key) + Buffer.byteLength(content), expiresAt }
}

/** Reads every row. */
export async function snapshotOf(storage: ReadableStorage, signal: AbortSignal): Promise<Snapshot> {
  const snapshot = new Map<string, Map<string, RowMark>>()
  for (const name of (await storage.collections()).sort()) {
    const rows = new Map<string, RowMark>()
    for await (const { key, value, expiresAt } of storage.collection(name).scan()) {
      signal.throwIfAborted()
      rows.set(key, rowMark(key, canonicalJson(value), expiresAt))
    }
    if (rows.size > 0) snapshot.set(name, rows)
  }
  return snapshot
}

/** Whether a row has ceased to exist by itself. */
export function hasExpired({ expiresAt }: RowMark, now: number): boolean {
  return expiresAt !== undefined && expiresAt <= now
}

/** How many names of rows a report has room for. */
export const maxNamed = 20

/**
 * What `found` has otherwise than `expected`. A row that has expired meanwhile is missing by right.
 *
 * @param now - epoch ms
 */
export function compare(expected: Snapshot, found: Snapshot, now: number): Comparison {
  const first: Difference[] = []
  const collections = new Map<string, Record<Difference['what'], number>>()
  let count = 0
  const note = (collection: string, key: string, what: Difference['what']): void => {
    const counts = collections.get(collection) ?? { added: 0, removed: 0, changed: 0 }
    collections.set(collection, counts)
    counts[what]++
    count++
    if (first.length < maxNamed) first.push({ collection, key, what })
  }
  const none: ReadonlyMap<string, RowMark> = new Map()
  for (const name of [...new Set([...expected.keys(), ...found.keys()])].sort()) {
    const [before, after] = [expected.get(name) ?? none, found.get(name) ?? none]
    for (const [key, row] of before) {
      const other = after.get(key)
      if (other === undefined) {
        if (!hasExpired(row, now)) note(name, key, 'removed')
      } else if (other.hash !== row.hash) note(name, key, 'changed')
    }
    for (const key of after.keys()) if (!before.has(key)) note(name, key, 'added')
  }
  return { count, first, collections }
}

/** The store in numbers. */
export function extentOf(snapshot: Snapshot): StoreExtent {
  // A name such as __proto__ is data.
  const collections: Record<string, Extent> = Object.create(null) as Record<string, Extent>
  let [allRows, allBytes] = [0, 0]
  const hashes: string[] = []
  for (const [name, rows] of snapshot) {
    // By code unit: the order of a scan is that of its backend.
    const sorted = [...rows].sort(([a], [b]) => (a < b ? -1 : 1))
    const bytes = sorted.reduce((sum, [, row]) => sum + row.bytes, 0)
    const hash = digest(sorted.map(([, row]) => row.hash))
    collections[name] = { hash, rows: rows.size, bytes }
    hashes.push(name, hash)
    allRows += rows.size
    allBytes += bytes
  }
  return { hash: digest(hashes), rows: allRows, bytes: allBytes, collections }
}

/** A comparison as a clause. */
export function differencesText({ count, first }: Comparison, nameOf: NameOf = (key) => key): string {
  const named = first.slice(0, 5).map(({ collection, key, what }) => `${collection}/${nameOf(key)} ${what}`)
  const more = count > named.length ? ` and ${count - named.length} more` : ''
  return `${count} ${count === 1 ? 'row differs' : 'rows differ'}: ${named.join(', ')}${more}`
}

/** So many rows are written at once. */
const batchSize = 500

/** Writes rows, many at once. @returns how many */
export async function writeRows(
  into: WritableStorage,
  rows: AsyncIterable<Omit<RecordToWrite, 'type'>> | Iterable<Omit<RecordToWrite, 'type'>>,
  signal: AbortSignal,
  written?: (rows: number) => void,
): Promise<number> {
  let [pending, count]: [RecordToWrite[], number] = [[], 0]
  const flush = async (): Promise<void> => {
    signal.throwIfAborted()
    if (pending.length > 0) await into.batch(pending)
    count += pending.length
    pending = []
    written?.(count)
  }
  for await (const { collection, key, value, expiresAt } of rows) {
    pending.push({ type: 'set', collection, key, value, ...(expiresAt === undefined ? {} : { expiresAt }) })
    if (pending.length >= batchSize) await flush()
  }
  await flush()
  return count
}

/**
 * Every row of a store.
 *
 * @param maxRows - at most so many of each collection, whose others are not even read
 */
export async function* rowsOf(
  storage: ReadableStorage,
  signal: AbortSignal,
  maxRows: number = Infinity,
): AsyncGenerator<Omit<RecordToWrite, 'type'>> {
  if (maxRows < 1) return
  for (const collection of (await storage.collections()).sort()) {
    let count = 0
    for await (const { key, value, expiresAt } of storage.collection(collection).scan()) {
      signal.throwIfAborted()
      yield { collection, key, value, expiresAt }
      if (++count >= maxRows) break
    }
  }
}

/** The rows as they pass by, remembered. */
export async function* marked(
  rows: AsyncIterable<Omit<RecordToWrite, 'type'>> | Iterable<Omit<RecordToWrite, 'type'>>,
  into: Map<string, Map<string, RowMark>>,
): AsyncGenerator<Omit<RecordToWrite, 'type'>> {
  for await (const row of rows) {
    const marks = into.get(row.collection) ?? new Map<string, RowMark>()
    into.set(row.collection, marks)
    marks.set(row.key, rowMark(row.key, canonicalJson(row.value), row.expiresAt))
    yield row
  }
}
