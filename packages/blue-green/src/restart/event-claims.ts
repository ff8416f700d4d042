import { withDeadline } from '../deadline.js'
import type { Clock } from '../ports.js'
import type { SharedStore } from './ports.js'
import { readClaim, type ClaimRecord } from './records.js'

/** The pause before a claim is tried again. */
const retryMs = 50

/** What a try to claim an event has led to. */
export type Claimed =
  | { readonly kind: 'mine'; readonly attempt: number; readonly version: string }
  | { readonly kind: 'theirs'; readonly claim: ClaimRecord; readonly version: string }
  /** `isUnknown`: a claim may have been written all the same. */
  | { readonly kind: 'unreachable'; readonly isUnknown: boolean }

/** What the claims are made of. */
export interface ClaimSettings {
  readonly store: SharedStore
  /** What each key begins with. */
  readonly prefix: string
  readonly id: string
  readonly clock: Clock
  readonly claimMs: number
  readonly storeTimeoutMs: number
}

/** Who handles which event: one record for each, written before the handler begins, and once more when it has ended. */
export class EventClaims {
  readonly #settings: ClaimSettings

  constructor(settings: ClaimSettings) {
    this.#settings = settings
  }

  /**
   * Claims an event that nobody has claimed. Never rejects.
   *
   * @param patienceMs - how long it is tried again when the store does not answer; 0 for one try
   * @param attempt - 2 where one that died may have begun it all the same
   */
  async take(eventId: string, patienceMs: number, attempt = 1): Promise<Claimed> {
    return this.#write(eventId, { ifAbsent: true }, attempt, patienceMs)
  }

  /**
   * Claims an event of one who died with it. Never rejects.
   *
   * @param ifVersion - of the claim that there is
   */
  async takeFrom(eventId: string, ifVersion: string, attempt: number, patienceMs: number): Promise<Claimed> {
    return this.#write(eventId, { ifVersion }, attempt, patienceMs)
  }

  /**
   * Claims an event that has begun here without a claim, as the store was out. Never rejects.
   *
   * @param done - whether its handler has ended
   * @returns who has claimed it before; `undefined` for nobody
   */
  async catchUp(eventId: string, done: boolean): Promise<Exclude<Claimed, { kind: 'mine' }> | undefined> {
    const { store, id, claimMs } = this.#settings
    const record: ClaimRecord = { format: 1, by: id, attempt: 1, done }
    try {
      await this.#ask(() => store.set(this.#key(eventId), record, { ifAbsent: true, ttlMs: claimMs }))
      return undefined
    } catch (error) {
      if ((error as { code?: unknown } | undefined)?.code === 'STORAGE_CONFLICT') return this.look(eventId)
      return { kind: 'unreachable', isUnknown: true }
    }
  }

  /** Who has claimed it; `undefined` for nobody. Never rejects. */
  async look(eventId: string): Promise<Exclude<Claimed, { kind: 'mine' }> | undefined> {
    try {
      return await this.#read(eventId)
    } catch {
      return { kind: 'unreachable', isUnknown: false }
    }
  }

  /**
   * Says that the handler has ended, however. One who dies before that is taken for dead with the event. Never rejects.
   *
   * @param version - of the claim; unless it is known, there may be one that the store had not confirmed
   */
  async finish(eventId: string, version: string | undefined): Promise<void> {
    const isDone = await this.#tryToFinish(eventId, version)
    if (!isDone) await this.#tryToFinish(eventId, undefined)
  }

  async #tryToFinish(eventId: string, known: string | undefined): Promise<boolean> {
    const { store, id, claimMs } = this.#settings
    try {
      const found = await this.#read(eventId)
      if (found === undefined || found.claim.by !== id || found.claim.done) return true
      const [record, ifVersion] = [{ ...found.claim, done: true }, known ?? found.version]
      await this.#ask(() => store.set(this.#key(eventId), record, { ifVersion, ttlMs: claimMs }))
      return true
    } catch {
      return false
    }
  }

  async #write(
    eventId: string,
    condition: { ifAbsent: true } | { ifVersion: string },
    attempt: number,
    patienceMs: number,
  ): Promise<Claimed> {
    const { store, clock, id, claimMs, storeTimeoutMs } = this.#settings
    let patienceLeftMs = patienceMs
    const record: ClaimRecord = { format: 1, by: id, attempt, done: false }
    let isUnknown = false
    for (;;) {
      const beganMs = clock.monotonic()
      try {
        // A try without an answer may have been written.
        const found = isUnknown ? await this.#read(eventId) : undefined
        const isNew = !('ifVersion' in condition) || found?.version !== condition.ifVersion
        if (isNew && found?.claim.by === id && found.claim.attempt === attempt) {
          return { kind: 'mine', attempt, version: found.version }
        }
        isUnknown = true
        const { version } = await this.#ask(() =>
          store.set(this.#key(eventId), record, { ...condition, ttlMs: claimMs }),
        )
        return { kind: 'mine', attempt, version }
      } catch (error) {
        if ((error as { code?: unknown } | undefined)?.code === 'STORAGE_CONFLICT') {
          const theirs = await this.look(eventId)
          if (theirs?.kind === 'theirs' && theirs.claim.by !== id) return theirs
          // It expired in this moment, or the store went away, or it is an earlier try of this process.
        }
        // A try that took much longer than its deadline says that this process stood still, and nothing about the store.
        const tookMs = clock.monotonic() - beganMs
        const isHonest = tookMs < 1.5 * storeTimeoutMs
        if (isHonest) patienceLeftMs -= tookMs + retryMs
        if (isHonest && patienceLeftMs <= 0) return { kind: 'unreachable', isUnknown }
        await new Promise<void>((resolve) => clock.after(retryMs, resolve))
      }
    }
  }

  async #read(eventId: string): Promise<{ kind: 'theirs'; claim: ClaimRecord; version: string } | undefined> {
    const key = this.#key(eventId)
    const found = await this.#ask(() => this.#settings.store.entry(key))
    return found && { kind: 'theirs', claim: readClaim(key, found.value), version: found.version }
  }

  #key(eventId: string): string {
    return `${this.#settings.prefix}${eventId}`
  }

  #ask<T>(run: () => Promise<T>): Promise<T> {
    const { clock, storeTimeoutMs } = this.#settings
    return withDeadline(run, storeTimeoutMs, clock, () => new Error(`no answer within ${storeTimeoutMs} ms`))
  }
}
