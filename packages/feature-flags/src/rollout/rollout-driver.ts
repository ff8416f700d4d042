import type { FlagContext } from '../context.js'
import { within } from '../deadline.js'
import type { Severity } from '../news.js'
import { ControllerLease } from './controller-lease.js'
import { decide } from './decision.js'
import { newInstance, type DriverParts } from './driver-parts.js'
import { FlagInForce, isOff } from './flag-in-force.js'
import { isAtOnce, Journal } from './journal.js'
import { Observer } from './observer.js'
import { nextShare } from './rollback.js'
import { RolloutStateError, RolloutStoreError } from './rollout-errors.js'
import {
  controllerNews,
  storeNews,
  transitionNews,
  type RolloutChange,
  type RolloutController,
} from './rollout-news.js'
import type { RolloutSettings } from './rollout-options.js'
import type { FlagShare, RolloutVerdict } from './rollout-ports.js'
import type { Reason, RolloutRecord } from './rollout-record.js'
import { isGoing, isOver, transition, type Input, type PlanInForce, type RolloutState } from './transitions.js'
import { FLAG_CHECK, messageOf, validate } from './validation.js'
import { isSettled, wishFor, type Start } from './wish.js'

/** How soon the store is tried again, in milliseconds. */
const RETRY_MS = 1_000

/** More steps than this at once mean that something moves in a circle. */
const MAX_STEPS = 20

/** How a rollout has ended, as far as this process is concerned. */
export interface RolloutResult {
  /** `STOPPED`: it goes on, but not here. */
  readonly outcome: 'COMPLETE' | 'ROLLED_BACK' | 'ABORTED' | 'STOPPED'
  /** Why, as a clause. */
  readonly why: string
}

/** What a driver tells. None of it may throw. */
export interface DriverHooks {
  tell(news: RolloutChange): void
  over(result: RolloutResult): void
  /** There is something that is not over. */
  going(): void
}

/** What a person asks for. */
export interface Command {
  readonly name: 'pause' | 'resume' | 'skip' | 'abort' | 'rollback'
  readonly input: Input
  readonly reason: Reason
  /** The states in which it is done already. */
  readonly done: readonly RolloutState[]
}

/** A rollback that the store has not confirmed. */
interface Owed {
  readonly input: Input
  readonly reason: Reason
  /** Of what was running, as far as that was known. */
  readonly version: string | undefined
}

/** What a driver has from one start to the next stop. */
interface Life {
  readonly journal: Journal
  readonly observer: Observer
  readonly inForce: FlagInForce
}

/**
 * Moves a rollout along, or stands by while another process does.
 *
 * @remarks
 * First the record, then the flag, then the news: a transition is written down, its share is put in force, it is told,
 * and that is written down. Whoever finds a record of which one of these is missing does it, and each can be done twice:
 * shares carry the sequence of their transition, and so does the news.
 *
 * Everything here happens one after the other. What may wait has a deadline.
 */
export class RolloutDriver {
  readonly #settings: RolloutSettings
  readonly #parts: DriverParts
  readonly #hooks: DriverHooks
  readonly #plan: PlanInForce
  #life: Life | undefined
  #controller: RolloutController = 'STOPPED'
  #isStoreUp = true
  #queue: Promise<unknown> = Promise.resolve()
  #cancelTimer: (() => void) | undefined

  /** What `start()` was called for, until that is decided. */
  #start: Start | undefined
  /** A rollback that the store has not confirmed. */
  #owed: Owed | undefined
  /** How many wait to switch the flag off. Nothing may raise a share meanwhile. */
  #urgent = 0
  /** The sequence up to which this process has told. */
  #toldHere = 0
  /** When it was last looked, if that went well and nobody has moved the run since. */
  #lastLookMs: number | undefined
  #hasSeenTrouble = false
  #batchAtMs: number | undefined

  constructor(settings: RolloutSettings, parts: DriverParts, hooks: DriverHooks) {
    this.#settings = settings
    this.#parts = parts
    this.#hooks = hooks
    const { fingerprint, version, plan } = settings
    this.#plan = { fingerprint, version, phases: plan.phases }
  }

  get record(): RolloutRecord | undefined {
    return this.#life?.journal.record
  }

  get controller(): RolloutController {
    return this.#controller
  }

  get isStoreUp(): boolean {
    return this.#isStoreUp
  }

  get verdict(): RolloutVerdict | undefined {
    return this.#life?.observer.verdict
  }

