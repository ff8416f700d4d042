import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { EventEmitter } from 'eventemitter3'
import type { Labels } from './alert.js'
import { Burials, type BurialsHost } from './burials.js'
import type { AlertsComponent, AlertsStatus, Condition } from './channel-health.js'
import { ChannelQueue, type QueueHost } from './channel-queue.js'
import { consoleChannel } from './channels/console-channel.js'
import { afterRunning } from './deadline.js'
import { Desk, type DeskHost } from './desk.js'
import { EarlyCalls } from './early-calls.js'
import { type AlertsEvents, Announcer, deadNews, deliveredNews, warn } from './events.js'
import { Flushes } from './flushes.js'
import { type AlertInput, Intake, type ReportOptions, type TakenIn } from './intake.js'
import { Ledger, type SpoolRecord, type Totals } from './ledger.js'
import { type AlertsOptions, resolveOptions, type ResolvedOptions } from './options.js'
import type { Clock, NewsSource } from './ports.js'
import { RaisedAlert, type RaisedAlertHost } from './raised-alert.js'
import { type Redact, redactor } from './redact.js'
import { restore } from './restore.js'
import { requireSilence, type Silence, type SilenceInput } from './silences.js'
import { DeadLetters } from './spool/dead-letters.js'
import { type Found, type Kept, Spool, type SpoolState } from './spool/spool.js'
import { SourceNames } from './source-names.js'
import { StatusBoard } from './status-board.js'
import { SteadyTime } from './steady-time.js'
import { systemClock } from './system-clock.js'
import { systemRandom } from './system-random.js'
import { UrgencyHold } from './urgency-hold.js'
import { follow, type Meaning, requireSources } from './watch.js'

/** How {@link Alerts.flush} waits. */
export interface FlushOptions {
  /**
   * Milliseconds after which it waits no more.
   *
   * @defaultValue 10_000
   */
  readonly timeoutMs?: number
}

/** What {@link Alerts.flush} uses when its options leave it open. */
export const flushDefaults: Required<FlushOptions> = { timeoutMs: 10_000 }

/** How a {@link Alerts.flush} ended. */
export interface Flushed {
  /** How many of the alerts that were pending when it began still are. */
  readonly pending: number
}

/** What became of all alerts. `accepted` is the sum of the other numbers. */
export interface Accounting extends Readonly<Totals> {
  /** Waiting for a channel. */
  readonly pending: number
}

/** What the parts of alerts need of one another. */
type AlertsHost = BurialsHost & DeskHost & QueueHost

/**
 * Tells people what is wrong: once, through a channel that works.
 *
 * @remarks
 * An alert is known by its name and labels. When it begins people are told; what happens again is counted, and told in
 * short later. Everything that is to be told is in the spool, a file, before anybody is promised anything, and stays
 * there until a channel confirms it. So it survives a crash, a channel that is down, and one that asks for a pause.
 *
 * *Gotchas*: until {@link Alerts.start} nothing is sent and nothing is on the disk; what is raised waits in memory. A
 * message whose answer was lost is sent again with the same key: most receivers show it twice.
 *
 * @example
 * ```ts
 * import { Alerts } from '@evenkeel/alerts'
 *
 * const alerts = new Alerts({
 *   channels: { ops: { send: async ({ notices }) => console.log(notices.map(({ name }) => name).join()) } },
 *   path: 'data/alerts',
 * })
 * await alerts.start()
 * const alert = alerts.fire({ name: 'database down', severity: 'CRITICAL', message: 'connection refused' })
 * await alerts.flush()
 * // => database down
 * console.log(alert.isFiring, alerts.accounting.delivered) // => true 1
 * await alerts.stop()
 * ```
 */
