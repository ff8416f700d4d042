import { EventEmitter } from 'eventemitter3'
import { readDuration, requireKnown } from '../checked-options.js'
import { PinnedElsewhereError } from '../pins/errors.js'
import { Pins, type Pin, type PinCounts, type PinOptions } from '../pins/pins.js'
import { holdProcess } from '../system-clock.js'
import { warn } from '../warn.js'
import { Connection } from './connection.js'
import { Departure, type DepartureParts, type RestartDrained, type RestartDrainOptions } from './departure.js'
import { Desk } from './desk.js'
import { NotStartedError, TakeOverError } from './errors.js'
import type { RestartEvents } from './events.js'
import { Membership } from './membership.js'
import { RestartNews } from './news.js'
import { readRestartOptions, type GaplessRestartOptions, type RestartSettings } from './options.js'
import type { Table } from './records.js'
import { hasPart, isOwnerFor } from './table.js'
import { missed, out, readAsked, takenOver, type Asked, type TakeOverOptions } from './take-over.js'

/** All there is to know at one moment. */
export interface RestartStatus {
  /**
   * `owner` handles the events, but for those that a process which is `sharing` has in its place; `standby` takes over what they
   * leave; `joining` and `stopped` handle nothing, but for what comes to a `stop()` that looks after it still.
   */
  readonly role: 'stopped' | 'joining' | 'owner' | 'sharing' | 'standby'
  /** How many percent of the guilds are this process's, apart from those that were named. What is on its way here is not in it. */
  readonly percentage: number
  /** The version that owns the events, as far as this process knows. */
  readonly ownerVersion: string | undefined
  /** Goes up with each owner and with each change of a share, and may leave numbers out; 0 before `start()`. */
  readonly epoch: number
  /** The versions of all processes that share the token, this one too. */
  readonly versions: readonly string[]
  /** Whether the store answered last. */
  readonly store: 'up' | 'down'
  /** Handlers that run now. */
  readonly running: number
  /** Events that another process has or should have, kept in case that one dies. */
  readonly kept: number
  /** Further copies of events that came to this process, and were not handled. */
  readonly duplicates: number
  /** Events that their owner did not claim in time, handled here. */
  readonly takenOver: number
  /** Events of a process that died with them, run once more here; and those that ran here, and elsewhere too, as the store was out. */
  readonly repeated: number
  /** Events handled without a claim, as the store was out of reach. */
  readonly unclaimed: number
  /**
   * Events let go without knowing that another process has them: the store was out of reach, or this process stood still, or the others had
   * taken it for dead, and they may have been handled without claims, or their claims have expired; or this process stopped while they waited; or an
   * event without an id came while its guild moved here. And those that ran here without a claim, and never got one.
   */
  readonly undecided: number
  /** The flows that are pinned here. */
  readonly pins: PinCounts
}

/**
 * A restart without a gap: the new process of a bot starts beside the old one, on the same token, and takes over when it is ready.
 *
 * @remarks
 * The chat platform sends each event to both. One process owns the events and claims each in the store before it handles it; the
 * other keeps a copy for `keepMs`, and handles what nobody has claimed by then. When the owner dies, the other one owns the events after one
 * and a half leases, and takes up what the dead one had not finished, as `effects` says. Alone, a process handles events at once and
 * writes no claims, but for `redoMs` after a death.
 *
 * *Gotchas*: await `start()` before you log in: what comes earlier is refused. An event without an id (`eventId: null`) cannot be claimed, so
 * only the owner of its guild handles it. It is lost if that one dies, and may be lost while its guild moves, which `status.undecided` counts.
 *
 * @example
 * ```ts
 * import { GaplessRestart } from '@evenkeel/blue-green/restart'
 * import { MemoryStorage } from '@evenkeel/storage-adapter'
 *
 * const storage = new MemoryStorage() // a bot uses SqliteStorage, which both of its processes open
 * await storage.start()
 * const bot = (version: string) =>
 *   new GaplessRestart({
 *     version,
 *     handle: async (id: string) => `${id} from ${version}`,
 *     context: (id) => ({ eventId: id }),
 *     effects: 'keyed',
 *     store: storage.collection('evenkeel'),
 *     scope: 'process',
 *     heartbeatMs: 20,
 *     leaseMs: 2_000,
 *   })
 * const [before, after] = [bot('v1'), bot('v2')]
 * await before.start() // then log in
 * console.log(await before.handle('1')) // => 1 from v1
 * await after.start() // then log in
 * await after.takeOver()
 * before.handle('2').catch(console.error) // the platform sends each event to both: this resolves undefined
 * console.log(await after.handle('2')) // => 2 from v2
 * await before.drain()
 * await before.stop()
 * await after.stop()
 * await storage.stop()
 * ```
 */
