import { Claims } from '../claims.js'
import { readContext } from '../context.js'
import type { Effects } from '../slots/worker-options.js'
import { warn } from '../warn.js'
import { EventClaims, type Claimed } from './event-claims.js'
import type { Kept } from './kept.js'
import {
  countedOut,
  storeWasOut,
  whenDue,
  whenLeft,
  whenOld,
  whenUnclaimed,
  whenUnknown,
  whenUntold,
  type Judge,
} from './missed.js'
import type { EventWork, RestartSettings } from './options.js'
import type { Table } from './records.js'
import type { DeskHooks, Standing } from './standing.js'
import { isGone, withoutTrace } from './table.js'
import { Unclaimed } from './unclaimed.js'

/** Whether the others have gone on without this process; `unknown` while the store does not say so. */
type Place = 'in' | 'out' | 'unknown'

const ranUnclaimed = 'it ran here without a claim, as the store was out, and another process may have run it, too'

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
 * by anyone else when nobody has claimed it for `keepMs`; one of a flow that is pinned, at once by the process that has the flow. Each
 * process remembers what it left to another one, and takes it up when
 * that one dies before it was done. One that was taken for dead keeps what it has, and goes by the claims of the others when it is
 * back.
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
  readonly #unclaimed: Unclaimed
  #cancelDue: (() => void) | undefined
  /** While the store is asked whether the others have gone on without this process. */
  #asking: Promise<void> | undefined
  /** What was so before the others went on without this process; `undefined` while it is one of them. */
  #outSince: Table | undefined
  /** Nothing goes on any more. */
  #isOver = false
  /** What is this process's is for the others to begin. */
  #givesWay = false
  /** Nor is anything claimed any more that they have not. */
  #isClosed = false

  constructor(settings: RestartSettings, standing: Standing, hooks: DeskHooks) {
    const { store, name, id, clock, claimMs, storeTimeoutMs } = settings
    this.#settings = settings
    this.#standing = standing
    this.#hooks = hooks
    this.#seen = new Claims(clock, claimMs, Math.max(settings.maxKept, 10_000))
    this.#claims = new EventClaims({ store, prefix: `claim:${name}:`, id, clock, claimMs, storeTimeoutMs })
    this.#unclaimed = new Unclaimed(id, this.#claims, {
      repeated: (eventId, by, attempt, isHarmless) => this.#repeated(eventId, by, attempt, isHarmless, true),
      forgotten: (eventId) => {
        if (!standing.isAlone) this.#undecided(eventId, ranUnclaimed)
      },
    })
  }

  /** What ran here without a claim gets one, as far as the store answers. */
  catchUp(): Promise<void> {
    return this.#unclaimed.catchUp()
  }

  /** How many events are kept for another process. */
  get kept(): number {
    return this.#kept.size
  }

  /** Whether another process is to claim something yet. */
  get isWaiting(): boolean {
    return this.#firstWaiting() !== undefined
  }

  /** The events that this process claims now, or is about to. */
  get claiming(): readonly string[] {
    return [...this.#kept.values()].filter(({ state }) => state === 'claiming').map(({ eventId }) => eventId)
  }

  /** Who has claimed what is kept here. */
  get claimants(): ReadonlySet<string> {
    const all = new Set<string>()
    for (const { state, by } of this.#kept.values()) if (state === 'theirs' && by !== undefined) all.add(by)
    return all
  }

  /** Whether it is yet to come out whether others have begun something that came while this process was out, or stood still. */
  get isInDoubt(): boolean {
    const isOpen = ({ state, wasOut, doubtedUntilMs }: Kept): boolean =>
      state !== 'theirs' && (wasOut || doubtedUntilMs !== undefined)
    return [...this.#kept.values()].some(isOpen)
  }

  isClaiming(eventId: string): boolean {
    return this.#kept.get(eventId)?.state === 'claiming'
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
    const { eventId, unitId, pin } = readContext(this.#settings.context(event))
    if (eventId === undefined) return this.#handleUnnamed(event, unitId)
    if (!this.#seen.take(eventId)) {
      this.counts.duplicates += 1
      return Promise.resolve(undefined)
    }
    const { isQuiet, holdsLease } = this.#standing
    const wasOut = this.#outSince !== undefined
    if (isQuiet && holdsLease && !wasOut) return this.#run(event, { eventId, attempt: 1 })
    return new Promise((resolve, reject) => {
      const { clock } = this.#settings
      const arrivedMs = clock.monotonic()
      const { members } = this.#standing
      const arrivals = this.#standing.arrivalsOf(unitId)
      const { lateByMs } = arrivals
      const isOwn = this.#hasOwned(unitId, lateByMs)
      // Of what came in its sleep, or waited in its session, it knows no more than before.
      const isFresh = !wasOut && lateByMs === 0 && this.#standing.hasBeenAwakeSince(arrivedMs)
      const needsClaim = isFresh && pin !== undefined && this.#needsClaim(unitId, pin)
      const since = this.#outSince ?? arrivals.since
      const came = { cameAt: clock.now(), cameMs: arrivedMs, lateByMs, since, members, wasOut }
      const what = { eventId, unitId, pin, event, isOwn, needsClaim, resolve, reject }
      const waits = { arrivedMs, heldUntilMs: arrivedMs, doubtedUntilMs: undefined, mayWait: true }
      const kept: Kept = { ...came, ...what, ...waits, state: 'waiting', by: undefined, former: undefined }
      if (this.#kept.size >= this.#settings.maxKept) this.#makeRoom()
      this.#kept.set(eventId, kept)
      if (!wasOut && this.#isMine(kept)) this.#beginOwn(kept)
      else this.#schedule()
    })
  }

  /** This process may have more to do than before: whoever owns the events begins all that wait, in the order of their arrival. */
  reconsider(): void {
    this.#forgetOld()
    if (this.#outSince !== undefined || (this.#isClosed && !this.#standing.isAlone)) return
    if (this.#standing.isStoreUp) void this.#unclaimed.catchUp()
    const isServing = this.#standing.isServing || this.#standing.isAlone
    const nowMs = this.#settings.clock.monotonic()
    for (const kept of this.#kept.values()) {
      const mayBeMine = isServing || kept.pin !== undefined
      if (kept.state === 'stalled') this.#goOn(kept)
      else if (mayBeMine && kept.state === 'waiting' && this.#isMine(kept) && nowMs >= kept.heldUntilMs)
        this.#judge(kept, whenDue)
    }
  }

  /**
   * The others go on without this process from a table on: what it has, and what comes, waits until it is one of them again.
   *
   * @param hasTrace - whether the claims of that time are there yet
   */
  pause(table: Table, hasTrace: boolean): void {
    this.#outSince ??= table
    if (!hasTrace) this.#outSince = withoutTrace(this.#outSince)
    this.#cancel()
    // Copies: whatever goes on with one of them now is of no account any more.
    for (const [eventId, kept] of this.#kept) this.#kept.set(eventId, countedOut(kept, this.#settings.id, hasTrace))
  }

  /** This process is one of them again. Who has what came before, their claims say, and who is still there. */
  resume(): void {
    this.#isOver = false
    this.#givesWay = false
    this.#isClosed = false
    this.#outSince = undefined
    for (const kept of this.#kept.values())
      if (kept.state === 'theirs' && kept.by !== undefined && isGone(this.#standing.table, kept.by))
        void this.#takeUp(kept)
    this.reconsider()
    this.#schedule()
  }

  /** Whether this process is about to give away what is its own: as long as there are others, it begins only what they do not. */
  set givesWay(isSo: boolean) {
    this.#givesWay = isSo
  }

  /** Nothing new begins, as long as there are others; what is being claimed goes on. `open` ends that. */
  close(): void {
    this.#isClosed = true
    this.#cancel()
  }

  open(): void {
    this.#isClosed = false
    this.#schedule()
  }

  /** This process goes: what it has is with the others. */
  forget(): void {
    this.#isOver = true
    this.#cancel()
    for (const kept of this.#kept.values()) if (kept.state !== 'claiming') this.#judge(kept, whenLeft)
    this.#unclaimed.forget()
  }

  /** Nothing is kept any longer: what another process should have claimed and has not is claimed here. */
  decideNow(): void {
    if (this.#outSince !== undefined) return
    for (const kept of this.#kept.values()) if (kept.state === 'waiting') this.#judge(kept, whenDue)
  }

  /**
   * Some have died: what they had claimed and not done is to be taken up. What they had not claimed waits as ever, or is begun by whoever has
   * their guilds now: claimed too early, it would be served once more by an owner that the store leaves in this very moment.
   */
  died(ids: readonly string[]): void {
    if (this.#outSince !== undefined) return
    for (const kept of this.#kept.values())
      if (kept.state === 'theirs' && kept.by !== undefined && ids.includes(kept.by)) void this.#takeUp(kept)
  }

  /**
   * Nobody can claim an event that has no id, so only whoever owns its guild handles it, whatever its flow. While its guild moves, the one before may have done
   * so, or have left it already: nobody can tell.
   */
  async #handleUnnamed(event: never, unitId: string | undefined): Promise<unknown> {
    const { lateByMs, since } = this.#standing.arrivalsOf(unitId)
    if (!this.#isSure) await this.#ask()
    const isKnown = this.#place !== 'unknown'
    const isMine = this.#isMine({ unitId, pin: undefined })
    const isOut = this.#outSince !== undefined
    const wasMine = lateByMs === 0 || this.#standing.hasOwnedSince(since, unitId)
    if (isKnown && isMine && wasMine && !isOut) return this.#run(event, { eventId: undefined, attempt: 1 })
    if (isMine || isOut) this.#undecided(undefined, 'it has no id, and the others may have it')
    else if (this.#isOnItsWay(unitId)) this.#undecided(undefined, 'it has no id, and its guild moves')
    return undefined
  }

  /** Whether a guild comes here or goes from here, so that perhaps nobody has its events in this moment. */
  #isOnItsWay(unitId: string | undefined): boolean {
    return this.#standing.awaits(unitId) || this.#standing.hasGivenAway(unitId) || this.#standing.owns(unitId)
  }

  /** Whether a guild was this process's for a lease when what comes now was sent: the one before may have claimed what came earlier. */
  #hasOwned(unitId: string | undefined, lateByMs: number): boolean {
    const { aloneMs, servingMs } = this.#standing
    return Math.max(aloneMs, this.#standing.owns(unitId) ? servingMs : 0) >= this.#settings.leaseMs + lateByMs
  }

  /** Whether this process begins such an event at once: one of a flow where the flow is, any other by its guild. */
  #isMine({ unitId, pin }: Pick<Kept, 'unitId' | 'pin'>): boolean {
    if (this.#standing.isAlone) return true
    if (this.#givesWay || this.#isClosed) return false
    const isOwn = this.#standing.owns(unitId)
    const at = pin === undefined ? undefined : this.#standing.pinnedAt(pin)
    if (pin === undefined || at === undefined) return isOwn
    // Until all others know of the flow, one of them may begin its events, too.
    return at === this.#settings.id && (isOwn || this.#standing.isPinKnown(pin))
  }

  /** Whether it might do so without a claim: it is this process's alone, and no other one has, or had until a moment ago, its flow. */
  #mayServe(kept: Kept): boolean {
    return !kept.needsClaim && this.#isMine(kept) && (this.#standing.isAlone || this.#standing.owns(kept.unitId))
  }

  /** Whether nobody begins it without a claim: its flow stays, or stayed until a moment ago, with a process that does not own its guild. */
  #needsClaim(unitId: string | undefined, pin: string): boolean {
    const at = this.#standing.pinnedAt(pin)
    const isHere = at === this.#settings.id
    if (!this.#standing.owns(unitId)) return isHere && this.#standing.isPinKnown(pin)
    return (at !== undefined && !isHere) || this.#standing.wasPinnedElsewhere(pin)
  }

  /** Whether it is begun as soon as the store is back: nobody else can have begun it without a claim. */
  #mayBegin(kept: Kept): boolean {
    return this.#mayServe(kept) || (kept.needsClaim && this.#isMine(kept))
  }

  /** Begins what is this process's now; but what has waited in its session, another one may have begun without a claim. */
  #beginOwn(kept: Kept): void {
    const isNobodyElses = kept.lateByMs === 0 || this.#standing.hasOwnedSince(kept.since, kept.unitId)
    if (!isNobodyElses && this.#standing.isStoreUp) this.#judge(kept, whenDue)
    else void this.#begin(kept)
  }

  /** Claims an event, and runs it if nobody was first. */
  async #begin(kept: Kept): Promise<void> {
    const { keepMs } = this.#settings
    kept.state = 'claiming'
    if (!this.#isSure) await this.#ask()
    if (!this.#has(kept)) return
    const place = this.#place
    if (place !== 'in') return this.#halt(kept, place)
    if (this.#standing.isAlone && kept.isOwn && !this.#standing.isStoreUp) return this.#withoutStore(kept, false)
    // Short of `keepMs`: then the others, who cannot see that this one serves, begin to look after the event.
    const isOwn = this.#standing.owns(kept.unitId) || kept.needsClaim
    await this.#follow(kept, await this.#claims.take(kept.eventId, isOwn ? keepMs * 0.8 : 0))
  }

  async #follow(kept: Kept, claimed: Claimed): Promise<void> {
    if (!this.#has(kept)) return
    switch (claimed.kind) {
      case 'unreachable':
        return this.#withoutStore(kept, claimed.isUnknown)
      case 'theirs':
        return this.#leaveTo(kept, claimed)
      case 'mine':
        return this.#runClaimed(kept, claimed.attempt, claimed.version)
    }
  }

  /** Asks the store when the lease has run out, for instance as this process stood still: once for all events that want to know. */
  async #ask(): Promise<void> {
    // One that is known to be out is asked by the next beat.
    if (this.#isSure || !this.#standing.isStoreUp) return
    this.#asking ??= this.#standing.beat().finally(() => (this.#asking = undefined))
    await this.#asking
  }

  get #place(): Place {
    if (!this.#standing.isIn) return 'out'
    return this.#isSure ? 'in' : 'unknown'
  }

  /** Whether what this process knows of the others holds: by its lease, or as the store went away while it had that, and nothing since. */
  get #isSure(): boolean {
    const { holdsLease, isStoreUp, isConfirmed } = this.#standing
    return holdsLease || (!isStoreUp && isConfirmed)
  }

  #halt(kept: Kept, place: 'out' | 'unknown'): void {
    if (place === 'out' || this.#isOver) this.#judge(kept, whenLeft)
    else kept.state = 'stalled'
  }

  /** The claim is this process's. It may have taken longer than the lease: then the others have gone on. */
  async #runClaimed(kept: Kept, attempt: number, version: string): Promise<void> {
    const { id } = this.#settings
    if (kept.by !== id) kept.former = kept.by
    kept.by = id
    if (!this.#isSure) await this.#ask()
    if (!this.#has(kept)) return
    // As it is in this very moment: of many claims that are answered at once, the first handlers may take long.
    const place = this.#place
    if (place !== 'in') return this.#halt(kept, place)
    if (attempt > 1) this.#tellRepeated(kept, kept.former ?? id, attempt)
    else if (!this.#isMine(kept)) this.counts.takenOver += 1
    void this.#runKept(kept, attempt, version)
  }

  /** The store is back. */
  #goOn(kept: Kept): void {
    if (kept.by !== undefined) void this.#takeUp(kept)
    else if (this.#mayBegin(kept)) this.#beginOwn(kept)
    else if (kept.needsClaim) this.#waitAnew(kept)
    // Its guild has moved meanwhile.
    else if (!this.#standing.awaits(kept.unitId)) this.#judge(kept, whenDue)
  }

  /** Another process has it. If that one is no member any more, it died or was taken out before it had begun. */
  #leaveTo(kept: Kept, { claim, version }: Extract<Claimed, { kind: 'theirs' }>): void {
    // A claim of this process that the store had not confirmed, for an event that nobody has begun.
    if (claim.by === this.#settings.id && !claim.done) return void this.#runClaimed(kept, claim.attempt, version)
    if (claim.done) return this.#drop(kept)
    if (!isGone(this.#standing.table, claim.by)) return this.#lookAfter(kept, claim.by)
    kept.by = claim.by
    void this.#takeUp(kept)
  }

  /** Another process has it, or will. It is taken up when that one dies. */
  #lookAfter(kept: Kept, by: string): void {
    kept.state = 'theirs'
    kept.by = by
    kept.resolve(undefined)
  }

  /** An event of one who died: done, to be repeated, or to be reported. */
  async #takeUp(kept: Kept): Promise<void> {
    kept.state = 'claiming'
    const { id, keepMs } = this.#settings
    const theirs = await this.#claims.look(kept.eventId)
    if (!this.#has(kept)) return
    if (theirs === undefined) return this.#judge(kept, whenUnclaimed)
    if (theirs.kind === 'unreachable') return this.#halt(kept, 'unknown')
    const { by, attempt, done } = theirs.claim
    // Others who took this process for dead may be about to take its claim over: it does so first.
    const isOwn = by === id && kept.wasOut
    const isThere = by === id || !isGone(this.#standing.table, by)
    if (done || (isThere && !isOwn)) return this.#leaveTo(kept, theirs)
    kept.by = by
    if (!isOwn && this.#isLeftAlone(kept, by, attempt)) return
    const next = isOwn ? attempt : attempt + 1
    const claimed = await this.#claims.takeFrom(kept.eventId, theirs.version, next, keepMs)
    if (claimed.kind === 'unreachable') this.#halt(kept, 'unknown')
    else await this.#follow(kept, claimed)
  }

  /** Of what a dead one may have begun: whether it must not run once more. */
  #isLeftAlone(kept: Kept, by: string, attempt: number): boolean {
    if (this.#effectsOf(kept) !== 'atMostOnce') return false
    this.#drop(kept)
    this.#hooks.unfinished(kept.eventId, by, attempt)
    return true
  }

  #tellRepeated(kept: Kept, by: string, attempt: number): void {
    this.#repeated(kept.eventId, by, attempt, this.#isHarmless(kept), false)
  }

  #repeated(eventId: string, by: string, attempt: number, isHarmless: boolean, isUnclaimed: boolean): void {
    this.counts.repeated += 1
    this.#hooks.repeated(eventId, by, attempt, isHarmless, isUnclaimed)
  }

  #isHarmless(kept: Kept): boolean {
    return this.#effectsOf(kept) !== 'atLeastOnce'
  }

  /** The store does not answer. The last owner that all agreed on serves; anyone else does not know what has been done. */
  #withoutStore(kept: Kept, isUnknown: boolean): void {
    if (this.#mayServe(kept)) {
      // What came while this process stood still, or waited in its session, the others may have taken over.
      const { doubtedUntilMs, lateByMs, cameMs, arrivedMs } = kept
      const isFresh = lateByMs === 0 || this.#standing.isStoreOutSince(cameMs - lateByMs)
      const isKnown = isFresh && doubtedUntilMs === undefined && this.#standing.hasBeenAwakeSince(arrivedMs)
      const isUntouched = this.#settings.whenStoreIsOut === 'serve' && isKnown
      const mayServe = this.#standing.isAlone || isUntouched
      if (!kept.isOwn || !this.#isSure || !mayServe) return this.#halt(kept, 'unknown')
      this.counts.unclaimed += 1
      this.#standing.noteUnclaimed()
      return this.#unclaimed.note(kept.eventId, this.#runKept(kept, 1), this.#isHarmless(kept))
    }
    // The claim may have been written, and then the others leave the event to this process.
    if (isUnknown) kept.by = this.#settings.id
    if (isUnknown || kept.needsClaim) this.#halt(kept, 'unknown')
    else this.#drop(kept, storeWasOut)
  }

  #has(kept: Kept): boolean {
    return this.#kept.get(kept.eventId) === kept
  }

  #cancel(): void {
    this.#cancelDue?.()
    this.#cancelDue = undefined
  }

  #undecided(eventId: string | undefined, why: string): void {
    this.counts.undecided += 1
    this.#hooks.undecided(eventId, why)
  }

  #runKept(kept: Kept, attempt: number, version?: string): Promise<unknown> {
    const { eventId, event, resolve, reject } = kept
    this.#kept.delete(eventId)
    const call = this.#run(event, { eventId, attempt })
    const finish = (): Promise<void> => this.#claims.finish(eventId, version)
    void call.then(finish, finish)
    // Of an event that was left to another process, the caller has been told so long ago.
    if (attempt === 1) call.then(resolve, reject)
    else call.then(resolve, (error: unknown) => this.#repeatFailed(kept, error))
    return call
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

  /** Nothing more is to be done about it here. Where nobody here knows who has it, `why` is told. */
  #drop(kept: Kept, why?: string): void {
    if (why !== undefined) this.#undecided(kept.eventId, why)
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
    if (this.#cancelDue !== undefined || this.#outSince !== undefined || this.#isClosed) return
    const first = this.#firstWaiting()
    if (first === undefined) return
    const { clock, keepMs } = this.#settings
    const dueMs = first.arrivedMs + keepMs
    this.#cancelDue = clock.after(Math.max(0, dueMs - clock.monotonic()), () => {
      this.#cancelDue = undefined
      for (const kept of this.#kept.values()) {
        if (kept.state !== 'waiting') continue
        if (kept.arrivedMs + keepMs > clock.monotonic()) break
        this.#judge(kept, whenDue)
      }
      this.#schedule()
    })
  }

  #firstWaiting(): Kept | undefined {
    for (const kept of this.#kept.values()) if (kept.state === 'waiting') return kept
    return undefined
  }

  /** Does with it what a judge says. */
  #judge(kept: Kept, by: Judge): void {
    const verdict = by(kept, this.#standing, this.#settings)
    switch (verdict?.kind) {
      case 'begin':
        return void this.#begin(kept)
      case 'repeat':
        return void this.#repeat(kept, verdict.by)
      case 'look':
        return void this.#lookFor(kept)
      case 'doubt':
        // It goes, and waits for nobody any more.
        if (this.#isOver) return this.#judge(kept, whenUnknown)
        return this.#waitAnew({ ...kept, doubtedUntilMs: verdict.doubtedUntilMs })
      case 'stall':
        kept.state = 'stalled'
        return
      case undefined:
        return
      case 'drop':
        return this.#drop(kept, verdict.why)
    }
  }

  /** Someone may have begun the event without a claim. A claim that is there all the same says who has it. */
  async #lookFor(kept: Kept): Promise<void> {
    kept.state = 'claiming'
    const theirs = await this.#claims.look(kept.eventId)
    if (!this.#has(kept)) return
    if (theirs?.kind !== 'theirs') this.#judge(kept, whenUntold)
    else if (theirs.claim.by === this.#settings.id && kept.wasOut) await this.#takeUp(kept)
    else this.#leaveTo(kept, theirs)
  }

  /** One that is dead may have begun it without a claim. */
  async #repeat(kept: Kept, dead: string): Promise<void> {
    if (this.#isLeftAlone(kept, dead, 1)) return
    const { id, keepMs } = this.#settings
    kept.state = 'claiming'
    const claimed = await this.#claims.take(kept.eventId, keepMs, 2)
    if (!this.#has(kept)) return
    kept.by = claimed.kind === 'unreachable' ? id : dead
    if (claimed.kind === 'unreachable') this.#halt(kept, 'unknown')
    else await this.#follow(kept, claimed)
  }

  /** Someone is there who should claim it, and may not have got it, or be about to say that it has served without claims. */
  #waitAnew(kept: Kept): void {
    const { clock, keepMs } = this.#settings
    const arrivedMs = clock.monotonic()
    this.#kept.delete(kept.eventId)
    this.#kept.set(kept.eventId, { ...kept, arrivedMs, heldUntilMs: arrivedMs + keepMs, state: 'waiting' })
    this.#schedule()
  }

  /** What is too old to be run once more. The oldest comes first. */
  #forgetOld(): void {
    const { clock, redoMs } = this.#settings
    for (const kept of this.#kept.values()) {
      if (clock.monotonic() - kept.arrivedMs < redoMs) return
      if (kept.state === 'theirs') this.#judge(kept, whenOld)
    }
  }

  #makeRoom(): void {
    for (const kept of this.#kept.values()) {
      if (kept.state === 'claiming') continue
      kept.mayWait = false
      if (kept.state === 'waiting' && kept.doubtedUntilMs === undefined && this.#outSince === undefined)
        this.#judge(kept, whenDue)
      else this.#judge(kept, whenLeft)
      return
    }
  }
}
