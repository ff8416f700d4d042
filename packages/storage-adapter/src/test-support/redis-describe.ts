import { randomBytes } from 'node:crypto'
import { afterAll, describe } from 'vitest'
import { findRedis, hasRedisServer, redisClient } from './redis-server.js'

const found = await findRedis()
if (found === undefined) console.warn('TESTS OF REDIS ARE SKIPPED: set REDIS_URL, or install redis-server')

if (!hasRedisServer) console.warn('TESTS THAT STOP A REDIS OF THEIR OWN ARE SKIPPED: install redis-server')

/** Where the tests find Redis; empty when there is none. */
export const redisUrl: string = found?.url ?? ''

/** Like `describe`, for tests that need a Redis that others use too. */
export const describeRedis: typeof describe | typeof describe.skip = found === undefined ? describe.skip : describe

/** Like `describe`, for tests that start a Redis of their own, to freeze it and to kill it. */
export const describeOwnRedis: typeof describe | typeof describe.skip =
  hasRedisServer || process.env['CI'] !== undefined ? describe : describe.skip

const prefixes: string[] = []

/** A prefix that nobody else has. What is kept under it is removed after the tests of the file. */
export function freshPrefix(): string {
  const prefix = `{evenkeel-test-${randomBytes(6).toString('hex')}}`
  prefixes.push(prefix)
  return prefix
}

afterAll(async () => {
  if (prefixes.length > 0) {
    const client = redisClient(redisUrl)
    for (const prefix of prefixes) {
      for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1_000 })) {
        if ((keys as string[]).length > 0) await client.unlink(keys as string[])
      }
    }
    client.disconnect()
  }
  await found?.release()
})
