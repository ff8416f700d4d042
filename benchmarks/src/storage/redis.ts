import { createHash } from 'node:crypto'
import KeyvRedis from '@keyv/redis'
import { Redis } from 'ioredis'
import Keyv from 'keyv'
import { RedisStorage } from '@evenkeel/storage-adapter/redis'
import { createStorage, type Driver } from 'unstorage'
import redisDriver from 'unstorage/drivers/redis'
import { toCommitCall, type CommitCall } from '../../../packages/storage-adapter/src/redis/redis-commit.js'
import { RedisKeys } from '../../../packages/storage-adapter/src/redis/redis-keys.js'
import { unpackRecord } from '../../../packages/storage-adapter/src/redis/redis-record.js'
import { COMMIT } from '../../../packages/storage-adapter/src/redis/redis-scripts.js'
import { findRedis } from '../../../packages/storage-adapter/src/test-support/redis-server.js'
import { VersionSource } from '../../../packages/storage-adapter/src/versions.js'
import { measure, print } from '../measure.js'
import { keyAt, makeKeys, nextNote, oneByOne, together, type Note } from './documents.js'

const PREFIX = '{evenkeel-bench}'

/** So many a round that each pays for the garbage that it makes: collected after fewer, it would be paid by the next. */
const BATCHES = 50

/** Reads and writes over Redis, beside the raw client that sends the same commands. */
export async function redis(): Promise<void> {
  const server = await findRedis()
  if (server === undefined) {
    console.warn('\nRedis is left out: there is no server')
    return
  }
  const raw = new Redis(server.url)
  const storage = new RedisStorage({ url: server.url, prefix: PREFIX })
  const keyv = new Keyv<Note>({ store: new KeyvRedis(server.url), namespace: 'evenkeel-bench', throwOnErrors: true })
  const unstorage = createStorage<Note>({
    driver: redisDriver({ url: server.url, base: 'evenkeel-bench-unstorage' }) as Driver,
  })
  try {
    const keys = makeKeys(1_000)
    const notes = storage.collection<Note>('notes')
    // What the caller of a batch has in hand.
    const entries = (): (readonly [string, Note])[] => keys.map((key) => [key, nextNote()])
    await notes.setMany(entries())
    for (const key of keys) {
      await keyv.set(key, nextNote())
      await unstorage.setItem(key, nextNote())
    }

    const names = new RedisKeys(PREFIX)
    const store = (await raw.hget(names.meta, 'store')) ?? ''
    // As long as ours, and put together in the same way: a longer parameter costs more.
    const versions = new VersionSource()
    const toCall = (entries: readonly (readonly [string, Note])[]): CommitCall =>
      toCommitCall(
        entries.map(([key, note]) => ({
          type: 'put',
          collection: 'notes',
          key,
          json: JSON.stringify(note),
          version: versions.next(),
          expiresAt: undefined,
          expected: undefined,
        })),
        names,
        { store, now: Date.now(), keepChanges: 10_000 },
      )
    const sha = createHash('sha1').update(COMMIT.lua).digest('hex')
    const write = async (given: readonly (readonly [string, Note])[]): Promise<void> => {
      const call = toCall(given)
      await raw.evalsha(sha, call.keys.length, ...call.keys, ...call.parameters)
    }
    const read = async (key: string): Promise<unknown> => {
      const [, text] = await raw.hmget(names.records('notes'), '', key)
      return JSON.parse(unpackRecord(text ?? '')?.json ?? '') as unknown
    }

    print(
      'Redis: an awaited get',
      await measure(
        [
          { name: 'floor: ioredis, the same command', run: (count) => oneByOne(count, (i) => read(keyAt(keys, i))) },
          { name: 'evenkeel', run: (count) => oneByOne(count, (i) => notes.get(keyAt(keys, i))) },
          { name: 'keyv', run: (count) => oneByOne(count, (i) => keyv.get(keyAt(keys, i))) },
          { name: 'unstorage', run: (count) => oneByOne(count, (i) => unstorage.getItem(keyAt(keys, i))) },
        ],
        2_000,
      ),
    )
    print(
      'Redis: an awaited set',
      await measure(
        [
          {
            name: 'floor: ioredis, the same script',
            run: (count) => oneByOne(count, (i) => write([[keyAt(keys, i), nextNote()]])),
          },
          { name: 'evenkeel', run: (count) => oneByOne(count, (i) => notes.set(keyAt(keys, i), nextNote())) },
          {
            name: 'keyv (no version, no log of changes)',
            run: (count) => oneByOne(count, (i) => keyv.set(keyAt(keys, i), nextNote())),
          },
          {
            name: 'unstorage (the same)',
            run: (count) => oneByOne(count, (i) => unstorage.setItem(keyAt(keys, i), nextNote())),
          },
        ],
        2_000,
      ),
    )
    print(
      'Redis: a set with 100 callers, per write',
      await measure(
        [
          {
            name: 'floor: ioredis, the same script',
            run: (count) => together(count, 100, (i) => write([[keyAt(keys, i), nextNote()]])),
          },
          { name: 'evenkeel', run: (count) => together(count, 100, (i) => notes.set(keyAt(keys, i), nextNote())) },
        ],
        5_000,
      ),
    )
    print(
      'Redis: a batch of 1,000, per batch',
      await measure(
        [
          { name: 'floor: ioredis, the same script', run: (count) => oneByOne(count, () => write(entries())) },
          {
            name: 'evenkeel',
            run: (count) => oneByOne(count, () => notes.setMany(entries())),
          },
        ],
        BATCHES,
      ),
    )
  } finally {
    await storage.collection('notes').clear()
    await keyv.clear()
    await unstorage.clear()
    await keyv.disconnect()
    await unstorage.dispose()
    await storage.stop()
    const rest = await raw.keys(`${PREFIX}*`)
    if (rest.length > 0) await raw.del(...rest)
    raw.disconnect()
    await server.release()
  }
}
