import { withDeadline } from '../deadline.js'
import { StateFormatError, StoreUnavailableError } from '../errors.js'
import type { Clock } from '../ports.js'
import type { JobStore } from './ports.js'
import { readJobRecord, type JobRecord } from './records.js'

/** What a ledger is made of. */
export interface LedgerSettings {
  readonly store: JobStore
  readonly name: string
  readonly clock: Clock
  readonly storeTimeoutMs: number
}

/** A record as it stands in the store. */
export interface Kept {
  readonly record: JobRecord
  readonly version: string
}

/** Names joined by colons, so that no two lists of them become one: colons in a name are written as `%3A`, and `%` as `%25`. */
export function joined(...names: readonly string[]): string {
  return names.map((name) => name.replace(/[%:]/g, encodeURIComponent)).join(':')
}

/**
 * What the store has of one job: the record by which all agree, and beside it a sign of life of the run that is under way. Two, so that
 * the version of the first stands still for as long as a run, and can be what writes depend on.
 */
export class JobLedger {
  readonly key: string
  readonly #settings: LedgerSettings
  readonly #beatKey: string

  constructor(settings: LedgerSettings, job: string) {
    this.#settings = settings
    this.key = joined('job', settings.name, job)
    this.#beatKey = joined('job-beat', settings.name, job)
  }

  /** @throws {@link StoreUnavailableError}, or {@link StateFormatError} */
  async read(): Promise<Kept | undefined> {
    const found = await this.#ask('Reading a job', 'no', () => this.#settings.store.entry(this.key))
    return found && { record: readJobRecord(this.key, found.value), version: found.version }
  }

  /** @returns `undefined` when somebody else was first @throws {@link StoreUnavailableError} */
  async write(expected: string | undefined, record: JobRecord): Promise<string | undefined> {
    const { store } = this.#settings
    const written = await this.#ask('Writing a job', 'unknown', () => store.compareAndSet(this.key, expected, record))
    return written?.version
  }

  /** Another one after each sign of life. @throws {@link StoreUnavailableError} */
  async readBeat(): Promise<string | undefined> {
    const found = await this.#ask('Reading a sign of life', 'no', () => this.#settings.store.entry(this.#beatKey))
    return found?.version
  }

  /** Gives a sign of life. Whose it is does not matter: that the record changes is all that others look at. */
  async beat(run: string, count: number): Promise<void> {
    const { store } = this.#settings
    const expected = await this.readBeat()
    const value = { format: 1, run, count }
    await this.#ask('Giving a sign of life', 'unknown', () => store.compareAndSet(this.#beatKey, expected, value))
  }

  async #ask<T>(what: string, applied: 'no' | 'unknown', run: () => Promise<T>): Promise<T> {
    const { clock, storeTimeoutMs } = this.#settings
    const timedOut = (): Error => new Error(`no answer within ${storeTimeoutMs} ms`)
    try {
      return await withDeadline(run, storeTimeoutMs, clock, timedOut)
    } catch (error) {
      if (error instanceof StateFormatError) throw error
      const cause = error instanceof Error ? error : new Error(String(error))
      throw new StoreUnavailableError(`${what} under "${this.key}" failed`, applied, cause)
    }
  }
}