export class GaplessRestart<Event = unknown, Answer = unknown> extends EventEmitter<RestartEvents> {
  readonly #settings: RestartSettings
  readonly #connection: Connection
  readonly #membership: Membership
  readonly #desk: Desk
  readonly #pins: Pins
  readonly #news: RestartNews
  readonly #departure: Departure
  #role: 'stopped' | 'joining' | 'in' = 'stopped'
  /** Starts and stops, one after the other. */
  #life: Promise<unknown> = Promise.resolve()
  /** Those who wait for what the table says. */
  readonly #waits = new Set<() => void>()
  #owner: string | undefined
  #hasOwned = false
  #isRejoining = false
  #cancelBake: (() => void) | undefined
  /** Whether a sign of life is to tell of pins, and whether one is under way. */
  #isToTell = false
  #isTelling = false

  /**
   * Checks the options and does nothing else.
   *
   * @param options - the version, the handler, and where the processes meet
   * @throws TypeError or RangeError that names the option, its value, and what would do
   */
  constructor(options: GaplessRestartOptions<Event, Answer>) {
    super()
    this.#settings = readRestartOptions(options)
    const { store, name, id, version, clock, heartbeatMs, leaseMs, redoMs, storeTimeoutMs, maxPins } = this.#settings
    this.#connection = new Connection({ isConnected: this.#settings.isConnected, clock, graceMs: heartbeatMs })
    this.#news = new RestartNews(clock, (event, news) => this.#emit(event, news))
    this.#pins = new Pins({ clock, maxPins })
    // Nothing begins before the start.
    this.#pins.ended(version)
    const key = `restart:${name}`
    const joinTimeoutMs = leaseMs * 3 + storeTimeoutMs * 2
    this.#membership = new Membership(
      {
        store,
        key,
        id,
        version,
        clock,
        heartbeatMs,
        leaseMs,
        redoMs,
        storeTimeoutMs,
        joinTimeoutMs,
        flows: this.#pins,
        connection: this.#connection,
        claimMs: this.#settings.claimMs,
      },
      {
        agreed: (table, before) => this.#agreed(table, before),
        died: (ids, before) => this.#died(ids, before),
        lost: (before, silentMs) => this.#lost(before, silentMs),
        reachable: (isUp, error) => this.#news.store(isUp, error),
      },
    )
    this.#desk = new Desk(this.#settings, this.#membership, {
      repeated: (...news) => this.#news.repeated(...news),
      unfinished: (...news) => this.#news.unfinished(...news),
      undecided: (...news) => this.#news.undecided(...news),
    })
    const process: DepartureParts['process'] = {
      isIn: () => this.#role === 'in',
      isRejoining: () => this.#isRejoining,
      stops: () => {
        this.#role = 'stopped'
        this.#cancelBake?.()
      },
      pause: (ms, signal) => this.#pause(ms, signal),
    }
    const [settings, connection, membership, desk] = [this.#settings, this.#connection, this.#membership, this.#desk]
    this.#departure = new Departure({
      settings,
      connection,
      membership,
      desk,
      pins: this.#pins,
      news: this.#news,
      process,
    })
  }

  /** Where everything is now: a snapshot. */
  get status(): RestartStatus {
    const { table, isAlone, percentage, isStoreUp } = this.#membership
    const role = this.#role === 'in' ? this.#roleIn : this.#role
    return {
      role,
      percentage: role === 'owner' && isAlone ? 100 : role === 'owner' || role === 'sharing' ? percentage : 0,
      ownerVersion: table.owner === null ? undefined : table.members[table.owner]?.version,
      epoch: table.ownerEpoch,
      versions: Object.values(table.members).map(({ version }) => version),
      store: isStoreUp ? 'up' : 'down',
      kept: this.#desk.kept,
      ...this.#desk.counts,
      pins: this.#pins.countsOf(this.#settings.version),
    }
  }

  /**
   * Comes beside those who are there. Alone, this process owns the events; otherwise the others know of it when this resolves, and
   * claim what they handle.
   *
   * @throws {@link StoreUnavailableError} when the store, or a process that is there, does not answer; you may call again
   * @throws {@link StateFormatError} when the record was written by a newer release, or by something else
   */
  start(): Promise<void> {
    return this.#next(async () => {
      if (this.#role !== 'stopped') return
      this.#role = 'joining'
      this.#hasOwned = false
      this.#departure.started()
      try {
        await this.#membership.join()
      } catch (error) {
        this.#role = 'stopped'
        throw error
      }
    })
  }

  /** It is one of them, before anyone is told. */
  #enter(): void {
    this.#role = 'in'
    this.#pins.keep(this.#settings.version)
    this.#desk.resume()
  }

  /**
   * Takes an event as it comes. Every process that receives it passes it here; one of them handles it.
   *
   * @param event - whatever the handler takes
   * @returns settles as the handler does where it runs here, resolves `undefined` when another process has the event
   * @throws {@link NotStartedError}, as a rejection, before `start()` has resolved, and after a `stop()` that left
   * nobody behind who can serve; nothing ran
   * @throws TypeError or RangeError, as a rejection, when `context` returns what is no context; nothing ran
   */
  async handle(event: Event): Promise<Answer | undefined> {
    if (this.#role !== 'in' && !this.#departure.isLeaving) {
      // Until the client is destroyed, events still come here, and to the others.
      if (this.#departure.isLeft) return undefined
      throw new NotStartedError(this.#settings.version)
    }
    return (await this.#desk.handle(event as never)) as Answer | undefined
  }

  /**
   * Owns the events from now on, or those of a share of the guilds; resolves when no other process begins one of them any more. Call it
   * when the client is ready. Called in the old process, it takes all back. Whoever becomes the owner while it waits for a share has all, which
   * is no failure.
   *
   * @param options - `why`, how long to wait, and the share
   * @throws {@link TakeOverError} when this process was not started, or is stopped; when another one took over meanwhile, or the others did not
   * agree in time; when the owner asks for a share, for the others take one, or gives all away and nobody else is ready; when another process has a share
   * @throws RangeError or TypeError that names the option and its value
   * @throws {@link StoreUnavailableError} when the store does not answer
   */
  takeOver(options: TakeOverOptions = {}): Promise<void> {
    return whileHeld(() => this.#takeOver(options))
  }

  async #takeOver(options: TakeOverOptions): Promise<void> {
    requireKnown('takeOver', options, ['why', 'timeoutMs', 'percentage', 'first'])
    const { id, version, clock, heartbeatMs, leaseMs } = this.#settings
    const { timeoutMs = leaseMs * 3 } = options
    readDuration('timeoutMs', timeoutMs)
    const asked = readAsked(options, this.#membership.isOwner)
    const endsMs = clock.monotonic() + timeoutMs
    if (this.#role !== 'in') throw new TakeOverError(version, 'it was not started', 'Await start() first')
    if (asked.part !== 'all' && this.#membership.isAlone) return
    let { ownerEpoch: epoch } = this.#membership.table
    let isHeard = false
    while (!isHeard || !this.#hasTaken(asked)) {
      const { table } = this.#membership
      const isMine = asked.part === 'all' ? table.owner === id : hasPart(table, id)
      if (this.#role !== 'in') throw missed(version, 'it was stopped meanwhile')
      if (table.ownerEpoch > epoch && !isMine) throw missed(version, 'another process took over meanwhile')
      if (clock.monotonic() >= endsMs)
        throw isHeard ? missed(version, `the others have not agreed in ${timeoutMs} ms`) : out(version)
      if (!isHeard && !this.#isRejoining) {
        const found = await this.#membership.change((current) => takenOver(current, id, version, asked))
        // The others had taken it out: nothing was changed, and it asks when it is back.
        isHeard = found.members[id] !== undefined
        if (isHeard) epoch = found.ownerEpoch
      } else {
        await this.#pause(Math.min(heartbeatMs / 10, 50))
        await this.#membership.beat()
      }
    }
  }

  #hasTaken({ part }: Asked): boolean {
    const { isServing, isAgreed, isOwner } = this.#membership
    return part === 'none' || (isAgreed && (part === 'all' ? isOwner : isServing))
  }

  /**
   * Gives the events to another process, if one is there and ready, and waits until every handler here has ended. Events that come meanwhile
   * are handled as ever: where there is no other process, here. A process that has just started is waited for until it is ready, and a connection
   * that is down, by the option `isConnected`, until it is up.
   *
   * @param options - a deadline and a signal
   * @throws the reason of the signal when it is aborted
   * @throws RangeError or TypeError that names the option and its value
   */
  drain(options: RestartDrainOptions = {}): Promise<RestartDrained> {
    return whileHeld(() => this.#drain(options))
  }

  async #drain(options: RestartDrainOptions): Promise<RestartDrained> {
    requireKnown('drain', options, ['timeoutMs', 'signal'])
    const { timeoutMs = this.#settings.drainMs, signal } = options
    readDuration('timeoutMs', timeoutMs)
    return this.#departure.drain(timeoutMs, signal)
  }

  /**
   * Keeps a flow of several events in this process, where it began: a collector of discord.js, a wizard, the follow-ups of an answer, a
   * voice connection. While it is pinned, this process handles the events whose `context` gives the same key as `pin`, whoever owns
   * the events, until it is released, at the latest after `maxMs`. A `drain` waits for it and then moves it, unless it `stays`; a `stop`, or the death of
   * this process, moves all.
   *
   * *Gotchas*: what another process has to know of it travels with the next two signs of life. So pin a flow before its first button is seen: of one that is pinned
   * after another process took over, an event that comes within a second may be handled there, once. An event without an id goes by its guild.
   *
   * @param key - what its events have in common, 200 characters at most
   * @param options - what kind of flow it is, and how long it may take
   * @returns to be released when the flow is over; its `signal` says when it must end. Moved at once where this process is stopped
   * @throws {@link PinnedElsewhereError} when the key is pinned by another process
   * @throws TypeError or RangeError when the key or an option is wrong
   *
   * @example
   * ```ts
   * import { GaplessRestart } from '@evenkeel/blue-green/restart'
   * import { MemoryStorage } from '@evenkeel/storage-adapter'
   *
   * const storage = new MemoryStorage()
   * await storage.start()
   * const restart = new GaplessRestart({
   *   version: 'v1',
   *   handle: (press: { id: string; messageId: string }) => `${press.id} of ${press.messageId}`,
   *   context: (press) => ({ eventId: press.id, pin: press.messageId }),
   *   effects: 'keyed',
   *   store: storage.collection('evenkeel'),
   *   scope: 'process',
   * })
   * await restart.start()
   * const pin = restart.pin('7', { kind: 'collector', maxMs: 60_000 }) // the collector of message 7
   * pin.signal.addEventListener('abort', () => console.log('collector.stop()'))
   * console.log(restart.status.pins.collector) // => 1
   * pin.release() // when the collector has ended
   * await restart.stop()
   * await storage.stop()
   * ```
   */
  pin(key: string, options?: PinOptions): Pin {
    const { id, version } = this.#settings
    if (typeof key === 'string' && key.length > maxKeyLength) {
      throw new RangeError(`the key of a pin has ${key.length} characters, more than ${maxKeyLength}`)
    }
    const at = typeof key === 'string' ? this.#membership.pinnedAt(key) : undefined
    if (at !== undefined && at !== id) {
      throw new PinnedElsewhereError(key, version, this.#membership.table.members[at]?.version ?? at)
    }
    const pin = this.#pins.pin(version, key, options)
    const { isAlone, isOwner } = this.#membership
    // Whoever owns the events has nobody who needs to know at once.
    if (!isAlone && !isOwner && pin.state === 'held') void this.#tellOfPins()
    return pin
  }

  /** One sign of life tells of all that was pinned until it begins. */
  async #tellOfPins(): Promise<void> {
    this.#isToTell = true
    if (this.#isTelling) return
    this.#isTelling = true
    while (this.#isToTell) {
      this.#isToTell = false
      await this.#membership.beat()
    }
    this.#isTelling = false
  }

  /**
   * Leaves the others, who own the events from now on, and begins nothing more. The client is ended by the option `disconnect`; what comes until then is looked after. Without
   * it, end the client next: what comes until then is theirs.
   *
   * @remarks
   * What is its own it gives away first, unless a `drain` has. Before it goes it waits for a sign of life of whoever has claimed what this process
   * keeps, for what comes back to it after a `drain`, and for its connection, by the option `isConnected`. If an owner has died and nobody knows it yet, that takes one and a half `leaseMs`,
   * and what that one had begun runs here. Handlers that run already are not waited for: that is what `drain` does.
   */
  stop(): Promise<void> {
    return this.#next(async () => {
      if (this.#role === 'stopped') return this.#departure.disconnect()
      await this.#departure.stop()
      for (const wake of this.#waits) wake()
    })
  }

  /** The same as {@link GaplessRestart.stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  get #roleIn(): 'owner' | 'sharing' | 'standby' {
    const { isOwner, isAlone, isServing } = this.#membership
    return isOwner || isAlone ? 'owner' : isServing ? 'sharing' : 'standby'
  }

  #next(step: () => Promise<void>): Promise<void> {
    const done = whileHeld(() => this.#life.then(step))
    this.#life = done.catch(() => undefined)
    return done
  }

  #pause(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = (): void => {
        cancel()
        this.#waits.delete(wake)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      const cancel = this.#settings.clock.after(ms, wake)
      this.#waits.add(wake)
      signal?.addEventListener('abort', wake, { once: true })
    })
  }

  #agreed(table: Table, before: Table): void {
    if (this.#role === 'joining') this.#enter()
    // Another process pinned it in the same moment, and came before this one.
    for (const key of this.#pins.keys) if (this.#membership.pinnedAt(key) !== this.#settings.id) this.#pins.lose(key)
    if (this.#role === 'in' && !this.#departure.isHandedOver) {
      this.#pins.keep(this.#settings.version)
      this.#departure.tookBack()
    }
    this.#desk.reconsider()
    this.#news.members(table, before)
    const isShared = table.owner === before.owner && (table.share ?? before.share) !== null
    if (isShared && table.ownerEpoch !== before.ownerEpoch) this.#news.share(table, before)
    else if (table.owner !== before.owner || table.ownerEpoch !== before.ownerEpoch) this.#ownerIs(table, before)
  }

  #ownerIs(table: Table, before: Table): void {
    const { id, bakeMs, clock } = this.#settings
    this.#cancelBake?.()
    this.#owner = table.owner ?? undefined
    this.#news.owner(table, before, table.owner === id)
    if (table.owner === id) this.#hasOwned = true
    if (table.owner === null || table.owner === id || !this.#hasOwned || this.#role === 'stopped') return
    const heir = table.owner
    this.#cancelBake = clock.after(bakeMs, () => this.#awaitSign(heir, this.#membership.table.members[heir]?.beat))
  }

  /** It has had its time. Whether it still lives, its next sign of life says: it may have died a moment ago. */
  #awaitSign(heir: string, lastBeat: number | undefined): void {
    const { version, clock, heartbeatMs, bakeMs } = this.#settings
    const { table, isStoreUp } = this.#membership
    if (this.#owner !== heir || this.#role !== 'in') return
    const isAlive = isStoreUp && (table.members[heir]?.beat ?? 0) > (lastBeat ?? Infinity)
    if (isAlive && isOwnerFor(table, heir))
      return this.#news.replaced(version, table.members[heir]?.version ?? '', bakeMs)
    this.#cancelBake = clock.after(heartbeatMs, () => this.#awaitSign(heir, lastBeat))
  }

  #died(ids: readonly string[], before: Table): void {
    this.#news.died(ids, before)
    this.#departure.died()
    this.#desk.died(ids)
  }

  /** The others took this process for dead: it stood still, or did not reach the store. It comes anew. */
  #lost(before: Table, silentMs: number): void {
    if (this.#role !== 'in') return
    const { claimMs, leaseMs } = this.#settings
    // Of what the others claimed long ago, the store tells no more.
    this.#desk.pause(before, silentMs + 2 * leaseMs < claimMs)
    this.#news.out()
    if (!this.#isRejoining) void this.#rejoin(before)
  }

  /** One at a time: a process may be taken out once more while it comes back. */
  async #rejoin(before: Table): Promise<void> {
    this.#isRejoining = true
    while (this.#role === 'in' && !(await this.#isBack(before))) await this.#pause(this.#settings.heartbeatMs)
    this.#isRejoining = false
    if (this.#role !== 'in') return
    this.#desk.resume()
    this.#news.back()
  }

  async #isBack(before: Table): Promise<boolean> {
    try {
      if (!this.#membership.isIn) await this.#membership.join()
      // Whoever was there was alone for long, and has left no claims. The copies that the two get lie no further apart than this.
      const { keepMs, leaseMs } = this.#settings
      const pauseMs = this.#membership.isAlone ? keepMs : leaseMs
      if (!this.#membership.hasClaimsSince(before)) await this.#pause(pauseMs)
      // It may have slept through the pause, and been taken out meanwhile.
      if (!this.#membership.holdsLease) await this.#membership.beat()
      return this.#membership.isIn && this.#membership.holdsLease
    } catch {
      return false
    }
  }

  #emit<Name extends keyof RestartEvents>(name: Name, news: RestartEvents[Name][0]): void {
    try {
      // Of a union of names, the emitter's types cannot work out the arguments.
      ;(this as EventEmitter).emit(name, news)
    } catch (error) {
      warn('EVENKEEL_LISTENER', `A listener of "${name}" threw; those registered after it missed the event`, error)
    }
  }
}

/** Each key of a pin is in a record that is written at every beat. */
const maxKeyLength = 200

/** Somebody awaits what has a deadline, while nothing else may keep the process alive: not yet, or not any more. */
async function whileHeld<T>(run: () => Promise<T>): Promise<T> {
  const letGo = holdProcess()
  try {
    return await run()
  } finally {
    letGo()
  }
}
