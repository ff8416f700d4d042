import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { EventEmitter } from 'eventemitter3'
import type { AlertMessage, AlertNotice, Labels } from './alert.js'
import { type AlertsComponent, type AlertsStatus, type Condition, whole } from './channel-health.js'
import { ChannelQueue } from './channel-queue.js'
import { consoleChannel } from './channels/console-channel.js'
import { afterRunning } from './deadline.js'
import { Desk } from './desk.js'
import { EarlyCalls } from './early-calls.js'
import { type AlertsEvents, type AlertsNews, Announcer, sentence, warn } from './events.js'
import { type AlertInput, Intake, type ReportOptions, type TakenIn } from './intake.js'
import { Ledger, type SpoolRecord, type Totals } from './ledger.js'
import { type AlertsOptions, resolveOptions, type ResolvedOptions, SPOOL } from './options.js'
import type { Clock, NewsSource } from './ports.js'
import { RaisedAlert, type RaisedAlertHost } from './raised-alert.js'
import { type Redact, redactor } from './redact.js'
import { restore } from './restore.js'
import type { Matching, Silence } from './silences.js'
import { DeadLetters } from './spool/dead-letters.js'
import { type Kept, Spool, type SpoolState } from './spool/spool.js'
import { SteadyTime } from './steady-time.js'
import { holdProcess, systemClock } from './system-clock.js'
import { systemRandom } from './system-random.js'
import { type Meaning, meaningOf, meaningOfComponent, sourceName } from './watch.js'

