import { crc32 } from 'node:zlib'
import type { KeyedRecord } from '../backend.js'

/** What a checksum covers. */
type CheckedRecord = KeyedRecord & { readonly collection: string }

/**
 * The checksum of a record. SQLite has none, so it takes a flipped bit for what was written: inside a value, and inside a
 * name, under which the record would then be looked for in vain.
 */
export function checksumOf({ collection, key, json, version, expiresAt }: CheckedRecord): number {
  return crc32(
    `${collection.length}.${key.length}.${version.length}.${expiresAt ?? ''}\n${collection}${key}${version}${json}`,
  )
}
