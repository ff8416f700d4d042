/** What separates the prefix from the rest of a key. A prefix holds none, so the first one ends it. */
const SEPARATOR = '/'

/**
 * The names of all keys of one storage. Since a prefix holds no `/`, no two prefixes have a key in common, whatever the
 * collections are called.
 */
export class RedisKeys {
  readonly prefix: string
  /** Hash: which store this is, and in which format. */
  readonly meta: string
  /** Sorted set: the names of the collections, by the earliest expiry in each. */
  readonly collections: string
  /** Stream: the log of changes. */
  readonly changes: string
  /** The channel of the hints. */
  readonly hints: string
  /** Where commands are tried. */
  readonly trial: string

  /** @throws TypeError when it is no sound prefix */
  constructor(prefix: unknown) {
    if (typeof prefix !== 'string' || prefix === '' || prefix.includes(SEPARATOR)) {
      throw new TypeError(`prefix must be non-empty text without ${SEPARATOR}, not ${JSON.stringify(prefix)}`)
    }
    this.prefix = prefix
    this.meta = `${prefix}${SEPARATOR}meta`
    this.collections = `${prefix}${SEPARATOR}collections`
    this.changes = `${prefix}${SEPARATOR}changes`
    this.hints = `${prefix}${SEPARATOR}hints`
    this.trial = `${prefix}${SEPARATOR}trial`
  }

  /** Hash: the records by key, and under the empty key, which no record has, the store that they belong to. */
  records(collection: string): string {
    return `${this.prefix}${SEPARATOR}records${SEPARATOR}${collection}`
  }

  /** Sorted set in which all scores are 0: then Redis orders by bytes, which is the order of code points. */
  index(collection: string): string {
    return `${this.prefix}${SEPARATOR}index${SEPARATOR}${collection}`
  }

  /** Sorted set: the keys of the records that expire, by when. */
  expiry(collection: string): string {
    return `${this.prefix}${SEPARATOR}expiry${SEPARATOR}${collection}`
  }

  /** The three keys of a collection, in the order that the scripts expect. */
  of(collection: string): [records: string, index: string, expiry: string] {
    return [this.records(collection), this.index(collection), this.expiry(collection)]
  }
}

/** Whether Redis Cluster keeps all keys with this prefix together: only the part in braces decides on which server. */
export function hasHashTag(prefix: string): boolean {
  const start = prefix.indexOf('{')
  return start >= 0 && prefix.indexOf('}', start + 1) > start + 1
}
