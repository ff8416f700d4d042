import type { Backend, KeyedRecord, Mutation, Range, StoredRecord } from '../backend.js'
import { FencedError, StorageTimeoutError, UnavailableError } from '../errors.js'
import type { Announce, Severity } from '../events.js'
import { FailoverMirror } from './failover-mirror.js'
import { fencedNews, replayedNews, switchNews } from './failover-news.js'
import type { CheckedOptions } from './failover-options.js'
import { Recovery } from './failover-recovery.js'
import type { Conflict, FailoverEvents, FailoverState } from './failover-state.js'
import { Gate } from './gate.js'
import { lacksWrites } from './history-check.js'
import { KeyQueue } from '../key-queue.js'
import { idOf } from './local-doubts.js'
import type { LocalStore } from './local-store.js'
import { MirroredWrites } from './mirrored-writes.js'
import { ONCE_COLLECTION, refuseReserved } from '../mutations.js'
import { mayBeApplied, Primary } from './primary.js'
import { readMany, scanPage } from './primary-records.js'
import { RecentChanges } from '../recent-changes.js'
import { settleDoubts } from './settle-doubts.js'
import type { Kept, Scope, Storage, StorageHealth } from '../storage.js'
import { holdProcess } from '../system-clock.js'
import { Ticker } from './ticker.js'
import { Turns } from './turns.js'
import { WriterMark } from './writer-mark.js'

/** After attempts that failed the copy is completed ever more seldom, but at least so often, in milliseconds. */
const MAX_PAUSE_MS = 60_000

/** How often one write may meet a primary that has just gone. */
const MAX_REFUSALS = 10

/** While there are writes, the primary is told so often that we are there, in milliseconds. */
const BEAT_MS = 10_000

/** How long the primary may take to open when there is no copy to serve from, in milliseconds. */
const START_MS = 10_000

/** The primary refused a write, and it took no effect. */
class Refused {
  constructor(readonly why: string) {}
}

/**
 * The machine behind `FailoverStorage`.
 *
 * On the primary: a write is acknowledged when the primary and the local copy have it. On the fallback: when the local
 * copy and the journal have it, in one commit. It leaves the primary when that is down, and returns when it is steady,
 * is the same store with all that it had acknowledged, and has the whole journal.
 */
export class FailoverBackend implements Backend<FailoverEvents> {
  // An outage leaves the agreement with other machines to this process.
  readonly scope: Scope = 'process'
  /** What this process did, and what it saw others do. It goes on across switches. */
  readonly log: RecentChanges = new RecentChanges()
  readonly #options: CheckedOptions
  readonly #local: LocalStore
  readonly #primary: Primary
  readonly #mark: WriterMark
  readonly #writes: MirroredWrites
  readonly #mirror: FailoverMirror
  readonly #recovery: Recovery
  readonly #ticker: Ticker
  /** Shared by writes; exclusive for whatever must see no write under way. */
  readonly #gate = new Gate()
  readonly #locks = new KeyQueue()
  #announce: Announce<FailoverEvents> = () => undefined
  #on: 'primary' | 'fallback' = 'primary'
  #reason = 'The storage has not been opened yet.'
  #since: number
  #failovers = 0
  #leaving: Promise<void> | undefined
  /** When the primary is to be told next that we are there, on the monotonic clock; `undefined` when nothing happened. */
  #beatAt: number | undefined
  /** How often in a row the copy could not be completed. */
  #failures = 0
  #isFenced = false
  #origin = ''
  #isOpen = false

