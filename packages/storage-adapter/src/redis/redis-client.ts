import { createRequire } from 'node:module'
import { DriverError } from '../errors.js'

/** A client of ioredis, `Redis` or `Cluster`, as far as it must be known to be handed in. */
export interface ReadyRedisClient {
  /** Such as `ready`. */
  readonly status: string
  /** Makes another client with the same settings. */
  duplicate(...overrides: never[]): unknown
}

/** What is used of a client. */
export interface RedisClient {
  readonly status: string
  /** The socket; a Cluster has several, and none here. */
  readonly stream?: { cork(): void; uncork(): void; ref(): unknown; unref(): unknown } | null | undefined
  connect(): Promise<unknown>
  call(command: string, parameters: readonly (string | number)[]): Promise<unknown>
  subscribe(channel: string): Promise<unknown>
  on(event: 'error' | 'end' | 'message', listener: (about: unknown) => void): unknown
  disconnect(): void
}

/** A client that is about to connect, and the secret that must never be told. */
export interface FreshClient {
  readonly client: RedisClient
  readonly secret: string | undefined
}

/** Where clients come from. */
export interface RedisSource {
  /** Names the server in messages, without a secret. */
  readonly label: string
  /** Every connection has a client of its own, which ends with it. */
  make(): Promise<FreshClient>
}

/** The password of a server, or what gives it: asked at every new connection, for passwords that change. */
export type RedisPassword = string | (() => string | Promise<string>)

/**
 * ioredis left to itself queues commands for a server that is away and sends again what may have been applied, so one
 * write could take effect twice. Here a lost connection is an error at once, and whoever needs another makes one.
 */
const OWN_SETTINGS = {
  lazyConnect: true,
  retryStrategy: null,
  reconnectOnError: null,
  maxRetriesPerRequest: null,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  enableReadyCheck: false,
  enableAutoPipelining: false,
  disableClientInfo: true,
  connectionName: 'evenkeel',
  commandTimeout: undefined,
  socketTimeout: undefined,
  keepAlive: 30_000,
  keyPrefix: '',
  stringNumbers: false,
  monitor: false,
  readOnly: false,
  // One shape of replies for ioredis 5 and 6.
  protocol: 2,
}

/** A Cluster repeats commands by itself too, unless told otherwise. */
const OWN_CLUSTER_SETTINGS = {
  lazyConnect: true,
  clusterRetryStrategy: null,
  retryDelayOnFailover: 0,
  enableAutoPipelining: false,
  scaleReads: 'master',
  keyPrefix: '',
}

interface IoredisOptions {
  readonly host?: unknown
  readonly port?: unknown
  readonly password?: unknown
  readonly redisOptions?: { readonly password?: unknown }
}

/** Whether this is a client of a Redis Cluster. */
export function isCluster(client: ReadyRedisClient): boolean {
  return (client as { isCluster?: unknown }).isCluster === true
}

/** What a client that is handed in puts in front of every key. */
export function keyPrefixOf(client: ReadyRedisClient): string {
  const { keyPrefix } = (client as { options?: { keyPrefix?: unknown } }).options ?? {}
  return typeof keyPrefix === 'string' ? keyPrefix : ''
}

/** Clients with the settings of one that was handed in, which itself is not used. */
export function duplicatesOf(client: ReadyRedisClient): RedisSource {
  const { options = {} } = client as { options?: IoredisOptions }
  const { host, port } = options
  const copy = (...overrides: unknown[]): RedisClient => client.duplicate(...(overrides as never[])) as RedisClient
  const place = typeof host === 'string' ? `Redis at ${host}:${String(port)}` : 'Redis'
  return {
    label: isCluster(client) ? 'The Redis Cluster' : place,
    make: async () => {
      const password = options.password ?? options.redisOptions?.password
      const secret = typeof password === 'string' ? password : undefined
      if (!isCluster(client)) return { client: copy(OWN_SETTINGS), secret }
      const redisOptions = { ...options.redisOptions, ...OWN_SETTINGS }
      return { client: copy(undefined, { ...OWN_CLUSTER_SETTINGS, redisOptions }), secret }
    },
  }
}

/** Where a server is and how to get in. */
export interface RedisAddress {
  readonly url: string
  readonly tls: object | undefined
  readonly password: RedisPassword | undefined
  readonly connectTimeoutMs: number
}

/**
 * Clients for a server that is named by URL. ioredis is loaded when the first one is made.
 *
 * @throws TypeError when it is no such URL; the message leaves it out, as it may hold a password
 */
export function clientsOf({ url, tls, password, connectTimeoutMs }: RedisAddress): RedisSource {
  const { host, secret } = parseUrl(url)
  return {
    label: `Redis at ${host}`,
    make: async () => {
      const Redis = loadIoredis()
      const given = typeof password === 'function' ? await password() : password
      const settings = { ...OWN_SETTINGS, connectTimeout: connectTimeoutMs, tls, password: given }
      // What comes first wins, so a password that is given counts more than that of the URL.
      const client = new Redis(settings, url)
      return { client, secret: given ?? secret }
    },
  }
}

function parseUrl(url: string): { host: string; secret: string | undefined } {
  try {
    const { protocol, hostname, port, password } = new URL(url)
    if (!/^rediss?:$/.test(protocol) || hostname === '') throw new TypeError('no URL of Redis')
    const secret = password === '' ? undefined : decodeURIComponent(password)
    return { host: `${hostname}:${port === '' ? 6379 : port}`, secret }
  } catch {
    // Without its cause, which would quote the URL.
    throw new TypeError('url must look like redis://user:password@host:6379/0, or rediss:// for TLS')
  }
}

type Ioredis = new (options: object, url: string) => RedisClient

function loadIoredis(): Ioredis {
  // The one of the two that exists tells where this file is.
  const require = createRequire(typeof __filename === 'string' ? __filename : import.meta.url)
  try {
    return (require('ioredis') as { Redis: Ioredis }).Redis
  } catch (cause) {
    throw new DriverError('RedisStorage needs the package ioredis, which cannot be loaded; run: npm install ioredis', {
      cause,
    })
  }
}