  /** Takes part: drives if nobody does, and stands by else. @throws RolloutFormatError */
  async open(start: Start): Promise<void> {
    const { flags, flag, store, key, clock, timeoutMs, leaseMs } = this.#settings
    const instance = newInstance()
    const lease = new ControllerLease({ store, key, clock, timeoutMs, leaseMs, instance })
    const life: Life = {
      journal: new Journal({ flags, flag, plan: this.#plan, instance, clock }, lease),
      observer: new Observer(this.#settings, this.#parts, instance),
      inForce: new FlagInForce(this.#settings),
    }
    this.#life = life
    life.observer.start()
    this.#start = start
    this.#lastLookMs = undefined
    this.#batchAtMs = undefined
    this.#controller = 'STANDBY'
    flags.on('change', this.#flagChanged)
    await this.#serial(() => this.#turn(life))
    this.#schedule()
  }

  /** Takes no part any more. Whoever stands by takes over at once. */
  async close(): Promise<void> {
    const life = this.#life
    if (this.#controller === 'STOPPED' || life === undefined) return
    const from = this.#controller
    this.#leave()
    await this.#serial(() => Promise.all([life.journal.giveBack().catch(() => undefined), life.observer.leave()]))
    this.#tellController([from, 'STOPPED'], 'stop() was called')
    this.#hooks.over({ outcome: 'STOPPED', why: 'stop() was called' })
  }

  /** A user complained. */
  report(context: FlagContext): void {
    this.#life?.observer.report(context)
  }

  /** Does what a person asks for, whoever drives. @throws RolloutStateError, RolloutStoreError */
  async command(command: Command): Promise<void> {
    const life = this.#life
    if (life === undefined) return
    const isUrgent = command.input.type === 'ROLL_BACK' || command.input.type === 'ABORT'
    if (isUrgent) this.#urgent += 1
    if (isUrgent) this.#hurry(life, command.input, command.reason)
    if (isUrgent && !this.#isStoreUp) await this.#owe(life, command.input, command.reason)
    try {
      await this.#serial(() => this.#command(life, command, isUrgent))
    } finally {
      this.#schedule()
    }
  }

  // One thing after the other

  get #isOpen(): boolean {
    return this.#controller !== 'STOPPED'
  }

  #serial<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(step)
    this.#queue = done.catch(() => undefined)
    return done
  }

  #schedule(delayMs: number = this.#delayMs()): void {
    this.#cancelTimer?.()
    const life = this.#life
    if (!this.#isOpen || life === undefined) return
    this.#cancelTimer = this.#settings.clock.after(delayMs, () => {
      // A record that cannot be read was told.
      void this.#serial(() => this.#turn(life)).then(
        () => this.#schedule(),
        () => undefined,
      )
    })
  }

  #delayMs(): number {
    const { intervalMs, leaseMs, batchDelayMs, clock } = this.#settings
    if (!this.#isStoreUp || this.#owed !== undefined) return Math.min(RETRY_MS, intervalMs)
    const run = this.record?.run
    if (run === undefined || this.#life?.journal.isMine !== true) return Math.min(intervalMs, leaseMs / 6)
    if (run.state === 'ROLLING_BACK' && this.#batchAtMs !== undefined) {
      return Math.max(0, Math.min(intervalMs, this.#batchAtMs + batchDelayMs - clock.monotonic()))
    }
    const durationMs = this.#plan.phases[run.phase]?.durationMs ?? intervalMs
    return run.state === 'RUNNING' ? Math.min(intervalMs, Math.max(1, durationMs - run.healthyMs)) : intervalMs
  }

  /** Goes as far as it goes for now. @throws RolloutFormatError */
  async #turn(life: Life): Promise<void> {
    if (!this.#isOpen) return
    try {
      for (let step = 0; step < MAX_STEPS && this.#isOpen; step++) if (!(await this.#step(life))) break
      this.#reachable(true, '')
    } catch (error) {
      this.#lastLookMs = undefined
      if (error instanceof RolloutStoreError) return this.#reachable(false, error.message)
      const [from, why] = [this.#controller, messageOf(error)]
      this.#leave()
      this.#tellController([from, 'STOPPED'], why, 'CRITICAL')
      this.#hooks.over({ outcome: 'STOPPED', why })
      throw error
    }
  }

  /** @returns whether there is more to do at once */
  async #step(life: Life): Promise<boolean> {
    const { journal } = life
    if (this.#owed !== undefined) await this.#payBack(life, this.#owed)
    if (!journal.isMine) return this.#standBy(life)
    if (this.#controller === 'STANDBY') this.#becomes('DRIVING', 'nobody else does')
    if (!(await this.#settle(life))) return false
    const { record } = journal
    if (record === undefined || !journal.isMine) return this.#isMoreToCome(record)
    if (isGoing(record.run)) return this.#watch(life, record)
    return record.run.state === 'ROLLING_BACK' ? this.#rollOn(life, record) : this.#validate(life, record)
  }

  // Who drives

  async #standBy(life: Life): Promise<boolean> {
    const { journal, observer } = life
    const record = await journal.look()
    if (this.#controller === 'DRIVING') this.#becomes('STANDBY', 'another process took over, or the record is gone')
    const isRunning = record !== undefined && !isOver(record.run)
    if (isRunning) this.#hooks.going()
    const wish = wishFor(record, this.#plan, this.#start)
    if (wish === undefined && isRunning) return this.#follow(life, record)
    if (wish === undefined) return this.#rest(life, record)
    if (!journal.isFree && !(this.#settings.isAlone && this.#start !== undefined)) {
      // Somebody drives the very run that was to be started.
      if (isRunning && wish === 'TAKE' && record.run.version === this.#plan.version) this.#start = undefined
      if (isRunning) return this.#follow(life, record)
      if (record !== undefined) await this.#apply(life, record)
      return false
    }
    const evidence = wish === 'TAKE' ? { judge: null, counted: {} } : await observer.fresh(record)
    if (!(await journal.take(record, wish, evidence))) return true
    // After the rollback of another version, this one begins.
    if (wish !== 'TAKE' || record?.run.version === this.#plan.version) this.#start = undefined
    this.#lastLookMs = undefined
    this.#batchAtMs = undefined
    this.#hooks.going()
    return true
  }

  /** Another process drives, or may. */
  async #follow(life: Life, record: RolloutRecord): Promise<boolean> {
    // Flags without a store of their own learn the share from the record.
    await this.#apply(life, record)
    await life.observer.show()
    return false
  }

  /** There is nothing to drive. */
  async #rest(life: Life, record: RolloutRecord | undefined): Promise<boolean> {
    if (record === undefined) return false
    // After a restart flags may have forgotten it.
    await this.#apply(life, record)
    const { state, version } = record.run
    if (this.#start !== undefined && state !== 'COMPLETE') {
      const which = version === '' ? 'it' : `version ${JSON.stringify(version)}`
      const what = state === 'ABORTED' ? 'aborted' : 'rolled back'
      const why = `${which} was ${what} before; start({ retry: true }) begins anew`
      this.#tellController(['STANDBY', 'STANDBY'], why, 'WARNING')
    }
    this.#start = undefined
    this.#tellEnd(record)
    return false
  }

  #isMoreToCome(record: RolloutRecord | undefined): boolean {
    if (record === undefined || !isOver(record.run) || !isSettled(record) || this.#start !== undefined) return true
    this.#becomes('STANDBY', 'the rollout is over')
    this.#tellEnd(record)
    return false
  }

  #tellEnd({ run, history }: RolloutRecord): void {
    const why = history.at(-1)?.why ?? ''
    this.#hooks.over({ outcome: run.state as Exclude<RolloutResult['outcome'], 'STOPPED'>, why })
  }

  // What follows a transition

  /** Puts the share in force, tells what has not been told, and writes down that it was. */
  async #settle(life: Life): Promise<boolean> {
    const { journal } = life
    const { record } = journal
    if (record === undefined || !journal.isMine) return true
    if (!(await this.#apply(life, record))) return false
    const from = Math.max(record.told, this.#toldHere)
    for (const entry of record.history) {
      if (entry.sequence <= from) continue
      this.#toldHere = entry.sequence
      this.#hooks.tell(transitionNews(this.#settings.flag, entry, record.run.validation))
    }
    if (!isSettled(record)) await journal.told(record)
    return true
  }

  /** @returns whether the share is in force; not, when somebody waits to switch the flag off */
  async #apply(life: Life, record: RolloutRecord): Promise<boolean> {
    const { inForce } = life
    if (inForce.has(record.run)) return true
    if (this.#urgent > 0 && !isOff(record.run.share)) return false
    const other = await inForce.put(record)
    if (other !== undefined) await this.#correct(life, record, other)
    return true
  }

  /** Another share is in force than that of the record. It should be that of a later transition. */
  async #correct({ journal }: Life, { run }: RolloutRecord, other: FlagShare): Promise<void> {
    const record = await journal.look()
    if (record === undefined || !journal.isMine || record.run.share.sequence !== run.share.sequence) return
    if (isOff(other) && isOff(record.run.share)) return
    if (isOff(other) && isGoing(record.run)) {
      const why = 'a process switched it off, and could not write that down'
      await journal.move({ type: 'ROLL_BACK', isGradual: false, why }, { why, severity: 'CRITICAL' })
    } else {
      await journal.move({ type: 'REASSERT' }, { why: 'a share of a lost record was in force', severity: 'WARNING' })
    }
  }

  // On the way up

  async #watch(life: Life, record: RolloutRecord): Promise<boolean> {
    const { journal, observer, inForce } = life
    const { clock, intervalMs, leaseMs, maxHoldMs, maxFallenBackMs, gradually: isGradual } = this.#settings
    const nowMs = clock.monotonic()
    const sinceMs = this.#lastLookMs === undefined ? 0 : nowMs - this.#lastLookMs
    const { judge, counted, verdict, problem } = await observer.observe(record, sinceMs)
    const sinceLookMs = Math.min(sinceMs, 2 * intervalMs)
    const look = {
      // After trouble, or when the process stood still, nobody knows how the flag fared.
      elapsedMs: this.#hasSeenTrouble ? 0 : sinceLookMs,
      sinceMs: sinceLookMs,
      problem: inForce.problem(record.run) ?? problem,
      verdict,
      endPhase: () => observer.endPhase(judge, record.run),
    }
    this.#hasSeenTrouble = false
    const durationMs = this.#plan.phases[record.run.phase]?.durationMs ?? 0
    const limits = { durationMs, maxHoldMs, maxFallenBackMs, isGradual }
    const { time, input, why, severity } = decide(record.run, look, limits)
    if (this.#urgent > 0) return false
    // Nobody else can drive yet, so this is not about a run that has gone on without this process.
    const isSure = this.#lastLookMs !== undefined && clock.monotonic() - this.#lastLookMs < leaseMs
    if (input?.type === 'ROLL_BACK' && isSure) this.#hurry(life, input, { why, severity })
    const along = { since: record, judge, counted, ...(input === undefined ? {} : { time }) }
    let kept: boolean
    try {
      kept = await journal.move(input ?? time, { why, severity }, along)
    } catch (error) {
      if (input?.type === 'ROLL_BACK') await this.#owe(life, input, { why, severity })
      throw error
    }
    this.#lastLookMs = nowMs
    return !kept || input !== undefined
  }

  readonly #flagChanged = ({ what }: { readonly what: string }): void => {
    const { flags, flag } = this.#settings
    const run = this.record?.run
    const life = this.#life
    if ((what !== flag && what !== '*') || run === undefined || life?.journal.isMine !== true || !isGoing(run)) return
    if (flags.status(flag).state === 'active' && life.inForce.problem(run)?.kind !== 'BY_HAND') return
    this.#hasSeenTrouble = true
    this.#schedule(0)
  }

  // On the way down

  async #rollOn({ journal, inForce }: Life, record: RolloutRecord): Promise<boolean> {
    const { clock, batchDelayMs } = this.#settings
    const { rollback, share } = record.run
    if (rollback === null) return false
    const nowMs = clock.monotonic()
    const elapsedMs = this.#lastLookMs === undefined ? 0 : nowMs - this.#lastLookMs
    const time = { type: 'ROLLBACK_TICK', elapsedMs } as const
    const isFirst = rollback.batches === 0
    // Whoever takes over need not wait: the last batch is long ago.
    const isDue = isFirst || this.#batchAtMs === undefined || nowMs >= this.#batchAtMs + batchDelayMs
    let input: Input = time
    let reason: Reason = { why: rollback.why, severity: 'INFO' }
    if (isDue) {
      const problem = isFirst ? undefined : await this.#findBatchProblem()
      if (this.#urgent > 0) return false
      const done = { batches: rollback.batches, elapsedMs: rollback.elapsedMs + elapsedMs }
      input = { type: 'BATCH', ...nextShare(share, inForce.placedGuilds(), done, this.#settings) }
      if (problem !== undefined) {
        input = { type: 'ROLL_BACK', isGradual: false, why: rollback.why }
        reason = { why: `the rollback in batches does not help (${problem}): ${rollback.why}`, severity: 'CRITICAL' }
      }
    }
    const kept = await journal.move(input, reason, isDue ? { since: record, time } : { since: record })
    this.#lastLookMs = kept ? nowMs : undefined
    if (kept && isDue) this.#batchAtMs = nowMs
    return !kept || isDue
  }

  /** Asks whether the batches help. Whoever does not say so in time says no. */
  async #findBatchProblem(): Promise<string | undefined> {
    const { check, clock, checkTimeoutMs } = this.#settings
    if (check === undefined) return undefined
    try {
      const isWell = await within(clock, checkTimeoutMs, 'the check', async () => check())
      return isWell === true ? undefined : 'the check says no'
    } catch (error) {
      return messageOf(error)
    }
  }

  async #validate({ journal, inForce }: Life, record: RolloutRecord): Promise<boolean> {
    const { clock, checkTimeoutMs } = this.#settings
    const all = { [FLAG_CHECK]: () => inForce.whoHasIt(), ...this.#settings.validate }
    const checks = await validate(all, clock, checkTimeoutMs)
    const failed = checks.filter(({ isPassed }) => !isPassed).map(({ name, why }) => `${name} (${why})`)
    const found = failed.length === 0 ? 'all is well now' : `afterwards this was not well: ${failed.join(', ')}`
    const why = `${record.run.rollback?.why ?? 'it was rolled back'}; ${found}`
    const severity = failed.length === 0 ? 'INFO' : 'CRITICAL'
    await journal.move({ type: 'VALIDATED', checks }, { why, severity }, { since: record })
    return true
  }

  // What a person asks for

  async #command(life: Life, { name, input, reason, done }: Command, isUrgent: boolean): Promise<void> {
    const { journal } = life
    let refused: RolloutState | undefined
    try {
      if (!journal.isMine) await journal.look()
      refused = await journal.command(input, reason, done)
    } catch (error) {
      if (isUrgent && error instanceof RolloutStoreError) await this.#owe(life, input, reason)
      throw error
    } finally {
      if (isUrgent) this.#urgent -= 1
      this.#lastLookMs = undefined
    }
    const { record } = journal
    if (refused !== undefined) {
      const isEdited = name === 'skip' && record !== undefined && record.run.fingerprint !== this.#plan.fingerprint
      const why = isEdited ? 'runs by another plan than that of this process' : `is ${refused}`
      throw new RolloutStateError(
        `Cannot ${name} the rollout of ${JSON.stringify(this.#settings.flag)}: it ${why}`,
        refused,
      )
    }
    if (record === undefined) return
    if (!isOver(record.run)) this.#hooks.going()
    if (journal.isMine) await this.#turn(life)
    else await this.#apply(life, record)
  }

  /** "At once" is now, not when the store has answered: here the flag goes off, and the record follows. */
  #hurry({ journal, inForce }: Life, input: Input, reason: Reason): void {
    const run = journal.record?.run
    if (!isAtOnce(input) || inForce.isOff || run === undefined) return
    if (transition(run, input, this.#plan, run.share.sequence) === undefined) return
    void inForce.off(journal.offSequence(), reason)
  }

  /** The store cannot be reached: here the flag goes off at once, and the record follows. */
  async #owe({ journal, inForce }: Life, input: Input, reason: Reason): Promise<void> {
    this.#owed = { input, reason, version: journal.record?.run.version }
    // What may take ten minutes may wait for the store as well.
    if (isAtOnce(input) && !inForce.isOff) await inForce.off(journal.offSequence(), reason)
  }

  /** Writes down the rollback that is in force here already. What another version does has nothing to do with it. */
  async #payBack({ journal }: Life, { input, reason, version }: Owed): Promise<void> {
    const record = await journal.look()
    const isAbout = record === undefined || version === undefined || record.run.version === version
    if (isAbout && record !== undefined) await journal.command(input, reason, [])
    this.#owed = undefined
    if (!isAbout || this.#start === undefined) return
    // Whoever wants it off does not want it to begin.
    this.#start = undefined
    if (record !== undefined) return
    const why =
      'it was to be rolled back before it had begun, so it does not begin until it is stopped and started again'
    this.#tellController([this.#controller, this.#controller], why, 'WARNING')
  }

  // What is told

  #leave(): void {
    this.#controller = 'STOPPED'
    this.#cancelTimer?.()
    this.#life?.observer.stop()
    this.#owed = undefined
    this.#settings.flags.off('change', this.#flagChanged)
  }

  #becomes(controller: RolloutController, why: string): void {
    const from = this.#controller
    this.#controller = controller
    this.#tellController([from, controller], why)
  }

  #tellController(
    change: readonly [RolloutController, RolloutController],
    why: string,
    severity: Severity = 'INFO',
  ): void {
    const { flag, clock } = this.#settings
    this.#hooks.tell(controllerNews(flag, change, { why, severity, at: clock.now() }))
  }

  #reachable(isUp: boolean, why: string): void {
    if (this.#isStoreUp === isUp) return
    this.#isStoreUp = isUp
    this.#hooks.tell(storeNews(this.#settings.flag, isUp, why, this.#settings.clock.now()))
  }
}
