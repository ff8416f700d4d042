import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Backend } from './backend.js'

/** How many records are looked at in one turn of the event loop. */
const PAGE = 256

/** Reads every record, for backends that have no better way to find damage. */
export async function lookForDamage(
  backend: Pick<Backend, 'collections' | 'page'>,
  now: number,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const problems: string[] = []
  for (const collection of await backend.collections(now)) {
    for (let after: string | undefined; ;) {
      signal?.throwIfAborted()
      const page = await backend.page(collection, { after, limit: PAGE }, now)
      for (const { key, json } of page) {
        const why = fault(json)
        if (why !== undefined) problems.push(`${JSON.stringify(key)} in ${JSON.stringify(collection)} ${why}.`)
      }
      after = page.at(-1)?.key
      if (page.length < PAGE) break
      await nextTurn()
    }
  }
  return problems
}

function fault(json: string): string | undefined {
  try {
    JSON.parse(json)
    return undefined
  } catch (error) {
    return `is not JSON: ${error instanceof Error ? error.message : String(error)}`
  }
}
