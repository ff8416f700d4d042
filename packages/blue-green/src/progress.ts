import { evidenceChange, holdChange, refusalChange, type BlueGreenChange } from './changes.js'
import { Doubt } from './doubt.js'
import type { RollBackHow } from './driver-hooks.js'
import { healthProblem } from './health-gate.js'
import { forecast, type Forecast } from './judgement/forecast.js'
import { Jury } from './judgement/jury.js'
import type { Lives } from './lives.js'
import type { Settings } from './options.js'
import { Pace } from './pace.js'
import type { Plan, ProbeResult } from './plan.js'
import { StepGate } from './step-gate.js'
import {
  isAccepting,
  isAdvancing,
  isStepping,
  runningIn,
  transition,
  type DeploymentState,
  type Input,
  type State,
} from './transitions.js'
import { warn } from './warn.js'
import type { Wanted } from './writer.js'

/** What progress needs of whoever drives. */
export interface ProgressHooks {
  /** The state in force. */
  state(): State
  /** Why it is in force. */
  why(): string
  isDriving(): boolean
  /** What is to be written, and is not confirmed yet. */
  wanted(): Wanted | undefined
  move(input: Input, why: string): void
  /** Asks the store for leave to give green more. */
  prepare(input: Input, why: string): void
  /** Writes the state in force over what is being written. */
  revoke(why: string): void
  rollBack(why: string, how: RollBackHow): void
  announce(changes: readonly BlueGreenChange[]): void
  /** The source of health has spoken, and may have said the same again. */
  healthChanged(): void
  /** Another window of evidence has ended. */
  looked(): void
  /** How many events a version has had since it was made. Synthetic calls are none. */
  events(version: string): number
}

/** What a deployment does by itself: by time, health, evidence and who lives, it goes on, holds, or is taken back. */
export class Progress {
  readonly #settings: Settings
  readonly #lives: Lives
  readonly #hooks: ProgressHooks
  readonly #pace: Pace
  /** Who judges, if anybody does. */
  readonly jury: Jury | undefined
  readonly #gate: StepGate
  readonly #doubt: Doubt

