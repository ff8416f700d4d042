import { within } from '../deadline.js'
import type { Clock } from '../ports.js'
import { RolloutStoreError } from './rollout-errors.js'
import type { RolloutStore } from './rollout-ports.js'
import { readRecord, type RolloutRecord } from './rollout-record.js'
import { messageOf } from './validation.js'

/** More lost races than this in a row mean that the store, not a rival, is at fault. */
const MAX_ATTEMPTS = 8

/** What a lease needs. */
export interface LeaseSettings {
  readonly store: RolloutStore
  readonly key: string
  /** This process, as long as it is started. */
  readonly instance: string
  readonly clock: Clock
  readonly timeoutMs: number
  readonly leaseMs: number
}

/**
 * The one record of a rollout, and who may write it.
 *
 * @remarks
 * Every write is a compare-and-set, so of two that race one is refused, and whoever was refused reads what is there
 * before anything follows. A write that timed out may still land; so no write follows it before the record was read again.
 * The driver's writes are its renewals: another takes over when the record stood unchanged for `leaseMs` on its own
 * monotonic clock.
 */
export class ControllerLease {
  readonly #settings: LeaseSettings
  #current: { readonly record: RolloutRecord; readonly version: string } | undefined
  /** Whether the store may hold something else than `#current`. */
  #isUncertain = true
  #unchangedSinceMs = 0
  #token: number | undefined

  constructor(settings: LeaseSettings) {
    this.#settings = settings
  }

  /** The record as it was last seen. */
  get record(): RolloutRecord | undefined {
    return this.#current?.record
  }

  /** Whether this process drives, as far as it knows. */
  get isMine(): boolean {
    const record = this.record
    return record !== undefined && record.owner === this.#settings.instance && record.token === this.#token
  }

  /** Whether this process may take over: nobody drives, or whoever does has not been heard of for too long. */
  get isFree(): boolean {
    const record = this.record
    if (record === undefined || record.owner === null || this.isMine) return true
    const { clock, leaseMs } = this.#settings
    return clock.monotonic() - this.#unchangedSinceMs >= leaseMs
  }

  /** Reads the record anew. @throws RolloutStoreError, RolloutFormatError */
  async look(): Promise<RolloutRecord | undefined> {
    const { store, key, clock } = this.#settings
    const found = await this.#ask('Reading', 'no', () => store.entry(key))
    const isChanged = found?.version !== this.#current?.version
    // What is read may be as old as the whole look: its age is counted from the end.
    if (isChanged || this.#current === undefined) this.#unchangedSinceMs = clock.monotonic()
    if (isChanged) this.#current = found && { record: readRecord(key, found.value), version: found.version }
    this.#isUncertain = false
    return this.record
  }

  /**
   * Writes what `change` makes of the record, for as long as others write in between.
   *
   * @param change - pure; `undefined` for "leave it as it is"
   * @returns whether it was written
   * @throws RolloutStoreError when it is not known whether it was written
   */
  async write(change: (record: RolloutRecord | undefined) => RolloutRecord | undefined): Promise<boolean> {
    const { store, key, clock } = this.#settings
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      if (this.#isUncertain) await this.look()
      const next = change(this.record)
      if (next === undefined) return false
      this.#isUncertain = true
      const expected = this.#current?.version
      const written = await this.#ask('Writing', 'unknown', () => store.compareAndSet(key, expected, next))
      if (written === undefined) continue
      this.#current = { record: next, version: written.version }
      this.#unchangedSinceMs = clock.monotonic()
      this.#isUncertain = false
      return true
    }
    throw new RolloutStoreError(`The store refused ${MAX_ATTEMPTS} writes of ${key} in a row`, 'no')
  }

  /** The fields that make this process the driver. */
  take(record: RolloutRecord | undefined): Pick<RolloutRecord, 'owner' | 'token'> {
    if (!this.isMine) this.#token = (record?.token ?? 0) + 1
    return { owner: this.#settings.instance, token: this.#token as number }
  }

  async #ask<T>(what: string, applied: 'no' | 'unknown', run: () => Promise<T>): Promise<T> {
    const { key, clock, timeoutMs } = this.#settings
    try {
      return await within(clock, timeoutMs, 'the store', run)
    } catch (error) {
      const isApplied = (error as { applied?: unknown } | null | undefined)?.applied === 'no' ? 'no' : applied
      throw new RolloutStoreError(`${what} ${key} failed: ${messageOf(error)}`, isApplied, error)
    }
  }
}
