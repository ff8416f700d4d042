import {
  changesBetween,
  controllerChange,
  deathChange,
  holdChange,
  phaseOf,
  refusalChange,
  revivalChange,
  storeChange,
  type BlueGreenChange,
  type Controller,
} from './changes.js'
import {
  alreadyActive,
  DrivenDeployment,
  type Deployment,
  type DeploymentResult,
  type DeploymentStatus,
} from './deployment.js'
import {
  DeploymentHeldError,
  DeploymentRunningError,
  FencedError,
  RolledBackVersionError,
  StoppedError,
  VersionMissingError,
} from './errors.js'
import { messageOf, runBounded } from './bounded.js'
import { Chores } from './chores.js'
import { Deaths } from './deaths.js'
import { healthProblem, statusOf } from './health-gate.js'
import { Journal } from './journal.js'
import type { Settings } from './options.js'
import { Pace } from './pace.js'
import type { StateRecord } from './record.js'
import { routeOf, type Route } from './routing.js'
import { makeStarting, type Starting } from './starting.js'
import {
  isAdvancing,
  isStepping,
  resume,
  runningIn,
  transition,
  type DeploymentState,
  type Input,
  type Plan,
  type State,
} from './transitions.js'
import { Waiters } from './waiters.js'
import { Writer, type Wanted } from './writer.js'

/** What the driver tells and asks of the router that it belongs to. None of it may throw. */
export interface DriverHooks {
  /** Called when everything is settled. */
  announce(changes: readonly BlueGreenChange[]): void
  /** Called once per deployment, last of all. */
  finished(deployment: Deployment, result: DeploymentResult): void
  /** Called before the first event can reach the new version. */
  began(version: string): void
  /**
   * Gets a version ready for its events. May be called again when it is ready. Called for green in `GREEN_STAGING`, and for
   * whatever a resumed state routes to. What rejects, or takes longer than `stageTimeoutMs`, is not ready.
   */
  stage(version: string, signal: AbortSignal): Promise<void>
  /** No event goes to this version any more: to green when it was rolled back, to blue when the deployment is complete. */
  retire(version: string): void
  /** Waits for the calls that run on a version now, up to its deadline; resolves with how many still run. */
  drained(version: string): Promise<number>
}

/**
 * Moves a deployment along: by time, by health, by the store, by hand.
 *
 * @remarks
 * `#state` is in force: routing follows it, and nothing else. A hold and a rollback are in force at once, and written
 * down as soon as the store allows. A greater share needs the store first: the state in force is written once more, and
 * when that is confirmed (so the store answers, and nobody else drives) the share is in force, and written down next. So
 * the record never gives green more than it was served, except after a rollback that it has not confirmed yet. All else
 * (the beginning, the end of a hold, the end) gives green no more, and is in force when the store has confirmed it.
 */
export class Driver {
  readonly #settings: Settings
  readonly #hooks: DriverHooks
  readonly #controllerId: string
  #controller: Controller = 'STOPPED'
  #fencedBy: FencedError | undefined
  #journal: Journal | undefined
  #writer: Writer | undefined
  #isStoreUp = true

  #state: State
  #why = 'nothing was deployed yet'
  #route: Route
  #deployment: DrivenDeployment | undefined
  #starting: Starting | undefined
  readonly #waiters = new Waiters()
  readonly #chores = new Chores()
  readonly #deaths = new Deaths()
  readonly #pace: Pace