  constructor(settings: Settings, lives: Lives, hooks: ProgressHooks) {
    const { clock, judge, recoverMs } = settings
    this.#settings = settings
    this.#lives = lives
    this.#hooks = hooks
    this.#pace = new Pace(clock, {
      over: (stepMs) => this.#stepElapsed(stepMs),
      stoodStill: (lateMs) => this.hold(`the process stood still for ${Math.round(lateMs)} ms`),
      heldTooLong: () => this.#callHuman(),
      pauseOver: () => this.#descend(),
      stillWaiting: () => this.lookAgain(),
    })
    this.jury =
      judge &&
      new Jury(settings, judge, {
        looked: () => {
          hooks.looked()
          this.lookAgain()
        },
        lost: (why) => {
          if (this.#running !== undefined) this.takeBack(why)
        },
        trouble: (why) => hooks.announce([evidenceChange(hooks.state(), why, clock.now())]),
      })
    this.#doubt = new Doubt(clock, recoverMs)
    this.#gate = new StepGate(this.jury, (version) => hooks.events(version))
  }

  get #running(): DeploymentState | undefined {
    return runningIn(this.#hooks.state())
  }

  /** Whether it waits for what health says of a green that fails with nobody to compare it with. */
  get isInDoubt(): boolean {
    return this.#doubt.isOpen
  }

  /** Since when health has been well without a break. */
  get wellSinceMs(): number {
    return this.#doubt.wellSinceMs
  }

  /** How long its step has lasted, in ms. */
  elapsedMs(deployment: DeploymentState | null): number {
    if (deployment === null) return 0
    return isStepping(deployment) ? this.#pace.steppingMs : deployment.elapsedMs
  }

  /** How long the evidence of a plan will take. */
  forecast(plan: Pick<Plan, 'percentages' | 'stepMs'>): Forecast {
    return this.jury?.forecast(plan) ?? forecast(plan, undefined, undefined)
  }

  /** What the evidence says now, if anybody judges. */
  get evidence(): string | null {
    return this.jury?.find().why ?? null
  }

  /** What this process goes on with has no step yet, as far as it knows. */
  forget(): void {
    this.#gate.entered(undefined)
  }

  /** This process drives from now on. */
  begin(): void {
    this.jury?.start()
    this.#listen('on')
  }

  /** This process drives no more. */
  stop(): void {
    this.#pace.cancel()
    this.#doubt.end()
    this.jury?.stop()
    this.#listen('off')
  }

  /** A source that cannot be listened to is still asked at each step. */
  #listen(how: 'on' | 'off'): void {
    try {
      this.#settings.health?.[how]('change', this.#healthChanged)
    } catch (error) {
      warn('EVENKEEL_HEALTH', `The "${how}" of health threw, so what it says is heard late`, error)
    }
  }

  /** Another state is in force. */
  entered(before: DeploymentState | undefined, running: DeploymentState | undefined): void {
    if (running?.step !== before?.step || running?.phase !== before?.phase) this.#gate.entered(running)
    if (running?.phase !== 'HOLD') this.#doubt.end()
    if (running !== undefined) this.jury?.follow(running)
    this.#pace.enter(before, running, this.#hooks.isDriving())
  }

  /** What speaks against giving green more, if anything. */
  problem(running: DeploymentState): string | undefined {
    return this.#lives.problem(running) ?? healthProblem(this.#settings.health, running.healthAtStart)
  }

  /** What speaks against going on from `FROZEN`, where that gives green a share: to get ready, or to run its migration again, does not. */
  problemOfThaw(running: DeploymentState): string | undefined {
    const isShareNext = running.phase === 'FROZEN' && running.step >= 0 && running.migrated !== 'BEGUN'
    return isShareNext ? this.problem(running) : undefined
  }

  /** Health, the store or the phase has changed: does the deployment hold, go on, or wait? */
  reconsider(): void {
    const running = this.#running
    if (running === undefined || !this.#hooks.isDriving()) return
    const problem = this.problem(running)
    // Before its recovery: what is found guilty then does not go on.
    this.#doubt.look(problem === undefined)
    const isWaiting = running.phase === 'HOLD' && running.awaitsEvidence
    if ((isAdvancing(running) || isWaiting) && problem !== undefined) {
      this.hold(problem)
    } else if (running.phase === 'HOLD') {
      // More evidence ends its hold, not time.
      const isFree = problem === undefined && running.heldByHand === null && !running.awaitsEvidence
      if (isFree && this.#hooks.wanted() === undefined) return this.#awaitRecovery()
      this.#pace.cancelRecovery()
      // Health turned again while the end of the hold was being written: the hold must stand.
      if (problem !== undefined && this.#hooks.wanted()?.type === 'RESUME') this.#hooks.revoke(problem)
    }
  }

  /** The share stays as it is for now. */
  hold(why: string): void {
    this.#hooks.move({ type: 'HOLD', elapsedMs: this.elapsedMs(this.#running ?? null), byHand: null }, why)
  }

  /** The synthetic calls of the step have passed. */
  tested(results: readonly ProbeResult[]): void {
    this.#gate.tested(results)
    // A source of health may have changed without saying so, and a step of calls alone has no time at whose end it is asked.
    this.reconsider()
    this.#endStep()
  }

  /** Green may be found harmful, or what a held step waited for may be there. */
  lookAgain(): void {
    const running = this.#running
    if (running === undefined || !this.#hooks.isDriving() || this.#convict()) return
    if (running.phase !== 'HOLD' || !running.awaitsEvidence || running.heldByHand !== null) return
    if (this.#hooks.wanted() !== undefined || this.#gate.lacking(running) !== undefined) return
    // A source of health may have changed without saying so.
    this.reconsider()
    if (this.#running?.awaitsEvidence !== true) return
    this.#hooks.prepare({ type: 'FORWARD' }, this.evidence ?? 'it has had as many events as the plan asks for')
  }

  /** What the bot has found out by itself: at once, unless a person has gone on in spite of it. */
  takeBack(why: string, how: RollBackHow = {}): void {
    if (this.#running?.isOverruled !== true) this.#hooks.rollBack(why, how)
  }

  /**
   * Green fails, and nobody is left to compare it with: it may be the version, or what any version needs. Health tells, when it has
   * had the time to notice; where there is none, green is taken back.
   *
   * @param isFailing - whether it has failed on since a moment
   */
  suspect(why: string, isFailing: (sinceMs: number) => boolean): void {
    const running = this.#running
    const { health, clock } = this.#settings
    if (running === undefined || running.isOverruled) return
    const hold: Input = { type: 'HOLD', elapsedMs: this.elapsedMs(running), byHand: null, isDoubted: true }
    const mayHold = transition(this.#hooks.state(), hold) !== undefined && !this.#lives.isDead(running.from)
    if (health === undefined || !mayHold) return this.takeBack(why)
    const problem = healthProblem(health, running.healthAtStart)
    // Without the driving nobody looks at the time.
    if (!this.#hooks.isDriving()) return problem === undefined ? this.takeBack(why) : undefined
    if (this.#doubt.isOpen) return
    this.#doubt.begin((sinceMs) => {
      if (healthProblem(health, running.healthAtStart) === undefined && isFailing(sinceMs))
        this.takeBack(`${why}, and health is well`)
    })
    const held = `${why}, which serves nobody now: ${problem ?? 'it is rolled back if that lasts in good health'}`
    this.#hooks.move(hold, held)
    // Whoever was told of the hold may have taken it back.
    if (this.#doubt.isOpen) this.#hooks.announce([refusalChange(running, held, clock.now())])
  }

  readonly #healthChanged = (): void => {
    this.#hooks.healthChanged()
    this.reconsider()
  }

  /** Only what stays well for a while ends a hold, so flapping health neither shifts traffic nor floods anyone. */
  #awaitRecovery(): void {
    const { recoverMs } = this.#settings
    this.#pace.recover(recoverMs, () => {
      const why = `all has been well for ${recoverMs} ms, so the time of the step begins anew`
      this.#hooks.move({ type: 'RESUME' }, why)
    })
  }

  #stepElapsed(stepMs: number): void {
    this.#gate.timeIsOver()
    // A source may have changed without saying so. If it did, this holds, and the advance means nothing any more.
    this.reconsider()
    this.#endStep(`${stepMs} ms have passed${this.#settings.health === undefined ? '' : ' in good health'}`)
  }

  /** The step ends when it has had its time, its synthetic calls have passed, and nothing else is waited for. */
  #endStep(reason?: string): void {
    const running = this.#running
    if (running === undefined || !this.#gate.isThrough(running)) return
    const why = reason ?? `its ${isAccepting(running) ? 'acceptance' : 'canary'} tests have passed`
    this.jury?.look()
    if (this.#convict()) return
    const lacking = this.#gate.lacking(running)
    const { results } = this.#gate
    if (lacking === undefined) return this.#hooks.prepare({ type: 'ADVANCE', results }, why)
    const elapsedMs = this.elapsedMs(running)
    this.#hooks.move({ type: 'HOLD', elapsedMs, byHand: null, awaitsEvidence: true, results }, lacking)
  }

  /** @returns whether green is found harmful, and was taken back for it */
  #convict(): boolean {
    const running = this.#running
    const harm = running && this.#gate.harm(running)
    if (harm === undefined) return false
    this.takeBack(harm, { batches: running?.rollbackBatches ?? undefined })
    return true
  }

  /** The next batch goes back, unless there is nobody to take it: then it is looked at again after the next pause. */
  #descend(): void {
    const running = this.#running
    if (running !== undefined && !this.#lives.isDead(running.from))
      this.#hooks.move({ type: 'DESCEND' }, this.#hooks.why())
  }

  #callHuman(): void {
    const running = this.#running
    if (running?.phase !== 'HOLD') return
    this.#hooks.announce([holdChange(running, this.#hooks.why(), this.#settings.clock.now())])
  }
}
