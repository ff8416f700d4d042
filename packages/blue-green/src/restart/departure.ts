import type { Pins } from '../pins/pins.js'
import { withDeadline } from '../deadline.js'
import { warn } from '../warn.js'
import type { Connection } from './connection.js'
import type { Desk } from './desk.js'
import type { Membership } from './membership.js'
import type { RestartNews } from './news.js'
import type { RestartSettings } from './options.js'
import { hasPart, successorOf, withoutService } from './table.js'
import { handedOver } from './take-over.js'

/** How `drain` is to wait. */
export interface RestartDrainOptions {
  /** How long at most, in ms; `drainMs` of the constructor unless given. */
  readonly timeoutMs?: number | undefined
  /** Ends the wait early, with a rejection. */
  readonly signal?: AbortSignal | undefined
}

/** What `drain` found. */
export interface RestartDrained {
  /** Whether every handler has ended, that of an event which was being claimed, too. */
  readonly drained: boolean
  /** How many have not. */
  readonly running: number
  /** How many flows had not been released. Where another process owns the events they had time to, and those that may move were moved. */
  readonly flows: number
  /** Whether another process owns the events now. */
  readonly isHandedOver: boolean
  /** What the option `isConnected` says now. Where this has waited for it in vain, a `stop` does not wait once more. */
  readonly isConnected: boolean
}

/** What has a part in it when a process goes. */
export interface DepartureParts {
  readonly settings: RestartSettings
  readonly connection: Connection
  readonly membership: Membership
  readonly desk: Desk
  readonly pins: Pins
  readonly news: RestartNews
  /** The process, as the others know it. */
  readonly process: {
    /** Whether it was started, and not stopped since. */
    isIn(): boolean
    /** Whether it was taken out, and comes back. */
    isRejoining(): boolean
    /** It is none of those who own something any more. */
    stops(): void
    /** Waits for so long, or until it is stopped. */
    pause(ms: number, signal?: AbortSignal): Promise<void>
  }
}

/** How a process goes: it gives away what is its own, and looks after what comes to it until the others are known to live. */
export class Departure {
  readonly #parts: DepartureParts
  /** Others who can serve were there when this process stopped. */
  #isLeft = false
  /** It is about to go, and looks after what comes until the others are known to live. */
  #isLeaving = false
  /** One of the others has died since this was last asked. */
  #hasDied = false
  /** What the last drain has told of as left behind. */
  #told: ReadonlySet<Promise<unknown>> | undefined
  /** It has ended its client, and nothing comes any more. */
  #hasEnded = false
  /** Drains that wait for flows; aborted when this process has events again. */
  #flowsWait: AbortController | undefined

  constructor(parts: DepartureParts) {
    this.#parts = parts
  }

  /** Whether what comes to a process that is stopped is for others, who can serve. */
  get isLeft(): boolean {
    return this.#isLeft
  }

  /** Whether a process that stops looks after what comes still. */
  get isLeaving(): boolean {
    return this.#isLeaving
  }

  /** Whether another process owns the events. */
  get isHandedOver(): boolean {
    const { membership, settings } = this.#parts
    const { table } = membership
    return table.owner !== null && table.members[table.owner] !== undefined && !hasPart(table, settings.id)
  }

  /** A new life of this process. */
  started(): void {
    this.#isLeft = this.#hasEnded = false
    this.#told = undefined
  }

  /** One of the others has died. */
  died(): void {
    this.#hasDied = true
  }

  /** This process has events again. */
  tookBack(): void {
    this.#flowsWait?.abort()
    this.#flowsWait = undefined
  }