  constructor(settings: Settings, hooks: DriverHooks) {
    this.#settings = settings
    this.#hooks = hooks
    this.#controllerId = this.#token()
    this.#pace = new Pace(settings.clock, {
      over: (stepMs) => this.#stepElapsed(stepMs),
      stoodStill: (lateMs) => this.#stoodStill(lateMs),
      heldTooLong: () => this.#callHuman(),
    })
    this.#state = { active: settings.initial, rolledBack: [], deployment: null }
    this.#route = routeOf(this.#state)
  }

  get route(): Route {
    return this.#route
  }

  get state(): State {
    return this.#state
  }

  get controller(): Controller {
    return this.#controller
  }

  get epoch(): number {
    return this.#journal?.epoch ?? 0
  }

  get isStoreUp(): boolean {
    return this.#isStoreUp
  }

  /** The deployment that runs, as far as this process drives it. */
  get deployment(): Deployment | undefined {
    return runningIn(this.#state)?.id === this.#deployment?.id ? this.#deployment : undefined
  }

  /** The deployment that the store has not confirmed, if any. */
  get starting(): Promise<Deployment> | undefined {
    return this.#starting?.promise
  }

  statusOf(deploymentId: string): DeploymentStatus | undefined {
    const deployment = this.#state.deployment
    if (deployment?.id !== deploymentId) return undefined
    const { id, from, to, phase, percentage, percentages, step, stepMs } = deployment
    const isHeldByHand = deployment.heldByHand !== null
    const elapsedMs = this.#elapsedMs()
    return { id, from, to, phase, percentage, percentages, step, elapsedMs, stepMs, isHeldByHand, why: this.#why }
  }

  /** Takes over from whoever drove last, and goes on where the record says. */
  async open(): Promise<void> {
    const { store, name, clock, storeTimeoutMs, storeRetryMs, initial, health } = this.#settings
    const key = `blue-green:${name}`
    const journal = new Journal({ store, key, controller: this.#controllerId, clock, timeoutMs: storeTimeoutMs })
    let found: State = { active: initial, rolledBack: [], deployment: null }
    let why = 'nothing was stored yet'
    const state = await journal.open((stored) => {
      if (stored === undefined) return { state: found, why }
      found = stored
      const resumed = this.#resume(stored)
      why = resumed.why
      return resumed
    })
    const failures = await this.#stageAll(state)
    const from = this.#controller
    this.#controller = 'DRIVING'
    this.#fencedBy = undefined
    this.#isStoreUp = true
    this.#journal = journal
    this.#writer = new Writer(journal, clock, storeRetryMs, {
      confirmed: (wanted) => this.#confirmed(wanted),
      failed: (wanted, error) => this.#failed(wanted, error),
      fenced: (winner) => this.#fenced(winner),
      reachable: (isUp, error) => this.#reachable(isUp, error),
    })
    health?.on('change', this.#reconsider)
    // What was so before is no news.
    this.#state = found
    this.#enter(state, why)
    for (const [version, failure] of failures) this.died(version, failure.message)
    this.#goOn()
    this.#hooks.announce([controllerChange(from, 'DRIVING', state, why, clock.now())])
  }

  /** Makes ready whatever the state routes to. @throws what kept the last of it from getting ready, when there is no other */
  async #stageAll(state: State): Promise<ReadonlyMap<string, Error>> {
    const running = runningIn(state)
    const routed =
      running === undefined ? [state.active] : hasShare(running) ? [running.from, running.to] : [running.from]
    const failures = new Map<string, Error>()
    const opened = new AbortController().signal
    await Promise.all(
      routed.map(async (version) => {
        const failure = await this.#staged(version, opened)
        if (failure !== undefined) failures.set(version, failure)
      }),
    )
    const [first] = failures.values()
    if (first !== undefined && failures.size === routed.length) throw first.cause
    return failures
  }

  /** Ends the driving, not the serving. Waits for the write that is under way, which has a deadline. */
  async close(): Promise<void> {
    if (this.#controller === 'STOPPED') return
    const from = this.#controller
    this.#leave('STOPPED')
    this.#starting?.reject(new StoppedError(this.#starting.to))
    await this.#writer?.stop()
    const lost = this.#writer?.wanted
    const why = `stop() was called${lost?.type === 'ROLL_BACK' ? ' before the store confirmed the rollback' : ''}`
    this.#finish({ outcome: 'STOPPED', why })
    this.#hooks.announce([controllerChange(from, 'STOPPED', this.#state, why, this.#settings.clock.now())])
  }

  async deploy(to: string, { retry, ...plan }: Plan & { readonly retry: boolean }): Promise<Deployment> {
    if (this.#fencedBy !== undefined) throw this.#fencedBy
    if (this.#controller !== 'DRIVING') throw new StoppedError(to)
    const running = this.#starting ?? runningIn(this.#state)
    const isRollingBack = phaseOf(this.#state) === 'ROLLING_BACK'
    if (running !== undefined && (running.to !== to || (isRollingBack && retry))) {
      throw new DeploymentRunningError(to, running.id, running.to)
    }
    if (isRollingBack) throw new RolledBackVersionError(to)
    if (this.#starting !== undefined) return this.#starting.promise
    if (this.deployment !== undefined) return this.deployment
    if (this.#state.active === to) return alreadyActive(this.#token(), to)
    if (this.#state.rolledBack.includes(to) && !retry) throw new RolledBackVersionError(to)

    const [id, salt, health] = [this.#token(), this.#token(), statusOf(this.#settings.health)]
    const starting = makeStarting(id, to)
    this.#starting = starting
    this.#move({ type: 'DEPLOY', id, to, salt, health, plan }, 'deploy() was called')
    try {
      return await starting.promise
    } finally {
      this.#starting = undefined
    }
  }

  /**
   * In force when it returns, whatever the store says. Does nothing where nothing is to be rolled back.
   *
   * @returns what became of it where it was refused: nobody is given back to a version that is dead
   */
  rollBack(why = 'rollback() was called'): DeploymentResult | undefined {
    const running = runningIn(this.#state)
    if (running !== undefined && this.#deaths.has(running.from) && hasShare(running)) {
      return this.#keepGreen(running, why)
    }
    this.#move({ type: 'ROLL_BACK', elapsedMs: this.#elapsedMs() }, why)
    return undefined
  }

  /** A version has died by itself. Green alone is rolled back; blue alone leaves green what it has. */
  died(version: string, why: string): void {
    this.#deaths.add(version, why)
    const { clock } = this.#settings
    const running = runningIn(this.#state)
    this.#hooks.announce([deathChange(this.#state, version, why, (other) => this.#deaths.has(other), clock.now())])
    if (running === undefined) return
    const isGreenAlone = version === running.to && !this.#deaths.has(running.from)
    if (isGreenAlone && isRouted(running)) this.rollBack(`"${version}" died: ${why}`)
    else this.#reconsider()
  }

  /** A version that had died is ready for its events again. */
  revived(version: string): void {
    if (!this.#deaths.remove(version)) return
    this.#hooks.announce([revivalChange(this.#state, version, this.#settings.clock.now())])
    this.#reconsider()
  }

  /** Goes on to the next step now; resolves when it has, or there is none, and rejects when something holds it. */
  promote(why = 'promote() was called'): Promise<void> {
    if (this.#fencedBy !== undefined) return Promise.reject(this.#fencedBy)
    const running = runningIn(this.#state)
    if (running === undefined || !(isAdvancing(running) || running.phase === 'HOLD')) return Promise.resolve()
    if (this.#controller !== 'DRIVING') return Promise.reject(new StoppedError(running.to))
    // A source of health may have changed without saying so.
    this.#reconsider()
    if (phaseOf(this.#state) === 'HOLD') return Promise.reject(this.#held())
    const promoted = this.#waiters.promoted(running)
    this.#prepare(why)
    return promoted
  }

  /** In force when it returns, whatever the store says. */
  hold(why = 'hold() was called'): void {
    this.#move({ type: 'HOLD', elapsedMs: this.#elapsedMs(), byHand: why }, `held by hand: ${why}`)
    this.#waiters.settleResumptions()
  }

  /** A person holds it no more. Resolves when it goes on, or when something else holds it still. */
  letGo(why = 'resume() was called'): Promise<void> {
    const running = runningIn(this.#state)
    if (running === undefined || running.heldByHand === null) return Promise.resolve()
    const problem = this.#problem(running)
    this.#move({ type: 'LET_GO' }, problem === undefined ? why : `${why}, but ${problem}`)
    if (problem !== undefined || this.#controller !== 'DRIVING') return Promise.resolve()
    const resumed = this.#waiters.resumed()
    this.#move({ type: 'RESUME' }, why)
    return resumed
  }

  // What may happen

  #move(input: Input, why: string): void {
    const state = transition(this.#state, input)
    if (state === undefined) return
    // The wish comes first: entering a state tells listeners, who may wish for something else.
    if (this.#controller === 'DRIVING') this.#writer?.want({ state, why, type: input.type })
    if (!waitsForStore(input.type)) this.#enter(state, why)
  }

  /** There is nobody to roll back to: the share stays as it is, and a person hears of it. */
  #keepGreen(running: DeploymentState, cause: string): DeploymentResult {
    const problem = this.#deaths.problem(running) ?? ''
    const why = `${problem}; the cause was: ${cause}`
    this.#move({ type: 'HOLD', elapsedMs: this.#elapsedMs(), byHand: null }, why)
    this.#hooks.announce([refusalChange(running, why, this.#settings.clock.now())])
    return { outcome: 'HELD', why }
  }

  /** Health, the store or the phase has changed: does the deployment hold, go on, or wait? */
  readonly #reconsider = (): void => {
    const running = runningIn(this.#state)
    if (running === undefined || this.#controller !== 'DRIVING') return
    const problem = this.#problem(running)
    if (isAdvancing(running) && problem !== undefined) {
      this.#move({ type: 'HOLD', elapsedMs: this.#elapsedMs(), byHand: null }, problem)
    } else if (running.phase === 'HOLD') {
      const isFree = problem === undefined && running.heldByHand === null
      if (isFree && this.#writer?.wanted === undefined) return this.#awaitRecovery()
      this.#pace.cancelRecovery()
      // Health turned again while the end of the hold was being written: the hold must stand.
      if (problem !== undefined && this.#writer?.wanted?.type === 'RESUME') this.#revoke(problem)
    }
  }

  /** Only what stays well for a while ends a hold, so flapping health neither shifts traffic nor floods anyone. */
  #awaitRecovery(): void {
    const { recoverMs } = this.#settings
    this.#pace.recover(recoverMs, () => {
      this.#move({ type: 'RESUME' }, `all has been well for ${recoverMs} ms, so the time of the step begins anew`)
    })
  }

  /** What speaks against giving green more, if anything. */
  #problem(running: DeploymentState): string | undefined {
    return this.#deaths.problem(running) ?? healthProblem(this.#settings.health, running.healthAtStart)
  }

  #stepElapsed(stepMs: number): void {
    // A source may have changed without saying so. If it did, this holds, and the advance means nothing any more.
    this.#reconsider()
    this.#prepare(`${stepMs} ms have passed${this.#settings.health === undefined ? '' : ' in good health'}`)
  }

  #stoodStill(lateMs: number): void {
    const why = `the process stood still for ${Math.round(lateMs)} ms`
    this.#move({ type: 'HOLD', elapsedMs: this.#elapsedMs(), byHand: null }, why)
  }

  /** Asks the store for leave to advance. A hold or a rollback that comes meanwhile is wanted in its place. */
  #prepare(why: string): void {
    const running = runningIn(this.#state)
    if (running !== undefined && isAdvancing(running)) this.#writer?.want({ state: this.#state, why, type: 'PREPARE' })
  }

  async #drain(version: string): Promise<() => void> {
    const why = phaseOf(this.#state) === 'ROLLING_BACK' ? this.#why : 'every step was passed'
    const left = await this.#hooks.drained(version)
    const whole = left === 0 ? why : `${why}, while ${left} calls still run on "${version}"`
    return () => this.#move({ type: 'DRAINED' }, whole)
  }

  async #stage(version: string, signal: AbortSignal): Promise<() => void> {
    const why = this.#why
    const failure = await this.#staged(version, signal)
    return () => (failure === undefined ? this.#prepare(why) : this.rollBack(failure.message))
  }

  /** Resolves with what kept a version from getting ready, if anything did. */
  async #staged(version: string, signal: AbortSignal): Promise<Error | undefined> {
    const { clock, stageTimeoutMs } = this.#settings
    try {
      await runBounded((stop) => this.#hooks.stage(version, stop), stageTimeoutMs, clock, signal)
      this.#deaths.remove(version)
      return undefined
    } catch (error) {
      return new Error(`"${version}" did not get ready: ${messageOf(error)}`, { cause: error })
    }
  }

  #callHuman(): void {
    const running = runningIn(this.#state)
    if (running?.phase !== 'HOLD') return
    this.#hooks.announce([holdChange(running, this.#why, this.#settings.clock.now())])
  }

  // What the store says

  #confirmed(wanted: Wanted): void {
    if (waitsForStore(wanted.type)) this.#enter(wanted.state, wanted.why)
    if (wanted.type === 'PREPARE') this.#move({ type: 'ADVANCE' }, wanted.why)
    else this.#goOn()
  }

  /** Nothing shifts without the store: a greater share is not waited for, it is given up. */
  #failed(wanted: Wanted, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error)
    if (wanted.type === 'PREPARE') this.#move({ type: 'HOLD', elapsedMs: this.#elapsedMs(), byHand: null }, why)
    if (wanted.type === 'RESUME' || wanted.type === 'DEPLOY') this.#revoke(why)
    if (wanted.type === 'RESUME') this.#waiters.settleResumptions()
    if (wanted.type === 'DEPLOY') this.#starting?.reject(error as Error)
  }

  /** Writes the state in force over one that may have landed in the store meanwhile. */
  #revoke(why: string): void {
    this.#writer?.want({ state: this.#state, why, type: 'REVOKE' })
  }

  #reachable(isUp: boolean, error: unknown): void {
    this.#isStoreUp = isUp
    this.#hooks.announce([storeChange(isUp, error, this.#settings.clock.now())])
  }

  #fenced(winner: StateRecord | undefined): void {
    const why =
      winner === undefined
        ? 'its record in the store is gone, or a newer release has written it'
        : `another controller took over with epoch ${winner.epoch}`
    this.#fencedBy = new FencedError(why, winner?.epoch)
    this.#leave('FENCED')
    this.#starting?.reject(this.#fencedBy)
    // The winner's record is the last confirmed truth. A rollback decided here still stands here.
    const isRollingBack = phaseOf(this.#state) === 'ROLLING_BACK'
    if (winner !== undefined && !isRollingBack && this.#hasCodeFor(winner.state)) this.#enter(winner.state, why)
    this.#finish({ outcome: 'FENCED', why })
    this.#hooks.announce([controllerChange('DRIVING', 'FENCED', this.#state, why, this.#settings.clock.now())])
  }

  // Being in a state

  #enter(state: State, why: string): void {
    const before = this.#state
    const running = runningIn(state)
    if (running !== undefined && running.id !== runningIn(before)?.id) this.#hooks.began(running.to)
    this.#state = state
    this.#why = why
    this.#route = routeOf(state)
    this.#chores.keep(choreOf(state))
    this.#pace.enter(runningIn(before), running, this.#controller === 'DRIVING')
    if (running !== undefined && this.#controller === 'DRIVING') this.#follow(running.id)
    this.#hooks.announce(changesBetween(before, state, why, this.#settings.clock.now()))
    const phase = phaseOf(state)
    if (phase === 'COMPLETE' || phase === 'ROLLED_BACK') this.#finish({ outcome: phase, why })
    if (phase === 'COMPLETE' && before.active !== state.active) this.#retire(before.active)
    if (phase === 'ROLLED_BACK' && runningIn(before) !== undefined) this.#retire(state.deployment?.to)
    this.#reconsider()
    this.#tellStarted()
    if (phase !== 'HOLD') this.#waiters.settleResumptions()
    this.#waiters.settlePromotions(runningIn(this.#state), () => this.#held())
  }

  /** `deploy` has done its part when green has its first share, or will not have it for now. */
  #tellStarted(): void {
    const deployment = this.#deployment
    if (deployment === undefined || deployment.id !== this.#starting?.id) return
    if (phaseOf(this.#state) !== 'GREEN_STAGING') this.#starting.resolve(deployment)
  }

  #retire(version: string | undefined): void {
    if (this.#controller === 'DRIVING' && version !== undefined) this.#hooks.retire(version)
  }

  #held(): DeploymentHeldError {
    const running = runningIn(this.#state)
    return new DeploymentHeldError(running?.id ?? '', this.#why, running?.heldByHand != null)
  }

  /** The state in force is in the store: what waits for that may begin. */
  #goOn(): void {
    if (this.#writer?.wanted !== undefined) return
    const running = runningIn(this.#state)
    const key = choreOf(this.#state)
    // A word that something is wrong comes before the work: nothing is staged while it has to hold.
    this.#reconsider()
    if (running === undefined || key === undefined || this.#state.deployment !== running) return
    if (running.phase === 'DRAINING_BLUE') this.#chores.begin(key, () => this.#drain(running.from))
    if (running.phase === 'ROLLING_BACK') this.#chores.begin(key, () => this.#drain(running.to))
    if (running.phase === 'GREEN_STAGING') this.#chores.begin(key, (signal) => this.#stage(running.to, signal))
  }

  #elapsedMs(): number {
    const running = runningIn(this.#state)
    if (running === undefined || !isStepping(running)) return this.#state.deployment?.elapsedMs ?? 0
    return this.#pace.steppingMs
  }

  #follow(deploymentId: string): void {
    if (this.#deployment?.id === deploymentId && !this.#deployment.isFinished) return
    const status = this.statusOf(deploymentId)
    if (status !== undefined) this.#deployment = new DrivenDeployment(status, this)
  }

  #finish(result: DeploymentResult): void {
    const deployment = this.#deployment
    if (deployment?.finish(result) === true) this.#hooks.finished(deployment, result)
  }

  #leave(controller: Exclude<Controller, 'DRIVING'>): void {
    this.#controller = controller
    this.#pace.cancel()
    this.#chores.keep(undefined)
    const why = this.#fencedBy ?? new StoppedError(runningIn(this.#state)?.to ?? this.#state.active)
    this.#waiters.leave(why)
    this.#settings.health?.off('change', this.#reconsider)
  }

  #resume(stored: State): { readonly state: State; readonly why: string } {
    const { handlers, initial } = this.#settings
    const resumed = resume(stored, handlers, initial)
    if (resumed === undefined) {
      const running = runningIn(stored)
      throw new VersionMissingError(running?.from ?? stored.active, running?.id ?? '')
    }
    // A rollback that the store never confirmed, because this controller was stopped first, still stands.
    const isRolledBackHere =
      this.#state.deployment?.phase === 'ROLLING_BACK' && this.#state.deployment.id === stored.deployment?.id
    const rolledBack = isRolledBackHere && transition(resumed.state, { type: 'ROLL_BACK', elapsedMs: 0 })
    return rolledBack ? { state: rolledBack, why: this.#why } : resumed
  }

  #hasCodeFor(state: State): boolean {
    const { handlers } = this.#settings
    const running = runningIn(state)
    return handlers.has(state.active) && (running === undefined || handlers.has(running.to))
  }

  /** 48 random bits: enough to tell deployments and controllers apart. */
  #token(): string {
    const half = (): string =>
      Math.floor(this.#settings.random() * 2 ** 24)
        .toString(16)
        .padStart(6, '0')
    return half() + half()
  }
}

/** Names what a phase gets done, and differs from that of any other phase; `undefined` where nothing is to be done. */
function choreOf(state: State): string | undefined {
  const running = runningIn(state)
  if (running === undefined || isStepping(running) || running.phase === 'HOLD') return undefined
  return `${running.id} ${running.phase}`
}

/** Whether anybody may be on green. */
function hasShare({ step, phase }: DeploymentState): boolean {
  return step >= 0 && phase !== 'ROLLING_BACK'
}

/** Whether the death of green is news: it was made ready, and is not being taken back already. */
function isRouted({ phase }: DeploymentState): boolean {
  return phase !== 'ROLLING_BACK'
}

/** What is in force only when the store has it. All else is in force before it is written. */
function waitsForStore(type: Wanted['type']): boolean {
  return type === 'DEPLOY' || type === 'RESUME' || type === 'DRAINED'
}
