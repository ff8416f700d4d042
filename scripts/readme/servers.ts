import { findPostgres } from '../../packages/storage-adapter/src/test-support/postgres-server.js'
import { findRedis } from '../../packages/storage-adapter/src/test-support/redis-server.js'

// A fence after `<!-- run: postgres -->` or `<!-- run: redis -->` finds the address of a server in its environment.

interface Server {
  readonly url: string
  release(): Promise<void>
}

const kinds: Readonly<Record<string, { readonly variable: string; readonly find: () => Promise<Server | undefined> }>> =
  {
    postgres: { variable: 'DATABASE_URL', find: findPostgres },
    redis: { variable: 'REDIS_URL', find: findRedis },
  }

/** What a program needs from outside, and how to let go of it. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string>>
  release(): Promise<void>
}

/** Whether the marker asks for a server. */
export function asksForServer(marker: string | undefined): marker is string {
  return marker !== undefined && Object.hasOwn(kinds, marker)
}

/**
 * Finds or starts the server that the marker asks for.
 *
 * @returns `undefined` where none can be had; with `CI` set that is an error
 */
export async function surroundingsOf(marker: string): Promise<Surroundings | undefined> {
  const kind = kinds[marker]
  if (kind === undefined) throw new SyntaxError(`"run: ${marker}" names no server`)
  try {
    const server = await kind.find()
    if (server === undefined) throw new Error(`set ${kind.variable}, or install the server`)
    return { env: { [kind.variable]: server.url }, release: () => server.release() }
  } catch (error) {
    if (process.env['CI'] !== undefined) throw error
    console.warn(`EXAMPLES OF ${marker.toUpperCase()} ARE SKIPPED: ${String(error)}`)
    return undefined
  }
}
