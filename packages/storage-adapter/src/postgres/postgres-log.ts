import type { ChangeLog } from '../backend.js'
import type { PostgresQuery, PostgresResult } from './postgres-driver.js'
import type { PostgresHints } from './postgres-hints.js'
import { quoteName } from './postgres-schema.js'
import type { Clock } from '../ports.js'
import type { ChangePage, LoggedChange } from '../storage.js'
import { holdProcess } from '../system-clock.js'

/** Every transaction with a lower id has ended, so nothing can appear late below it. */
const SETTLED = 'pg_snapshot_xmin(pg_current_snapshot())'

/** How soon to look again for what a running transaction holds back, in milliseconds: at first, and at most. */
const HELD_MS = [80, 1_000] as const

/** The pauses in which whoever asks waits for it, in milliseconds: most transactions end within them. */
const PAUSES_MS = [5, 10, 20, 40] as const

/** What a {@link PostgresLog} works with. */
export interface PostgresLogOptions {
  readonly schema: string
  readonly hints: PostgresHints
  readonly clock: Clock
  /** Runs a statement that may be repeated. */
  readonly read: (query: PostgresQuery) => Promise<PostgresResult>
}

/**
 * The change that was read last. Its version is unique, so when the server does not have it, the server's history is
 * another one: another store, a restored backup, or a log that was pruned.
 */
interface Place {
  readonly xid: string
  readonly seq: string
  readonly version: string
  /** Changes after the place that were visible to this were there before the cursor was asked for; empty for none. */
  readonly snapshot: string
}

interface PageRow {
  readonly is_held: boolean
  readonly xid: string | null
  readonly seq: string
  readonly type: LoggedChange['type']
  readonly collection: Buffer
  readonly key: Buffer
  readonly version: string
}

/**
 * The log of changes, in the order of the ids of their transactions. It is read up to the oldest transaction that still
 * runs on the server, so none can appear late before one that was read already.
 */
export class PostgresLog implements ChangeLog {
  readonly #options: PostgresLogOptions
  readonly #changes: string
  #heldMs: number = HELD_MS[0]
  #cancelLook: (() => void) | undefined

  constructor(options: PostgresLogOptions) {
    this.#options = options
    this.#changes = `${quoteName(options.schema)}.changes`
  }

  onHint(wake: () => void): () => void {
    return this.#options.hints.add(wake)
  }

  async changes(cursor: string | undefined, limit: number): Promise<ChangePage> {
    if (cursor === undefined) return { changes: [], cursor: await this.#now(), isReset: false }
    const place = parse(cursor)
    const rows = place === undefined ? [] : await this.#patiently(place, limit)
    const [first] = rows
    if (place === undefined || first === undefined) return { changes: [], cursor: await this.#now(), isReset: true }
    if (first.is_held) this.#lookSoon()
    else this.#heldMs = HELD_MS[0]
    if (first.xid === null) return { changes: [], cursor, isReset: false }
    return { changes: rows.map(toChange), cursor: write(advance(place, rows.at(-1) ?? first)), isReset: false }
  }

  close(): void {
    this.#cancelLook?.()
    this.#cancelLook = undefined
  }

  /** The last change that is settled; behind it, all that was visible by now is known already. */
  async #now(): Promise<string> {
    const { read, schema } = this.#options
    const text = `SELECT xid::text, seq::text, version, pg_current_snapshot()::text AS snapshot FROM ${this.#changes}
      WHERE xid < ${SETTLED} ORDER BY ${this.#changes}.xid DESC, ${this.#changes}.seq DESC LIMIT 1`
    // It begins a new log where there is none, or one of the future.
    await read({ text: `SELECT ${quoteName(schema)}.begin_log()` })
    const { rows } = await read({ text })
    return write(rows[0] as Place)
  }

  /** Rather than nothing, gives what a running transaction holds back, if that ends soon. */
  async #patiently(place: Place, limit: number): Promise<PageRow[]> {
    for (const pauseMs of PAUSES_MS) {
      const rows = await this.#after(place, limit)
      const [first] = rows
      if (first === undefined || first.xid !== null || !first.is_held) return rows
      const letGo = holdProcess()
      await new Promise<void>((resolve) => this.#options.clock.after(pauseMs, resolve))
      letGo()
    }
    return this.#after(place, limit)
  }

  /** No row when the place is not in the log; one without a change when nothing follows it. */
  async #after({ xid, seq, version, snapshot }: Place, limit: number): Promise<PageRow[]> {
    const text = `
      SELECT EXISTS (SELECT FROM ${this.#changes} h WHERE h.xid >= ${SETTLED}) AS is_held,
        c.xid::text, c.seq::text, c.type, c.collection, c.key, c.version
      FROM ${this.#changes} place LEFT JOIN LATERAL (
        SELECT * FROM ${this.#changes} n
        WHERE (n.xid, n.seq) > (place.xid, place.seq) AND n.xid < ${SETTLED}
          AND ($4::pg_snapshot IS NULL OR NOT pg_visible_in_snapshot(n.xid, $4))
        ORDER BY n.xid, n.seq LIMIT $5
      ) c ON true
      WHERE place.xid = $1::xid8 AND place.seq = $2::bigint AND place.version = $3 AND place.xid < ${SETTLED}
      ORDER BY c.xid, c.seq`
    const values = [xid, seq, version, snapshot === '' ? null : snapshot, limit]
    const { rows } = await this.#options.read({ text, values })
    return rows as PageRow[]
  }

