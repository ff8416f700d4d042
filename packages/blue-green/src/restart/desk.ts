import { Claims } from '../claims.js'
import { readContext } from '../context.js'
import type { Effects } from '../slots/worker-options.js'
import { warn } from '../warn.js'
import { EventClaims, type Claimed } from './event-claims.js'
import type { EventWork, RestartSettings } from './options.js'
import type { ClaimRecord, Table } from './records.js'

/** An event that came to this process. */
interface Kept {
  readonly eventId: string
  /** The guild, or the user of a direct message. */
  readonly unitId: string | undefined
  readonly event: never
  readonly arrivedMs: number
  /**
   * Whether it was for this process when it came, and had been for a while. Otherwise the one before may have begun it, and only the
   * store can tell.
   */
  readonly isOwn: boolean
  /** Settles what `handle` returned. */
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
  /**
   * `waiting`: another process should claim it. `claiming`: this one does. `stalled`: this one will, when the store is back.
   * `theirs`: another one has. `outside`: it came while this process was taken out. It is gone from here once it runs here, or
   * is known to be done.
   */
  state: 'waiting' | 'claiming' | 'stalled' | 'theirs' | 'outside'
  /** Who has claimed it. */
  by: string | undefined
}

/** Where this process stands among the others, as far as an event is concerned. */
export interface Standing {
  readonly isIn: boolean
  readonly isAlone: boolean
  /** For how long, in ms; 0 while it is not. */
  readonly aloneMs: number
  /** For how long the same events have been its own, in ms; 0 while none are. */
  readonly servingMs: number
  readonly isServing: boolean
  readonly holdsLease: boolean
  readonly isStoreUp: boolean
  readonly isConfirmed: boolean
  readonly table: Table
  /** Whether the events of a guild are its own. */
  owns(unitId: string | undefined): boolean
  /** Whether they will be, when the one before has agreed. */
  awaits(unitId: string | undefined): boolean
  hasReachedStoreSince(sinceMs: number): boolean
  beat(): Promise<void>
}

/** What a desk tells. */
export interface DeskHooks {
  /** An event of a dead process runs here once more. */
  repeated(eventId: string, by: string, attempt: number, isHarmless: boolean): void
  /** An event of a dead process is left alone. */
  unfinished(eventId: string, by: string, attempt: number): void
  /** An event is let go, and nobody here knows whether another process has it. */
  undecided(eventId: string | undefined, why: string): void
}

const storeWasOut = 'the store was out of reach, and the owner may have served without a claim'

/** How many events went which way. */
export interface DeskCounts {
  /** Handlers that run now. */
  running: number
  /** Events that came again to this process. */
  duplicates: number
  /** Events that another process should have handled, and did not claim in time. */
  takenOver: number
  /** Events of a process that died with them, run once more here. */
  repeated: number
  /** Events that were handled without a claim, as the store was out of reach. */
  unclaimed: number
  /** Events that this process let go without knowing that another one has them. */
  undecided: number
}

/**
 * Where the events of one process go: run here, kept for a while, or left to another process.
 *
 * @remarks
 * Whoever is alone runs each event at once. Among several, an event runs after it was claimed in the store, by the owner at once,
 * by anyone else when nobody has claimed it for `keepMs`. Each process remembers what it left to another one, and takes it up when
 * that one dies before it was done.
 */
export class Desk {
  readonly #settings: RestartSettings
  readonly #standing: Standing
  readonly #hooks: DeskHooks
  readonly #seen: Claims
  readonly #claims: EventClaims
  /** By id, oldest first: what does not run here, and may have to. */
  readonly #kept = new Map<string, Kept>()
  readonly #running = new Set<Promise<unknown>>()
  readonly counts: DeskCounts = { running: 0, duplicates: 0, takenOver: 0, repeated: 0, unclaimed: 0, undecided: 0 }
  #cancelDue: (() => void) | undefined
  /** The others went on without this process. */
  #isOutside = false

  constructor(settings: RestartSettings, standing: Standing, hooks: DeskHooks) {
    const { store, name, id, clock, claimMs, storeTimeoutMs } = settings
    this.#settings = settings
    this.#standing = standing
    this.#hooks = hooks
    this.#seen = new Claims(clock, claimMs, Math.max(settings.maxKept, 10_000))
    this.#claims = new EventClaims({ store, prefix: `claim:${name}:`, id, clock, claimMs, storeTimeoutMs })
  }