/** Quiet, as somebody asks for it. */
export interface SilenceInput {
  /** Which alerts are not told; at least one label. `name` and `severity` count as labels. */
  readonly matching: Matching
  /** For how long, in milliseconds above 0. */
  readonly forMs: number
  /** Why, for whoever wonders. */
  readonly why: string
  /** Who asks for it. */
  readonly by: string
}

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
  readonly #queues = new Map<string, ChannelQueue>()
  readonly #early = new EarlyCalls()
  readonly #announcer = new Announcer()
  /** Which channel's code is running: an alert that it raises must not come back to it. */
  readonly #sending = new AsyncLocalStorage<string | undefined>()
  readonly #flushes = new Set<() => void>()
  readonly #handles: RaisedAlertHost
  #ledger = new Ledger()
  #spool: Spool | undefined
  #deadLetters: DeadLetters | undefined
  #spoolCondition: AlertsComponent
  #announcedStatus: AlertsStatus = 'unknown'
  /** The dead-letter file cannot be written, and that was told. */
  #isBuryingBroken = false
  #release: (() => void) | undefined
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
    this.#spoolCondition = { status: 'unknown', reason: 'not started', since: this.#clock.now() }
    const host = this.#host(options.random ?? systemRandom)
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
    const channels = whole([...this.#queues.values()].map(({ condition }) => condition.status))
    return channels === 'up' && this.#spoolCondition.status === 'down' ? 'degraded' : channels
  }

  /** Every channel, and `spool`, as it is now. A snapshot: read it again for news. */
  get components(): ReadonlyMap<string, AlertsComponent> {
    const channels = [...this.#queues].map(([name, { condition }]): [string, AlertsComponent] => {
      const { status, reason, since } = condition
      return [name, { status, reason, since }]
    })
    return new Map([...channels, [SPOOL, this.#spoolCondition]])
  }

  /**
   * What became of all alerts, over restarts too: every one is delivered, merged into what people know, silenced, in
   * the dead-letter file, or pending.
   */
  get accounting(): Accounting {
    return { ...this.#ledger.totals, pending: this.#ledger.pending.size }
  }

  /** The silences that hold now. */
  get silences(): readonly Silence[] {
    const nowMs = this.#time.ms()
    return [...this.#ledger.silences.values()].filter(({ until }) => until > nowMs)
  }

  /**
   * Takes the spool, and begins to send: first what an earlier process left. Does nothing when it has begun already.
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
   * Asks for quiet about some alerts. What still goes on when it is over is told then.
   *
   * @param input - which alerts, for how long, why, and who asks
   * @returns the silence, with the id that ends it early
   * @throws TypeError when something is missing; RangeError when `forMs` is not above 0
   */
  silence(input: SilenceInput): Silence {
    const { matching, forMs, why, by } = input ?? {}
    if (typeof matching !== 'object' || matching === null || Object.keys(matching).length === 0) {
      throw new TypeError("Alerts.silence: matching must name a label, such as { component: 'database' }")
    }
    if (typeof why !== 'string' || why === '') throw new TypeError('Alerts.silence: say why')
    if (typeof by !== 'string' || by === '') throw new TypeError('Alerts.silence: say by whom')
    if (typeof forMs !== 'number' || !(forMs > 0)) throw new RangeError('Alerts.silence: forMs must be above 0')
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
    return this.#sending.run(undefined, () => this.#desk.unsilence(id))
  }

  /**
   * Follows parts by their `change`: bad news begins an alert with the name `what` and the labels `component` and
   * `source`, good news ends it. What is wrong already is told at once.
   *
   * @param sources - monitors, storages, flags, modes, anything with `change`
   * @returns ceases to follow; may be called twice
   * @throws TypeError when a part has no events, or is these alerts themselves
   */
  watch(...sources: readonly NewsSource[]): () => void {
    const given: readonly (Partial<NewsSource> | undefined)[] = sources
    const stranger = given.findIndex((source) => typeof source?.on !== 'function' || typeof source.off !== 'function')
    if (stranger !== -1)
      throw new TypeError(`Alerts.watch: part ${stranger + 1} has no on() and off(); give what emits "change"`)
    if (given.some((source) => Object.is(source, this))) {
      throw new TypeError('Alerts.watch: alerts cannot watch themselves; they tell of a dead channel anyway')
    }
    const offs = sources.map((source, index) => this.#follow(source, sourceName(source, index)))
    return () => {
      for (const off of offs) off()
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
    const release = holdProcess()
    try {
      this.#sending.run(undefined, () => {
        for (const queue of this.#queues.values()) queue.hurry()
      })
      await new Promise<void>((resolve) => {
        const end = (): void => {
          cancel()
          this.#flushes.delete(look)
          resolve()
        }
        const look = (): void => void (left() === 0 && end())
        const cancel = this.#clock.after(timeoutMs, end)
        this.#flushes.add(look)
        look()
      })
      return { pending: left() }
    } finally {
      release()
    }
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
      this.#desk.stop()
      const kept = (await this.#spool?.close()) ?? 'memory'
      this.#release?.()
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
    if (path !== false) {
      const spool = new Spool(
        path,
        this.#clock,
        () => this.#ledger.records(),
        (state) => this.#onSpool(state),
      )
      const found = await spool.open()
      this.#ledger = restore(found.records, this.#time.ms(), this.#options)
      this.#spool = spool
      this.#deadLetters = new DeadLetters(path)
      await spool.begin()
      this.#life = 'running'
      this.#onSpool(spool.state)
      if (found.quarantine !== undefined) {
        const message = `${found.damaged} damaged lines of the spool were set aside in ${found.quarantine}; alerts may be missing`
        this.#self('alert spool was damaged', {}, message, undefined, false)
      }
    } else {
      this.#life = 'running'
      this.#setSpool({ status: 'degraded', reason: 'alerts are in memory only, as path: false asks for', since: 0 })
    }
    this.#moveFromVanishedChannels()
    for (const call of this.#early.take()) {
      if (call.does === 'occur') this.#desk.occur(call.taken, call.times)
      else if (call.does === 'resolve') this.#desk.resolve(call.key, call.message)
      else this.#desk.silence(call.silence)
    }
    this.#desk.tick()
    for (const queue of this.#queues.values()) queue.start()
  }

  /** A channel that was taken out of the options gets nothing any more; the fallback does. */
  #moveFromVanishedChannels(): void {
    const { fallback } = this.#options
    for (const channel of this.#ledger.channels.filter((name) => !this.#queues.has(name))) {
      for (const [id, pending] of this.#ledger.pending) {
        if (pending.channels.get(channel) !== 'waiting') continue
        this.#record({ type: 'also', notice: id, channel: fallback })
        this.#record({ type: 'settled', channel, dead: [id] })
      }
      for (const { id } of this.#ledger.messages(channel)) this.#record({ type: 'settled', channel, message: id })
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
    if (this.#life !== 'running') return this.#early.resolve(key, clean)
    return this.#sending.run(undefined, () => this.#desk.resolve(key, clean))
  }

  async #stored(): Promise<Kept> {
    if (this.#life !== 'running' || this.#spool === undefined) return 'memory'
    this.#desk.writeChanged()
    return this.#spool.sync()
  }

  #follow(source: NewsSource, name: string): () => void {
    const take = (meaning: Meaning | undefined, isInfo = false): void => {
      if (meaning === undefined) return
      const labels = this.#intake.labels('Alerts.watch', { component: meaning.component, source: name })
      if (meaning.does === 'fire') {
        this.#occur(this.#intake.take(meaning.name, meaning.severity, meaning.message, labels, true))
      } else if (!this.resolve(meaning.name, labels, meaning.message) && isInfo && this.#options.watchInfo) {
        this.#occur(this.#intake.take(meaning.name, 'INFO', meaning.message, labels, false))
      }
    }
    const listen = (news: unknown): void => take(meaningOf(news, source), true)
    source.on('change', listen)
    for (const [component, how] of source.components ?? []) take(meaningOfComponent(component, how))
    return () => source.off('change', listen)
  }

  /** An alert about ourselves. */
  #self(name: string, labels: Labels, message: string, about: string | undefined, isLasting = true): void {
    const taken = this.#intake.take(name, 'CRITICAL', message, labels, isLasting, about)
    this.#sending.run(undefined, () => this.#desk.occur(taken))
  }

  #host(random: () => number): ConstructorParameters<typeof Desk>[0] & ConstructorParameters<typeof ChannelQueue>[2] {
    const ledger = (): Ledger => this.#ledger
    return {
      options: this.#options,
      get ledger() {
        return ledger()
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
      onNotice: (notice, channels) => {
        this.#hold(notice)
        for (const channel of channels) this.#queues.get(channel)?.nudge()
      },
      onCondition: (channel, before, after) => this.#onCondition(channel, before, after),
      onDelivered: (channel, message) => this.#onDelivered(channel, message),
      onMoved: () => this.#onMoved(),
      bury: (channel, notices, why, message) => this.#bury(channel, notices, why, message),
      evict: (ids) => void this.#evict(ids),
    }
  }

  #record(record: SpoolRecord): void {
    this.#ledger.apply(record)
    this.#spool?.append(record)
  }

  /** A bot that ends on its own still tells of what is critical, for a moment. */
  #hold({ severity }: AlertNotice): void {
    if (severity !== 'CRITICAL' || this.#release !== undefined) return
    const release = holdProcess()
    const cancel = this.#clock.after(this.#options.drainTimeoutMs, () => this.#release?.())
    this.#release = () => {
      this.#release = undefined
      cancel()
      release()
    }
  }

  #onMoved(): void {
    for (const look of this.#flushes) look()
    for (const queue of this.#queues.values()) queue.poke()
    if (this.#release === undefined) return
    const isUrgent = [...this.#ledger.pending.values()].some(({ notice }) => notice.severity === 'CRITICAL')
    if (!isUrgent) this.#release()
  }

  async #bury(channel: string, ids: readonly string[], why: string, message?: string): Promise<boolean> {
    const notices = ids.flatMap((id) => this.#ledger.pending.get(id)?.notice ?? [])
    const at = this.#clock.now()
    try {
      await this.#deadLetters?.write(notices.map((notice) => ({ at, channel, why, notice })))
    } catch (error) {
      const { code } = error as { code?: unknown }
      // It is tried again every few seconds.
      if (this.#isBuryingBroken) return false
      this.#isBuryingBroken = true
      warn(
        'EVENKEEL_DEAD_LETTER',
        `${notices.length} alerts could not be written to the dead-letter file: ${String(code)}`,
      )
      return false
    }
    this.#isBuryingBroken = false
    this.#record({ type: 'settled', channel, dead: ids, ...(message === undefined ? {} : { message }) })
    const text = `Channel ${channel} will not get ${notices.length} alerts: ${why}.`
    const facts = { what: channel, from: 'pending', to: 'dead', at, why, message: text, notices }
    this.#announcer.announce(() => this.emit('dead', { ...facts, severity: 'CRITICAL' }))
    return true
  }

  async #evict(ids: readonly string[]): Promise<void> {
    const { leaving } = this.#ledger
    for (const id of ids) leaving.add(id)
    const why = `there were more than ${this.#options.maxPending} alerts pending`
    for (const channel of this.#queues.keys()) {
      const waiting = ids.filter((id) => this.#ledger.waiting(channel).has(id))
      if (waiting.length > 0) await this.#bury(channel, waiting, why)
    }
    for (const id of ids) leaving.delete(id)
    this.#onMoved()
  }

  #onDelivered(channel: string, { id, notices, severity }: AlertMessage): void {
    const at = this.#clock.now()
    const text = `Channel ${channel} told ${notices.length} ${notices.length === 1 ? 'alert' : 'alerts'}.`
    const facts = {
      what: channel,
      from: 'pending',
      to: 'delivered',
      at,
      why: 'the channel confirmed it',
      message: text,
    }
    this.#announcer.announce(() =>
      this.#sending.run(channel, () => this.emit('delivered', { ...facts, severity, messageId: id, notices })),
    )
  }

  #onCondition(channel: string, before: Condition, after: Condition): void {
    this.#tell(channel, before.status, after.status, after.reason)
    const labels = { channel }
    if (after.status === 'down') {
      this.#self('alert channel down', labels, `Alerts cannot reach channel ${channel}: ${after.reason}`, channel)
    } else if (after.status === 'up') {
      this.#resolve(this.#intake.key('alert channel down', labels), `Channel ${channel} works again.`)
    }
  }

  #onSpool({ kept, reason }: SpoolState): void {
    const status = kept === 'disk' ? 'up' : 'down'
    if (status === this.#spoolCondition.status) return
    this.#setSpool({ status, reason, since: 0 })
    if (this.#life !== 'running') return
    const name = 'alert spool not writable'
    if (status === 'down') this.#self(name, {}, `Alerts are not safe from a crash: ${reason}`, undefined)
    else this.#resolve(this.#intake.key(name, {}), 'Alerts are written to disk again.')
  }

  #setSpool(after: AlertsComponent): void {
    const before = this.#spoolCondition
    this.#spoolCondition = { ...after, since: this.#clock.now() }
    if (before.status !== after.status) this.#tell(SPOOL, before.status, after.status, after.reason)
  }

  #tell(what: string, from: AlertsStatus, to: AlertsStatus, why: string): void {
    const severity = to === 'up' ? 'INFO' : to === 'down' ? 'CRITICAL' : 'WARNING'
    const at = this.#clock.now()
    const news: AlertsNews[] = [{ what, from, to, at, why, severity, message: sentence(what, from, to, why) }]
    const { status } = this
    if (status !== this.#announcedStatus) {
      const how = status === 'up' ? 'INFO' : status === 'down' ? 'CRITICAL' : 'WARNING'
      const message = sentence('Alerts', this.#announcedStatus, status, `${what} is ${to}`)
      news.push({
        what: 'alerts',
        from: this.#announcedStatus,
        to: status,
        at,
        why: `${what} is ${to}`,
        severity: how,
        message,
      })
      this.#announcedStatus = status
    }
    // A listener that raises an alert because a channel is dead must not raise it to that channel.
    const about = this.#queues.has(what) ? what : undefined
    for (const each of news) this.#announcer.announce(() => this.#sending.run(about, () => this.emit('change', each)))
  }

  /** A start waits for the stop before it, and a stop for the start. */
  #inTurn(run: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(run)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}
