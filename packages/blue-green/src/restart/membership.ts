import { withDeadline } from '../deadline.js'
import { StoreUnavailableError } from '../errors.js'
import type { Clock } from '../ports.js'
import type { Connection } from './connection.js'
import type { SharedStore } from './ports.js'
import type { Arrivals } from './standing.js'
import { Quiet } from './quiet.js'
import { noTable, readTable, type Table } from './records.js'
import {
  diedBetween,
  haveAcked,
  holds,
  isNoOlder,
  isAgreed,
  isAloneIn,
  arePinsKnown,
  isOnItsWay,
  isOwnerFor,
  isServingIn,
  ownerOf,
  percentageOf,
  pinnedIn,
  withBeat,
  withLeaver,
  withNewcomer,
  withPins,
  withQuiet,
  without,
  withoutDead,
} from './table.js'

/** More lost races than this in a row mean that the store, not the others, is at fault. */
const maxAttempts = 16

/** What a membership tells. None of it may throw. */
export interface MembershipHooks {
  /** This process acts by a newer table now. */
  agreed(table: Table, before: Table): void
  /** Others gave no sign of life for too long, and were taken out, by this process or another. Told before `agreed`. */
  died(ids: readonly string[], before: Table): void
  /** This process gave no sign of life for so many ms, and was taken out by the others. It acted by `before` last, or has missed what came since. */
  lost(before: Table, silentMs: number): void
  /** The store answers, or does no more. */
  reachable(isUp: boolean, error: unknown): void
}

/** What a membership is made of. */
export interface MembershipSettings {
  readonly store: SharedStore
  readonly key: string
  readonly id: string
  readonly version: string
  readonly clock: Clock
  readonly heartbeatMs: number
  readonly leaseMs: number
  readonly redoMs: number
  readonly storeTimeoutMs: number
  /** How long the others have to answer; more than one and a half leases, or the dead hold a start up. */
  readonly joinTimeoutMs: number
  /** The flows that stay with this process; none unless given. */
  readonly flows?: { has(key: string): boolean; readonly keys: readonly string[] }
  /** The connection to the platform; taken for granted unless given. */
  readonly connection?: Pick<Connection, 'upForMs' | 'isSettled' | 'mayHaveKept'>
  /** How long a claim stays; for `connection`. */
  readonly claimMs?: number
}

/** By both clocks: the monotonic one stands still while a machine is suspended, the wall clock may be moved. */
interface Moment {
  readonly monotonicMs: number
  readonly wallMs: number
}

/** The newest sign of life of another process. */
interface Sighting {
  readonly beat: number
  /** When it was first seen. */
  readonly sinceMs: number
  /** The store had it no earlier than this. */
  readonly writtenAfterMs: number
  /** Nor was it begun before this: the one before had been written. */
  readonly begunAfterMs: number
}

const never: Moment = { monotonicMs: -Infinity, wallMs: -Infinity }

/**
 * One process among those that share a token.
 *
 * @remarks
 * All agree by one record. Whoever reads that it has less to do acts so at once, and only then says so (`acked`).
 * Whoever has more to do waits until those have said so who had it before, so what does not move waits for nobody.
 * Whoever was silent for one and a half leases, on the clock of the one who looks, is taken out; a process whose own lease has run out
 * asks the store before it begins anything.
 */
