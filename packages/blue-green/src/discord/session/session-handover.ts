import { EventEmitter } from 'eventemitter3'
import { readDuration, requireMethods } from '../../checked-options.js'
import { readContext } from '../../context.js'
import { StoreUnavailableError } from '../../errors.js'
import type { EventOfTheDead } from '../../restart/events.js'
import { Membership } from '../../restart/membership.js'
import type { Table } from '../../restart/records.js'
import { withOwner } from '../../restart/table.js'
import { holdProcess } from '../../system-clock.js'
import { warn } from '../../warn.js'
import type { GatewayDispatch } from '../context-of.js'
import { SessionHeldError } from './errors.js'
import type { SessionChange, SessionHandoverEvents } from './events.js'
import { readSessionOptions, type SessionHandoverOptions, type SessionSettings } from './options.js'
import type { GatewayManager, SessionInfo } from './ports.js'
import { SessionBook } from './session-book.js'
import { SessionDesk } from './session-desk.js'

/** With 1000 and 1001 a client says goodbye, and its session is over; after any other code it can be resumed. */
const resumableCode = 4_200
/** How long Discord has to answer the close of a connection; then it is taken for closed, and a RESUME ends it for certain. */
const closeTimeoutMs = 1_000
/** How often the next process looks whether the one before has let go, in ms. */
const lookMs = 20

// Why a start ends without the session.
const wasOvertaken = 'another process has asked for it since'
const wasStopped = 'it was stopped meanwhile'
const stoodStill = 'this process stood still, and the others went on'

/** How far the events of a session are. */
export interface SessionProgress {
  /** The number of the last event that came. */
  readonly received: number
  /** Up to this number everything is done: from here the next process goes on. */
  readonly done: number
  /** How many have come and are not done. */
  readonly open: number
}

/** All there is to know at one moment. */
export interface SessionHandoverStatus {
  /**
   * `owner` has the sessions; `joining` waits for them; `closing` has given them up and ends what it had begun; `out` stood still for so
   * long that another process went on.
   */
  readonly role: 'stopped' | 'joining' | 'owner' | 'closing' | 'out'
  /** By shard. */
  readonly sessions: ReadonlyMap<number, SessionProgress>
  /** Whether the store answered last. */
  readonly store: 'up' | 'down'
  /** Handlers that run now. */
  readonly running: number
  /** Events that came again and were done before. */
  readonly duplicates: number
  /** Events of a process that died with them, run once more here. */
  readonly repeated: number
  /** Events handled without a claim, as the store was out of reach. */
  readonly unclaimed: number
}

/** How `drain` is to wait. */
export interface SessionDrainOptions {
  /** How long at most, in ms; `drainMs` of the constructor unless given. */
  readonly timeoutMs?: number | undefined
}

/** What `drain` found. */
export interface SessionDrained {
  /** Whether every handler has ended. */
  readonly drained: boolean
  /** How many have not. */
  readonly running: number
}

/**
 * Hands the session with Discord from one process of a bot to the next: the new one resumes it, and Discord sends what came meanwhile.
 * For a bot whose gateway is a `WebSocketManager` of `@discordjs/ws`; discord.js 14 keeps its session to itself.
 *
 * @remarks
 * One process has the session at a time. The next one starts beside it and asks for it; the owner closes its connection with a code that
 * leaves the session alive, and writes down up to which event everything is done. The next one resumes there, so it also gets what the old
 * one is still at work on: such an event has been claimed, and stays where it began. An event that is done is dropped. What a process had
 * begun when it was killed runs once more, as `effects` says, and is reported. RESUME costs none of the day's identifies.
 *
 * *Gotchas*: a resumed session brings no READY and no guilds, so what the old process knew of them the new one has to fetch. Events of one guild
 * may be begun out of order: each waits for its own claim.
 *
 * @example
 * ```ts
 * import { SessionHandover } from '@evenkeel/blue-green/discord'
 * import { MemoryStorage } from '@evenkeel/storage-adapter'
 *
 * const storage = new MemoryStorage() // a bot uses SqliteStorage, which both of its processes open
 * const handover = new SessionHandover({
 *   version: '1.4.0',
 *   handle: async ({ t }) => console.log(t),
 *   onError: console.error,
 *   effects: 'keyed',
 *   store: storage.collection('evenkeel'),
 *   scope: 'process',
 * })
 * // const { retrieveSessionInfo, updateSessionInfo } = handover
 * // const manager = new WebSocketManager({ token, intents, rest, retrieveSessionInfo, updateSessionInfo })
 * const manager = { on: () => {}, connect: async () => {}, destroy: async () => {} }
 * await handover.start(manager) // resumes the session that the process before has left, or begins one
 * console.log(handover.status.role) // => owner
 * await handover.stop() // leaves the session for the next process
 * await storage.stop()
 * ```
 */
