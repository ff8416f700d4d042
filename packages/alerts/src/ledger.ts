import type { AlertNotice } from './alert.js'
import type { Silence } from './silences.js'
import type { AlertState } from './transitions.js'

/** How one notice ended in one channel. */
export type Ending = 'delivered' | 'merged' | 'dead' | 'lost'

/** What several channels made of one notice counts as the best of it. */
const ENDINGS: readonly Ending[] = ['delivered', 'merged', 'dead', 'lost']

/** The alerts that came in, and what became of them. Every one is in exactly one of the other numbers. */
export interface Totals {
  /** All that happened, was reported, ended or was to be repeated. */
  accepted: number
  /** A channel has confirmed it. */
  delivered: number
  /** It is counted in what people were told of the same alert, or in a digest. */
  merged: number
  /** Somebody wanted quiet, or no channel's filter lets it through. */
  silenced: number
  /** No channel would have it; it lies in the dead-letter file. */
  dead: number
  /** Neither told nor in the dead-letter file: there was too much of it, and no room to keep it. Each time it is said. */
  lost: number
}

const NONE: Totals = { accepted: 0, delivered: 0, merged: 0, silenced: 0, dead: 0, lost: 0 }

/** A notice that is not settled in every channel. */
export interface Pending {
  readonly notice: AlertNotice
  /** The channel that it is about, which never gets it. */
  readonly about: string | undefined
  /** When it is given up, in steady milliseconds. */
  readonly expiresMs: number
  /** When it came in, in steady milliseconds. */
  readonly bornMs: number
  /** By channel: waiting, or how it ended. */
  readonly channels: Map<string, 'waiting' | Ending>
}

/** A message that was put together, and whose outcome is not known. */
export interface Composed {
  readonly id: string
  readonly channel: string
  readonly notices: readonly string[]
  readonly isDigest: boolean
  readonly atMs: number
}

/** What is written down, line by line. To read all of it again gives the same ledger. */
export type SpoolRecord =
  | {
      readonly type: 'notice'
      readonly notice: AlertNotice
      readonly about?: string
      readonly expiresMs: number
      readonly bornMs: number
      readonly to: Readonly<Record<string, 'waiting' | Ending>>
    }
  | { readonly type: 'also'; readonly notice: string; readonly channel: string }
  | ({ readonly type: 'message' } & Composed)
  | {
      readonly type: 'split'
      readonly message: string
      readonly channel: string
      /** The keys of the two halves. */
      readonly into: readonly [string, string]
      /** A half of more notices than this is a digest. */
      readonly maxNotices: number
    }
  | {
      readonly type: 'settled'
      readonly channel: string
      readonly message?: string
      readonly delivered?: readonly string[]
      readonly merged?: readonly string[]
      readonly dead?: readonly string[]
      readonly lost?: readonly string[]
    }
  | { readonly type: 'state'; readonly key: string; readonly state: AlertState }
  | { readonly type: 'forget'; readonly key: string }
  | { readonly type: 'silence'; readonly silence: Silence }
  | { readonly type: 'unsilence'; readonly id: string }
  | { readonly type: 'totals'; readonly totals: Totals }

/**
 * All that is known: the alerts, what is waiting for which channel, the silences, the counts. It changes only by
 * records, so that what is read from the disk after a crash is what was there before it.
 */
export class Ledger {
  readonly pending: Map<string, Pending> = new Map<string, Pending>()
  readonly states: Map<string, AlertState> = new Map<string, AlertState>()
  readonly silences: Map<string, Silence> = new Map<string, Silence>()
  totals: Totals = { ...NONE }
  readonly #waiting = new Map<string, Set<string>>()
  readonly #messages = new Map<string, Composed[]>()

  /** The notices that wait for a channel and are in no message yet, oldest first. */
  waiting(channel: string): ReadonlySet<string> {
    return this.#waiting.get(channel) ?? new Set()
  }

  /** The messages of a channel whose outcome is not known, oldest first. */
  messages(channel: string): readonly Composed[] {
    return this.#messages.get(channel) ?? []
  }

  /** Every channel that something waits for, also one that is not there any more. */
  get channels(): readonly string[] {
    return this.channelsOf(this.pending.keys())
  }

  /** The channels that at least one of these waits for. */
  channelsOf(ids: Iterable<string>): readonly string[] {
    const channels = new Set<string>()
    for (const id of ids) {
      for (const [channel, how] of this.pending.get(id)?.channels ?? []) if (how === 'waiting') channels.add(channel)
    }
    return [...channels]
  }

  apply(record: SpoolRecord): void {
    switch (record.type) {
      case 'notice':
        return this.#addNotice(record)
      case 'also':
        return this.#addChannel(record.notice, record.channel)
      case 'message':
        return this.#addMessage(record)
      case 'split':
        return this.#split(record)
      case 'settled':
        return this.#settle(record)
      case 'state':
        this.states.set(record.key, record.state)
        return
      case 'forget':
        this.states.delete(record.key)
        return
      case 'silence':
        this.silences.set(record.silence.id, record.silence)
        return
      case 'unsilence':
        this.silences.delete(record.id)
        return
      case 'totals':
        this.totals = { ...NONE, ...record.totals }
    }
  }