export class Membership {
  readonly #settings: MembershipSettings
  readonly #hooks: MembershipHooks
  /** The table by which this process acts. */
  #table: Table = noTable
  /** A newer one that was read, of which only what takes something away holds as yet. */
  #coming: Table | undefined
  #isIn = false
  /** By which table it acted when it last said so; that of before, while it is out. */
  #lastTold = noTable
  /** When the last sign of life was begun that the store has. */
  #leaseBegan = never
  #lastFailure = never
  /** When this process last found the store back, and when it last found it out. */
  #storeBackMs = -Infinity
  #storeOutMs = Infinity
  /** When this process last began a question to the store, or heard the end of one. */
  #lastAwake = never
  /** What comes from here on has not come while it stood still. */
  #freshFromMs = -Infinity
  /** By which table it acted before it stood still. */
  #tableBeforeSleep = noTable
  /** By which table it acted when its connection was last known to be up, and when that was. */
  #whenConnected: { readonly table: Table; readonly atMs: number } | undefined
  /** Since when this process has known that nobody else is there; the first one has never known otherwise. */
  #aloneSinceMs = -Infinity
  /** Since when the events of now have been this process's. */
  #servingSinceMs = Infinity
  readonly #quiet: Quiet
  /** The flows of this process of which all others have read, and whoever comes reads before it begins anything. */
  #knownPins: ReadonlySet<string> = new Set()
  /** The flows that have ended in other processes for less than a lease, and when this one read of that. */
  readonly #endedElsewhere = new Map<string, number>()
  /** How many events it has handled without claims, as the store was out, and of how many the table says so. */
  #unclaimed = 0
  #unclaimedTold = 0
  /** The last epoch from which on this process has said that it handles events without claims, or up to which; and the last of another one. */
  #ownQuietEpoch = -1
  #othersQuietEpoch = 0
  #isStoreUp = true
  #isConfirmed = true
  readonly #sightings = new Map<string, Sighting>()
  /** When it was last begun to look at the others. */
  #lookedMs = -Infinity
  #cancelBeat: (() => void) | undefined
  #isRunning = false
  #lastBeatMs = -Infinity
  /** Writes of this process, one after the other. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(settings: MembershipSettings, hooks: MembershipHooks) {
    this.#settings = settings
    this.#hooks = hooks
    this.#quiet = new Quiet(settings)
  }

  get table(): Table {
    return this.#table
  }

  /**
   * How long ago what comes now of a guild may have been sent, in ms, and a table that is no newer than that: by which this process acted, or, while it may have come in
   * its sleep, or have waited in its session, before that. No session is taken to keep anything for longer than a claim stays.
   */
  arrivalsOf(unitId: string | undefined): Arrivals {
    const { clock, connection, claimMs = Infinity } = this.#settings
    const nowMs = clock.monotonic()
    if (this.#whenConnected !== undefined && connection?.mayHaveKept(unitId) === true) {
      const { table, atMs } = this.#whenConnected
      const lateByMs = nowMs - atMs
      if (lateByMs > 0 && lateByMs < claimMs) return { lateByMs, since: table }
    }
    return { lateByMs: 0, since: nowMs < this.#freshFromMs ? this.#tableBeforeSleep : this.#table }
  }

  /** Whether the events of a guild are this process's, and have been since a table on. */
  hasOwnedSince(before: Table, unitId: string | undefined): boolean {
    const { id } = this.#settings
    const isSame = isNoOlder(this.#table, before) && before.ownerEpoch === this.#table.ownerEpoch
    return isSame && holds(before, id, unitId) && this.owns(unitId)
  }

  /** Whether this process is one of those that the others know. */
  get isIn(): boolean {
    return this.#isIn
  }

  get isStoreUp(): boolean {
    return this.#isStoreUp
  }

  /** Whether the others cannot have taken this process out. */
  get holdsLease(): boolean {
    return this.#sinceMs(this.#leaseBegan) < this.#settings.leaseMs
  }

  /** When another one was first seen at its present beat. */
  heardMs(other: string): number {
    return this.#sightings.get(other)?.sinceMs ?? -Infinity
  }

  /** Those who may get what comes now: whoever comes later logs in after that. */
  get members(): readonly string[] {
    return Object.keys((this.#coming ?? this.#table).members)
  }

  /**
   * Whether each of the others has begun and given a sign of life since then, and since this process sees all that happens: what it had done
   * without the store before that, it has told in the table.
   *
   * @param among - of which others; of all unless given
   */
  haveCaughtUpSince(sinceMs: number, among?: readonly string[]): boolean {
    const { id, storeTimeoutMs } = this.#settings
    // What hung in the store as that was out is served without a claim when its time is over.
    const seenFromMs = Math.max(this.#storeBackMs + storeTimeoutMs, this.#freshFromMs, sinceMs)
    const seesAll = this.#isStoreUp && this.#coming === undefined && !this.#hasMissedBeats
    const others = this.members.filter((other) => other !== id && among?.includes(other) !== false)
    return seesAll && others.every((other) => (this.#sightings.get(other)?.begunAfterMs ?? -Infinity) >= seenFromMs)
  }

  /** Whether another one has given a sign of life after `sinceMs`, or is known not to be there. */
  hasLivedSince(other: string, sinceMs: number): boolean {
    const isThere = this.#table.members[other] !== undefined
    return !isThere || (this.#sightings.get(other)?.writtenAfterMs ?? -Infinity) >= sinceMs
  }

  /** Whether nobody else gets the events. */
  get isAlone(): boolean {
    return this.#isIn && this.#views.every((table) => isAloneIn(table, this.#settings.id))
  }

  /** For how long this process has known that nobody else is there, in ms; 0 while someone is. */
  get aloneMs(): number {
    return this.isAlone ? this.#settings.clock.monotonic() - this.#aloneSinceMs : 0
  }

  /** Whether this process handles events without claims, and all others can read that it may. */
  get isQuiet(): boolean {
    return this.#quiet.isOn && this.isAlone && this.#isAbreast
  }

  /** Whether what comes is not what one who has left had before: the session of one that is connected again has kept it, for longer than a lease. */
  get #isAbreast(): boolean {
    const { clock, leaseMs, connection, claimMs = Infinity } = this.#settings
    if (connection === undefined || clock.monotonic() - this.#aloneSinceMs >= claimMs) return true
    return connection.upForMs() >= leaseMs
  }

  /** Whether no other process has handled events without claims since then, as far as they have said so since. */
  hasClaimsSince(before: Table): boolean {
    return isNoOlder(this.#table, before) && this.#othersQuietEpoch <= before.epoch
  }

  /** This process has handled an event without a claim, as the store was out. The table is to say so. */
  noteUnclaimed(): void {
    this.#unclaimed += 1
  }

  /** For how long the same events have been this process's, in ms; 0 while none are, or the others have not agreed to which. */
  get servingMs(): number {
    return this.#isSettled ? this.#settings.clock.monotonic() - this.#servingSinceMs : 0
  }

  /** Whether some events are this process's, and nobody else begins one of them. */
  get isServing(): boolean {
    return this.#isIn && this.#views.every((table) => isServingIn(table, this.#settings.id))
  }

  /** How many percent of the guilds that is, apart from those that were named. */
  get percentage(): number {
    return this.#isIn ? Math.min(...this.#views.map((table) => percentageOf(table, this.#settings.id))) : 0
  }

  /** Whether the events of a guild are this process's, and nobody else begins one of them. */
  owns(unitId: string | undefined): boolean {
    return this.#isIn && this.#views.every((table) => holds(table, this.#settings.id, unitId))
  }

  /** Which process a flow stays with; `undefined` where its events go by their guild. What is not written yet is so here alone. */
  pinnedAt(key: string): string | undefined {
    const { id, flows } = this.#settings
    const all = this.#views.map((table) => pinnedIn(table, key))
    const written = all.find((at) => at !== undefined && at !== id) ?? all.find((at) => at !== undefined)
    return written ?? (flows?.has(key) === true ? id : undefined)
  }

  /** Whether all others know that a flow stays with this process, so that none of them handles an event of it without a claim. */
  isPinKnown(key: string): boolean {
    const { id } = this.#settings
    return this.#isIn && this.#knownPins.has(key) && this.#views.every((table) => pinnedIn(table, key) === id)
  }

  /** Whether a flow has stayed with another process until less than a lease ago: that one may have begun what comes here only now. */
  wasPinnedElsewhere(key: string): boolean {
    return this.#endedElsewhere.has(key)
  }

  /** Whether the events of a guild will be this process's when the one before has agreed, which may have been already. */
  awaits(unitId: string | undefined): boolean {
    const newest = this.#coming ?? this.#table
    return this.#isIn && ownerOf(newest, unitId) === this.#settings.id && !this.owns(unitId)
  }

  /** Whether the events of a guild were this process's until a moment ago, and whoever is to have them may not know yet. */
  hasGivenAway(unitId: string | undefined): boolean {
    return this.#isIn && isOnItsWay(this.#coming ?? this.#table, this.#settings.id, unitId)
  }

  /** Whether the owner acts by the last change of owner or share, as far as this process has read. */
  get isHandedOver(): boolean {
    const { owner, ownerEpoch, members } = this.#table
    return owner !== null && (members[owner]?.acked ?? -1) >= ownerEpoch
  }

  /** Whether all others act by the last change of owner or share, as far as it takes something away from them. */
  get isAgreed(): boolean {
    return this.#isIn && this.#views.every((table) => isAgreed(table, this.#settings.id))
  }

  /** Whether the events are this process's, but for a share, and nobody else takes itself for their owner. */
  get isOwner(): boolean {
    return this.#isIn && this.#views.every((table) => isOwnerFor(table, this.#settings.id))
  }

  get #isSettled(): boolean {
    return this.isServing && this.isAgreed
  }

  /**
   * Whether the store went away while this process held its lease, and this process has not stood still since, so that what it last knew of
   * the others still holds. One that stood still does not know whether the others have gone on.
   */
  get isConfirmed(): boolean {
    return this.#isConfirmed && !this.#hasStoodStill
  }

  /** Whether no beat has even failed for so long that the others may have gone on meanwhile, should they reach the store. */
  get #hasStoodStill(): boolean {
    const { heartbeatMs, leaseMs, storeTimeoutMs } = this.#settings
    const longMs = Math.max(leaseMs, heartbeatMs + 2 * storeTimeoutMs)
    return !this.#isStoreUp && this.#sinceMs(this.#lastFailure) >= longMs
  }

  /** Whether this process has been awake since something came, and that had not come before, while it stood still. */
  hasBeenAwakeSince(sinceMs: number): boolean {
    return !this.#hasMissedBeats && sinceMs >= this.#freshFromMs
  }

  /** Whether the store has answered all the time since something came, and this process was awake to see that. */
  hasReachedStoreSince(sinceMs: number): boolean {
    return this.#isStoreUp && this.#storeBackMs < sinceMs && this.hasBeenAwakeSince(sinceMs)
  }

  /** Whether the store has not answered since then, so that nobody can have claimed what was sent later. */
  isStoreOutSince(sinceMs: number): boolean {
    return !this.#isStoreUp && this.#storeOutMs <= sinceMs
  }

  /** Whether an outage may have come and gone unseen: no question was asked, and none ended, for twice as long as ever. */
  get #hasMissedBeats(): boolean {
    const { heartbeatMs, storeTimeoutMs } = this.#settings
    return this.#sinceMs(this.#lastAwake) >= 2 * Math.max(heartbeatMs, storeTimeoutMs)
  }

  /** Of one that wakes up: to read what has come meanwhile takes no longer than it took to come. */
  #noteAwake(): void {
    const { clock, leaseMs } = this.#settings
    const stoodStillMs = Math.min(leaseMs, this.#sinceMs(this.#lastAwake))
    if (this.#hasMissedBeats) {
      if (clock.monotonic() >= this.#freshFromMs) this.#tableBeforeSleep = this.#table
      this.#freshFromMs = clock.monotonic() + stoodStillMs
    }
    this.#lastAwake = this.#now
  }

  /**
   * Becomes one of them; resolves when all others act by that.
   *
   * @throws {@link StoreUnavailableError} when the store does not answer
   */
  async join(): Promise<void> {
    const { id, heartbeatMs, clock, joinTimeoutMs } = this.#settings
    const endsMs = clock.monotonic() + joinTimeoutMs
    this.#isRunning = true
    this.#lastAwake = this.#now
    this.#sightings.clear()
    let entered = await this.#enter()
    while (this.#isRunning && !this.#isIn) {
      // It stood still meanwhile, and was taken out.
      if (this.#table.members[id] === undefined) entered = await this.#enter()
      const isFirst = entered.members[id]?.isReady === true
      // A record of the dead does not hold anyone up for ever: it is taken out by the beats below.
      if (isFirst || haveAcked(this.#table, id, entered.epoch)) this.#isIn = true
      else await this.#pause(Math.min(heartbeatMs / 10, 50))
      if (!this.#isIn && clock.monotonic() >= endsMs) throw await this.#giveUp(joinTimeoutMs)
      if (!this.#isIn) await this.beat()
    }
    this.#schedule()
    if (!this.#isIn) return
    // Nothing was sent to one that starts before this.
    if (this.#settings.connection !== undefined) this.#whenConnected ??= { table: this.#table, atMs: clock.monotonic() }
    // The events of one that is alone are its own from here on; no later change says so.
    if (this.#isSettled) this.#servingSinceMs = clock.monotonic()
    const before = this.#lastTold
    const dead = diedBetween(before, this.#table)
    if (dead.length > 0) this.#hooks.died(dead, before)
    this.#agreed(before)
  }

  #agreed(before: Table): void {
    this.#lastTold = this.#table
    this.#hooks.agreed(this.#table, before)
  }

  #enter(): Promise<Table> {
    const { id, version } = this.#settings
    return this.change((current) => withNewcomer(without(current, [id], undefined), id, version))
  }

  /** Changes the table, and acts by it when the store has it. Where the others have taken this process out, nothing is changed. */
  change(next: (table: Table) => Table): Promise<Table> {
    const done = this.#turn.then(() => this.#write(next))
    this.#turn = done.catch(() => undefined)
    return done
  }

  /** A sign of life now, and a look at the others. Never rejects; `isStoreUp` says how it went. */
  async beat(): Promise<void> {
    const { id } = this.#settings
    if (!this.#isRunning) return
    this.#noteConnection()
    try {
      await this.change((table) => withBeat(table, id))
    } catch (error) {
      // Told by `reachable`; the next beat tries again. A record that cannot be read is as good as none.
      if (!(error instanceof StoreUnavailableError)) this.#unreachable(error)
    }
  }

  /** What comes later than this was not sent before it, as long as the connection stays up. */
  #noteConnection(): void {
    const { clock, connection } = this.#settings
    if (connection === undefined) return
    const atMs = clock.monotonic()
    const hasAll = connection.isSettled() && this.hasBeenAwakeSince(atMs)
    if (this.#isIn && hasAll) this.#whenConnected = { table: this.#table, atMs }
  }

  /** Takes this process out, as well as it goes, and ends the beats. */
  async leave(): Promise<void> {
    this.#whenConnected = undefined
    await this.#leave()
  }

  async #leave(): Promise<void> {
    if (!this.#isRunning) return
    const { id } = this.#settings
    this.#cancelBeat?.()
    try {
      await this.change((table) => (table.members[id] === undefined ? table : withLeaver(table, id)))
    } finally {
      this.#isRunning = false
      this.#isIn = false
      this.#quiet.notAlone()
      this.#leaseBegan = never
      this.#lastTold = noTable
      this.#ownQuietEpoch = -1
      this.#cancelBeat?.()
    }
  }

  async #giveUp(afterMs: number): Promise<StoreUnavailableError> {
    await this.#leave().catch(() => undefined)
    return new StoreUnavailableError(`The others have not answered within ${afterMs} ms`, 'unknown')
  }

  get #views(): readonly Table[] {
    return this.#coming === undefined ? [this.#table] : [this.#table, this.#coming]
  }

  async #write(next: (table: Table) => Table): Promise<Table> {
    const { store, key, id, leaseMs, flows } = this.#settings
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const began = this.#now
      // Whoever stood still has not looked at the others meanwhile.
      if (began.monotonicMs - this.#lastBeatMs > leaseMs) this.#sightings.clear()
      const found = await this.#ask('Reading who is there', 'no', () => store.entry(key))
      const current = found === undefined ? noTable : readTable(key, found.value)
      // In a store that has lost its records, the numbers begin anew.
      if (current.epoch < this.#ownQuietEpoch) this.#ownQuietEpoch = -1
      if (current.quietEpoch !== this.#ownQuietEpoch) this.#othersQuietEpoch = current.quietEpoch
      if (this.#isIn && current.members[id] === undefined) return this.#takenOut(current)
      if (current.epoch > this.#table.epoch) this.#coming = current
      const dead = this.#deadIn(current, began.monotonicMs)
      const alive = dead.length === 0 ? current : withoutDead(current, dead, id)
      if (dead.length > 0) this.#quiet.afterDeath()
      const asked = next(alive)
      const pins = isAloneIn(asked, id) ? [] : (flows?.keys ?? [])
      const wanted = withPins(asked, id, pins)
      const isDue = this.#quiet.isDue && this.#isAbreast && this.#wasAlone
      const isQuieter = isDue && wanted.members[id] !== undefined && isAloneIn(wanted, id)
      const unclaimed = this.#unclaimed
      const table = withBeat(isQuieter || unclaimed > this.#unclaimedTold ? withQuiet(wanted) : wanted, id)
      // What it says is so for the others as soon as it lands, also when this process never hears of that.
      const coming = this.#coming
      if (table.epoch > current.epoch) this.#coming = table
      const written = await this.#ask('Writing who is there', 'unknown', () =>
        store.compareAndSet(key, found?.version, table),
      )
      // One that can be read and not written is out.
      if (!this.#isStoreUp) {
        this.#storeBackMs = this.#settings.clock.monotonic()
        this.#hooks.reachable((this.#isStoreUp = true), undefined)
      }
      if (written === undefined) {
        this.#coming = coming
        continue
      }
      this.#lastBeatMs = began.monotonicMs
      this.#leaseBegan = began
      const { owner, share } = this.#table
      // Of one that had everything, all pins of the others are known: whoever agreed wrote them in the same record. Unless it had agreed
      // before, and its answer was lost.
      const hasHeardAll = current.members[id]?.beat === this.#table.members[id]?.beat
      const ownedAll = this.#isIn && hasHeardAll && owner === id && share === null && isAgreed(this.#table, id)
      const areKnown = ownedAll || arePinsKnown(table, id)
      this.#knownPins = new Set(areKnown ? pins : pins.filter((key) => this.#knownPins.has(key)))
      this.#actBy(table)
      if (isQuieter) this.#quiet.begin()
      if (table.quietEpoch !== current.quietEpoch) this.#ownQuietEpoch = table.quietEpoch
      this.#unclaimedTold = unclaimed
      return table
    }
    throw this.#unreachable(new StoreUnavailableError(`The table under "${key}" was taken ${maxAttempts} times`, 'no'))
  }

  #actBy(table: Table): void {
    const { id, clock } = this.#settings
    const before = this.#table
    const wasSettled = this.#isSettled
    const wasAlone = this.#wasAlone
    this.#table = table
    this.#coming = undefined
    this.#notePinsGone(before, table)
    if (!wasAlone || !isAloneIn(table, id)) {
      this.#aloneSinceMs = clock.monotonic()
      this.#quiet.notAlone()
    }
    const isNews = !wasSettled || table.ownerEpoch !== before.ownerEpoch
    if (this.#isSettled && isNews) this.#servingSinceMs = clock.monotonic()
    const dead = diedBetween(before, table)
    if (dead.length > 0) this.#quiet.afterDeath()
    if (!this.#isIn) return
    if (dead.length > 0) this.#hooks.died(dead, before)
    this.#agreed(before)
  }

  #notePinsGone(before: Table, table: Table): void {
    const { id, clock, leaseMs } = this.#settings
    const nowMs = clock.monotonic()
    for (const [key, goneMs] of this.#endedElsewhere) if (nowMs - goneMs >= leaseMs) this.#endedElsewhere.delete(key)
    for (const [other, { pins = [] }] of Object.entries(before.members)) {
      if (other === id) continue
      for (const key of pins) if (pinnedIn(table, key) !== other) this.#endedElsewhere.set(key, nowMs)
    }
  }

  /** Who goes while this process stands still, or was out, has been there until now, as far as this one can tell. */
  get #wasAlone(): boolean {
    const { id } = this.#settings
    return this.#table === noTable || (this.#table.members[id] !== undefined && isAloneIn(this.#table, id))
  }

  #takenOut(current: Table): Table {
    const { since: before } = this.arrivalsOf(undefined)
    const silentMs = this.#sinceMs(this.#leaseBegan)
    this.#knownPins = new Set()
    this.#isIn = false
    this.#quiet.notAlone()
    this.#leaseBegan = never
    this.#table = current
    this.#coming = undefined
    this.#hooks.lost(before, silentMs)
    return current
  }

  /**
   * Those who have stood at one beat for too long, on the clock of this process.
   *
   * @param beganMs - when it was begun to read this table
   */
  #deadIn(table: Table, beganMs: number): string[] {
    const { id, clock, leaseMs } = this.#settings
    const nowMs = clock.monotonic()
    const lookedMs = this.#lookedMs
    this.#lookedMs = beganMs
    const dead: string[] = []
    for (const [other, { beat }] of Object.entries(table.members)) {
      if (other === id) continue
      const seen = this.#sightings.get(other)
      if (seen?.beat !== beat) {
        const [writtenAfterMs, begunAfterMs] =
          seen === undefined ? [-Infinity, -Infinity] : [lookedMs, seen.writtenAfterMs]
        this.#sightings.set(other, { beat, sinceMs: nowMs, writtenAfterMs, begunAfterMs })
      } else if (nowMs - seen.sinceMs >= leaseMs * 1.5) dead.push(other)
    }
    for (const other of this.#sightings.keys()) if (table.members[other] === undefined) this.#sightings.delete(other)
    return dead
  }

  async #ask<T>(what: string, applied: 'no' | 'unknown', run: () => Promise<T>): Promise<T> {
    const { clock, storeTimeoutMs } = this.#settings
    const timedOut = (): Error => new Error(`no answer within ${storeTimeoutMs} ms`)
    for (;;) {
      const beganMs = clock.monotonic()
      this.#noteAwake()
      try {
        return await withDeadline(run, storeTimeoutMs, clock, timedOut)
      } catch (error) {
        // What took much longer than its deadline says that this process stood still, and nothing about the store.
        if (applied === 'no' && clock.monotonic() - beganMs >= 1.5 * storeTimeoutMs) continue
        const cause = error instanceof Error ? error : new Error(String(error))
        throw this.#unreachable(new StoreUnavailableError(what, applied, cause))
      } finally {
        this.#noteAwake()
      }
    }
  }

  #unreachable<Failure>(error: Failure): Failure {
    const { leaseMs, storeTimeoutMs } = this.#settings
    const wasUp = this.#isStoreUp
    // The lease may run out in the very attempt that fails, which has two answers to wait for.
    this.#isConfirmed = wasUp ? this.#sinceMs(this.#leaseBegan) < leaseMs + storeTimeoutMs * 2 : this.isConfirmed
    this.#lastFailure = this.#now
    // Nobody could give a sign of life meanwhile, as far as this process knows.
    this.#sightings.clear()
    if (!wasUp) return error
    this.#storeOutMs = this.#settings.clock.monotonic()
    this.#hooks.reachable((this.#isStoreUp = false), error)
    return error
  }

  get #now(): Moment {
    const { clock } = this.#settings
    return { monotonicMs: clock.monotonic(), wallMs: clock.now() }
  }

  /** By whichever clock more time has passed. */
  #sinceMs({ monotonicMs, wallMs }: Moment): number {
    const now = this.#now
    return Math.max(now.monotonicMs - monotonicMs, now.wallMs - wallMs)
  }

  #schedule(): void {
    if (!this.#isRunning) return
    this.#cancelBeat?.()
    this.#cancelBeat = this.#settings.clock.after(this.#settings.heartbeatMs, () => {
      void this.beat().then(() => this.#schedule())
    })
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#settings.clock.after(ms, resolve))
  }
}
