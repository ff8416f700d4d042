import { Claims } from '../claims.js'
import { readContext } from '../context.js'
import type { Effects } from '../slots/worker-options.js'
import { warn } from '../warn.js'
import { EventClaims, type Claimed } from './event-claims.js'
import type { EventWork, RestartSettings } from './options.js'
import type { Table } from './records.js'
import type { DeskHooks, Standing } from './standing.js'
import { diedSince, hasClaimsSince, othersSince, withoutTrace } from './table.js'
import { Unclaimed } from './unclaimed.js'

/** An event that came to this process. */
interface Kept {
  readonly eventId: string
  /** The guild, or the user of a direct message. */
  readonly unitId: string | undefined
  /** The flow that it belongs to. */
  readonly pin: string | undefined
  readonly event: never
  /** On the wall clock, by which claims expire. */
  readonly cameAt: number
  /** The same on the monotonic one, which stands still with its machine. */
  readonly cameMs: number
  /** Since when it has waited as it does now. */
  readonly arrivedMs: number
  /** Not before that it is begun here. */
  readonly heldUntilMs: number
  /**
   * Whether it was for this process when it came, and had been for a while. Otherwise the one before may have begun it, and only the
   * store can tell.
   */
  readonly isOwn: boolean
  /** Whether nobody begins it without a claim, as all who might do so knew when it came. That holds whatever becomes of its flow. */
  readonly needsClaim: boolean
  /** Settles what `handle` returned. */
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
  /**
   * `waiting`: another process should claim it. `claiming`: this one does. `stalled`: this one goes on with it when the store is back,
   * or the others count it in again. `theirs`: another one has it. It is gone from here once it runs here, or is known to be done.
   */
  state: 'waiting' | 'claiming' | 'stalled' | 'theirs'
  /** What was so when it came; for what came while this process was taken for dead, what was so before. */
  readonly since: Table
  /** Who may have got it, too, unless `wasOut`. */
  readonly members: readonly string[]
  /** Whether it came while this process was taken for dead, or before. */
  readonly wasOut: boolean
  /** Who has claimed it; this process, too, where it may have. */
  by: string | undefined
  /** Who had claimed it before this process did. */
  former: string | undefined
  /** Set once it waits for those who may have begun it without a claim to give a sign of life, or to be found dead: until when at most. */
  readonly doubtedUntilMs: number | undefined
  /** Whether it may wait for them at all: not once room must be made. */
  mayWait: boolean
}

/** Whether the others have gone on without this process; `unknown` while the store does not say so. */
type Place = 'in' | 'out' | 'unknown'

const ranUnclaimed = 'it ran here without a claim, as the store was out, and another process may have run it, too'
const storeWasOut =
  'the store was out of reach, or this process stood still, and the owner may have served without a claim meanwhile'
