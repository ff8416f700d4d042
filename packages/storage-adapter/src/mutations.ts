import type { Expected, Mutation } from './backend.js'
import { checkKey, checkName, isWellFormed } from './keys.js'
import { checkNumber } from './options.js'
import type { BatchOperation, ExpiryOptions } from './storage.js'
import { encodeValue } from './values.js'

/** How long the name of a `once` batch is remembered: longer than any chat service repeats an event. */
const ONCE_TTL_MS = 7 * 24 * 60 * 60 * 1_000

/** Where the names of `once` batches are kept. */
export const ONCE_COLLECTION = '$once'

/** Where a fail-over keeps, on its primary, who writes there and how far the replay has come. */
export const FAILOVER_COLLECTION = '$failover'

/**
 * Refuses the names that the fail-over uses itself, on the primary and in its local copy.
 *
 * @throws TypeError when the name begins with `$`
 */
export function refuseReserved(collection: unknown): void {
  if (typeof collection !== 'string' || !collection.startsWith('$')) return
  throw new TypeError(`${JSON.stringify(collection)} begins with $, which FailoverStorage keeps for itself; rename it`)
}

/**
 * Checks an operation and turns it into what a backend understands.
 *
 * @throws TypeError or RangeError when it is no sound operation
 */
export function toMutation(operation: BatchOperation, mint: () => string, now: number): Mutation {
  const { collection } = operation
  checkName(collection)
  switch (operation.type) {
    case 'clear':
      return { type: 'clear', collection, version: mint() }
    case 'delete': {
      checkKey(operation.key)
      const expected = toExpected(operation)
      return { type: 'delete', collection, key: operation.key, version: toVersion(operation.version, mint), expected }
    }
    case 'check': {
      checkKey(operation.key)
      const expected = toExpected(operation)
      if (expected === undefined) throw new TypeError('A check needs ifVersion or ifAbsent')
      return { type: 'check', collection, key: operation.key, expected }
    }
    case 'set':
      checkKey(operation.key)
      return {
        type: 'put',
        collection,
        key: operation.key,
        json: encodeValue(operation.value),
        version: toVersion(operation.version, mint),
        expiresAt: toExpiry(operation, now),
        expected: toExpected(operation),
      }
    default:
      throw new TypeError(`A batch has no operation ${String((operation as { type: unknown }).type)}`)
  }
}

/** The record that makes a batch happen once: it must be absent, and is written with the batch. */
export function onceMutation(once: string, version: string, now: number): Mutation {
  checkKey(once, 'name given as once')
  const expiresAt = now + ONCE_TTL_MS
  return { type: 'put', collection: ONCE_COLLECTION, key: once, json: 'true', version, expiresAt, expected: null }
}

/** The way back, for storages that wrap a storage. Versions and expiry stay as they are. */
export function toOperation(mutation: Mutation): BatchOperation {
  const { collection } = mutation
  switch (mutation.type) {
    case 'clear':
      return { type: 'clear', collection }
    case 'check':
      return { type: 'check', collection, key: mutation.key, ...toCondition(mutation.expected) }
    case 'delete': {
      const { key, version, expected } = mutation
      // Only a version can be asked for: to delete what is absent changes nothing.
      return expected === null
        ? { type: 'check', collection, key, ifAbsent: true }
        : { type: 'delete', collection, key, version, ifVersion: expected }
    }
    case 'put': {
      const { key, version, expiresAt, expected } = mutation
      const value: unknown = JSON.parse(mutation.json)
      return { type: 'set', collection, key, value, version, expiresAt, ...toCondition(expected) }
    }
  }
}

function toCondition(expected: Expected): { ifVersion?: string; ifAbsent?: boolean } {
  if (expected === undefined) return {}
  return expected === null ? { ifAbsent: true } : { ifVersion: expected }
}

function toExpected({ ifVersion, ifAbsent }: { ifVersion?: unknown; ifAbsent?: unknown }): Expected {
  if (ifAbsent !== undefined && typeof ifAbsent !== 'boolean') throw new TypeError('ifAbsent must be a boolean')
  if (ifVersion !== undefined) checkVersion('ifVersion', ifVersion)
  if (ifAbsent !== true) return ifVersion
  if (ifVersion !== undefined) throw new TypeError('Give ifVersion or ifAbsent, not both')
  return null
}

function toVersion(version: unknown, mint: () => string): string {
  if (version === undefined) return mint()
  checkVersion('version', version)
  return version
}

/** A version is kept as text, in which PostgreSQL takes no NUL, and which half a surrogate pair does not survive. */
function checkVersion(name: string, version: unknown): asserts version is string {
  if (typeof version !== 'string') throw new TypeError(`${name} must be a string, not ${typeof version}`)
  if (!version.includes('\0') && isWellFormed(version)) return
  throw new TypeError(`${name} must be well-formed text without NUL, not ${JSON.stringify(version)}`)
}

/** When a record ceases to exist. */
export function toExpiry({ ttlMs, expiresAt }: ExpiryOptions, now: number): number | undefined {
  if (ttlMs === undefined) {
    if (expiresAt !== undefined) checkNumber('expiresAt', expiresAt, 0)
    return expiresAt
  }
  if (expiresAt !== undefined) throw new TypeError('Give ttlMs or expiresAt, not both')
  checkNumber('ttlMs', ttlMs, 1)
  return now + ttlMs
}
