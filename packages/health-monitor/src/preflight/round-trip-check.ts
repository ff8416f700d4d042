import { randomUUID } from 'node:crypto'
import type { HealthCheck } from '../check-result.js'

/** What {@link roundTripCheck} writes to: a collection of `@evenkeel/storage-adapter`, a `Map`, a Keyv. */
export interface RoundTripStore {
  /** Keeps a value. */
  set(key: string, value: string): unknown
  /** The value of a key. */
  get(key: string): unknown
  /** Forgets a key. */
  delete(key: string): unknown
}

/**
 * Looks whether a storage keeps what it is given: a key of its own is written, read back and deleted. That it can be
 * reached says nothing about a read-only replica or a full disk.
 *
 * @param store - a collection, a `Map`, or the like
 * @returns the check
 * @throws TypeError when it lacks a method
 *
 * @example
 * ```ts
 * import { roundTripCheck, runSteps } from '@evenkeel/health-monitor/preflight'
 *
 * const { status } = await runSteps({ storage: roundTripCheck(new Map()) })
 * console.log(status) // => up
 * ```
 */
export function roundTripCheck(store: RoundTripStore): HealthCheck {
  for (const method of ['set', 'get', 'delete'] as const) {
    if (typeof (store as Partial<RoundTripStore> | undefined)?.[method] !== 'function') {
      throw new TypeError(`roundTripCheck: the store has no ${method}(); give a collection`)
    }
  }
  return async () => {
    // Two processes that start at the same time must not delete one another's.
    const key = `evenkeel-preflight-${randomUUID()}`
    const written = randomUUID()
    await store.set(key, written)
    try {
      const read = await store.get(key)
      if (read !== written) {
        const seen = read === undefined ? 'nothing' : 'something else'
        return { status: 'down', reason: `what was written was not read back, but ${seen}` }
      }
    } finally {
      await store.delete(key)
    }
    if ((await store.get(key)) !== undefined) return { status: 'degraded', reason: 'what was deleted is still there' }
    return { status: 'up', reason: 'what was written was read back and deleted' }
  }
}