export class Alerts<Name extends string = string> extends EventEmitter<AlertsEvents> {
  readonly #clock: Clock
  readonly #time: SteadyTime
  readonly #options: ResolvedOptions
  readonly #redact: Redact
  readonly #intake: Intake
  readonly #desk: Desk
  readonly #burials: Burials
  readonly #queues = new Map<string, ChannelQueue>()
  readonly #board: StatusBoard
  readonly #early = new EarlyCalls()
  readonly #sourceNames = new SourceNames()
  readonly #announcer = new Announcer()
  readonly #flushes: Flushes
  readonly #urgency: UrgencyHold
  /** Which channel's code is running: an alert that it raises must not come back to it. */
  readonly #sending = new AsyncLocalStorage<string | undefined>()
  readonly #handles: RaisedAlertHost
  readonly #id = randomUUID()
  #ledger = new Ledger()
  /** The disk does not know all that the ledger does, since it failed at the last stop. */
  #isAhead = false
  #spool: Spool | undefined
  #deadLetters: DeadLetters | undefined
  #life: 'stopped' | 'running' = 'stopped'
  #turn: Promise<void> = Promise.resolve()

  /**
   * Validates, and does nothing else.
   *
   * @param options - the channels, the routes, and the directory of the spool
   * @throws TypeError when a channel, a route or the path is missing or wrong, or an option does not exist
   * @throws RangeError when a duration or a count is out of range
   */
  constructor(options: AlertsOptions<Name>) {
    super()
    this.#options = resolveOptions(options, consoleChannel())
    this.#clock = options.clock ?? systemClock
    this.#time = new SteadyTime(this.#clock)
    this.#redact = redactor([...this.#options.channels.values()].flatMap((channel) => channel.secrets?.() ?? []))
    this.#intake = new Intake(this.#redact)
    this.#flushes = new Flushes(this.#clock)
    this.#urgency = new UrgencyHold(this.#clock, this.#options.drainTimeoutMs)
    this.#board = new StatusBoard({
      channels: () => [...this.#queues].map(([name, { condition }]) => [name, condition] as const),
      now: () => this.#clock.now(),
      // A listener that raises an alert because a channel is dead must not raise it to that channel.
      tell: (news) =>
        this.#announcer.announce(() =>
          this.#sending.run(this.#queues.has(news.what) ? news.what : undefined, () => this.emit('change', news)),
        ),
    })
    const host = this.#host(options.random ?? systemRandom)
    this.#burials = new Burials(host)
    this.#desk = new Desk(host)
    for (const [name, channel] of this.#options.channels) this.#queues.set(name, new ChannelQueue(name, channel, host))
    this.#handles = {
      state: (key) => this.#ledger.states.get(key),
      resolve: (key, message) => this.#resolve(key, message),
      stored: () => this.#stored(),
    }
  }

  /** Whether people can be told: `down` when no channel works, `degraded` when one does not, or the disk does not. */
  get status(): AlertsStatus {
    return this.#board.status
  }

  /** Every channel, and `spool`, as it is now. A snapshot: read it again for news. */
  get components(): ReadonlyMap<string, AlertsComponent> {
    return this.#board.components
  }

  /**
   * What became of all alerts, over restarts too: every one is delivered, merged into what people know, silenced, in
   * the dead-letter file, pending, or lost because there was too much and no disk.
   */
  get accounting(): Accounting {
    return { ...this.#ledger.totals, pending: this.#ledger.pending.size }
  }

  /** The silences that hold now. */
  get silences(): readonly Silence[] {
    const nowMs = this.#time.ms()
    const all = [...this.#ledger.silences.values(), ...this.#early.silences]
    return all.filter(({ until }) => until > nowMs)
  }

  /**
   * Takes the spool, and begins to send: first what an earlier process left. Does nothing when it has begun already.
   * A disk that fails does not keep it from beginning: alerts are in memory until it works, and people are told that.
   *
   * @throws {@link SpoolLockedError} when another process has the spool
   * @throws {@link SpoolFormatError} when a newer version wrote it
   */
  start(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#life === 'running') return
      await this.#begin()
    })
  }

  /**
   * Raises an alert. When it is raised already it is counted, and people are not told again, unless it has become more
   * urgent.
   *
   * @param input - the alert
   * @returns follows the alert
   * @throws TypeError when it is no alert
   */
  fire(input: AlertInput): RaisedAlert {
    return this.#occur(this.#intake.alert(input))
  }

  /**
   * Tells of an error: once, however often it is thrown. Errors are the same when their class, their code and the place
   * where they were thrown are.
   *
   * @param error - anything that can be thrown
   * @param options - how urgent it is, and what it is about
   * @returns follows the alert
   * @throws TypeError when an option is wrong; never because of the error
   */
  report(error: unknown, options: ReportOptions = {}): RaisedAlert {
    return this.#occur(this.#intake.error(error, options))
  }

  /**
   * Ends an alert.
   *
   * @param name - its name
   * @param labels - its labels, all of them
   * @param message - what people are told; without it, what it last said
   * @returns whether it had begun
   */
  resolve(name: string, labels?: AlertInput['labels'], message?: string): boolean {
    return this.#resolve(this.#intake.key(name, labels), message)
  }

  /**
   * Asks for quiet about some alerts. When it is over people are told what began or became more urgent meanwhile and still
   * goes on, and what ended that they had heard of.
   *
   * @param input - which alerts, for how long, why, and who asks
   * @returns the silence, with the id that ends it early
   * @throws TypeError when something is missing; RangeError when `forMs` is not above 0 and finite
   */
  silence(input: SilenceInput): Silence {
    const { matching, forMs, why, by } = requireSilence(input)
    const until = this.#time.ms() + forMs
    const silence: Silence = {
      id: randomUUID(),
      matching: this.#intake.matching(matching),
      until,
      why: this.#redact(why),
      by: this.#redact(by),
    }
    if (this.#life === 'running') this.#desk.silence(silence)
    else this.#early.silence(silence)
    return silence
  }

  /**
   * Ends a silence. What it held back and still goes on is told now.
   *
   * @param id - of {@link Silence}
   * @returns whether there was one
   */
  unsilence(id: string): boolean {
    if (this.#life !== 'running') return this.#early.unsilence(id) || this.#ledger.silences.has(id)
    return this.#sending.run(undefined, () => this.#desk.unsilence(id))
  }

  /**
   * Follows parts by their `change`: bad news begins an alert with the name `what` and the labels `component` and
   * `source`, good news ends it. What is wrong already is told at once. Of parts with the same name, or without one and of
   * the same class, each but the first has a number after it, in the order in which they are watched.
   *
   * @param sources - monitors, storages, flags, modes, anything with `change`
   * @returns ceases to follow; may be called twice
   * @throws TypeError when a part has no events, or is these alerts themselves
   */
  watch(...sources: readonly NewsSource[]): () => void {
    requireSources(sources, this)
    const offs = sources.map((source, index) => {
      const name = this.#sourceNames.take(source, index)
      const off = follow(source, (meaning, isNews) => this.#learn(meaning, name, isNews))
      return () => {
        off()
        this.#sourceNames.release(name)
      }
    })
    return () => {
      for (const off of offs.splice(0)) off()
    }
  }

  /**
   * Sends at once what waits, and waits until all of it is settled. Keeps the process alive meanwhile.
   *
   * @param options - how long to wait
   * @returns how many of the alerts that were pending still are
   */
  async flush(options: FlushOptions = {}): Promise<Flushed> {
    const { timeoutMs = flushDefaults.timeoutMs } = options
    if (!(timeoutMs >= 0)) throw new RangeError('Alerts.flush: timeoutMs must be milliseconds from 0')
    const ids = [...this.#ledger.pending.keys()]
    const left = (): number => ids.filter((id) => this.#ledger.pending.has(id)).length
    if (this.#life !== 'running' || ids.length === 0) return { pending: left() }
    this.#sending.run(undefined, () => {
      for (const queue of this.#queues.values()) queue.hurry()
    })
    await this.#flushes.until(() => left() === 0, timeoutMs)
    return { pending: left() }
  }

  /** As {@link Alerts.flush} within `drainTimeoutMs`: for `runUntilSignal`. */
  async drain(): Promise<void> {
    await this.flush({ timeoutMs: this.#options.drainTimeoutMs })
  }

  /** Stops sending, and lets go of the spool. What is pending is sent by the next process. May be called twice. */
  stop(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#life !== 'running') return
      this.#life = 'stopped'
      await Promise.all([...this.#queues.values()].map((queue) => queue.stop()))
      await this.#burials.stop()
      this.#desk.stop()
      const kept = (await this.#spool?.close()) ?? 'memory'
      this.#isAhead = kept === 'memory'
      this.#urgency.release()
      this.#flushes.stop()
      const { size } = this.#ledger.pending
      if (kept === 'memory' && size > 0) {
        warn(
          'EVENKEEL_ALERTS_LOST',
          `Alerts were stopped with ${size} that nobody was told of, and they are on no disk`,
        )
      }
    })
  }

  /** As {@link Alerts.stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #begin(): Promise<void> {
    const { path } = this.#options
    let found: Found | undefined
    if (path !== false) {
      const spool = new Spool(
        path,
        this.#id,
        this.#clock,
        () => this.#ledger.records(),
        (state) => this.#onSpool(state),
        (late) => this.#adopt(late),
      )
      found = await spool.open()
      this.#takeUp(found)
      this.#spool = spool
      this.#deadLetters = new DeadLetters(path)
      await spool.begin()
    }
    this.#life = 'running'
    if (this.#spool === undefined)
      this.#board.setSpool('degraded', 'alerts are in memory only, as path: false asks for')
    else this.#onSpool(this.#spool.state)
    if (found !== undefined) this.#tellOfDamage(found)
    this.#moveFromVanishedChannels()
    this.#catchUp()
    this.#desk.lookAtAll()
    for (const queue of this.#queues.values()) queue.start()
  }

  /** What came in while nothing was running. */
  #catchUp(): void {
    const { calls, lost } = this.#early.take()
    for (const call of calls) {
      if (call.does === 'occur') this.#desk.occur(call.taken, call.times)
      else if (call.does === 'resolve') this.#desk.resolve(call.key, call.message)
      else if (call.does === 'silence') this.#desk.silence(call.silence)
      else this.#desk.unsilence(call.id)
    }
    if (lost === 0) return
    this.#desk.lose(lost)
    warn('EVENKEEL_ALERTS_LOST', `${lost} alerts are lost: too many were raised before Alerts were started`)
  }

  /** What another process left counts. What we wrote ourselves before a stop is what we know, or less. */
  #takeUp({ records, writer }: Found): void {
    if (writer === this.#id || records.length === 0) return
    const earlier = restore(records, this.#time.ms(), this.#options)
    if (this.#isAhead) this.#ledger.adopt(earlier)
    else this.#ledger = earlier
  }

  /** What an earlier process left could be read only now that the disk works. */
  #adopt(found: Found): void {
    // What we wrote ourselves before a stop is what we know, or less.
    if (found.writer !== this.#id) this.#ledger.adopt(restore(found.records, this.#time.ms(), this.#options))
    this.#tellOfDamage(found)
    this.#moveFromVanishedChannels()
    this.#desk.lookAtAll()
    for (const queue of this.#queues.values()) queue.poke()
  }

  #tellOfDamage({ damaged, quarantine }: Found): void {
    if (quarantine === undefined) return
    const message = `${damaged} damaged lines of the spool were set aside in ${quarantine}; alerts may be missing`
    this.#self('alert spool was damaged', {}, message, undefined, false)
  }

  /** A channel that was taken out of the options gets nothing any more; the fallback does. */
  #moveFromVanishedChannels(): void {
    const { fallback } = this.#options
    for (const channel of this.#ledger.channels.filter((name) => !this.#queues.has(name))) {
      for (const { id } of this.#ledger.messages(channel)) this.#record({ type: 'settled', channel, message: id })
      const ids = [...this.#ledger.waiting(channel)]
      for (const id of ids) {
        if (this.#ledger.pending.get(id)?.about === fallback) continue
        this.#record({ type: 'also', notice: id, channel: fallback })
      }
      this.#burials.bury(channel, ids, 'there is no channel of that name any more')
    }
  }

  #occur(taken: TakenIn): RaisedAlert {
    const about = this.#sending.getStore()
    const full = about === undefined ? taken : { ...taken, about }
    if (this.#life !== 'running') this.#early.occur(full)
    // What this sets off, timers above all, must not take the channel for the one that raises it.
    else if (about !== undefined) this.#sending.run(undefined, () => this.#desk.occur(full))
    else this.#desk.occur(full)
    return new RaisedAlert(full, this.#handles)
  }

  #resolve(key: string, message: string | undefined): boolean {
    const clean = message === undefined ? undefined : this.#intake.message(message)
    if (this.#life !== 'running') {
      const hasBegun = this.#ledger.states.get(key)?.status === 'firing'
      return this.#early.resolve(key, clean) || hasBegun
    }
    return this.#sending.run(undefined, () => this.#desk.resolve(key, clean))
  }

  async #stored(): Promise<Kept> {
    if (this.#life !== 'running' || this.#spool === undefined) return 'memory'
    this.#desk.writeChanged()
    return this.#spool.sync()
  }

  #learn(meaning: Meaning, source: string, isNews: boolean): void {
    const { name, component, message } = meaning
    const labels = this.#intake.labels('Alerts.watch', { component, source })
    if (meaning.does === 'fire') {
      this.#occur(this.#intake.take(name, meaning.severity, message, labels, true))
    } else if (!this.resolve(name, labels, message) && isNews && this.#options.watchInfo) {
      this.#occur(this.#intake.take(name, 'INFO', message, labels, false))
    }
  }

  /** An alert about ourselves. */
  #self(name: string, labels: Labels, message: string, about: string | undefined, isLasting = true): void {
    const taken = this.#intake.take(name, 'CRITICAL', message, labels, isLasting, about)
    this.#sending.run(undefined, () => this.#desk.occur(taken))
  }

  #host(random: () => number): AlertsHost {
    const ledger = (): Ledger => this.#ledger
    const burials = (): Burials => this.#burials
    return {
      options: this.#options,
      get ledger() {
        return ledger()
      },
      get burials() {
        return burials()
      },
      record: (record) => this.#record(record),
      sync: () => this.#spool?.sync() ?? Promise.resolve('memory'),
      steadyMs: () => this.#time.ms(),
      now: () => this.#clock.now(),
      after: (delayMs, run) => this.#clock.after(delayMs, () => this.#sending.run(undefined, run)),
      afterRunning: (delayMs, run) => afterRunning(this.#clock, delayMs, () => this.#sending.run(undefined, run)),
      random,
      newId: () => randomUUID(),
      redact: (text) => this.#redact(text),
      within: (channel, run) => this.#sending.run(channel, run),
      isDown: (channel) => this.#queues.get(channel)?.condition.status === 'down',
      writeLetters: (letters) => this.#deadLetters?.write(letters) ?? Promise.resolve(),
      onNotice: (notice, channels) => {
        if (notice.severity === 'CRITICAL') this.#urgency.hold()
        for (const channel of channels) this.#queues.get(channel)?.nudge()
      },
      onCondition: (channel, before, after) => this.#onCondition(channel, before, after),
      onDelivered: (channel, message) => {
        const news = deliveredNews(channel, message, this.#clock.now())
        this.#announcer.announce(() => this.#sending.run(channel, () => this.emit('delivered', news)))
      },
      onBuried: (burial) => {
        const news = deadNews(burial, this.#clock.now())
        this.#announcer.announce(() => this.emit('dead', news))
      },
      onMoved: () => {
        this.#flushes.look()
        for (const queue of this.#queues.values()) queue.poke()
        this.#urgency.look(this.#ledger)
      },
    }
  }

  #record(record: SpoolRecord): void {
    this.#ledger.apply(record)
    this.#spool?.append(record)
  }

  #onCondition(channel: string, before: Condition, after: Condition): void {
    this.#board.tell(channel, before.status, after.status, after.reason)
    const labels = { channel }
    if (after.status === 'down') {
      this.#self('alert channel down', labels, `Alerts cannot reach channel ${channel}: ${after.reason}`, channel)
    } else if (after.status === 'up') {
      this.#resolve(this.#intake.key('alert channel down', labels), `Channel ${channel} works again.`)
    }
  }

  #onSpool({ kept, reason }: SpoolState): void {
    // What is found before the beginning is looked at when it has begun, so that it can be told.
    if (this.#life !== 'running' || !this.#board.setSpool(kept === 'disk' ? 'up' : 'down', reason)) return
    const name = 'alert spool not writable'
    if (kept === 'memory') this.#self(name, {}, `Alerts are not safe from a crash: ${reason}`, undefined)
    else this.#resolve(this.#intake.key(name, {}), 'Alerts are written to disk again.')
  }

  /** A start waits for the stop before it, and a stop for the start. */
  #inTurn(run: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(run)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}
