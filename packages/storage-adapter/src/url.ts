import type { BackendStorage, BackendStorageOptions } from './backend-storage.js'
import { FileStorage } from './file/file-storage.js'
import { MemoryStorage } from './memory-storage.js'
import { checkOptions } from './options.js'
import { PostgresStorage, type PostgresStorageOptions } from './postgres.js'
import { RedisStorage, type RedisStorageOptions } from './redis.js'
import { SqliteStorage } from './sqlite.js'

export type { BackendStorage, BackendStorageOptions } from './backend-storage.js'

/** What does not belong into an address. */
export interface StorageFromUrlOptions extends BackendStorageOptions {
  /** The password for PostgreSQL or Redis, or a function that is asked for it at each new connection. */
  readonly password?: PostgresStorageOptions['password'] & RedisStorageOptions['password']
}

/** The options that an address may carry behind its question mark, by what they are. */
const NUMBERS = ['busyTimeoutMs', 'compactBytes', 'connectTimeoutMs', 'keepChanges', 'poolSize', 'timeoutMs']
const TEXTS = ['driver', 'prefix', 'schema']
const SWITCHES = ['prepare', 'worker']
const OURS = [...NUMBERS, ...TEXTS, ...SWITCHES]

/** An address, taken apart. */
interface Address {
  readonly scheme: string
  /** What stands between the scheme and the question mark. */
  readonly place: string
  /** Ours, of behind the question mark. */
  readonly settings: Readonly<Record<string, unknown>>
  /** The address without ours, for a driver that reads the rest. */
  readonly rest: string
}

/**
 * Makes the storage that an address names, so that one environment variable decides where a bot keeps its records.
 *
 * | address | storage |
 * |---|---|
 * | `memory:` | `MemoryStorage` |
 * | `file:data/bot` | `FileStorage` in that directory |
 * | `sqlite:data/bot.db` | `SqliteStorage` |
 * | `postgres://user@host/database` | `PostgresStorage` |
 * | `redis://host:6379/0`, `rediss://…` | `RedisStorage` |
 *
 * A path may be absolute (`sqlite:/var/lib/bot.db`, `sqlite:///var/lib/bot.db`). Options follow a question mark:
 * `sqlite:bot.db?busyTimeoutMs=1000`, `postgres://host/bot?poolSize=5&sslmode=require`.
 *
 * @param url - the address, as it stands in the environment
 * @param options - what does not belong into an address
 * @throws TypeError when there is no address, when it names no storage, or when an option is none of that storage; no
 *   message repeats the address, which may hold a password
 *
 * @example
 * ```ts
 * import { storageFromUrl } from '@evenkeel/storage-adapter/url'
 *
 * const storage = storageFromUrl(process.env['STORAGE_URL'] ?? 'file:data/bot')
 * await storage.collection('notes').set('7:1', 'tea')
 * console.log(await storage.collection('notes').get('7:1')) // => tea
 * await storage.stop()
 * ```
 */
export function storageFromUrl(url: string | undefined, options: StorageFromUrlOptions = {}): BackendStorage {
  checkOptions('storageFromUrl', options, ['clock', 'password'])
  const { scheme, place, settings, rest } = takeApart(url)
  const { clock, password } = options
  const given = { ...settings, ...(clock === undefined ? {} : { clock }) }
  const secret = password === undefined ? {} : { password }
  switch (scheme) {
    case 'postgres':
    case 'postgresql':
      return new PostgresStorage({ url: rest, ...given, ...secret })
    case 'redis':
    case 'rediss':
      return new RedisStorage({ url: rest, ...given, ...secret })
  }
  if (password !== undefined) throw new TypeError(`A storage of the kind ${scheme}: has no password`)
  switch (scheme) {
    case 'memory':
      return new MemoryStorage(given)
    case 'file':
      return new FileStorage({ path: toPath(place), ...given })
    case 'sqlite':
      return new SqliteStorage({ path: toPath(place), ...given })
    default:
      throw new TypeError(`A storage is memory:, file:, sqlite:, postgres: or redis:, not ${JSON.stringify(scheme)}`)
  }
}

function takeApart(url: unknown): Address {
  if (typeof url !== 'string' || url === '') {
    throw new TypeError('There is no address of a storage; is the environment variable set? An example: sqlite:bot.db')
  }
  const [, scheme, place, query = ''] = /^([a-z][a-z0-9+.-]*):([^?]*)(?:\?(.*))?$/is.exec(url) ?? []
  if (scheme === undefined || place === undefined) {
    throw new TypeError('The address of a storage begins with what it is, such as sqlite: or postgres:')
  }
  const settings: Record<string, unknown> = {}
  const others = new URLSearchParams()
  const isServer = /^(postgres|postgresql|redis|rediss)$/i.test(scheme)
  for (const [name, text] of new URLSearchParams(query)) {
    if (OURS.includes(name)) settings[name] = read(name, text)
    else if (isServer) others.append(name, text)
    // For the constructor to refuse, which knows what there is.
    else settings[name] = text
  }
  const rest = `${scheme}:${place}${others.size === 0 ? '' : `?${others.toString()}`}`
  return { scheme: scheme.toLowerCase(), place, settings, rest }
}

function read(name: string, text: string): unknown {
  if (TEXTS.includes(name)) return text
  if (SWITCHES.includes(name)) {
    if (text === 'true' || text === 'false') return text === 'true'
    throw new TypeError(`${name} in the address of a storage must be true or false, not ${JSON.stringify(text)}`)
  }
  const number = text.trim() === '' ? Number.NaN : Number(text)
  if (Number.isFinite(number)) return number
  throw new TypeError(`${name} in the address of a storage must be a number, not ${JSON.stringify(text)}`)
}

/** `sqlite:a`, `sqlite://a` and `sqlite:///a` stand for `a`, `a` and `/a`. */
function toPath(place: string): string {
  try {
    return decodeURIComponent(place.replace(/^\/\//, ''))
  } catch {
    // Without its cause, as whoever mistakes the scheme may have put a password there.
    throw new TypeError('The path in the address of a storage holds a % that encodes nothing; write %25 for the sign %')
  }
}
