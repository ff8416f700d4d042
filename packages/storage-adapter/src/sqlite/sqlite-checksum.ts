import { crc32 } from 'node:zlib'
import type { KeyedRecord } from '../backend.js'

/** A longer value is not put together with the rest first, which would copy it. */
const SHORT = 4_096

/** What a checksum covers. */
type CheckedRecord = KeyedRecord & { readonly collection: string }

/**
 * The checksum of a record. SQLite has none, so it takes a flipped bit for what was written: inside a value, and inside a
 * name, under which the record would then be looked for in vain.
 */
export function checksumOf({ collection, key, json, version, expiresAt }: CheckedRecord): number {
  const rest = `${collection.length}.${key.length}.${version.length}.${expiresAt ?? ''}\n${collection}${key}${version}`
  return json.length <= SHORT ? crc32(rest + json) : crc32(json, crc32(rest))
}
