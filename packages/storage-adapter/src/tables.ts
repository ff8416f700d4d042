import type { Expected, KeyedRecord, Mutation, Range, StoredRecord } from './backend.js'
import { ConflictError } from './errors.js'
import { SortedKeys } from './sorted-keys.js'

/** Expired records that one commit sweeps away, so that no garbage stays and no sweep is long. */
const SWEEP = 20

/** Where a key is looked up. */
interface Lookup {
  get(collection: string, key: string): StoredRecord | undefined
}

/** Whether a record has not expired. */
function isLive(record: StoredRecord | undefined, now: number): record is StoredRecord {
  return record !== undefined && (record.expiresAt === undefined || record.expiresAt > now)
}

/** Whether what is there is what was asked for. */
export function holds(expected: Expected, found: StoredRecord | undefined): boolean {
  return expected === undefined || (expected === null ? found === undefined : found?.version === expected)
}

/** All collections in memory: what the memory and the file backend have in common. */
export class Tables implements Lookup {
  readonly #tables = new Map<string, Table>()
  /** Those that hold what expires, which alone are swept. */
  readonly #expiring = new Map<string, Table>()

  get(collection: string, key: string): StoredRecord | undefined {
    return this.#tables.get(collection)?.records.get(key)
  }

  read(collection: string, keys: readonly string[], now: number): (StoredRecord | undefined)[] {
    return keys.map((key) => {
      const record = this.get(collection, key)
      return isLive(record, now) ? record : undefined
    })
  }

  page(collection: string, range: Range, now: number): KeyedRecord[] {
    const page: KeyedRecord[] = []
    const table = this.#tables.get(collection)
    if (table === undefined || range.limit <= 0) return page
    for (const key of table.keys.walk(range)) {
      const record = table.records.get(key)
      if (isLive(record, now)) page.push({ key, ...record })
      if (page.length >= range.limit) break
    }
    return page
  }

  count(collection: string, prefix: string, now: number): number {
    const table = this.#tables.get(collection)
    if (table === undefined) return 0
    if (prefix === '' && table.expiring.size === 0) return table.records.size
    let count = 0
    for (const key of table.keys.walk({ prefix })) if (isLive(table.records.get(key), now)) count++
    return count
  }

  collections(now: number): string[] {
    return [...this.#tables.keys()].filter((name) => this.page(name, { limit: 1 }, now).length > 0)
  }

  /**
   * Every record, expired or not, that stays as it is until it is reached. Of those that change meanwhile it yields the
   * old state, the new one, both in that order, or none.
   */
  *all(): Generator<KeyedRecord & { collection: string }, void, undefined> {
    // A Map yields in the order of insertion: what is there now comes before all that is added later.
    const tables = Array.from(this.#tables, ([collection, { records }]) => ({
      collection,
      records,
      size: records.size,
    }))
    for (const { collection, records, size } of tables) {
      let left = size
      for (const [key, record] of records) {
        if (left-- <= 0) break
        yield { collection, key, ...record }
      }
    }
  }

  get size(): number {
    let size = 0
    for (const table of this.#tables.values()) size += table.records.size
    return size
  }

  /** Applies one change, whatever its condition. */
  apply(mutation: Mutation): void {
    const { collection } = mutation
    switch (mutation.type) {
      case 'put': {
        const { json, version, expiresAt } = mutation
        const table = this.#table(collection)
        table.put(mutation.key, { json, version, expiresAt })
        if (expiresAt !== undefined) this.#expiring.set(collection, table)
        return
      }
      case 'delete':
        this.#tables.get(collection)?.delete(mutation.key)
        if (this.#tables.get(collection)?.records.size === 0) this.#drop(collection)
        return
      case 'clear':
        this.#drop(collection)
        return
      case 'check':
    }
  }

  /** Forgets some of the expired records. */
  sweep(now: number): void {
    for (const [collection, table] of this.#expiring) {
      table.sweep(now)
      if (table.records.size === 0) this.#drop(collection)
      else if (table.expiring.size === 0) this.#expiring.delete(collection)
    }
  }

  #drop(collection: string): void {
    this.#expiring.delete(collection)
    this.#tables.delete(collection)
  }

  #table(collection: string): Table {
    let table = this.#tables.get(collection)
    if (table === undefined) this.#tables.set(collection, (table = new Table()))
    return table
  }
}

class Table {
  readonly records = new Map<string, StoredRecord>()
  readonly keys = new SortedKeys()
  /** The keys of the records that expire. */
  readonly expiring = new Set<string>()

  put(key: string, record: StoredRecord): void {
    if (!this.records.has(key)) this.keys.add(key)
    this.records.set(key, record)
    if (record.expiresAt === undefined) this.expiring.delete(key)
    else this.expiring.add(key)
  }

  delete(key: string): void {
    if (!this.records.delete(key)) return
    this.keys.delete(key)
    this.expiring.delete(key)
  }

  sweep(now: number): void {
    let looked = 0
    for (const key of this.expiring) {
      if (isLive(this.records.get(key), now)) {
        // To the end of the line, so that the next sweep looks at others.
        this.expiring.delete(key)
        this.expiring.add(key)
      } else {
        this.delete(key)
      }
      if (++looked >= SWEEP) return
    }
  }
}

/**
 * Changes that are not durable yet, over tables that are. Commits of one group see those before them; readers see
 * none until the group is written.
 */
export class Staging implements Lookup {
  readonly #base: Lookup
  readonly #cleared = new Set<string>()
  readonly #changed = new Map<string, Map<string, StoredRecord | undefined>>()

  constructor(base: Lookup) {
    this.#base = base
  }

  get(collection: string, key: string): StoredRecord | undefined {
    const changed = this.#changed.get(collection)
    if (changed?.has(key) === true) return changed.get(key)
    return this.#cleared.has(collection) ? undefined : this.#base.get(collection, key)
  }

  /**
   * Takes all changes in, or none.
   *
   * @throws ConflictError for the first condition that does not hold
   */
  stage(mutations: readonly Mutation[], now: number): void {
    judge(mutations, this, now)
    for (const mutation of mutations) {
      if (mutation.type === 'put') {
        const { json, version, expiresAt } = mutation
        this.#changes(mutation.collection).set(mutation.key, { json, version, expiresAt })
      } else if (mutation.type === 'delete') {
        this.#changes(mutation.collection).set(mutation.key, undefined)
      } else if (mutation.type === 'clear') {
        this.#changed.delete(mutation.collection)
        this.#cleared.add(mutation.collection)
      }
    }
  }

  #changes(collection: string): Map<string, StoredRecord | undefined> {
    let changes = this.#changed.get(collection)
    if (changes === undefined) this.#changed.set(collection, (changes = new Map<string, StoredRecord | undefined>()))
    return changes
  }
}

/** Throws for the first condition that does not hold. */
export function judge(mutations: readonly Mutation[], records: Lookup, now: number): void {
  for (const mutation of mutations) {
    if (mutation.type === 'clear' || mutation.expected === undefined) continue
    const record = records.get(mutation.collection, mutation.key)
    const found = isLive(record, now) ? record : undefined
    if (holds(mutation.expected, found)) continue
    throw new ConflictError(mutation.collection, mutation.key, mutation.expected ?? undefined, found?.version)
  }
}
