import { randomUUID } from 'node:crypto'
import { requireMethods } from '../checked-options.js'
import { checkBy, CheckFailedError, found, type PreparationCheck } from './check.js'
import { untilAborted } from './until-aborted.js'

/** What {@link storageCheck} writes to: a collection of `@evenkeel/storage-adapter`, a `Map`, a Keyv. */
export interface ProbedCollection {
  /** Writes a record. */
  set(key: string, value: string): unknown
  /** Reads it. */
  get(key: string): unknown
  /** Removes it. */
  delete(key: string): unknown
}

/**
 * Looks whether the storage takes writes: one record is written, read back and deleted. Its key begins with
 * `evenkeel-probe:` and is new each time, so that it meets no record of yours, nor that of another process.
 *
 * @param collection - where; give it the primary, not a fail-over that answers from its copy
 * @throws TypeError when it lacks `get`, `set` or `delete`
 *
 * @example
 * ```ts
 * import { storageCheck } from '@evenkeel/blue-green/preparation'
 *
 * const check = storageCheck(new Map<string, string>())
 * console.log((await check({ signal: AbortSignal.timeout(1_000) })).why)
 * // => what was written was read back and deleted
 * ```
 */
export function storageCheck(collection: ProbedCollection): PreparationCheck {
  requireMethods('collection', collection, ['get', 'set', 'delete'])
  return checkBy(async (signal) => {
    const [key, value] = [`evenkeel-probe:${randomUUID()}`, randomUUID()]
    const written = (async () => collection.set(key, value))()
    // Whatever became of the write, and however late: what it may have left is removed.
    const remove = async (): Promise<void> => {
      await written.catch(() => undefined)
      await collection.delete(key)
    }
    let seen: unknown
    try {
      await untilAborted(written, signal)
      seen = await untilAborted(collection.get(key), signal)
    } catch (error) {
      // What failed first is what is told.
      await untilAborted(remove(), signal).catch(() => undefined)
      throw error
    }
    await remove()
    if (seen !== value) {
      const instead = seen === undefined ? 'nothing' : 'something else'
      throw new CheckFailedError(`what was written was not read back, but ${instead}`)
    }
    if ((await collection.get(key)) !== undefined) throw new CheckFailedError(`the probe ${key} could not be deleted`)
    return found('what was written was read back and deleted')
  })
}