  /** There are changes that cannot be told yet, and nobody hints when they can. */
  #lookSoon(): void {
    if (this.#cancelLook !== undefined) return
    const { clock, hints } = this.#options
    this.#cancelLook = clock.after(this.#heldMs, () => {
      this.#cancelLook = undefined
      hints.wake()
    })
    this.#heldMs = Math.min(this.#heldMs * 2, HELD_MS[1])
  }
}

function toChange({ type, collection, key, version }: PageRow): LoggedChange {
  return { type, collection: collection.toString('utf8'), key: key.toString('utf8'), version }
}

function advance({ snapshot }: Place, { xid, seq, version }: PageRow): Place {
  // From the end of the snapshot on it has nothing to hide.
  const isBeyond = BigInt(xid ?? 0) >= BigInt(snapshot.split(':')[1] ?? 0)
  return { xid: xid ?? '', seq, version, snapshot: isBeyond ? '' : snapshot }
}

function write({ xid, seq, snapshot, version }: Place): string {
  // Nothing ran when this was taken, so there is nothing behind the place.
  const [from, to] = snapshot.split(':')
  return [xid, seq, from === to ? '' : snapshot, version].join('.')
}

function parse(cursor: string): Place | undefined {
  // A NUL is in no version, and the server would refuse it.
  const [, xid, seq, snapshot, version] = /^(\d{1,18})\.(\d{1,18})\.([\d:,]*)\.([^\0]+)$/.exec(cursor) ?? []
  if (xid === undefined || seq === undefined || snapshot === undefined || version === undefined) return undefined
  return snapshot === '' || isSnapshot(snapshot) ? { xid, seq, snapshot, version } : undefined
}

/** Whether the server will take it for a snapshot: where it begins and ends, and what ran in between. */
function isSnapshot(text: string): boolean {
  const [, from, to, running] = /^(\d{1,18}):(\d{1,18}):((?:\d{1,18}(?:,\d{1,18})*)?)$/.exec(text) ?? []
  if (from === undefined || to === undefined || running === undefined) return false
  const ids = running === '' ? [] : running.split(',').map(BigInt)
  const isSorted = ids.every((id, i) => i === 0 || id > (ids[i - 1] ?? 0n))
  return (
    BigInt(from) > 0n &&
    BigInt(from) <= BigInt(to) &&
    isSorted &&
    ids.every((id) => id >= BigInt(from) && id < BigInt(to))
  )
}