  /** @throws the reason of the signal when it is aborted */
  async drain(timeoutMs: number, signal: AbortSignal | undefined): Promise<RestartDrained> {
    const { settings, connection, membership, pins, process } = this.#parts
    const { clock, heartbeatMs, version } = settings
    signal?.throwIfAborted()
    const endsMs = clock.monotonic() + timeoutMs
    const isOver = (): boolean => clock.monotonic() >= endsMs || signal?.aborted === true
    while (process.isIn() && !this.isHandedOver && !membership.isAlone && !isOver()) {
      const isSharing = membership.isServing && !membership.isOwner
      if (this.#hasHeir || isSharing) await this.#handOver(endsMs - clock.monotonic(), signal)
      if (!this.isHandedOver) await process.pause(Math.min(heartbeatMs, 100), signal)
    }
    await this.#reconnected(endsMs, signal)
    // They begin handlers, so they come first.
    const flows = this.isHandedOver ? await this.#flowsEnded(endsMs, signal) : pins.countsOf(version).held
    const left = await this.#ended(Math.max(1, endsMs - clock.monotonic()), signal)
    signal?.throwIfAborted()
    const isConnected = connection.isSettled()
    return { drained: left === 0, running: left, flows, isHandedOver: this.isHandedOver, isConnected }
  }

  /** Leaves the others. Never rejects. */
  async stop(): Promise<void> {
    const { settings, connection, membership, desk, pins, news, process } = this.#parts
    const { clock, keepMs, leaseMs, drainMs, version } = settings
    const before = this.#told ?? new Set(desk.running)
    const connectedByMs = clock.monotonic() + drainMs
    if (connection.isAwaited()) await this.#stay(connectedByMs)
    // Nobody else handles what comes until then.
    const isLast = membership.isAlone || (membership.isServing && !this.#hasHeir)
    const isCutOff = isLast && !membership.isAlone && !connection.isSettled()
    if (isCutOff) news.leftUnconnected(false)
    if (isLast) await this.disconnect()
    const { isAlone, isServing, isStoreUp } = membership
    // What is its own it begins no more, and it keeps events for the others until they are known to live.
    this.#isLeaving = !isAlone && (this.#hasHeir || !isServing)
    desk.givesWay = true
    process.stops()
    this.#isLeft = this.#hasHeir
    // What is said by the next beat: the flows of this process are nobody's.
    pins.ended(version)
    pins.died(version)
    if (this.#hasHeir && !this.isHandedOver && isStoreUp) await this.#handOver(Infinity)
    // It may be given the events once more, by one that goes, too.
    desk.givesWay = !this.isHandedOver
    const endsMs = clock.monotonic() + 2 * (keepMs + leaseMs) + drainMs
    await this.#lookAfter(before, endsMs, connectedByMs)
    if (!isAlone && !isCutOff && !this.#hasEnded && !connection.isSettled()) news.leftUnconnected(this.#isLeaving)
    if (!this.#hasEnded) await this.#lastLook(endsMs)
    this.#isLeaving = false
    this.#isLeft = this.#hasHeir
    if (!membership.isAlone) await this.#claimed()
    desk.forget()
    await membership.leave().catch(() => undefined)
  }

  /** Ends the connection, once in each life of this process. Never rejects. */
  async disconnect(): Promise<void> {
    const { clock, drainMs, disconnect } = this.#parts.settings
    if (disconnect === undefined || this.#hasEnded) return
    this.#hasEnded = true
    const timedOut = (): Error => new Error(`it has not ended within ${drainMs} ms`)
    try {
      await withDeadline(async () => disconnect(), drainMs, clock, timedOut)
    } catch (error) {
      warn('EVENKEEL_DISCONNECT', 'disconnect failed, and this process stops all the same', error)
    }
  }

  /**
   * Waits for the connection, unless the events are this process's again. Whoever owns them may have logged in after it went down, and what was
   * sent in between waits in the session of this process alone.
   */
  async #reconnected(endsMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { settings, connection, news, process } = this.#parts
    const atMostMs = endsMs - settings.clock.monotonic()
    const isToWait = (): boolean => process.isIn() && this.isHandedOver && !connection.isSettled()
    if (atMostMs <= 0 || !isToWait()) return
    news.awaitsConnection(atMostMs)
    await this.#while(isToWait, atMostMs, signal)
    if (isToWait() && signal?.aborted !== true) connection.giveUp()
  }

  /** Gives away what is this process's, and waits until whoever is to have it knows of that, or should. */
  async #handOver(atMostMs: number, signal?: AbortSignal): Promise<void> {
    const { settings, membership, process } = this.#parts
    const { id, clock, heartbeatMs, storeTimeoutMs } = settings
    const endsMs = clock.monotonic() + Math.min(atMostMs, heartbeatMs + storeTimeoutMs)
    await membership.change((table) => handedOver(table, id)).catch(() => undefined)
    const isOver = (): boolean => clock.monotonic() >= endsMs || signal?.aborted === true
    while (this.isHandedOver && !membership.isHandedOver && !isOver()) {
      await process.pause(Math.min(heartbeatMs / 10, 50, endsMs - clock.monotonic()), signal)
      await membership.beat()
    }
  }

  /** Waits for the flows that may move, and moves the rest; resolves with how many had not ended. */
  async #flowsEnded(endsMs: number, signal: AbortSignal | undefined): Promise<number> {
    const { settings, membership, pins } = this.#parts
    const { version, clock } = settings
    const wait = (this.#flowsWait ??= new AbortController())
    const ends = signal === undefined ? wait.signal : AbortSignal.any([wait.signal, signal])
    const moved = await pins.drained(version, Math.max(1, endsMs - clock.monotonic()), ends)
    if (signal?.aborted !== true && !membership.isAlone) await membership.beat()
    return moved + pins.countsOf(version).held
  }

  /** Waits for the handlers that run now, and for what is being claimed now; resolves with how many events that leaves. */
  async #ended(timeoutMs: number, signal: AbortSignal | undefined): Promise<number> {
    const { settings, desk, process } = this.#parts
    const { clock } = settings
    const endsMs = clock.monotonic() + timeoutMs
    const claiming = desk.claiming
    const unclaimed = (): readonly string[] => claiming.filter((eventId) => desk.isClaiming(eventId))
    await this.#while(() => unclaimed().length > 0, timeoutMs, signal)
    const calls = desk.running
    const pauseMs = Math.max(1, endsMs - clock.monotonic())
    if (calls.length > 0) await Promise.race([Promise.allSettled(calls), process.pause(pauseMs, signal)])
    const left = calls.filter((call) => desk.isRunning(call))
    this.#told = new Set(left)
    return left.length + unclaimed().length
  }

  /**
   * Waits for the connection as one of the others still, and mostly as `standby`: it may be taken out meanwhile, and come back, and then has to find out
   * who has begun what had waited in its session.
   */
  async #stay(endsMs: number): Promise<void> {
    const { settings, connection, membership, desk, news, process } = this.#parts
    const { clock, heartbeatMs, keepMs } = settings
    // Who has just taken over is not known here yet.
    await membership.beat()
    if (membership.isAlone || !this.#hasHeir) return
    news.awaitsConnection(endsMs - clock.monotonic())
    const isOpen = (): boolean => process.isRejoining() || desk.isInDoubt || !connection.isSettled()
    do {
      while (isOpen() && clock.monotonic() < endsMs) {
        // It may be given the events once more, by one that goes or dies, too.
        if (this.#hasHeir && !this.isHandedOver && membership.isStoreUp) await this.#handOver(Infinity)
        await process.pause(Math.min(heartbeatMs, 50))
      }
      desk.decideNow()
      const { claiming } = desk
      await this.#while(() => claiming.some((eventId) => desk.isClaiming(eventId)), 2 * keepMs)
    } while (isOpen() && clock.monotonic() < endsMs)
    if (!connection.isSettled()) connection.giveUp()
  }

  /** Ends the connection. What came until then may be with one that died in this very moment, so it is looked after once more. */
  async #lastLook(endsMs: number): Promise<void> {
    const { settings, membership, desk } = this.#parts
    const { id, clock, heartbeatMs, keepMs, leaseMs, disconnect } = settings
    if (disconnect === undefined) return
    // Nobody is to give it the events once more.
    await membership.change((table) => withoutService(table, id)).catch(() => undefined)
    // What runs now was waited for in vain.
    const before = new Set(desk.running)
    desk.open()
    await this.disconnect()
    // Handlers need the client, as a rule, so the others have their time to claim what came last.
    await this.#while(() => desk.isWaiting, heartbeatMs)
    await this.#lookAfter(before, Math.max(endsMs, clock.monotonic() + 2 * (keepMs + leaseMs)), -Infinity)
  }

  /**
   * The events of the last moments may have come to this process alone: what nobody has claimed, it handles. And a claim that is being
   * written is this process's to run, for the others leave the event to it. Another process that went may have given it its events
   * once more after it had drained. And whoever has claimed what is kept here may be dead, and nobody know it yet. Last, the
   * connection may go only now.
   *
   * @param before - the handlers that are not waited for
   * @param endsMs - until when the others are
   * @param connectedByMs - until when the connection is
   */
  async #lookAfter(before: ReadonlySet<Promise<unknown>>, endsMs: number, connectedByMs: number): Promise<void> {
    const { settings, connection, desk } = this.#parts
    const { clock, keepMs, leaseMs, drainMs } = settings
    const leftMs = (): number => Math.min(drainMs, endsMs - clock.monotonic())
    let claiming: readonly string[] = []
    // Of a busy bot something is claimed at any time.
    const isClaiming = (): boolean => claiming.some((eventId) => desk.isClaiming(eventId))
    const isBusy = (): boolean => isClaiming() || desk.running.some((call) => !before.has(call))
    const isSilent = await this.#silence()
    const mayWait = (): boolean => this.#isLeaving && !this.#hasEnded && clock.monotonic() < connectedByMs
    const isAwaited = (): boolean => mayWait() && connection.isAwaited()
    let wasCutOff: boolean
    do {
      this.#hasDied = false
      desk.open()
      desk.decideNow()
      if (isAwaited()) {
        await this.#while(isAwaited, drainMs)
        desk.decideNow()
      }
      const sinceMs = clock.monotonic()
      claiming = desk.claiming
      await this.#while(isClaiming, 2 * keepMs)
      await this.#while(isBusy, leftMs())
      await this.#while(isSilent, 2 * leaseMs)
      // Meanwhile the events may have been given to this process. The others have got what comes from here on.
      desk.close()
      claiming = desk.claiming
      await this.#while(isClaiming, 2 * keepMs)
      await this.#while(isBusy, leftMs())
      // Unless the connection went meanwhile, which a client may notice late, and came back.
      wasCutOff = mayWait() && connection.wasCutOffSince(sinceMs)
    } while ((this.#hasDied || isBusy() || wasCutOff) && clock.monotonic() < endsMs)
  }

  /** Whether one of those who have what is kept here has given no sign of life of late, and since this was asked. */
  async #silence(): Promise<() => boolean> {
    const { settings, membership, desk } = this.#parts
    const { id, clock, heartbeatMs } = settings
    // What is read first may have been written long before.
    if (!membership.isAlone) await membership.beat()
    const askedMs = clock.monotonic()
    const isSilent = (other: string): boolean => {
      if (other === id || membership.table.members[other] === undefined) return false
      const heardMs = membership.heardMs(other)
      return heardMs <= askedMs || clock.monotonic() - heardMs > 3 * heartbeatMs
    }
    return () => membership.isStoreUp && [...desk.claimants].some(isSilent)
  }

  /** Waits until what ran here without a claim has one, as far as the store answers. */
  async #claimed(): Promise<void> {
    const { settings, desk, process } = this.#parts
    const caughtUp = new AbortController()
    void desk.catchUp().then(() => caughtUp.abort())
    await process.pause(2 * settings.keepMs, caughtUp.signal)
  }

  async #while(isSo: () => boolean, atMostMs: number, signal?: AbortSignal): Promise<void> {
    const { settings, connection, process } = this.#parts
    const { clock, heartbeatMs } = settings
    const endsMs = clock.monotonic() + atMostMs
    while (isSo() && clock.monotonic() < endsMs && signal?.aborted !== true) {
      await process.pause(Math.min(heartbeatMs, 50), signal)
      connection.look()
    }
  }

  /** Whether someone else can serve. One that has just come is not logged in yet. */
  get #hasHeir(): boolean {
    return successorOf(this.#parts.membership.table, this.#parts.settings.id) !== undefined
  }
}