const hasExpired = 'it came so long ago that its claim may have expired'
const takenForDead = 'the others had taken this process for dead, and may have handled it without a claim'

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
    const { isQuiet, holdsLease, tableOfArrivals } = this.#standing
    const wasOut = this.#outSince !== undefined
    if (isQuiet && holdsLease && !wasOut) return this.#run(event, { eventId, attempt: 1 })
    return new Promise((resolve, reject) => {
      const { clock } = this.#settings
      const arrivedMs = clock.monotonic()
      const { aloneMs, servingMs } = this.#standing
      // Of a guild that is another's now, that one may have claimed it before the guild comes here.
      const isOwn = Math.max(aloneMs, this.#standing.owns(unitId) ? servingMs : 0) >= this.#settings.leaseMs
      const since = this.#outSince ?? tableOfArrivals
      // Of what came in its sleep, it knows no more than before.
      const isFresh = !wasOut && this.#standing.hasBeenAwakeSince(arrivedMs)
      const needsClaim = isFresh && pin !== undefined && this.#needsClaim(unitId, pin)
      const came = {
        eventId,
        unitId,
        pin,
        event,
        cameAt: clock.now(),
        cameMs: arrivedMs,
        since,
        wasOut,
        isOwn,
        needsClaim,
      }
      const { members } = this.#standing
      const waits = { arrivedMs, heldUntilMs: arrivedMs, doubtedUntilMs: undefined, mayWait: true, members }
      const kept: Kept = { ...came, ...waits, resolve, reject, state: 'waiting', by: undefined, former: undefined }
      if (this.#kept.size >= this.#settings.maxKept) this.#makeRoom()
      this.#kept.set(eventId, kept)
      if (!wasOut && this.#isMine(kept)) void this.#begin(kept)
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
      else if (mayBeMine && kept.state === 'waiting' && this.#isMine(kept) && nowMs >= kept.heldUntilMs) this.#due(kept)
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
    for (const [eventId, kept] of this.#kept) {
      const since = hasTrace ? kept.since : withoutTrace(kept.since)
      const isUnderWay = kept.state === 'claiming' || kept.state === 'stalled'
      const now = isUnderWay ? ({ state: 'stalled', by: this.#settings.id } as const) : kept
      // The others have gone on as if its flow were gone.
      this.#kept.set(eventId, {
        ...kept,
        since,
        wasOut: true,
        needsClaim: false,
        doubtedUntilMs: undefined,
        state: now.state,
        by: now.by,
      })
    }
  }

  /** This process is one of them again. Who has what came before, their claims say, and who is still there. */
  resume(): void {
    this.#isOver = false
    this.#givesWay = false
    this.#isClosed = false
    this.#outSince = undefined
    for (const kept of this.#kept.values())
      if (kept.state === 'theirs' && kept.by !== undefined && this.#isDead(kept.by)) void this.#takeUp(kept)
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
    for (const kept of this.#kept.values()) if (kept.state !== 'claiming') this.#letGo(kept)
    this.#unclaimed.forget()
  }

  /** Nothing is kept any longer: what another process should have claimed and has not is claimed here. */
  decideNow(): void {
    if (this.#outSince !== undefined) return
    for (const kept of this.#kept.values()) if (kept.state === 'waiting') this.#due(kept)
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
    if (!this.#isSure) await this.#ask()
    const isKnown = this.#place !== 'unknown'
    const isMine = this.#isMine({ unitId, pin: undefined })
    const isOut = this.#outSince !== undefined
    if (isKnown && isMine && !isOut) return this.#run(event, { eventId: undefined, attempt: 1 })
    if (isMine || isOut) this.#undecided(undefined, 'it has no id, and the others may have it')
    else if (this.#isOnItsWay(unitId)) this.#undecided(undefined, 'it has no id, and its guild moves')
    return undefined
  }

  /** Whether a guild comes here or goes from here, so that perhaps nobody has its events in this moment. */
  #isOnItsWay(unitId: string | undefined): boolean {
    return this.#standing.awaits(unitId) || this.#standing.hasGivenAway(unitId) || this.#standing.owns(unitId)
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
    if (place === 'out' || this.#isOver) this.#letGo(kept)
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
    else if (this.#mayBegin(kept)) void this.#begin(kept)
    else if (kept.needsClaim) this.#waitAnew(kept)
    // Its guild has moved meanwhile.
    else if (!this.#standing.awaits(kept.unitId)) this.#due(kept)
  }

  /** Another process has it. If that one is no member any more, it died or was taken out before it had begun. */
  #leaveTo(kept: Kept, { claim, version }: Extract<Claimed, { kind: 'theirs' }>): void {
    // A claim of this process that the store had not confirmed, for an event that nobody has begun.
    if (claim.by === this.#settings.id && !claim.done) return void this.#runClaimed(kept, claim.attempt, version)
    if (claim.done) return this.#drop(kept)
    if (!this.#isDead(claim.by)) return this.#lookAfter(kept, claim.by)
    kept.by = claim.by
    void this.#takeUp(kept)
  }

  /** Whether one that had claimed something is no more, and has not said that it would go. */
  #isDead(by: string): boolean {
    const { members, left } = this.#standing.table
    return members[by] === undefined && !left.includes(by)
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
    if (theirs === undefined) return this.#takeUnclaimed(kept)
    if (theirs.kind === 'unreachable') return this.#halt(kept, 'unknown')
    const { by, attempt, done } = theirs.claim
    // Others who took this process for dead may be about to take its claim over: it does so first.
    const isOwn = by === id && kept.wasOut
    const isThere = by === id || !this.#isDead(by)
    if (done || (isThere && !isOwn)) return this.#leaveTo(kept, theirs)
    kept.by = by
    if (!isOwn && this.#isLeftAlone(kept, by, attempt)) return
    const next = isOwn ? attempt : attempt + 1
    const claimed = await this.#claims.takeFrom(kept.eventId, theirs.version, next, keepMs)
    if (claimed.kind === 'unreachable') this.#halt(kept, 'unknown')
    else await this.#follow(kept, claimed)
  }

  /** Nobody has claimed it, as far as the store says. */
  #takeUnclaimed(kept: Kept): void {
    // This process tried to. Either the store was out, and the owner may have served without a claim; or that takes no claims.
    const hasTried = kept.by === this.#settings.id && !kept.needsClaim
    const isRefused = kept.doubtedUntilMs !== undefined && this.#standing.hasReachedStoreSince(kept.arrivedMs)
    if (this.#mayHaveExpired(kept)) this.#giveUp(kept, hasExpired)
    else if (hasTried && isRefused) this.#giveUpUnknown(kept)
    else if (kept.wasOut) this.#due(kept)
    else if (hasTried) this.#doubt(kept)
    else void this.#begin(kept)
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
      // What came while this process stood still, the others may have taken over.
      const isKnown = kept.doubtedUntilMs === undefined && this.#standing.hasBeenAwakeSince(kept.arrivedMs)
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
    else this.#giveUp(kept, storeWasOut)
  }

  /** It is not for this process any more. That is told, unless another one has it, or is there to look after it. */
  #letGo(kept: Kept): void {
    const { id } = this.#settings
    if (kept.state === 'theirs') this.#drop(kept)
    // Whoever is there may not have got it, or leaves it to this process, of whose claim it has heard.
    else if (kept.wasOut || kept.state === 'stalled' || kept.doubtedUntilMs !== undefined) this.#giveUpUnknown(kept)
    else if (kept.by === id)
      this.#giveUp(kept, 'this process had claimed it, and is none of those that share the token now')
    else if (this.#isWithOthers(kept)) this.#drop(kept)
    else this.#giveUp(kept, 'nobody else is there any more')
  }

  /** Whether someone is there who was there when it came: that one has it, or looks after it. */
  #isWithOthers({ since }: Kept): boolean {
    return othersSince(this.#standing.table, since, this.#settings.id).length > 0
  }

  #has(kept: Kept): boolean {
    return this.#kept.get(kept.eventId) === kept
  }

  #cancel(): void {
    this.#cancelDue?.()
    this.#cancelDue = undefined
  }

  /** Nobody here knows who has begun it. */
  #giveUpUnknown(kept: Kept): void {
    this.#giveUp(kept, kept.wasOut ? takenForDead : storeWasOut)
  }

  #giveUp(kept: Kept, why: string): void {
    this.#undecided(kept.eventId, why)
    this.#drop(kept)
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
   * An event that another process should have claimed. Only one who has reached the store all the while may claim it in its place at once:
   * had the store been out, the owner may have served without a claim.
   */
  #due(kept: Kept): void {
    const { isIn, isStoreUp, table } = this.#standing
    const isTraced = !kept.wasOut || hasClaimsSince(table, kept.since)
    const isUntouched = kept.needsClaim ? isStoreUp : this.#standing.hasReachedStoreSince(kept.arrivedMs)
    const isSure = isTraced && isUntouched && kept.doubtedUntilMs === undefined && !this.#mayHaveExpired(kept)
    if (isIn && isSure) void this.#begin(kept)
    else if (isIn && isStoreUp) void this.#lookFor(kept)
    // Its flow stays with another process, which waits for the store, too, and may die meanwhile.
    else if (isIn && kept.needsClaim) kept.state = 'stalled'
    else this.#giveUpUnknown(kept)
  }

  /** Someone may have begun the event without a claim. A claim that is there all the same says who has it. */
  async #lookFor(kept: Kept): Promise<void> {
    kept.state = 'claiming'
    const theirs = await this.#claims.look(kept.eventId)
    if (!this.#has(kept)) return
    if (theirs?.kind !== 'theirs') await this.#decide(kept)
    else if (theirs.claim.by === this.#settings.id && kept.wasOut) await this.#takeUp(kept)
    else this.#leaveTo(kept, theirs)
  }

  /**
   * No claim says who has it, and one that was there when it came may have begun it all the same. Who has died since is taken to have begun
   * it; who is there, or has gone, has told the others in the table if it began any without claims.
   */
  async #decide(kept: Kept): Promise<void> {
    const { id, keepMs, storeTimeoutMs } = this.#settings
    const { table } = this.#standing
    const hasClaims = hasClaimsSince(table, kept.since)
    const isOtherThere = othersSince(table, kept.since, id).length > 0
    if (isOtherThere && !hasClaims) return this.#giveUpUnknown(kept)
    // To one that was out it may have come later than to the others, which are to claim it.
    const mayBeTheirs = isOtherThere && kept.wasOut && kept.doubtedUntilMs === undefined
    // Its copy comes `keepMs` later at most, and for so long a claim is tried, before an owner serves without one.
    const servedByMs = kept.cameMs + 2 * keepMs + storeTimeoutMs
    const among = kept.wasOut ? undefined : kept.members
    if (mayBeTheirs || !this.#standing.haveCaughtUpSince(servedByMs, among)) return this.#doubt(kept)
    // Who is back again can tell what it did.
    const dead = diedSince(table, kept.since).find((one) => one !== id && table.members[one] === undefined)
    if (dead !== undefined) {
      if (this.#isLeftAlone(kept, dead, 1)) return
      kept.state = 'claiming'
      const claimed = await this.#claims.take(kept.eventId, keepMs, 2)
      if (!this.#has(kept)) return
      kept.by = claimed.kind === 'unreachable' ? id : dead
      if (claimed.kind === 'unreachable') this.#halt(kept, 'unknown')
      else await this.#follow(kept, claimed)
      return
    }
    if (this.#mayHaveExpired(kept)) this.#giveUp(kept, hasExpired)
    else if (hasClaims) await this.#begin(kept)
    else this.#giveUpUnknown(kept)
  }

  /** One that is there may be about to claim it, or to tell that it has served without claims, or be dead, and nobody know it yet. */
  #doubt(kept: Kept): void {
    const { clock, redoMs } = this.#settings
    const { doubtedUntilMs = clock.monotonic() + redoMs } = kept
    if (kept.mayWait && !this.#isOver && clock.monotonic() < doubtedUntilMs) this.#waitAnew({ ...kept, doubtedUntilMs })
    else this.#giveUpUnknown(kept)
  }

  /** Someone is there who should claim it, and may not have got it, or be about to say that it has served without claims. */
  #waitAnew(kept: Kept): void {
    const { clock, keepMs } = this.#settings
    const arrivedMs = clock.monotonic()
    this.#kept.delete(kept.eventId)
    this.#kept.set(kept.eventId, { ...kept, arrivedMs, heldUntilMs: arrivedMs + keepMs, state: 'waiting' })
    this.#schedule()
  }

  /** Whether the store may have had a claim of it, and has it no more. */
  #mayHaveExpired({ cameAt, cameMs }: Kept): boolean {
    const { clock, keepMs, claimMs } = this.#settings
    return Math.max(clock.now() - cameAt, clock.monotonic() - cameMs) >= claimMs - 2 * keepMs
  }

  /** What is too old to be run once more, unless whoever has it may have died with it, and nobody knows that yet. */
  #forgetOld(): void {
    const { clock, redoMs } = this.#settings
    for (const kept of this.#kept.values()) {
      const { state, by, arrivedMs } = kept
      if (clock.monotonic() - arrivedMs < redoMs) return
      if (state !== 'theirs') continue
      if (by === undefined || (!this.#isDead(by) && this.#standing.hasLivedSince(by, arrivedMs + redoMs)))
        this.#drop(kept)
      else if (this.#mayHaveExpired(kept)) this.#giveUp(kept, hasExpired)
    }
  }

  #makeRoom(): void {
    for (const kept of this.#kept.values()) {
      if (kept.state === 'claiming') continue
      kept.mayWait = false
      if (kept.state === 'waiting' && kept.doubtedUntilMs === undefined && this.#outSince === undefined) this.#due(kept)
      else this.#letGo(kept)
      return
    }
  }
}
