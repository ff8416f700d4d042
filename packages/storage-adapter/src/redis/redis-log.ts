import type { ChangeLog } from '../backend.js'
import { CorruptError } from '../errors.js'
import type { RedisConnection } from './redis-connection.js'
import type { RedisHints } from './redis-hints.js'
import type { RedisKeys } from './redis-keys.js'
import { unpackVersion } from './redis-record.js'
import type { ChangePage, LoggedChange } from '../storage.js'

/** What {@link RedisLog} works with. */
export interface RedisLogHost {
  readonly label: string
  readonly keys: RedisKeys
  readonly hints: RedisHints
  /** Asks the server that it is still the store that was opened. */
  ask<T>(ask: (connection: RedisConnection) => Promise<T>): Promise<{ answer: T; store: string }>
}

type StreamEntry = readonly [id: string, fields: readonly string[]]

/**
 * The log of changes, a stream. Redis runs one script at a time, so the order of the stream is the order of the commits.
 *
 * A cursor names the store and the last entry that was read. That entry must still be there: if it is not, the log was
 * trimmed beyond it, or an older backup came back that never had it.
 */
export class RedisLog implements ChangeLog {
  readonly #host: RedisLogHost

  constructor(host: RedisLogHost) {
    this.#host = host
  }

  async changes(cursor: string | undefined, limit: number): Promise<ChangePage> {
    const { keys } = this.#host
    if (cursor === undefined) return { changes: [], cursor: await this.#end(), isReset: false }
    const { store, id } = parse(cursor)
    if (!isEntry(id)) return this.#reset()
    const { answer, store: own } = await this.#host.ask((connection) =>
      connection.send('no', 'XRANGE', [keys.changes, id, '+', 'COUNT', limit + 1]),
    )
    const [last, ...entries] = answer as StreamEntry[]
    if (store !== own || last?.[0] !== id) return this.#reset()
    return { changes: entries.map(toChange), cursor: `${own}.${entries.at(-1)?.[0] ?? id}`, isReset: false }
  }

  onHint(wake: () => void): () => void {
    return this.#host.hints.add(wake)
  }

  async #reset(): Promise<ChangePage> {
    return { changes: [], cursor: await this.#end(), isReset: true }
  }

  async #end(): Promise<string> {
    const { keys, label } = this.#host
    const { answer, store } = await this.#host.ask((connection) =>
      connection.send('no', 'XREVRANGE', [keys.changes, '+', '-', 'COUNT', 1]),
    )
    const [last] = answer as StreamEntry[]
    // It has an entry from the beginning, and trimming leaves the latest.
    if (last === undefined) throw new CorruptError(`${keys.changes} of ${label}`, 'has lost the log of changes')
    return `${store}.${last[0]}`
  }
}

function toChange([, fields]: StreamEntry): LoggedChange {
  const values = new Map<string, string>()
  for (let i = 0; i + 1 < fields.length; i += 2) values.set(fields[i] ?? '', fields[i + 1] ?? '')
  return {
    type: values.get('t') as LoggedChange['type'],
    collection: values.get('c') ?? '',
    key: values.get('k') ?? '',
    version: unpackVersion(values.get('v') ?? ''),
  }
}

/** Whether Redis will take it for the name of an entry: two numbers of 64 bits. */
function isEntry(id: string): boolean {
  return /^\d{1,20}-\d{1,20}$/.test(id) && id.split('-').every((part) => BigInt(part) < 2n ** 64n)
}

function parse(cursor: string): { store: string; id: string } {
  const dot = cursor.lastIndexOf('.')
  return { store: cursor.slice(0, dot), id: cursor.slice(dot + 1) }
}
