import type { Backend, KeyedRecord, Mutation, Range, StoredRecord } from './backend.js'
import { FencedError, StorageTimeoutError, UnavailableError } from './errors.js'
import type { Announce, Severity } from './events.js'
import type { CheckedOptions } from './failover-options.js'
import type { Conflict, Divergence, FailoverEvents, FailoverState, MirrorState } from './failover-state.js'
import { conflictNews, divergedNews, fencedNews, mirrorNews, replayedNews, switchNews } from './failover-news.js'
import { Gate } from './gate.js'
import { KeyQueue } from './key-queue.js'
import type { LocalStore } from './local-store.js'
import { copyPrimary } from './mirror.js'
import { ONCE_COLLECTION, refuseReserved } from './mutations.js'
import { MirroredWrites } from './mirrored-writes.js'
import { Primary } from './primary.js'
import { readRecord, replayStep } from './replay.js'
import type { Kept, Scope, Storage, StorageHealth } from './storage.js'
import { WriterMark, type OtherStore } from './writer-mark.js'

/** So few batches are replayed while writes wait, before the primary serves again. */
const DRAIN = 100

/** A recovery that cannot keep up with the writes takes its pause after so many steps. */
const MAX_STEPS_BEFORE_DRAIN = 10_000

/** How often one write may meet a primary that has just gone. */
const MAX_REFUSALS = 10

/** The primary refused a write, and it took no effect. */
class Refused {
  constructor(readonly why: string) {}
}

/**
 * The machine behind `FailoverStorage`.
 *
 * On the primary: a write is acknowledged when the primary and the local copy have it. On the fallback: when the local
 * copy and the journal have it, in one commit. It leaves the primary when that is down, and returns when it is steady,
 * is the same store, and has the whole journal.
 */
export class FailoverBackend implements Backend<FailoverEvents> {
  // An outage leaves the agreement with other machines to this process.
  readonly scope: Scope = 'process'
  readonly #options: CheckedOptions
  readonly #local: LocalStore
  readonly #primary: Primary
  readonly #mark: WriterMark
  readonly #writes: MirroredWrites
  /** Shared by writes; exclusive for whatever must see no write under way. */
  readonly #gate = new Gate()
  readonly #locks = new KeyQueue()
  #announce: Announce<FailoverEvents> = () => undefined
  #on: 'primary' | 'fallback' = 'primary'
  #reason = 'The storage has not been opened yet.'
  #since: number
  #mirror: Omit<MirrorState, 'covered'>
  #diverged: Divergence | undefined
  #replayed = 0
  #steadyProbes = 0
  /** On the monotonic clock. */
  #leftAt = -Infinity
  #leaving: Promise<void> | undefined
  #mustCopy = false
  #isFenced = false
  #origin = ''
  #isOpen = false
  #cancelTick: (() => void) | undefined
  #ticking: Promise<void> | undefined

