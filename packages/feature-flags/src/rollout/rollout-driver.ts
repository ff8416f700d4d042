import type { FlagContext } from '../context.js'
import type { Severity } from '../news.js'
import { watch } from './ascent.js'
import { rollOn, settleDown } from './descent.js'
import { beginAnew, foresee, saveUp, type DriverHooks, type Life, type RolloutResult } from './driver-life.js'
import type { DriverParts } from './driver-parts.js'
import type { Evidence } from './evidence.js'
import { keepsEvidence } from './journal.js'
import { beginLife } from './new-life.js'
import { delayToNext } from './pace.js'
import { RolloutStateError, RolloutStoreError } from './rollout-errors.js'
import { controllerNews, storeNews, type RolloutController } from './rollout-news.js'
import type { RolloutSettings } from './rollout-settings.js'
import type { RolloutVerdict } from './rollout-ports.js'
import type { Reason, RolloutRecord } from './rollout-record.js'
import { Settlement } from './settlement.js'
import type { Owed } from './switch-off.js'
import { isGoing, isOver, type Input, type PlanInForce, type RolloutState, type Run } from './transitions.js'
import { Turns } from './turns.js'
import { messageOf } from './validation.js'
import { isSettled, wishFor, type Start, type Wish } from './wish.js'

/** More steps than this at once mean that something moves in a circle. */
const MAX_STEPS = 20

/** What a person asks for. */
export interface Command {
  readonly name: 'pause' | 'resume' | 'skip' | 'abort' | 'rollback'
  readonly input: Input
  readonly reason: Reason
  /** The states in which it is done already. */
  readonly done: readonly RolloutState[]
}

/** A life, and what settles its transitions. */
interface DriverLife extends Life {
  readonly settlement: Settlement
}

/**
 * Moves a rollout along, or stands by while another process does.
 *
 * @remarks
 * First the record, then the flag, then the news: see {@link Settlement}. Everything here happens one after the other. What
 * may wait has a deadline.
 */
export class RolloutDriver {
  readonly #settings: RolloutSettings
  readonly #parts: DriverParts
  readonly #hooks: DriverHooks
  readonly #plan: PlanInForce
  readonly #turns: Turns
  #life: DriverLife | undefined
  #controller: RolloutController = 'STOPPED'
  #isStoreUp = true
  /** What `start()` was called for, until that is decided. */
  #start: Start | undefined
  /** The sequence up to which this process has told. */
  readonly #told = { sequence: 0 }

  constructor(settings: RolloutSettings, parts: DriverParts, hooks: DriverHooks) {
    this.#settings = settings
    this.#parts = parts
    this.#hooks = hooks
    const { fingerprint, version, plan } = settings
    this.#plan = { fingerprint, version, phases: plan.phases }
    this.#turns = new Turns(settings.clock)
  }

  get record(): RolloutRecord | undefined {
    return this.#life?.journal.record
  }

