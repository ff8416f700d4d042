import { withDeadline } from '../../deadline.js'
import { StoreUnavailableError } from '../../errors.js'
import type { Clock, StateStore } from '../../ports.js'
import { LowWaterMark } from './low-water-mark.js'
import type { SessionInfo } from './ports.js'
import { readSessionRecord, type SessionRecord } from './session-record.js'

/** What a book is made of. */
export interface SessionBookSettings {
  readonly store: StateStore
  readonly key: string
  readonly id: string
  readonly clock: Clock
  readonly storeTimeoutMs: number
}

/** A session, and how far its events are done. */
interface Entry {
  readonly info: SessionInfo
  readonly mark: LowWaterMark
}

/**
 * The sessions of this process, in memory as far as they have come, in the store as far as they are done.
 *
 * @remarks
 * Only what is done is written, so whatever a process had begun when it died is sent again to the next one. A mark that is written late
 * costs no more than events that come again.
 */
export class SessionBook {
  readonly #settings: SessionBookSettings
  readonly #shards = new Map<number, Entry>()
  #version: string | undefined
  /** The marks as they were last written. */
  #written = ''
  /** Writes of this process, one after the other. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(settings: SessionBookSettings) {
    this.#settings = settings
  }

  /**
   * Takes the sessions, unless another process may still have connections.
   *
   * @param isGone - whether that process cannot have any
   * @returns whether they are this process's now
   * @throws StoreUnavailableError when it does not answer, StateFormatError when the record is none of ours
   */
  async take(isGone: (by: string) => boolean): Promise<boolean> {
    const { store, key, id } = this.#settings
    const found = await this.#ask(() => store.entry(key))
    const record = found && readSessionRecord(key, found.value)
    if (record !== undefined && record.isOpen && record.by !== id && !isGone(record.by)) return false
    const mine: SessionRecord = { format: 1, by: id, isOpen: true, shards: record?.shards ?? {} }
    const written = await this.#ask(() => store.compareAndSet(key, found?.version, mine))
    if (written === undefined) return false
    this.#wrote(written.version, JSON.stringify(mine))
    this.#shards.clear()
    for (const info of Object.values(mine.shards)) this.#keep(info)
    return true
  }

  /** The session as a connection that breaks goes on with it: from what came last, for this process still has what came before. */
  sessionOf(shardId: number): SessionInfo | null {
    const entry = this.#shards.get(shardId)
    return entry === undefined ? null : { ...entry.info, sequence: entry.mark.received }
  }

  /** How far the events of a shard are done. */
  markOf(shardId: number): LowWaterMark | undefined {
    return this.#shards.get(shardId)?.mark
  }

  /** All of them. */
  get marks(): ReadonlyMap<number, LowWaterMark> {
    return new Map([...this.#shards].map(([shardId, { mark }]) => [shardId, mark]))
  }

  /**
   * An event with this number has come, or a session has begun.
   *
   * @returns whether it is a new session
   */
  received(info: SessionInfo): boolean {
    const entry = this.#shards.get(info.shardId)
    if (entry?.info.sessionId === info.sessionId) {
      entry.mark.begin(info.sequence)
      return false
    }
    // Whatever comes is done with an event of its own: the first one, which begins the session, too.
    this.#keep({ ...info, sequence: info.sequence - 1 }).begin(info.sequence)
    return true
  }

  /** Call from time to time: what was missing at the last call already does not come any more. */
  giveUpGaps(): void {
    for (const { mark } of this.#shards.values()) mark.giveUpGaps()
  }

  /** The session is over. */
  forget(shardId: number): void {
    this.#shards.delete(shardId)
  }

  /**
   * Writes how far everything is done, unless that is written already.
   *
   * @param isOpen - whether there may be connections
   * @returns `false` when another process has the sessions
   * @throws StoreUnavailableError when it does not answer
   */
  write(isOpen: boolean): Promise<boolean> {
    const done = this.#turn.then(() => this.#write(isOpen))
    this.#turn = done.catch(() => undefined)
    return done
  }

  async #write(isOpen: boolean): Promise<boolean> {
    const { store, key, id } = this.#settings
    if (this.#version === undefined) return false
    const sessions = [...this.#shards.values()].map(({ info, mark }) => ({ ...info, sequence: mark.resumable }))
    const shards = Object.fromEntries(sessions.map((info) => [String(info.shardId), info]))
    const record: SessionRecord = { format: 1, by: id, isOpen, shards }
    const text = JSON.stringify(record)
    if (text === this.#written) return true
    const written = await this.#ask(() => store.compareAndSet(key, this.#version, record))
    if (written !== undefined) return this.#wrote(written.version, text)
    // An earlier write that was given up may have landed after all.
    const found = await this.#ask(() => store.entry(key))
    if (found === undefined || readSessionRecord(key, found.value).by !== id) {
      this.#version = undefined
      return false
    }
    const again = await this.#ask(() => store.compareAndSet(key, found.version, record))
    return again === undefined ? false : this.#wrote(again.version, text)
  }

  #wrote(version: string, text: string): true {
    this.#version = version
    this.#written = text
    return true
  }

  #keep(info: SessionInfo): LowWaterMark {
    const mark = new LowWaterMark(info.sequence)
    this.#shards.set(info.shardId, { info, mark })
    return mark
  }

  async #ask<T>(run: () => Promise<T>): Promise<T> {
    const { clock, storeTimeoutMs } = this.#settings
    try {
      return await withDeadline(run, storeTimeoutMs, clock, () => new Error(`no answer within ${storeTimeoutMs} ms`))
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error))
      throw new StoreUnavailableError('Reading or writing the session', 'unknown', cause)
    }
  }
}