  constructor(options: CheckedOptions, local: LocalStore) {
    this.#options = options
    this.#local = local
    this.#primary = new Primary(options, (why) => void this.#leave(why))
    this.#mark = new WriterMark(this.#primary, local)
    this.#writes = new MirroredWrites({
      local,
      mark: this.#mark,
      now: () => this.#now(),
      onStale: (mutations, reason) => this.#goStale(mutations, reason),
    })
    this.#since = options.clock.now()
    this.#mirror = { status: 'stale', reason: 'Nothing has been copied yet.', since: this.#since }
  }

  get state(): FailoverState {
    return {
      on: this.#on,
      reason: this.#reason,
      since: this.#since,
      mirror: { ...this.#mirror, covered: this.#local.covered },
      journalLength: this.#local.journalLength,
      replayed: this.#replayed,
      conflicts: this.#local.conflictCount,
      diverged: this.#diverged,
    }
  }

  async open(announce: Announce<FailoverEvents>, origin: string): Promise<void> {
    this.#announce = announce
    this.#origin = origin
    await this.#local.open(announce, this.#now())
    this.#isFenced = false
    this.#diverged = undefined
    this.#leftAt = -Infinity
    this.#steadyProbes = 0
    this.#mustCopy = true
    try {
      await this.#local.addOrigin(origin, this.#now())
      await this.#begin()
    } catch (error) {
      await this.#closeBoth()
      throw error
    }
    this.#isOpen = true
    this.#schedule(0)
  }

  async close(): Promise<void> {
    this.#isOpen = false
    this.#cancelTick?.()
    this.#cancelTick = undefined
    await this.#ticking
    await this.#gate.exclusive(async () => undefined)
    await this.#closeBoth()
  }

  async #closeBoth(): Promise<void> {
    try {
      await this.#primary.stop()
    } catch {
      // A primary that is down cannot be stopped either, and nothing of ours is in it.
    }
    await this.#local.close()
  }

  async read(collection: string, keys: readonly string[], now: number): Promise<(StoredRecord | undefined)[]> {
    const read = async (storage: Storage): Promise<(StoredRecord | undefined)[]> => {
      const entries = await Promise.all(keys.map((key) => storage.collection(collection).entry(key)))
      return entries.map((entry) => entry && { ...entry, json: JSON.stringify(entry.value) })
    }
    return this.#serve(collection, read, () => this.#local.read(collection, keys, now))
  }

  async page(collection: string, range: Range, now: number): Promise<KeyedRecord[]> {
    const read = async (storage: Storage): Promise<KeyedRecord[]> => {
      const page: KeyedRecord[] = []
      for await (const entry of storage.collection(collection).scan(range)) {
        page.push({ ...entry, json: JSON.stringify(entry.value) })
      }
      return page
    }
    return this.#serve(collection, read, () => this.#local.page(collection, range, now))
  }

  async count(collection: string, prefix: string, now: number): Promise<number> {
    const read = (storage: Storage): Promise<number> => storage.collection(collection).count({ prefix })
    return this.#serve(collection, read, () => this.#local.count(collection, prefix, now))
  }

  async collections(now: number): Promise<string[]> {
    return this.#serve(
      undefined,
      (storage) => storage.collections(),
      () => this.#local.collections(now),
    )
  }

  async commit(mutations: readonly Mutation[], now: number): Promise<Kept> {
    for (const { collection } of mutations) if (collection !== ONCE_COLLECTION) refuseReserved(collection)
    for (let attempt = 1; ; attempt++) {
      const kept = await this.#commitOnce(mutations, now)
      if (!(kept instanceof Refused)) return kept
      // Only a primary that comes and goes without a cool-down can refuse the same write again and again.
      if (attempt >= MAX_REFUSALS) throw new UnavailableError(kept.why)
      await this.#leave(kept.why)
    }
  }

  async health(signal: AbortSignal | undefined): Promise<StorageHealth> {
    if (this.#on === 'primary') {
      try {
        const health = await this.#primary.call('read', (storage) => storage.health({ signal }))
        if (this.#isFenced) return { status: 'degraded', reason: 'Another writer has claimed the primary.' }
        return this.#mirror.status === 'stale' ? { status: 'degraded', reason: this.#mirror.reason } : health
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error
        await this.#leave(error.message)
      }
    }
    await this.#local.health()
    return { status: 'degraded', reason: `On the fallback: ${this.#reason}` }
  }

  conflicts(): Promise<Conflict[]> {
    return this.#local.conflicts(this.#now())
  }

  dismissConflict(sequence: number): Promise<boolean> {
    return this.#local.dismissConflict(sequence, this.#now())
  }

  /** A journal that is not empty says that the last process ended on the fallback. */
  async #begin(): Promise<void> {
    const unreplayed = this.#local.journalLength
    if (unreplayed > 0) {
      this.#stand('fallback', `${unreplayed} batches of an earlier outage wait to be replayed.`)
      this.#tell('fallback', 'starting', 'WARNING')
      return
    }
    try {
      await this.#primary.probe()
      const other = await this.#mark.claim(this.#now())
      if (other !== undefined) {
        this.#stand('fallback', 'The primary is another store than the one that was left.')
        this.#diverge(other)
        return
      }
      this.#stand('primary', 'The primary answers.')
      this.#mirror = { status: 'copying', reason: 'The local copy is compared with the primary.', since: this.#now() }
    } catch (error) {
      const isDown = error instanceof UnavailableError || error instanceof StorageTimeoutError
      const hasCopy = this.#local.covered === 'all' || this.#local.covered.length > 0
      if (!isDown || !hasCopy) throw error
      this.#stand('fallback', error.message)
      this.#leftAt = this.#options.clock.monotonic()
      this.#tell('fallback', 'starting', 'CRITICAL')
    }
  }

  async #serve<T>(
    collection: string | undefined,
    fromPrimary: (storage: Storage) => Promise<T>,
    fromLocal: () => Promise<T>,
  ): Promise<T> {
    if (this.#on === 'primary') {
      try {
        return await this.#primary.call('read', fromPrimary)
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error
        await this.#leave(error.message)
      }
    }
    this.#local.requireCovered(collection, this.#reason)
    return fromLocal()
  }

  #commitOnce(mutations: readonly Mutation[], now: number): Promise<Kept | Refused> {
    // A `clear` touches every record of its collection, so no other write may be under way.
    if (mutations.some(({ type }) => type === 'clear'))
      return this.#gate.exclusive(() => this.#commitHere(mutations, now))
    const keys = mutations.map((mutation) =>
      JSON.stringify([mutation.collection, 'key' in mutation ? mutation.key : '']),
    )
    return this.#gate.shared(() => this.#locks.run(keys, () => this.#commitHere(mutations, now)))
  }

  async #commitHere(mutations: readonly Mutation[], now: number): Promise<Kept | Refused> {
    if (this.#on === 'fallback') {
      for (const { collection } of mutations) this.#local.requireCovered(collection, this.#reason)
      await this.#local.journal(mutations, now)
      return 'journal'
    }
    try {
      await this.#writes.commit(mutations)
      return 'primary'
    } catch (error) {
      if (error instanceof UnavailableError && error.applied === 'no') return new Refused(error.message)
      if (error instanceof FencedError) this.#tellFenced(error)
      // There may be a doubt to settle.
      this.#schedule()
      throw error
    }
  }

  /** What the copy may lack is not served from it. */
  async #goStale(mutations: readonly Mutation[], reason: string): Promise<void> {
    const collections = mutations.map(({ collection }) => collection)
    // The set in memory changes even when the disk does not take it.
    await this.#local.uncover(collections, this.#now()).catch(() => undefined)
    this.#mustCopy = true
    this.#standMirror('stale', reason, 'WARNING')
    this.#schedule()
  }

  /**
   * Leaves the primary, when every write that is under way there has ended: each may still succeed, and has a deadline.
   */
  #leave(why: string): Promise<void> {
    if (this.#on === 'fallback' || !this.#isOpen) return this.#leaving ?? Promise.resolve()
    this.#leaving ??= this.#gate
      .exclusive(async () => {
        if (this.#on === 'fallback') return
        this.#stand('fallback', why)
        this.#leftAt = this.#options.clock.monotonic()
        this.#steadyProbes = 0
        this.#schedule()
        this.#tell('fallback', 'primary', 'CRITICAL')
      })
      .finally(() => (this.#leaving = undefined))
    return this.#leaving
  }

  #schedule(delayMs: number = this.#options.probeIntervalMs): void {
    if (!this.#isOpen || this.#cancelTick !== undefined) return
    this.#cancelTick = this.#options.clock.after(delayMs, () => {
      this.#ticking = this.#tick().finally(() => {
        this.#cancelTick = undefined
        const hasWork = this.#on === 'fallback' || this.#mustCopy || this.#local.doubts.length > 0
        if (hasWork) this.#schedule()
      })
    })
  }

  /** Never rejects: what failed is tried again at the next tick. */
  async #tick(): Promise<void> {
    try {
      if (this.#on === 'fallback') await this.#tryToReturn()
      if (this.#on === 'primary') await this.#tidy()
    } catch (error) {
      this.#steadyProbes = 0
      if (error instanceof FencedError) this.#tellFenced(error)
    }
  }

  async #tryToReturn(): Promise<void> {
    await this.#primary.probe()
    this.#steadyProbes++
    const { clock, steadyProbes, cooldownMs } = this.#options
    if (this.#steadyProbes < steadyProbes || clock.monotonic() - this.#leftAt < cooldownMs) return
    const other = await this.#mark.claim(this.#now())
    if (other !== undefined) {
      this.#diverge(other)
      return
    }
    this.#diverged = undefined
    await this.#recover()
  }

  /** Replays the journal, the end of it while writes wait, and serves from the primary again. */
  async #recover(): Promise<void> {
    const conflictsBefore = this.#local.conflictCount
    this.#replayed = 0
    for (let step = 0; this.#local.journalLength > DRAIN && step < MAX_STEPS_BEFORE_DRAIN; step++) await this.#replay()
    await this.#gate.exclusive(async () => {
      while (this.#local.journalLength > 0) await this.#replay()
      await this.#settleDoubts()
      this.#stand('primary', 'The primary is back and has the whole journal.')
    })
    this.#mustCopy = true
    const conflicts = this.#local.conflictCount - conflictsBefore
    const count = this.#replayed
    this.#announce('replayed', replayedNews(count, conflicts, this.#reason))
    this.#tell('primary', 'fallback', 'INFO')
  }

  async #replay(): Promise<void> {
    const parts = { primary: this.#primary, local: this.#local, mark: this.#mark, locks: this.#locks }
    const { replayed, conflicts } = await replayStep(parts, this.#now())
    this.#replayed += replayed
    for (const conflict of conflicts) this.#announce('conflict', conflictNews(conflict))
  }

  /** On the primary: settles what is in doubt, and completes the copy. */
  async #tidy(): Promise<void> {
    if (this.#local.doubts.length > 0) await this.#gate.exclusive(() => this.#settleDoubts())
    if (!this.#mustCopy) return
    this.#mustCopy = false
    this.#standMirror('copying', 'The local copy is compared with the primary.', 'INFO')
    const isOnPrimary = (): boolean => this.#on === 'primary'
    const parts = { primary: this.#primary, local: this.#local, gate: this.#gate, isOnPrimary, now: () => this.#now() }
    try {
      await copyPrimary(parts)
      // A write that the copy missed meanwhile asks for another round.
      if (this.#mustCopy) return
      await this.#local.keepOrigin(this.#origin, this.#now())
      this.#standMirror('fresh', 'The local copy follows the primary.', 'INFO')
    } catch (error) {
      this.#mustCopy = true
      this.#standMirror('stale', `The local copy could not be completed: ${messageOf(error)}`, 'WARNING')
      throw error
    }
  }

  /** After the fence no write that was given up can arrive any more, so what is there now is what stays. */
  async #settleDoubts(): Promise<void> {
    await this.#mark.fence()
    const { doubts } = this.#local
    if (doubts.length === 0) return
    const found = await Promise.all(doubts.map((doubt) => readRecord(this.#primary, doubt)))
    await this.#local.settleDoubts(doubts, found, this.#now())
  }

  #stand(on: 'primary' | 'fallback', reason: string): void {
    this.#on = on
    this.#reason = reason
    this.#since = this.#now()
  }

  #standMirror(status: MirrorState['status'], reason: string, severity: Severity): void {
    const from = this.#mirror.status
    if (from === status) return
    this.#mirror = { status, reason, since: this.#now() }
    this.#announce('change', mirrorNews(from, status, reason, severity))
  }

  #tell(to: 'primary' | 'fallback', from: string, severity: Severity): void {
    this.#announce('change', switchNews(from, to, this.#reason, severity))
  }

  #diverge({ expected, found }: OtherStore): void {
    if (this.#diverged?.found === found && this.#diverged !== undefined) return
    this.#diverged = { expected, found, since: this.#now() }
    this.#announce('diverged', divergedNews(expected, found))
  }

  #tellFenced(error: FencedError): void {
    if (this.#isFenced) return
    this.#isFenced = true
    this.#announce('fenced', fencedNews(error.message))
  }

  #now(): number {
    return this.#options.clock.now()
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
