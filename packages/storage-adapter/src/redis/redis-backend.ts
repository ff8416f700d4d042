import { randomBytes } from 'node:crypto'
import type { Backend, KeyedRecord, Mutation, Range, StoredRecord } from '../backend.js'
import { ConflictError, CorruptError, FormatError, UnavailableError } from '../errors.js'
import type { Announce, StorageEvents } from '../events.js'
import { compareKeys, endOfPrefix } from '../keys.js'
import { inspectCollection } from './redis-check.js'
import { toCommitCall } from './redis-commit.js'
import { RedisConnection, type ConnectionOptions } from './redis-connection.js'
import { RedisHints } from './redis-hints.js'
import type { RedisKeys } from './redis-keys.js'
import { RedisLink } from './redis-link.js'
import { RedisLog } from './redis-log.js'
import { isLive, unpackRecord, unpackVersion } from './redis-record.js'
import { BEGIN, COUNT, FORMAT, PAGE, PROVE, SWEEP, type RedisScript } from './redis-scripts.js'
import { checkFacts, durabilityOf } from './redis-server-facts.js'
import { RedisSweeper, SWEEP_STEP } from './redis-sweeper.js'
import type { Kept, Scope, StorageHealth } from '../storage.js'

/** How many expired records are looked at in one step of the server to count those with a prefix. */
const COUNT_STEP = 5_000

/** What a {@link RedisBackend} works with. */
export interface RedisBackendOptions extends ConnectionOptions {
  readonly keys: RedisKeys
  readonly keepChanges: number
}

/** Records in Redis, which any number of machines may share. */
export class RedisBackend implements Backend {
  readonly scope: Scope = 'cluster'
  readonly log: RedisLog
  readonly #options: RedisBackendOptions
  readonly #hints: RedisHints
  readonly #link: RedisLink
  readonly #sweeper: RedisSweeper
  /** Whether writes on a connection will be taken. */
  readonly #proofs = new WeakMap<RedisConnection, Promise<void>>()
  /** Which store this is; empty until it is opened. */
  #store = ''