  /** How many events are kept for another process. */
  get kept(): number {
    return this.#kept.size
  }

  /** Whether a claim is being written. */
  get isClaiming(): boolean {
    for (const { state } of this.#kept.values()) if (state === 'claiming') return true
    return false
  }

  /** The handlers that run now. */
  get running(): readonly Promise<unknown>[] {
    return [...this.#running]
  }

  isRunning(call: Promise<unknown>): boolean {
    return this.#running.has(call)
  }

  /** Settles as the handler does, or resolves `undefined` when another process has the event. */
  handle(event: never): Promise<unknown> {
    const { eventId, unitId } = readContext(this.#settings.context(event))
    if (eventId === undefined) return this.#handleUnnamed(event, unitId)
    if (!this.#seen.take(eventId)) {
      this.counts.duplicates += 1
      return Promise.resolve(undefined)
    }
    // One that has just gone may have had an event of which the copy for this process comes only now.
    const isUncontested = this.#standing.aloneMs >= this.#settings.leaseMs && this.#standing.holdsLease
    if (isUncontested && !this.#isOutside) return this.#run(event, { eventId, attempt: 1 })
    return new Promise((resolve, reject) => {
      const arrivedMs = this.#settings.clock.monotonic()
      const { aloneMs, servingMs } = this.#standing
      // Of a guild that is another's now, that one may have claimed it before the guild comes here.
      const isOwn = Math.max(aloneMs, this.#standing.owns(unitId) ? servingMs : 0) >= this.#settings.leaseMs
      const state = this.#isOutside ? 'outside' : 'waiting'
      const kept: Kept = { eventId, unitId, event, arrivedMs, isOwn, resolve, reject, state, by: undefined }
      this.#kept.set(eventId, kept)
      if (this.#kept.size > this.#settings.maxKept) this.#makeRoom()
      if (!this.#isOutside && this.#isMine(unitId)) void this.#begin(kept)
      else this.#schedule()
    })
  }

  /** This process may have more to do than before: whoever owns the events begins all that wait, in the order of their arrival. */
  reconsider(): void {
    this.#forgetOld()
    if (this.#isOutside || (!this.#standing.isServing && !this.#standing.isAlone)) return
    for (const kept of this.#kept.values()) {
      if (!this.#isMine(kept.unitId)) continue
      if (kept.state === 'stalled') void this.#begin(kept)
      else if (kept.state === 'waiting') this.#due(kept)
    }
  }

  /** The others went on without this process: what it had is with them, and so is what comes until it is in again. */
  forget(): void {
    this.#isOutside = true
    for (const kept of this.#kept.values()) if (kept.state !== 'claiming') this.#drop(kept)
    this.#cancelDue?.()
    this.#cancelDue = undefined
  }

  /**
   * This process is in again. What came meanwhile was with the others, also where they have gone since: nobody can tell which of it they
   * had handled.
   */
  rejoined(): void {
    this.#isOutside = false
    for (const kept of this.#kept.values())
      if (kept.state === 'outside') this.#giveUp(kept, 'the others had taken this process for dead when it came')
  }

  /** Nothing is kept any longer: what another process should have claimed and has not is claimed here. */
  decideNow(): void {
    for (const kept of this.#kept.values()) if (kept.state === 'waiting') this.#due(kept)
  }

  /** Some have died: what they had claimed and not done is to be taken up. */
  died(ids: readonly string[]): void {
    for (const kept of this.#kept.values()) {
      if (kept.state === 'waiting') this.#due(kept)
      else if (kept.state === 'theirs' && kept.by !== undefined && ids.includes(kept.by)) void this.#takeUp(kept)
    }
  }

  /**
   * Nobody can claim an event that has no id, so only whoever owns the events handles it. While its guild moves, the one before may have done
   * so, or have left it already: nobody can tell.
   */
  async #handleUnnamed(event: never, unitId: string | undefined): Promise<unknown> {
    if (!this.#standing.holdsLease) await this.#isStillIn()
    if (!this.#isOutside && this.#isMine(unitId)) return this.#run(event, { eventId: undefined, attempt: 1 })
    if (this.#isOutside || this.#standing.awaits(unitId))
      this.#undecided(undefined, 'it has no id, and its guild moves')
    return undefined
  }

  /** Whether this process begins the events of a guild at once. */
  #isMine(unitId: string | undefined): boolean {
    return this.#standing.isAlone || this.#standing.owns(unitId)
  }

  /** Claims an event, and runs it if nobody was first. */
  async #begin(kept: Kept): Promise<void> {
    const { keepMs } = this.#settings
    kept.state = 'claiming'
    if (!(await this.#isStillIn())) return this.#drop(kept)
    if (this.#standing.isAlone && kept.isOwn && !this.#standing.isStoreUp) return this.#withoutStore(kept, false)
    // Short of `keepMs`: then the others, who cannot see that this one serves, begin to look after the event.
    const isOwn = this.#standing.owns(kept.unitId)
    await this.#follow(kept, await this.#claims.take(kept.eventId, isOwn ? keepMs * 0.8 : 0))
  }

  async #follow(kept: Kept, claimed: Claimed): Promise<void> {
    if (!this.#kept.has(kept.eventId)) return
    switch (claimed.kind) {
      case 'unreachable':
        return this.#withoutStore(kept, claimed.isUnknown)
      case 'theirs':
        return this.#leaveTo(kept, claimed)
      case 'mine':
        // The claim may have taken longer than the lease: then the others have gone on without this process.
        if (!(await this.#isStillIn())) return this.#drop(kept)
        if (!this.#isMine(kept.unitId) && claimed.attempt === 1) this.counts.takenOver += 1
        return this.#runKept(kept, claimed.attempt, claimed.version)
    }
  }

  /** Asks the store when the lease has run out, for instance as this process stood still. */
  async #isStillIn(): Promise<boolean> {
    if (this.#standing.holdsLease || !this.#standing.isStoreUp) return this.#standing.isIn
    await this.#standing.beat()
    return this.#standing.isIn
  }

  /** Another process has it. If that one is no member any more, it died or was taken out before it had begun. */
  #leaveTo(kept: Kept, { claim }: { claim: ClaimRecord }): void {
    kept.state = 'theirs'
    kept.by = claim.by
    if (claim.done) return this.#drop(kept)
    const { members, left } = this.#standing.table
    if (members[claim.by] === undefined && !left.includes(claim.by)) return void this.#takeUp(kept)
    kept.resolve(undefined)
  }

  /** An event of one who died: done, to be repeated, or to be reported. */
  async #takeUp(kept: Kept): Promise<void> {
    kept.state = 'claiming'
    const theirs = await this.#claims.look(kept.eventId)
    if (!this.#kept.has(kept.eventId)) return
    // Nobody has claimed it. If this process tried to, the store was out, and the owner may have served without a claim.
    if (theirs === undefined) return kept.by === this.#settings.id ? this.#giveUp(kept, storeWasOut) : this.#begin(kept)
    if (theirs.kind === 'unreachable') return this.#again(kept)
    const { by, attempt, done } = theirs.claim
    if (done) return this.#drop(kept)
    // A claim of this process that the store had not confirmed, for an event that nobody has begun.
    if (by === this.#settings.id) {
      if (attempt > 1) this.#tellRepeated(kept, by, attempt)
      return this.#runKept(kept, attempt, theirs.version)
    }
    if (this.#standing.table.members[by] !== undefined) return this.#leaveTo(kept, theirs)
    const effects: Effects = this.#effectsOf(kept)
    if (effects === 'atMostOnce') {
      this.#drop(kept)
      return this.#hooks.unfinished(kept.eventId, by, attempt)
    }
    const claimed = await this.#claims.takeFrom(kept.eventId, theirs, this.#settings.keepMs)
    if (claimed.kind === 'mine') this.#tellRepeated(kept, by, claimed.attempt)
    if (claimed.kind === 'unreachable') this.#again(kept)
    else await this.#follow(kept, claimed)
  }

  #tellRepeated(kept: Kept, by: string, attempt: number): void {
    this.counts.repeated += 1
    this.#hooks.repeated(kept.eventId, by, attempt, this.#effectsOf(kept) !== 'atLeastOnce')
  }

  #again(kept: Kept): void {
    kept.state = 'theirs'
    this.#settings.clock.after(this.#settings.heartbeatMs, () => {
      if (this.#kept.get(kept.eventId) === kept && kept.state === 'theirs') void this.#takeUp(kept)
    })
  }

  /** The store does not answer. The last owner that all agreed on serves; anyone else does not know what has been done. */
  #withoutStore(kept: Kept, isUnknown: boolean): void {
    const { isAlone, isConfirmed } = this.#standing
    if (this.#isMine(kept.unitId)) {
      if (!kept.isOwn || !isConfirmed || (!isAlone && this.#settings.whenStoreIsOut === 'wait')) {
        kept.state = 'stalled'
        return
      }
      this.counts.unclaimed += 1
      return this.#runKept(kept, 1)
    }
    if (!isUnknown) return this.#giveUp(kept, storeWasOut)
    // The claim may have been written, and then the others leave the event to this process.
    kept.by = this.#settings.id
    this.#again(kept)
  }

  #giveUp(kept: Kept, why: string): void {
    this.#undecided(kept.eventId, why)
    this.#drop(kept)
  }

  #undecided(eventId: string | undefined, why: string): void {
    this.counts.undecided += 1
    this.#hooks.undecided(eventId, why)
  }

  #runKept(kept: Kept, attempt: number, version?: string): void {
    const { eventId, event, resolve, reject } = kept
    this.#kept.delete(eventId)
    const call = this.#run(event, { eventId, attempt })
    const finish = (): Promise<void> => this.#claims.finish(eventId, version)
    void call.then(finish, finish)
    // Of an event that was left to another process, the caller has been told so long ago.
    if (attempt === 1) call.then(resolve, reject)
    else call.then(resolve, (error: unknown) => this.#repeatFailed(kept, error))
  }

  #repeatFailed(kept: Kept, error: unknown): void {
    kept.reject(error)
    warn('EVENKEEL_REPEATED', `Event ${kept.eventId} of a process that died failed when it was run once more`, error)
  }

  #run(event: never, work: EventWork): Promise<unknown> {
    const call = new Promise((resolve) => resolve(this.#settings.handle(event, work)))
    this.#running.add(call)
    this.counts.running += 1
    const ended = (): void => {
      this.#running.delete(call)
      this.counts.running -= 1
    }
    call.then(ended, ended)
    return call
  }

  /** Nothing more is to be done about it here. */
  #drop(kept: Kept): void {
    this.#kept.delete(kept.eventId)
    kept.resolve(undefined)
  }

  #effectsOf(kept: Kept): Effects {
    try {
      return this.#settings.effectsOf(kept.event)
    } catch (error) {
      warn('EVENKEEL_EFFECTS', `effects threw for event ${kept.eventId}, so it is not run once more`, error)
      return 'atMostOnce'
    }
  }

  /** The events wait equally long, so the first that came is the first that is due. */
  #schedule(): void {
    if (this.#cancelDue !== undefined) return
    const first = this.#firstWaiting()
    if (first === undefined) return
    const { clock, keepMs } = this.#settings
    const dueMs = first.arrivedMs + keepMs
    this.#cancelDue = clock.after(Math.max(0, dueMs - clock.monotonic()), () => {
      this.#cancelDue = undefined
      for (let kept = this.#firstWaiting(); kept !== undefined; kept = this.#firstWaiting()) {
        if (kept.arrivedMs + keepMs > clock.monotonic()) break
        this.#due(kept)
      }
      this.#schedule()
    })
  }

  #firstWaiting(): Kept | undefined {
    for (const kept of this.#kept.values()) if (kept.state === 'waiting') return kept
    return undefined
  }

  /**
   * An event that another process should have claimed. Only one who has reached the store all the while may claim it in its place:
   * had the store been out, the owner may have served without a claim.
   */
  #due(kept: Kept): void {
    const { isIn, isStoreUp } = this.#standing
    if (isIn && this.#standing.hasReachedStoreSince(kept.arrivedMs)) void this.#begin(kept)
    else if (isIn && isStoreUp) void this.#lookFor(kept)
    else this.#giveUp(kept, storeWasOut)
  }

  /** The store was out for a while. A claim that is there all the same says who has the event. */
  async #lookFor(kept: Kept): Promise<void> {
    kept.state = 'claiming'
    const theirs = await this.#claims.look(kept.eventId)
    if (!this.#kept.has(kept.eventId)) return
    if (theirs?.kind === 'theirs') return this.#leaveTo(kept, theirs)
    this.#giveUp(kept, storeWasOut)
  }

  /** What is too old to be run once more. */
  #forgetOld(): void {
    const { clock, redoMs } = this.#settings
    for (const kept of this.#kept.values()) {
      if (clock.monotonic() - kept.arrivedMs < redoMs) return
      if (kept.state !== 'claiming') this.#drop(kept)
    }
  }

  #makeRoom(): void {
    for (const kept of this.#kept.values()) {
      if (kept.state === 'claiming') continue
      if (kept.state === 'waiting') this.#due(kept)
      else this.#drop(kept)
      return
    }
  }
}
