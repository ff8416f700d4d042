import { withDeadline } from './deadline.js'
import { FencedError, StateFormatError, StoreUnavailableError } from './errors.js'
import type { Clock, StateStore } from './ports.js'
import { makeRecord, readRecord, type LogEntry, type StateRecord } from './record.js'
import type { State } from './transitions.js'

/** More lost races than this in a row mean that the store, not a rival, is at fault. */
const maxAttempts = 8

/** What became of a write. */
export type Appended = { readonly kept: true } | { readonly kept: false; readonly winner: StateRecord | undefined }

/** What a record says beside the state and its cause. */
export interface Particulars {
  /** What the cause rests on. */
  readonly evidence?: string | null
  /** The transitions of the deployment. */
  readonly log?: readonly LogEntry[]
}

/** What to make of a state that was found. */
export interface Adopted extends Particulars {
  readonly state: State
  readonly why: string
}

/** What the journal needs. */
export interface JournalSettings {
  readonly store: StateStore
  readonly key: string
  readonly controller: string
  /** The epoch under which this controller has written last. A record of it with another one is of a start without an answer: others may have come between. */
  readonly ownEpoch: number
  readonly clock: Clock
  readonly timeoutMs: number
}

/**
 * The one record that says where the deployment is, written only by the controller that owns the newest epoch.
 *
 * @remarks
 * A write that timed out may still land, even after later ones were asked for. So no write follows an unknown outcome
 * before the record was read again: one of this controller is overwritten, one of another is the end.
 */
export class Journal {
  readonly #settings: JournalSettings
  #version: string | undefined
  #epoch = 0
  #sequence = 0
  /** Whether the store may hold something else than `#version`. */
  #uncertain = false

  constructor(settings: JournalSettings) {
    this.#settings = settings
  }

  get epoch(): number {
    return this.#epoch
  }

  /**
   * Takes over: reads the record and writes it back under a new epoch, which fences whoever wrote it. Nothing is written over that `adopt` has
   * not seen.
   *
   * @param adopt - what to make of the state that is there, and whether this controller wrote it; `undefined` leaves it as it is, and what it
   * throws ends the attempt
   * @returns whether it has taken over
   * @throws {@link StoreUnavailableError} when the store does not answer
   */
  async open(
    adopt: (stored: State | undefined, log: readonly LogEntry[], isOwn: boolean) => Adopted | undefined,
  ): Promise<boolean> {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const found = await this.#read()
      const isOwn = found !== undefined && this.#isOwn(found.record)
      const adopted = adopt(found?.record.state, found?.record.log ?? [], isOwn)
      if (adopted === undefined) return false
      const { state, why, ...particulars } = adopted
      this.#epoch = (found?.record.epoch ?? 0) + 1
      this.#sequence = (found?.record.sequence ?? 0) + 1
      const version = await this.#write(found?.version, this.#record(state, why, particulars))
      if (version === undefined) continue
      this.#version = version
      return true
    }
    throw new FencedError('several controllers are starting at once', this.#epoch)
  }

  /**
   * Writes the next state.
   *
   * @throws {@link StoreUnavailableError} when it is not known whether it was written
   */
  async append(state: State, cause: string, particulars: Particulars = {}): Promise<Appended> {
    this.#sequence += 1
    const record = this.#record(state, cause, particulars)
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      if (this.#uncertain) {
        const found = await this.#read().catch(ifUnreadable)
        if (found === undefined || !this.#isMine(found.record)) return { kept: false, winner: found?.record }
        this.#version = found.version
        this.#uncertain = false
      }
      this.#uncertain = true
      const version = await this.#write(this.#version, record)
      if (version === undefined) continue
      this.#version = version
      this.#uncertain = false
      return { kept: true }
    }
    throw new StoreUnavailableError(`The store refused ${maxAttempts} writes that nobody else had overtaken`, 'unknown')
  }

  /**
   * The record as it stands, whoever wrote it.
   *
   * @throws {@link StoreUnavailableError} when the store does not answer
   */
  async look(): Promise<StateRecord | undefined> {
    return (await this.#read())?.record
  }

  #record(state: State, cause: string, { evidence = null, log = [] }: Particulars): StateRecord {
    const { controller, clock } = this.#settings
    const [epoch, sequence, at] = [this.#epoch, this.#sequence, clock.now()]
    return makeRecord({ epoch, sequence, controller, at, cause, evidence, state, log })
  }

  /** Whether nobody has written anything since this controller did. */
  #isOwn(record: StateRecord): boolean {
    return record.controller === this.#settings.controller && record.epoch === this.#settings.ownEpoch
  }

  #isMine(record: StateRecord): boolean {
    return record.controller === this.#settings.controller && record.epoch === this.#epoch
  }

  async #read(): Promise<{ record: StateRecord; version: string } | undefined> {
    const { store, key } = this.#settings
    const found = await this.#ask('Reading the state', 'no', () => store.entry(key))
    return found && { record: readRecord(key, found.value), version: found.version }
  }

  async #write(expected: string | undefined, record: StateRecord): Promise<string | undefined> {
    const { store, key } = this.#settings
    const written = await this.#ask('Writing the state', 'unknown', () => store.compareAndSet(key, expected, record))
    return written?.version
  }

  async #ask<T>(what: string, applied: 'no' | 'unknown', run: () => Promise<T>): Promise<T> {
    const { key, clock, timeoutMs } = this.#settings
    const timedOut = (): Error => new Error(`no answer within ${timeoutMs} ms`)
    try {
      return await withDeadline(run, timeoutMs, clock, timedOut)
    } catch (error) {
      throw new StoreUnavailableError(`${what} under "${key}" failed`, applied, asError(error))
    }
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}

/** What this controller cannot read, it did not write: somebody else owns the record. */
function ifUnreadable(error: unknown): undefined {
  if (!(error instanceof StateFormatError)) throw error
}