  constructor(options: RedisBackendOptions) {
    this.#options = options
    const { clock, keys, source } = options
    this.#link = new RedisLink(options, async (connection) => {
      if (this.#store !== '') await this.#confirm(connection, null)
    })
    this.#sweeper = new RedisSweeper({
      clock,
      find: (before) => this.#findExpired(before),
      sweep: async (collection, before) => {
        const names = [keys.meta, keys.collections, ...keys.of(collection)]
        const [, swept] = await this.#ask(SWEEP, names, [before, collection, SWEEP_STEP])
        return swept as number
      },
    })
    this.#hints = new RedisHints({
      clock,
      channel: keys.hints,
      dial: (onEnd) => RedisConnection.open(options, { onEnd }),
    })
    this.log = new RedisLog({
      label: source.label,
      keys,
      hints: this.#hints,
      ask: (ask) => this.#askStore(ask),
    })
  }

  async open(announce: Announce<StorageEvents>): Promise<void> {
    this.#link.open(announce)
    // Who opens anew goes on with whatever store is there now.
    this.#store = ''
    try {
      this.#store = await this.#begin()
      this.#link.succeed(false)
    } catch (error) {
      this.#link.fail(error)
      await this.#link.close()
      throw error
    }
    this.#sweeper.open()
    this.#hints.open()
  }

  async close(): Promise<void> {
    await this.#hints.close()
    await this.#sweeper.close()
    await this.#link.close()
  }

  async read(collection: string, keys: readonly string[], now: number): Promise<(StoredRecord | undefined)[]> {
    if (keys.length === 0) return []
    const connection = this.#link.ready ?? (await this.#link.connect())
    const name = this.#options.keys.records(collection)
    const [owner, ...records] = (await connection.send('no', 'HMGET', [name, '', ...keys])) as (string | null)[]
    // A collection that is not there looks the same on a server that was emptied.
    if (owner !== this.#store) await this.#confirm(connection, owner)
    this.#link.succeed(false)
    return records.map((text, i) => {
      if (text === null) return undefined
      const record = this.#unpack(collection, keys[i] ?? '', text)
      return isLive(record, now) ? record : undefined
    })
  }

  async page(collection: string, range: Range, now: number): Promise<KeyedRecord[]> {
    const { keys } = this.#options
    const page: KeyedRecord[] = []
    const [least, most] = boundsOf(range)
    const isReverse = range.reverse === true
    const end = isReverse ? least : most
    let from = isReverse ? most : least
    while (from !== '' && page.length < range.limit) {
      const parameters = [now, from, end, isReverse ? 'REV' : '', range.limit - page.length]
      const names = [keys.meta, keys.records(collection), keys.index(collection)]
      const [, next = '', ...found] = (await this.#ask(PAGE, names, parameters)) as string[]
      for (let i = 0; i + 1 < found.length; i += 2) {
        const key = found[i] ?? ''
        page.push({ key, ...this.#unpack(collection, key, found[i + 1] ?? '') })
      }
      from = next
    }
    return page
  }

  async count(collection: string, prefix: string, now: number): Promise<number> {
    const { keys } = this.#options
    const bounds = boundsOf({ prefix })
    let live: number | undefined
    for (let skip = 0; ; skip += COUNT_STEP) {
      const parameters = [now, ...bounds, prefix, skip, COUNT_STEP]
      const answer = await this.#ask(COUNT, [keys.meta, ...keys.of(collection)], parameters)
      const [, all, expired, looked] = answer as [string, number, number, number]
      live = (live ?? all) - expired
      if (looked < COUNT_STEP) return live
    }
  }

  async collections(now: number): Promise<string[]> {
    const { keys } = this.#options
    const { answer } = await this.#askStore(async (connection) => {
      const names: string[] = []
      const listed = (await connection.send('no', 'ZRANGE', [keys.collections, 0, -1, 'WITHSCORES'])) as string[]
      const looks: Promise<boolean>[] = []
      for (let i = 0; i < listed.length; i += 2) {
        const name = listed[i] ?? ''
        names.push(name)
        // Where nothing has expired yet, there is a record.
        looks.push(
          listed[i + 1] === 'inf' || Number(listed[i + 1]) > now
            ? Promise.resolve(true)
            : holdsRecord(connection, keys, name, now),
        )
      }
      const isShown = await Promise.all(looks)
      return names.filter((_, i) => isShown[i])
    })
    return answer
  }

  async commit(mutations: readonly Mutation[], now: number): Promise<Kept> {
    const { keys, keepChanges, source } = this.#options
    const connection = this.#link.ready ?? (await this.#link.connect())
    // Awaited also when it is long settled: all writes of a connection wait alike, so none overtakes another.
    await this.#proofOf(connection)
    const call = toCommitCall(mutations, keys, { store: this.#store, now, keepChanges })
    let answer: unknown
    try {
      answer = await connection.commit(call)
    } catch (error) {
      throw this.#refusal(error, connection)
    }
    const [outcome, about, found] = this.#answerOf(answer) as [string, number, string | undefined]
    if (outcome === 'conflict') throw toConflict(mutations[about], found)
    if (outcome === 'damaged') {
      const place = JSON.stringify((mutations[about] as { key?: string }).key)
      throw new CorruptError(source.label, `holds something under the key ${place} that is no record`)
    }
    this.#link.succeed(true)
    this.#sweeper.afterWrite()
    return 'primary'
  }

  /** A connection is tried before its first commit. */
  #proofOf(connection: RedisConnection): Promise<void> {
    let proof = this.#proofs.get(connection)
    if (proof === undefined) {
      proof = this.#prove(connection)
      proof.catch(() => this.#proofs.delete(connection))
      this.#proofs.set(connection, proof)
    }
    return proof
  }

  async #prove(connection: RedisConnection): Promise<void> {
    const { keys, clock } = this.#options
    try {
      this.#answerOf(await connection.run(PROVE, [keys.meta, keys.trial], [this.#store, clock.now()]))
    } catch (error) {
      throw this.#refusal(error, connection)
    }
  }

  async health(): Promise<StorageHealth> {
    const { source } = this.#options
    const connection = this.#link.ready ?? (await this.#link.connect())
    const [facts] = await Promise.all([connection.readFacts(), this.#prove(connection)])
    checkFacts(source.label, facts)
    this.#link.succeed(true)
    const isKnown = facts.evictionPolicy !== undefined
    const doubt = isKnown ? '' : ' Whether it drops records when its memory is full is not known, as INFO is forbidden.'
    return {
      status: isKnown ? 'up' : 'degraded',
      reason: `${source.label} takes reads and writes. ${durabilityOf(facts)}${doubt}`,
    }
  }

  async check(signal: AbortSignal | undefined): Promise<readonly string[]> {
    const { keys } = this.#options
    const { answer } = await this.#askStore(
      (connection) => connection.send('no', 'ZRANGE', [keys.collections, 0, -1]) as Promise<string[]>,
    )
    const problems: string[] = []
    for (const collection of answer) {
      const ask = (script: RedisScript, names: string[], parameters: (string | number)[]): Promise<string[]> =>
        this.#ask(script, names, parameters) as Promise<string[]>
      problems.push(...(await inspectCollection(collection, keys, ask, signal)))
    }
    return problems
  }

  gauges(): Readonly<Record<string, number>> {
    return {
      'redis.connected': this.#link.ready === undefined ? 0 : 1,
      'redis.connects': this.#link.connects,
      'redis.pending': this.#link.ready?.pending ?? 0,
      'redis.subscribed': this.#hints.isSubscribed ? 1 : 0,
    }
  }

  /** Runs a script that only reads. */
  async #ask(script: RedisScript, keys: string[], parameters: (string | number)[]): Promise<unknown[]> {
    const connection = this.#link.ready ?? (await this.#link.connect())
    const answer = this.#answerOf(await connection.run(script, keys, [this.#store, ...parameters]))
    this.#link.succeed(false)
    return answer
  }

  /** Sends commands that only read, and asks after them whether this is still the store. */
  async #askStore<T>(ask: (connection: RedisConnection) => Promise<T>): Promise<{ answer: T; store: string }> {
    const connection = this.#link.ready ?? (await this.#link.connect())
    const answer = await ask(connection)
    await this.#confirm(connection, null)
    this.#link.succeed(false)
    return { answer, store: this.#store }
  }

  /** Notes that a server answers, but takes no writes: its memory is full, or it has become a replica. */
  #refusal(error: unknown, connection: RedisConnection): Error {
    const isRefusal = error instanceof UnavailableError && connection.isOpen
    if (isRefusal) this.#link.fail(error, { isOfWrites: true })
    if (isRefusal && /READONLY/.test(error.message)) this.#link.leave(connection)
    return error as Error
  }

  /** @throws UnavailableError when a script found another store */
  #answerOf(answer: unknown): unknown[] {
    const [what, found] = answer as [string, string]
    if (what === 'store') throw this.#otherStore(found)
    return answer as unknown[]
  }

  /** @param owner - whom the records that were read say that they belong to */
  async #confirm(connection: RedisConnection, owner: string | null | undefined): Promise<void> {
    const found = (await connection.send('no', 'HGET', [this.#options.keys.meta, 'store'])) as string | null
    if (found !== this.#store) throw this.#otherStore(found ?? '')
    if (typeof owner === 'string' && owner !== this.#store) throw this.#otherStore(owner)
  }

  #otherStore(found: string): UnavailableError {
    const { source, keys } = this.#options
    const what = found === '' ? 'was emptied' : `holds another store (${found})`
    const error = new UnavailableError(
      `${source.label} ${what}, and no longer the one that was opened (${this.#store} under ${keys.prefix}); ` +
        'restore it from a backup, or call stop() and start() to go on with what is there',
    )
    this.#link.fail(error)
    return error
  }

  #unpack(collection: string, key: string, text: string): StoredRecord {
    const record = unpackRecord(text)
    if (record !== undefined) return record
    const place = `${JSON.stringify(key)} in ${JSON.stringify(collection)}`
    throw new CorruptError(this.#options.source.label, `holds something under ${place} that is no record`)
  }

  /** The store that is there, or a new one. */
  async #begin(): Promise<string> {
    const { keys, source } = this.#options
    const connection = this.#link.ready ?? (await this.#link.connect())
    const parameters = [randomBytes(9).toString('base64url'), FORMAT]
    const answer = await connection.run(BEGIN, [keys.meta, keys.changes], parameters)
    const [store, format] = answer as [string, string | null]
    if (format !== FORMAT) throw new FormatError(`${keys.prefix} on ${source.label}`, String(format), FORMAT)
    return store
  }

  async #findExpired(before: number): Promise<readonly string[]> {
    const { answer } = await this.#askStore((connection) =>
      connection.send('no', 'ZRANGE', [this.#options.keys.collections, '-inf', `(${before}`, 'BYSCORE']),
    )
    return answer as string[]
  }
}

/** The ends of a range as Redis writes them, each with its bracket. */
function boundsOf({ prefix = '', after = '', before }: Omit<Range, 'limit'>): [least: string, most: string] {
  const end = endOfPrefix(prefix)
  const least = after !== '' && compareKeys(after, prefix) >= 0 ? `(${after}` : `[${prefix}`
  if (end === undefined && before === undefined) return [least, '+']
  const most = end === undefined || (before !== undefined && compareKeys(before, end) < 0) ? before : end
  return [least, `(${most}`]
}

async function holdsRecord(
  connection: RedisConnection,
  keys: RedisKeys,
  collection: string,
  now: number,
): Promise<boolean> {
  const [all, expired] = await Promise.all([
    connection.send('no', 'ZCARD', [keys.index(collection)]),
    connection.send('no', 'ZCOUNT', [keys.expiry(collection), '-inf', now]),
  ])
  return (all as number) > (expired as number)
}

function toConflict(mutation: Mutation | undefined, found: string | undefined): ConflictError {
  const { collection, key, expected } = mutation as Extract<Mutation, { expected: unknown }>
  const version = found === undefined ? undefined : unpackVersion(found)
  return new ConflictError(collection, key, expected ?? undefined, version)
}
