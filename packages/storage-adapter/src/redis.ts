import { BackendStorage, type BackendStorageOptions } from './backend-storage.js'
import { checkNumber, checkOptions } from './options.js'
import { RedisBackend } from './redis/redis-backend.js'
import {
  clientsOf,
  duplicatesOf,
  isCluster,
  keyPrefixOf,
  type ReadyRedisClient,
  type RedisPassword,
} from './redis/redis-client.js'
import { hasHashTag, RedisKeys } from './redis/redis-keys.js'
import { systemClock } from './system-clock.js'

export type { ReadyRedisClient, RedisPassword } from './redis/redis-client.js'
export type { BackendStorageOptions } from './backend-storage.js'

/** The options of a {@link RedisStorage}. Give `url` or `client`. */
export interface RedisStorageOptions extends BackendStorageOptions {
  /** Where the server is: `redis://user:password@host:6379/0`, or `rediss://` for TLS. */
  readonly url?: string | undefined
  /**
   * A `Redis` or `Cluster` of ioredis with the settings that you need, such as sentinels. It is not used itself and
   * never closed: connections of our own are made by its `duplicate()`, which never queue commands for a server that is
   * away and never send one twice.
   */
  readonly client?: ReadyRedisClient | undefined
  /**
   * What all keys begin with, up to the first `/`. Storages with different prefixes have nothing in common. On a Redis
   * Cluster a part of it must be in braces, which keeps all keys on one server.
   *
   * @defaultValue '{evenkeel}'
   */
  readonly prefix?: string | undefined
  /**
   * The password, or a function that is asked for it at every new connection, for passwords that change. It counts more
   * than one in the URL. Only with `url`.
   */
  readonly password?: RedisPassword | undefined
  /** TLS, with the options of Node's `tls.connect` if some are needed. Only with `url`. */
  readonly tls?: boolean | object | undefined
  /**
   * How long a command may take, in milliseconds.
   *
   * @defaultValue 5_000
   */
  readonly timeoutMs?: number | undefined
  /**
   * How long a new connection may take, with everything that belongs to it, in milliseconds.
   *
   * @defaultValue 5_000
   */
  readonly connectTimeoutMs?: number | undefined
  /**
   * How many changes the log keeps at least; a watch that was away for longer begins anew.
   *
   * @defaultValue 10_000
   */
  readonly keepChanges?: number | undefined
}

/** The defaults of a {@link RedisStorage}. */
export const redisDefaults: Readonly<
  Record<'prefix', string> & Record<'timeoutMs' | 'connectTimeoutMs' | 'keepChanges', number>
> = {
  prefix: '{evenkeel}',
  timeoutMs: 5_000,
  connectTimeoutMs: 5_000,
  keepChanges: 10_000,
}

const OPTIONS = [
  ...['url', 'client', 'prefix', 'password', 'tls', 'timeoutMs', 'connectTimeoutMs', 'keepChanges', 'clock'],
] as const

/**
 * Keeps records in Redis 6.2 or later, which any number of processes and machines may share.
 *
 * *Gotchas*: how safe an acknowledged write is depends on the server: with `appendfsync always` it is on its disk, with
 * `everysec` a crash may lose a second, without `appendonly` more; {@link RedisStorage.health} says which. A server that
 * drops records when its memory is full (`maxmemory-policy allkeys-...`) is refused. A server that was emptied is not
 * taken for the same store: everything rejects until the store is back, or until `stop()` and `start()` say to go on
 * without it. Connections to a Redis Cluster keep the process alive until `stop()`.
 *
 * @example
 * ```ts
 * import { RedisStorage } from '@evenkeel/storage-adapter/redis'
 *
 * const storage = new RedisStorage({ url: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379' })
 * const notes = storage.collection<{ text: string }>('notes')
 * await notes.set('7:1', { text: 'tea' })
 * console.log(await notes.get('7:1')) // => { text: 'tea' }
 * await storage.stop()
 * ```
 */
export class RedisStorage extends BackendStorage {
  /**
   * @param options - where, and how patiently
   * @throws TypeError or RangeError when an option is wrong
   */
  constructor(options: RedisStorageOptions) {
    checkOptions('RedisStorage', options, OPTIONS)
    const { url, client, password, tls, clock = systemClock } = options
    const { timeoutMs = redisDefaults.timeoutMs, connectTimeoutMs = redisDefaults.connectTimeoutMs } = options
    const { prefix = redisDefaults.prefix, keepChanges = redisDefaults.keepChanges } = options
    checkNumber('timeoutMs', timeoutMs, 1)
    checkNumber('connectTimeoutMs', connectTimeoutMs, 1)
    checkNumber('keepChanges', keepChanges, 1)
    if (!Number.isSafeInteger(keepChanges))
      throw new RangeError(`keepChanges must be a whole number, not ${keepChanges}`)
    if ((url === undefined) === (client === undefined)) throw new TypeError('RedisStorage needs a url or a client')
    if (password !== undefined && typeof password !== 'string' && typeof password !== 'function') {
      throw new TypeError('password must be a string or a function')
    }
    const source =
      client === undefined
        ? clientsOf({ url: url ?? '', tls: tls === true ? {} : tls || undefined, password, connectTimeoutMs })
        : duplicatesOf(checkClient(client, options))
    const keys = new RedisKeys(client === undefined ? prefix : `${keyPrefixOf(client)}${String(prefix)}`)
    if (client !== undefined && isCluster(client) && !hasHashTag(keys.prefix)) {
      throw new TypeError(
        `prefix ${JSON.stringify(prefix)} has no hash tag, so a Redis Cluster would spread one batch over its servers; ` +
          'put a part of it in braces, as in {bot}',
      )
    }
    super(new RedisBackend({ source, keys, timeoutMs, connectTimeoutMs, keepChanges, clock }), { clock })
  }
}

function checkClient(client: ReadyRedisClient, { password, tls }: RedisStorageOptions): ReadyRedisClient {
  if (typeof (client as Partial<ReadyRedisClient>).duplicate !== 'function') {
    throw new TypeError('client must be a Redis or a Cluster of ioredis')
  }
  if (password !== undefined || tls !== undefined) {
    throw new TypeError('password and tls belong to url; a client that is handed in has them already')
  }
  return client
}