  /** The run, with the time that is not written yet. */
  get run(): Run | undefined {
    return this.record && this.#life?.knowledge.runOf(this.record)
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

  get power(): string | undefined {
    return this.#life?.power
  }

  /** Takes part: drives if nobody does, and stands by else. @throws RolloutFormatError */
  async open(start: Start): Promise<void> {
    const begun = beginLife(this.#settings, this.#parts, this.#hooks, this.#plan)
    const life = Object.assign(begun, { settlement: new Settlement(begun, this.#told) })
    this.#life = life
    life.observer.start()
    this.#start = start
    this.#controller = 'STANDBY'
    this.#settings.flags.on('change', this.#flagChanged)
    await this.#turns.next(() => this.#turn(life))
    this.#schedule()
  }

  /** Takes no part any more. Whoever stands by takes over at once. */
  async close(): Promise<void> {
    const life = this.#life
    if (this.#controller === 'STOPPED' || life === undefined) return
    const from = this.#controller
    this.#leave()
    await this.#turns.next(() => Promise.all([this.#giveBack(life), life.observer.leave()]))
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
    const { input, reason } = command
    const isUrgent = input.type === 'ROLL_BACK' || input.type === 'ABORT'
    if (isUrgent) life.switchOff.waiting += 1
    if (isUrgent) life.switchOff.hurry(input, reason)
    if (isUrgent && !this.#isStoreUp) await life.switchOff.owe(input, reason)
    try {
      await this.#turns.next(() => this.#command(life, command, isUrgent))
    } finally {
      this.#schedule()
    }
  }

  // One turn after the other

  get #isOpen(): boolean {
    return this.#controller !== 'STOPPED'
  }

  #schedule(delayMs?: number): void {
    this.#turns.cancel()
    const life = this.#life
    if (!this.#isOpen || life === undefined) return
    this.#turns.after(delayMs ?? delayToNext(life, this.#isStoreUp), () => {
      // A record that cannot be read was told.
      void this.#turns
        .next(() => this.#turn(life))
        .then(
          () => this.#schedule(),
          () => undefined,
        )
    })
  }

  /** Goes as far as it goes for now. @throws RolloutFormatError */
  async #turn(life: DriverLife): Promise<void> {
    if (!this.#isOpen) return
    try {
      for (let step = 0; step < MAX_STEPS && this.#isOpen; step++) if (!(await this.#step(life))) break
      this.#reachable(true, '')
    } catch (error) {
      life.lastLookMs = undefined
      if (error instanceof RolloutStoreError) return this.#reachable(false, error.message)
      const [from, why] = [this.#controller, messageOf(error)]
      this.#leave()
      this.#tellController([from, 'STOPPED'], why, 'CRITICAL')
      this.#hooks.over({ outcome: 'STOPPED', why })
      throw error
    }
  }

  /** @returns whether there is more to do at once */
  async #step(life: DriverLife): Promise<boolean> {
    const { journal, switchOff, settlement } = life
    if (switchOff.owed !== undefined) await this.#payBack(life, switchOff.owed)
    if (!journal.isMine) return this.#standBy(life)
    if (this.#controller === 'STANDBY') this.#becomes('DRIVING', 'nobody else does')
    if (!(await settlement.settle())) return false
    const { record } = journal
    if (record === undefined || !journal.isMine) return this.#isMoreToCome(record)
    if (isGoing(record.run)) return watch(life, record)
    return record.run.state === 'ROLLING_BACK' ? rollOn(life, record) : settleDown(life, record)
  }

  // Who drives

  async #standBy(life: DriverLife): Promise<boolean> {
    const { journal } = life
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
      if (record !== undefined) await life.settlement.apply(record)
      return false
    }
    const evidence = await this.#firstEvidence(life, record, wish)
    if (!(await journal.take(record, wish, evidence))) return true
    // After the rollback of another version, this one begins.
    if (wish !== 'TAKE' || record?.run.version === this.#plan.version) this.#start = undefined
    beginAnew(life)
    if (evidence !== undefined) foresee(life, evidence, true)
    this.#hooks.going()
    return true
  }

  /** What a new run begins with; `undefined` where it goes on with what there is. */
  async #firstEvidence(
    { journal, observer }: Life,
    record: RolloutRecord | undefined,
    wish: Wish,
  ): Promise<Evidence | undefined> {
    if (wish === 'TAKE') return undefined
    if (wish.type === 'EDIT' && record !== undefined && keepsEvidence(record.run, this.#plan)) return undefined
    return observer.fresh(record && (await journal.evidence(record)))
  }

  /** Another process drives, or may. */
  async #follow({ settlement, observer }: DriverLife, record: RolloutRecord): Promise<boolean> {
    // Flags without a store of their own learn the share from the record.
    await settlement.apply(record)
    await observer.show()
    return false
  }

  /** There is nothing to drive. */
  async #rest({ settlement }: DriverLife, record: RolloutRecord | undefined): Promise<boolean> {
    if (record === undefined) return false
    // After a restart flags may have forgotten it.
    await settlement.apply(record)
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

  readonly #flagChanged = ({ what }: { readonly what: string }): void => {
    const { flags, flag } = this.#settings
    const run = this.record?.run
    const life = this.#life
    if ((what !== flag && what !== '*') || run === undefined || life?.journal.isMine !== true || !isGoing(run)) return
    if (flags.status(flag).state === 'active' && life.inForce.problem(run)?.kind !== 'BY_HAND') return
    life.hasSeenTrouble = true
    this.#schedule(0)
  }

  // What a person asks for

  async #command(life: DriverLife, { name, input, reason, done }: Command, isUrgent: boolean): Promise<void> {
    const { journal, switchOff } = life
    let refused: RolloutState | undefined
    try {
      if (!journal.isMine) await journal.look()
      refused = await journal.command(input, reason, done)
    } catch (error) {
      if (isUrgent && error instanceof RolloutStoreError) await switchOff.owe(input, reason)
      throw error
    } finally {
      if (isUrgent) switchOff.waiting -= 1
      life.lastLookMs = undefined
    }
    const { record } = journal
    if (refused !== undefined) {
      const isEdited = name === 'skip' && record !== undefined && record.run.fingerprint !== this.#plan.fingerprint
      const why = isEdited ? 'runs by another plan than that of this process' : `is ${refused}`
      const what = `Cannot ${name} the rollout of ${JSON.stringify(this.#settings.flag)}`
      throw new RolloutStateError(`${what}: it ${why}`, refused)
    }
    if (record === undefined) return
    if (!isOver(record.run)) this.#hooks.going()
    if (journal.isMine) await this.#turn(life)
    else await life.settlement.apply(record)
  }

  async #payBack({ switchOff }: Life, owed: Owed): Promise<void> {
    const { isAbout, isThere } = await switchOff.payBack(owed)
    if (!isAbout || this.#start === undefined) return
    // Whoever wants it off does not want it to begin.
    this.#start = undefined
    if (isThere) return
    const why =
      'it was to be rolled back before it had begun, so it does not begin until it is stopped and started again'
    this.#tellController([this.#controller, this.#controller], why, 'WARNING')
  }

  // How it ends, and what is told

  /** Whoever takes over goes on with all that is known. Never rejects. */
  async #giveBack(life: Life): Promise<void> {
    await saveUp(life)
      .then(() => life.journal.giveBack())
      .catch(() => undefined)
  }

  #leave(): void {
    this.#controller = 'STOPPED'
    this.#turns.cancel()
    this.#life?.observer.stop()
    this.#life?.switchOff.forget()
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