  constructor(options: CheckedOptions, local: LocalStore) {
    const { clock, writers } = options
    const now = (): number => clock.now()
    const gate = this.#gate
    const locks = this.#locks
    const onChanged = (changes: readonly Mutation[]): void => this.log.add(changes)
    const announce: Announce<FailoverEvents> = (event, news) => this.#announce(event, news)
    const primary = new Primary(options, (why) => void this.#leave(why))
    const mark = new WriterMark({
      ...{ primary, local, writers, now },
      lacksWrites: (sequence) => lacksWrites({ primary, local, writers, sequence, now: now() }),
    })
    const isWanted = (): boolean => this.#isOpen && this.#on === 'primary' && this.#leaving === undefined
    this.#options = options
    this.#local = local
    this.#primary = primary
    this.#mark = mark
    this.#mirror = new FailoverMirror({
      ...{ primary, local, gate, locks, isWanted, now, onChanged, announce },
      follows: writers === 'many',
      turns: new Turns(clock),
    })
    this.#writes = new MirroredWrites({
      ...{ local, mark, now },
      onFollow: (mutations) => this.#mirror.note(mutations),
      onStale: (mutations, reason) => this.#goStale(mutations, reason),
    })
    const isOpen = (): boolean => this.#isOpen
    this.#recovery = new Recovery({ options, primary, local, mark, gate, locks, isOpen, announce, onChanged })
    this.#ticker = new Ticker(clock, () => this.#tick())
    this.#since = clock.now()
  }

  get servedBy(): 'primary' | 'fallback' {
    return this.#on
  }

  get state(): FailoverState {
    return {
      on: this.#on,
      reason: this.#reason,
      since: this.#since,
      failovers: this.#failovers,
      mirror: this.#mirror.state,
      journalLength: this.#local.journalLength,
      replayed: this.#recovery.replayed,
      conflicts: this.#local.conflictCount,
      diverged: this.#recovery.diverged,
    }
  }

  gauges(): Record<string, number> {
    const { lagMs } = this.#mirror.state
    return {
      'failover.failovers': this.#failovers,
      'failover.replayed': this.#recovery.replayed,
      'failover.conflicts': this.#local.conflictCount,
      'failover.doubts': this.#local.doubts.size,
      'journal.length': this.#local.journalLength,
      ...(lagMs !== undefined && { 'mirror.lagMs': lagMs }),
    }
  }

  async open(announce: Announce<FailoverEvents>, origin: string): Promise<void> {
    const letGo = holdProcess()
    try {
      this.#announce = announce
      this.#origin = origin
      await this.#local.open(announce, this.#now())
      this.#isFenced = false
      this.#mark.begin()
      this.#failovers = 0
      this.#failures = 0
      this.#beatAt = undefined
      this.#recovery.begin()
      this.#mirror.begin()
      try {
        await this.#local.addOrigin(origin, this.#now())
        await this.#begin()
      } catch (error) {
        await this.#closeBoth()
        throw error
      }
      this.#isOpen = true
      this.#ticker.start()
      this.#ticker.within(0)
    } finally {
      letGo()
    }
  }

  async close(): Promise<void> {
    this.#isOpen = false
    await this.#ticker.stop()
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
    const read = (storage: Storage): Promise<(StoredRecord | undefined)[]> => readMany(storage, collection, keys, now)
    return this.#serve(collection, read, () => this.#local.read(collection, keys, now))
  }

  async page(collection: string, range: Range, now: number): Promise<KeyedRecord[]> {
    const read = (storage: Storage): Promise<KeyedRecord[]> => scanPage(storage, collection, range)
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
        const { status, reason } = this.#mirror.state
        return status === 'stale' ? { status: 'degraded', reason } : health
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

  /** @returns whether there was a decision to make */
  async acceptPrimary(): Promise<boolean> {
    const { diverged } = this.#recovery
    if (diverged === undefined) return false
    await this.#local.forgetPrimary(diverged.found, this.#now())
    // It is opened anew at the next probe: an empty database needs its tables.
    await this.#primary.stop().catch(() => undefined)
    this.#recovery.accept()
    this.#mirror.invalidate()
    this.#ticker.within(0)
    return true
  }

  /** A journal that is not empty says that the last process ended on the fallback. */
  async #begin(): Promise<void> {
    const unreplayed = this.#local.journalLength
    if (unreplayed > 0) {
      this.#stand('fallback', `${unreplayed} batches of an earlier outage wait to be replayed.`)
      this.#tell('fallback', 'starting', 'WARNING')
      return
    }
    const { value } = this.#local.coverage
    const hasCopy = value === 'all' || value.length > 0
    try {
      // To open may take longer than to answer. With nothing to serve from instead, it is worth the wait.
      await this.#primary.probe(hasCopy ? undefined : Math.max(START_MS, this.#options.timeoutMs))
      const other = await this.#mark.claim()
      if (other !== undefined) {
        this.#stand('fallback', 'The primary is not the one that was left.')
        this.#recovery.diverge(other)
        return
      }
      // What another writer did the copy does not have, and nobody knows what it is.
      if (this.#options.writers === 'one' && this.#mark.wasForeign) {
        await this.#local.uncover(await this.#local.collections(this.#now()), this.#now())
      }
      this.#stand('primary', 'The primary answers.')
      this.#mirror.copying()
    } catch (error) {
      const isDown = error instanceof UnavailableError || error instanceof StorageTimeoutError
      if (!isDown || !hasCopy) throw error
      this.#stand('fallback', error.message)
      this.#recovery.left()
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
    const keys = mutations.map((mutation) => idOf({ key: '', ...mutation }))
    return this.#gate.shared(() => this.#locks.run(keys, () => this.#commitHere(mutations, now)))
  }

  async #commitHere(mutations: readonly Mutation[], now: number): Promise<Kept | Refused> {
    if (this.#on === 'fallback') {
      // What it took in could never be replayed.
      if (this.#isFenced) throw new FencedError()
      return this.#journal(mutations, now)
    }
    // Whoever stood in line while the primary went must not wait for it in turn.
    if (this.#leaving !== undefined) return new Refused('The primary has just gone.')
    try {
      await this.#writes.commit(mutations)
      this.log.add(mutations)
      this.#planBeat()
      return 'primary'
    } catch (error) {
      if (error instanceof UnavailableError && error.applied === 'no') return new Refused(error.message)
      if (mayBeApplied(error)) this.log.add(mutations)
      if (error instanceof FencedError) this.#tellFenced(error)
      // There may be a doubt to settle.
      if (this.#local.doubts.size > 0) this.#ticker.within(this.#pauseMs)
      throw error
    }
  }

  async #journal(mutations: readonly Mutation[], now: number): Promise<Kept> {
    for (const { collection } of mutations) this.#local.requireCovered(collection, this.#reason)
    if (this.#options.writers === 'many' && mutations.some(isConditional)) {
      throw new UnavailableError(
        `The primary is down (${this.#reason}) and others write to it too, so no condition (ifVersion, ifAbsent, ` +
          'update, once) can be judged here; try again when it is back, or write without a condition',
      )
    }
    await this.#local.journal(mutations, now)
    this.log.add(mutations)
    return 'journal'
  }

  /** What the copy may lack is not served from it. */
  async #goStale(mutations: readonly Mutation[], reason: string): Promise<void> {
    this.#mirror.goStale(reason)
    const collections = mutations.map(({ collection }) => collection)
    // The set in memory changes even when the disk does not take it.
    await this.#local.uncover(collections, this.#now()).catch(() => undefined)
    this.#ticker.within(this.#pauseMs)
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
        this.#failovers++
        this.#recovery.left()
        this.#ticker.within(this.#options.probeIntervalMs)
        this.#tell('fallback', 'primary', 'CRITICAL')
      })
      .finally(() => (this.#leaving = undefined))
    return this.#leaving
  }

  /**
   * Never rejects: what failed is tried again at the next tick.
   *
   * @returns in how many milliseconds there is more to do
   */
  async #tick(): Promise<number | undefined> {
    try {
      if (this.#on === 'fallback') await this.#tryToReturn()
      if (this.#on === 'primary') await this.#tidy()
      this.#failures = 0
    } catch (error) {
      this.#failures = this.#on === 'primary' ? this.#failures + 1 : 0
      this.#recovery.unsettle()
      if (error instanceof FencedError) this.#tellFenced(error)
    }
    const { probeIntervalMs, mirrorIntervalMs, writers } = this.#options
    if (this.#on === 'fallback') return probeIntervalMs
    if (this.#mirror.isBehind || this.#local.doubts.size > 0) return this.#pauseMs
    if (writers === 'many') return mirrorIntervalMs
    return this.#beatAt === undefined ? undefined : Math.max(1, this.#beatAt - this.#options.clock.monotonic())
  }

  /** To compare everything again and again would only be a burden while the disk is full. */
  get #pauseMs(): number {
    const { probeIntervalMs } = this.#options
    return Math.max(probeIntervalMs, Math.min(probeIntervalMs * 2 ** this.#failures, MAX_PAUSE_MS))
  }

  async #tryToReturn(): Promise<void> {
    const recovered = await this.#recovery.attempt(() => {
      this.#stand('primary', 'The primary is back and has the whole journal.')
    })
    if (recovered === undefined) return
    this.#isFenced = false
    this.#mirror.returned()
    this.#announce('replayed', replayedNews(recovered.replayed, recovered.conflicts, this.#reason))
    this.#tell('primary', 'fallback', 'INFO')
  }

  /** On the primary: settles what is in doubt, completes the copy, and says that we are there. */
  async #tidy(): Promise<void> {
    await this.#local.writeForgotten(this.#now())
    const isWanted = (): boolean => this.#isOpen && this.#on === 'primary'
    await settleDoubts({
      ...{ primary: this.#primary, local: this.#local, mark: this.#mark, gate: this.#gate, locks: this.#locks },
      ...{ isWanted, now: () => this.#now(), onChanged: (changes) => this.log.add(changes) },
    })
    if (await this.#mirror.update()) await this.#local.keepOrigin(this.#origin, this.#now())
    if (this.#beatAt === undefined || this.#options.clock.monotonic() < this.#beatAt) return
    this.#beatAt = undefined
    await this.#mark.beat()
  }

  #planBeat(): void {
    if (this.#beatAt !== undefined) return
    this.#beatAt = this.#options.clock.monotonic() + BEAT_MS
    this.#ticker.within(BEAT_MS)
  }

  #stand(on: 'primary' | 'fallback', reason: string): void {
    this.#on = on
    this.#reason = reason
    this.#since = this.#now()
  }

  #tell(to: 'primary' | 'fallback', from: string, severity: Severity): void {
    this.#announce('change', switchNews(from, to, this.#reason, severity))
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

function isConditional(mutation: Mutation): boolean {
  return mutation.type !== 'clear' && mutation.expected !== undefined
}