  /** What a damaged line took with it is in none of the numbers: it does not count as accepted either. */
  balance(): void {
    const { delivered, merged, silenced, dead, lost } = this.totals
    this.totals.accepted = delivered + merged + silenced + dead + lost + this.pending.size
  }

  /** Adds what an earlier process left, when that could be read only after we had begun. What we know is newer. */
  adopt(earlier: Ledger): void {
    for (const record of earlier.records()) {
      if (record.type === 'totals' || (record.type === 'state' && this.states.has(record.key))) continue
      this.apply(record)
    }
    for (const end of ['delivered', 'merged', 'silenced', 'dead', 'lost'] as const) {
      this.totals[end] += earlier.totals[end]
    }
    this.balance()
  }

  /** The notices of messages whose outcome is not known. */
  get held(): ReadonlySet<string> {
    return new Set([...this.#messages.values()].flat().flatMap(({ notices }) => notices))
  }

  /** The shortest records that lead to this ledger. */
  *records(): Generator<SpoolRecord, void, undefined> {
    for (const { notice, about, expiresMs, bornMs, channels } of this.pending.values()) {
      const to = Object.fromEntries(channels)
      yield { type: 'notice', notice, expiresMs, bornMs, to, ...(about === undefined ? {} : { about }) }
    }
    for (const messages of this.#messages.values()) for (const each of messages) yield { type: 'message', ...each }
    for (const [key, state] of this.states) yield { type: 'state', key, state }
    for (const silence of this.silences.values()) yield { type: 'silence', silence }
    // Last: the notices above were counted when they came in.
    yield { type: 'totals', totals: this.totals }
  }

  #addNotice({ notice, about, expiresMs, bornMs, to }: SpoolRecord & { type: 'notice' }): void {
    if (this.pending.has(notice.id)) return
    this.totals.accepted++
    const channels = new Map(Object.entries(to))
    this.pending.set(notice.id, { notice, about, expiresMs, bornMs, channels })
    for (const [channel, how] of channels) if (how === 'waiting') this.#queue(channel).add(notice.id)
  }

  #addChannel(id: string, channel: string): void {
    const pending = this.pending.get(id)
    if (pending === undefined || pending.channels.has(channel)) return
    pending.channels.set(channel, 'waiting')
    this.#queue(channel).add(id)
  }

  #addMessage({ id, channel, notices, isDigest, atMs }: Composed): void {
    const queue = this.#queue(channel)
    const held = notices.filter((notice) => queue.delete(notice))
    if (held.length === 0) return
    const messages = this.#messages.get(channel) ?? []
    this.#messages.set(channel, [...messages, { id, channel, notices: held, isDigest, atMs }])
  }

  /** One message becomes two, each with half of the notices, in its place. */
  #split({ message, channel, into, maxNotices }: SpoolRecord & { type: 'split' }): void {
    const messages = this.messages(channel).flatMap((each) => {
      if (each.id !== message) return [each]
      const middle = Math.ceil(each.notices.length / 2)
      return [each.notices.slice(0, middle), each.notices.slice(middle)].map((notices, half) => ({
        id: into[half] ?? message,
        channel,
        notices,
        isDigest: notices.length > maxNotices,
        atMs: each.atMs,
      }))
    })
    this.#messages.set(channel, messages)
  }

  #settle(record: SpoolRecord & { type: 'settled' }): void {
    const { channel, message, delivered = [], merged = [], dead = [], lost = [] } = record
    const left = message === undefined ? undefined : this.messages(channel).find(({ id }) => id === message)
    if (left !== undefined) {
      const rest = this.messages(channel).filter((each) => each !== left)
      this.#messages.set(channel, rest)
    }
    this.#end(channel, delivered, 'delivered')
    this.#end(channel, merged, 'merged')
    this.#end(channel, dead, 'dead')
    this.#end(channel, lost, 'lost')
    // What the message held and did not end waits as before it.
    for (const id of left?.notices ?? []) {
      if (this.pending.get(id)?.channels.get(channel) === 'waiting') this.#queue(channel).add(id)
    }
  }

  #end(channel: string, ids: readonly string[], how: Ending): void {
    for (const id of ids) {
      this.#queue(channel).delete(id)
      const pending = this.pending.get(id)
      if (pending?.channels.get(channel) !== 'waiting') continue
      pending.channels.set(channel, how)
      const ends = [...pending.channels.values()]
      if (ends.includes('waiting')) continue
      this.pending.delete(id)
      this.totals[ENDINGS.find((end) => ends.includes(end)) ?? 'lost']++
    }
  }

  #queue(channel: string): Set<string> {
    const queue = this.#waiting.get(channel) ?? new Set<string>()
    this.#waiting.set(channel, queue)
    return queue
  }
}