export class SessionHandover<
  Dispatch extends GatewayDispatch = GatewayDispatch,
> extends EventEmitter<SessionHandoverEvents> {
  readonly #settings: SessionSettings
  readonly #membership: Membership
  readonly #book: SessionBook
  readonly #desk: SessionDesk
  #role: SessionHandoverStatus['role'] = 'stopped'
  #manager: GatewayManager | undefined
  /** Managers that tell this of their events. */
  readonly #heard = new WeakSet<GatewayManager>()
  /** Starts and stops, one after the other. */
  #life: Promise<unknown> = Promise.resolve()
  /** Settles when the connections are closed and the sessions are given up. */
  #closing: Promise<void> | undefined
  #cancelWrite: (() => void) | undefined
  /** Ends a start that waits for the gateway, for that may never answer. */
  #endStart: ((why: SessionHeldError) => void) | undefined
  /** While the store is asked whether the others have gone on without this process. */
  #asking: Promise<void> | undefined

  /**
   * Checks the options and does nothing else.
   *
   * @param options - the version, the handler, and where the processes meet
   * @throws TypeError or RangeError that names the option, its value, and what would do
   */
  constructor(options: SessionHandoverOptions<Dispatch>) {
    super()
    this.#settings = readSessionOptions(options)
    const { store, name, id, version, clock, heartbeatMs, leaseMs, storeTimeoutMs } = this.#settings
    const joinTimeoutMs = leaseMs * 3 + storeTimeoutMs * 2
    this.#membership = new Membership(
      {
        store,
        key: `session-members:${name}`,
        id,
        version,
        clock,
        heartbeatMs,
        leaseMs,
        // Every event of a session is claimed, also by one that is alone.
        redoMs: leaseMs,
        storeTimeoutMs,
        joinTimeoutMs,
      },
      {
        agreed: (table) => this.#agreed(table),
        died: () => {},
        lost: () => this.#lost(),
        reachable: (isUp, error) => this.#reachable(isUp, error),
      },
    )
    this.#book = new SessionBook({ store, key: `session:${name}`, id, clock, storeTimeoutMs })
    this.#desk = new SessionDesk(
      this.#settings,
      {
        mayBegin: async () => this.#role === 'owner' && (await this.#isStillIn()) && this.#has('owner'),
        mayRun: async () => (this.#has('owner') || this.#has('closing')) && (await this.#isStillIn()),
        mayServeUnclaimed: () => this.#has('owner') && this.#servesWithoutStore,
        isThere: (other) => this.#membership.table.members[other] !== undefined,
      },
      {
        repeated: (...news) => this.#tellOfTheDead('repeated', ...news),
        unfinished: (eventId, attempt) => this.#tellOfTheDead('unfinished', eventId, attempt, false),
      },
    )
  }

  /** Where everything is now: a snapshot. */
  get status(): SessionHandoverStatus {
    const progress = [...this.#book.marks].map(
      ([shardId, { received, resumable, open }]) => [shardId, { received, done: resumable, open }] as const,
    )
    return {
      role: this.#role,
      sessions: new Map(progress),
      store: this.#membership.isStoreUp ? 'up' : 'down',
      ...this.#desk.counts,
    }
  }

  /**
   * For the options of a `WebSocketManager`: where a connection goes on. It never settles while the session is not this process's, so that
   * a connection of this process cannot take it from another one. The manager asks before each event, so none is answered before an earlier
   * one: an event that overtook another would count for the last that came.
   */
  readonly retrieveSessionInfo = (shardId: number): SessionInfo | null | Promise<SessionInfo | null> => {
    const isSure = this.#asking === undefined && this.#membership.holdsLease
    if (this.#role === 'owner' && isSure) return this.#book.sessionOf(shardId)
    return this.#retrieveLater(shardId)
  }

  /** For the options of a `WebSocketManager`: an event has come, or a session has begun or is over. */
  readonly updateSessionInfo = (shardId: number, info: SessionInfo | null): void | Promise<void> => {
    // To close a connection, whatever the code, the manager forgets the session; the next process is to have it.
    if (this.#role !== 'owner') return
    if (info === null) return this.#sessionLost(shardId)
    if (this.#book.received({ ...info, shardId })) return this.#sessionBegan(shardId)
  }

  /**
   * Asks for the sessions, takes them when the process before has let go, and connects. When it rejects, this process is stopped: what it had
   * begun has ended, or had `drainMs` to.
   *
   * @param manager - the `WebSocketManager` that was made with {@link SessionHandover.retrieveSessionInfo} and
   * {@link SessionHandover.updateSessionInfo}
   * @throws {@link SessionHeldError} when another process keeps them for `startTimeoutMs`, or asks for them before the connections stand; when
   * `stop` or `drain` is called meanwhile; when this process has given them up, and was not stopped since
   * @throws {@link StoreUnavailableError} when the store does not answer
   * @throws {@link StateFormatError} when a record was written by a newer release, or by something else
   * @throws whatever `connect` of the manager rejects with
   */
  start(manager: GatewayManager): Promise<void> {
    requireMethods('manager', manager, ['on', 'connect', 'destroy'])
    return this.#next(async () => {
      const { version } = this.#settings
      if (this.#role === 'closing') {
        throw new SessionHeldError(version, 'it has given the session up, and was not stopped since')
      }
      if (this.#role === 'out') {
        throw new SessionHeldError(version, 'the others went on without this process, which was not stopped since')
      }
      if (this.#role === 'owner') return
      this.#manager = manager
      this.#listenTo(manager)
      this.#role = 'joining'
      const ended = new Promise<never>((_, reject) => (this.#endStart = reject))
      ended.catch(() => undefined)
      try {
        await this.#membership.join()
        await this.#takeSessions()
        this.#scheduleWrite()
        const left = this.#book.marks
        await Promise.race([ended, manager.connect()])
        const isResumed = [...left].some(([shardId, mark]) => this.#book.markOf(shardId) === mark)
        if (isResumed) this.#tellSession('closed', 'resumed', 'INFO', 'the process before has left it')
      } catch (error) {
        await this.#end()
        throw error
      } finally {
        this.#endStart = undefined
      }
    })
  }

  /**
   * Closes the connections so that the next process can go on, and waits until every handler here has ended. Nothing more is begun.
   *
   * @param options - a deadline
   */
  async drain({ timeoutMs = this.#settings.drainMs }: SessionDrainOptions = {}): Promise<SessionDrained> {
    readDuration('timeoutMs', timeoutMs)
    const letGo = holdProcess()
    try {
      await this.#close()
      await this.#atMost(timeoutMs, Promise.allSettled(this.#desk.underWay))
      const { running } = this.#desk.counts
      return { drained: running === 0, running }
    } finally {
      letGo()
    }
  }

  /** Drains, and leaves the rest to the others. A `start` that is under way rejects. */
  stop(): Promise<void> {
    if (this.#endStart !== undefined) void this.#close()
    return this.#next(async () => {
      if (this.#role !== 'stopped') await this.#end()
    })
  }

  /** The same as {@link SessionHandover.stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #next(step: () => Promise<void>): Promise<void> {
    const letGo = holdProcess()
    const done = this.#life.then(step).finally(letGo)
    this.#life = done.catch(() => undefined)
    return done
  }

  #has(role: SessionHandoverStatus['role']): boolean {
    return this.#role === role
  }

  /** What the store does not answer at once is asked again: this process is one of those that the others know. */
  async #takeSessions(): Promise<void> {
    const { id, version, clock, startTimeoutMs } = this.#settings
    const endsMs = clock.monotonic() + startTimeoutMs
    let wantedEpoch: number | undefined
    let failure: StoreUnavailableError | undefined
    while (clock.monotonic() < endsMs) {
      if (this.#has('out')) throw new SessionHeldError(version, stoodStill)
      if (this.#has('closing')) throw new SessionHeldError(version, wasStopped)
      try {
        wantedEpoch ??= (await this.#membership.change((table) => (table.owner === id ? table : withOwner(table, id))))
          .ownerEpoch
        if (await this.#tryToTake(wantedEpoch)) return
        failure = undefined
      } catch (error) {
        if (!(error instanceof StoreUnavailableError)) throw error
        failure = error
      }
      await this.#pause(lookMs)
      await this.#membership.beat()
    }
    throw failure ?? new SessionHeldError(version, `another process has kept it for ${startTimeoutMs} ms`)
  }

  async #tryToTake(wantedEpoch: number): Promise<boolean> {
    const { id, version } = this.#settings
    const { owner, ownerEpoch, members } = this.#membership.table
    if (ownerEpoch > wantedEpoch && owner !== id) {
      throw new SessionHeldError(version, wasOvertaken)
    }
    if (!this.#membership.isOwner || !(await this.#book.take((by) => members[by] === undefined))) return false
    if (this.#membership.isOwner && this.#has('joining')) this.#role = 'owner'
    // Another process has asked for it while the store was asked, or this one was stopped.
    else await this.#book.write(false).catch(() => false)
    return this.#role === 'owner'
  }

  #listenTo(manager: GatewayManager): void {
    if (this.#heard.has(manager)) return
    this.#heard.add(manager)
    manager.on('dispatch', ({ data, shardId }) => {
      if (this.#manager === manager && this.#role === 'owner') void this.#handle(data, shardId)
    })
  }

  /** An event that is left to the next process stays open here, so that the session is resumed before it. */
  async #handle(dispatch: GatewayDispatch, shardId: number): Promise<void> {
    const mark = this.#book.markOf(shardId)
    mark?.begin(dispatch.s)
    const isDone = await this.#desk.take(this.#idOf(dispatch), dispatch)
    if (isDone) mark?.end(dispatch.s)
  }

  #idOf(dispatch: GatewayDispatch): string | undefined {
    try {
      return readContext(this.#settings.context(dispatch)).eventId
    } catch (error) {
      this.#settings.onError(error, dispatch)
      return undefined
    }
  }

  /** Whether the others cannot have gone on without this process. Asks the store when the lease has run out, once for all who want to know. */
  async #isStillIn(): Promise<boolean> {
    if (this.#hasToAsk) this.#asking ??= this.#ask().finally(() => (this.#asking = undefined))
    await this.#asking
    return this.#membership.isIn
  }

  async #ask(): Promise<void> {
    while (this.#hasToAsk) {
      await this.#membership.beat()
      if (this.#hasToAsk) await this.#pause(this.#settings.heartbeatMs)
    }
  }

  get #hasToAsk(): boolean {
    return this.#membership.isIn && !this.#membership.holdsLease && !this.#servesWithoutStore
  }

  /** The store is out, and was well when this process was last known for the owner. */
  get #servesWithoutStore(): boolean {
    const { isStoreUp, isConfirmed } = this.#membership
    return !isStoreUp && isConfirmed && this.#settings.whenStoreIsOut === 'serve'
  }

  async #retrieveLater(shardId: number): Promise<SessionInfo | null> {
    if (this.#role === 'owner' && (await this.#isStillIn()) && this.#has('owner')) return this.#book.sessionOf(shardId)
    return new Promise(() => {})
  }

  /** Discord keeps a session only for whoever knows it, so it is written down before anything of it is handled. */
  async #sessionBegan(shardId: number): Promise<void> {
    await this.#write()
    this.#tellSession('none', 'new', 'INFO', `shard ${shardId} has identified`)
  }

  #sessionLost(shardId: number): void {
    if (this.#book.markOf(shardId) === undefined) return
    this.#book.forget(shardId)
    const why = `Discord has ended that of shard ${shardId}; what happened until a new one begins is not sent`
    this.#tellSession('open', 'lost', 'WARNING', why)
  }

  #scheduleWrite(): void {
    if (this.#role !== 'owner') return
    this.#cancelWrite = this.#settings.clock.after(this.#settings.heartbeatMs, () => {
      this.#book.giveUpGaps()
      void this.#write().then(() => this.#scheduleWrite())
    })
  }

  /** Whether the store answers is told by the membership; a later write has all that this one would have had. */
  async #write(): Promise<void> {
    if (this.#role === 'owner') await this.#book.write(true).catch(() => undefined)
  }

  /** Once; a second call waits for the first. */
  #close(why = wasStopped): Promise<void> {
    if (this.#role === 'stopped') return Promise.resolve()
    this.#closing ??= this.#closeNow(why)
    return this.#closing
  }

  async #closeNow(why: string): Promise<void> {
    const wasOwner = this.#role === 'owner'
    if (this.#role !== 'out') this.#role = 'closing'
    this.#cancelWrite?.()
    this.#endStart?.(new SessionHeldError(this.#settings.version, why))
    if (!wasOwner) return
    await this.#disconnect('handing the session over')
    await this.#giveUp()
    this.#tellSession('open', 'closed', 'INFO', 'the next process goes on with it')
  }

  /** The next process waits for this: it is written again until the store has it, or this process leaves. */
  async #giveUp(): Promise<void> {
    const { clock, heartbeatMs } = this.#settings
    try {
      await this.#book.write(false)
    } catch {
      if (this.#has('closing')) this.#cancelWrite = clock.after(heartbeatMs, () => void this.#giveUp())
    }
  }

  /** What runs here ends before the others are left, who would take it for that of a dead process. */
  async #end(): Promise<void> {
    await this.drain()
    // What has ended since the connections were closed need not be sent again.
    await this.#book.write(false).catch(() => false)
    await this.#leave()
  }

  async #disconnect(reason: string): Promise<void> {
    const closed = Promise.resolve(this.#manager?.destroy({ code: resumableCode, reason }))
    const heard = closed.catch((error: unknown) => warn('EVENKEEL_GATEWAY', 'The gateway manager did not close', error))
    await this.#atMost(closeTimeoutMs, heard)
  }

  async #leave(): Promise<void> {
    await this.#membership.leave().catch(() => undefined)
    this.#cancelWrite?.()
    this.#role = 'stopped'
    this.#closing = undefined
  }

  #agreed(table: Table): void {
    const { id, version, clock } = this.#settings
    if (this.#role !== 'owner' || table.owner === id || table.owner === null) return
    const to = table.members[table.owner]?.version ?? ''
    void this.#close(wasOvertaken).then(() => {
      const why = `version "${to}" has asked for the session`
      const message = `This process (version "${version}") has given the session up and may go. Why: ${why}.`
      this.#emit('replaced', { what: 'process', from: version, to, at: clock.now(), why, severity: 'INFO', message })
    })
  }

  /** This process stood still, or did not reach the store, and another one went on. What is under way here is repeated there. */
  #lost(): void {
    if (this.#role === 'stopped' || this.#role === 'out') return
    const wasOwner = this.#role === 'owner'
    this.#role = 'out'
    this.#cancelWrite?.()
    this.#endStart?.(new SessionHeldError(this.#settings.version, stoodStill))
    if (wasOwner) void this.#disconnect('another process goes on')
    const why = 'it gave no sign of life for longer than its lease'
    const message = `The others went on without this process: ${why}. Stop it.`
    this.#tell({ what: 'membership', from: 'in', to: 'out', why, severity: 'CRITICAL', message })
  }

  #reachable(isUp: boolean, error: unknown): void {
    const why = isUp ? 'it answers again' : error instanceof StoreUnavailableError ? error.message : String(error)
    const message = isUp
      ? 'The store of the session answers again.'
      : `The store of the session does not answer: ${why}`
    const [from, to] = isUp ? ['down', 'up'] : ['up', 'down']
    this.#tell({ what: 'store', from, to, why, severity: isUp ? 'INFO' : 'CRITICAL', message })
  }

  #tellOfTheDead(to: 'repeated' | 'unfinished', eventId: string, attempt: number, isHarmless: boolean): void {
    const why = 'the process that had claimed it is gone'
    const message =
      to === 'repeated'
        ? `Event ${eventId} runs for the ${attempt}. time, as ${why}.`
        : `Event ${eventId} may be done, half done or not begun, and does not run again (atMostOnce), as ${why}.`
    const news: EventOfTheDead = {
      what: 'event',
      from: 'claimed',
      to,
      eventId,
      attempt,
      at: this.#settings.clock.now(),
      why,
      severity: isHarmless ? 'INFO' : 'WARNING',
      message,
    }
    this.#emit(to, news)
  }

  #tellSession(from: string, to: string, severity: SessionChange['severity'], why: string): void {
    const message = `The session with Discord is ${to}. Why: ${why}.`
    this.#tell({ what: 'session', from, to, why, severity, message })
  }

  #tell(change: Omit<SessionChange, 'at'>): void {
    this.#emit('change', { ...change, at: this.#settings.clock.now() })
  }

  #emit<Name extends keyof SessionHandoverEvents>(name: Name, news: SessionHandoverEvents[Name][0]): void {
    try {
      // Of a union of names, the emitter's types cannot work out the arguments.
      ;(this as EventEmitter).emit(name, news)
    } catch (error) {
      warn('EVENKEEL_LISTENER', `A listener of "${name}" threw; those registered after it missed the event`, error)
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#settings.clock.after(ms, resolve))
  }

  /** Waits for something that never rejects, but not for ever. */
  #atMost(ms: number, settled: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#settings.clock.after(ms, resolve)
      void settled.then(() => {
        cancel()
        resolve()
      })
    })
  }
}
