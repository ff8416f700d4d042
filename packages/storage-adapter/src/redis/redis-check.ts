import { setImmediate as nextTurn } from 'node:timers/promises'
import type { RedisKeys } from './redis-keys.js'
import { unpackRecord } from './redis-record.js'
import { INSPECT_RECORDS, INSPECT_SET, type RedisScript } from './redis-scripts.js'

/** How many records are looked at in one step, roughly. */
const STEP = 64

/** Runs a script that only reads. */
export type Inspect = (script: RedisScript, keys: string[], parameters: (string | number)[]) => Promise<string[]>

/**
 * Looks whether every record is sound, and whether the records, the index and the expiry of a collection agree. Each
 * step is a script, so what is written in between is no false alarm.
 */
export async function inspectCollection(
  collection: string,
  keys: RedisKeys,
  inspect: Inspect,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const [records, index, expiry] = keys.of(collection)
  const problems: string[] = []
  const report = (key: string, why: string): unknown =>
    problems.push(`${JSON.stringify(key)} in ${JSON.stringify(collection)} ${why}.`)
  const walk = async (script: RedisScript, names: string[], look: (found: string[]) => void): Promise<void> => {
    let place = '0'
    do {
      signal?.throwIfAborted()
      const [, next = '0', ...found] = await inspect(script, [keys.meta, ...names], [place, STEP])
      look(found)
      place = next
      await nextTurn()
    } while (place !== '0')
  }

  await walk(INSPECT_RECORDS, [records, index, expiry], (found) => {
    for (let i = 0; i < found.length; i += 4) {
      const [key = '', text = '', isIndexed, until = ''] = found.slice(i, i + 4)
      const why = faultOf(text, until)
      if (why !== undefined) report(key, why)
      if (isIndexed === '') report(key, 'is not in the index, so no scan finds it')
    }
  })
  await walk(INSPECT_SET, [records, index], (found) => {
    for (const key of found) report(key, 'is in the index, but has no record')
  })
  await walk(INSPECT_SET, [records, expiry], (found) => {
    for (const key of found) report(key, 'is to expire, but has no record')
  })
  return problems
}

function faultOf(text: string, until: string): string | undefined {
  const record = unpackRecord(text)
  if (record === undefined) return 'is no record'
  try {
    JSON.parse(record.json)
  } catch (error) {
    return `is not JSON: ${error instanceof Error ? error.message : String(error)}`
  }
  const noted = until === '' ? undefined : Number(until)
  return noted === record.expiresAt ? undefined : 'expires at another time than is noted, so it is counted wrongly'
}
