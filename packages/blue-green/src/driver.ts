import { messageOf, runBounded } from './bounded.js'
import { ByHand, type ByHandHooks } from './by-hand.js'
import {
  changesBetween,
  controllerChange,
  deathChange,
  forecastChange,
  historyChange,
  phaseOf,
  refusalChange,
  revivalChange,
  storeChange,
  type Controller,
} from './changes.js'
import { Chores } from './chores.js'
import { readBatches, type PlanAndConsent } from './deploy-options.js'
import {
  alreadyActive,
  statusFrom,
  type Deployment,
  type DeploymentResult,
  type DeploymentStatus,
} from './deployment.js'
import type { DriverHooks, RollBackHow } from './driver-hooks.js'
import {
  DeploymentHeldError,
  DeploymentRunningError,
  MigrationInPlaceError,
  RolledBackVersionError,
  StoppedError,
} from './errors.js'
import { Handles } from './handles.js'
import { statusOf } from './health-gate.js'
import { Lives } from './lives.js'
import { takeSeat } from './opening.js'
import type { Settings } from './options.js'
import { PhaseWork, workOf } from './phase-work.js'
import { Progress, type ProgressHooks } from './progress.js'
import { logged, type LogEntry, type StateRecord } from './record.js'
import { inPlaceFor, problemsFor } from './report/dry-run.js'
import { History } from './report/history.js'
import { makeReport, type DeploymentReport } from './report/report.js'
import { healthOf, type VersionHealth, type Vitals } from './report/vitals.js'
import { decisionFor, routedIn, standsAgainst } from './resumption.js'
import { routeOf, type Route } from './routing.js'
import { Seat } from './seat.js'
import { makeStarting, type Starting } from './starting.js'
import {
  completeIn,
  hasShare,
  isAdvancing,
  isOneWay,
  isOver,
  isPreparing,
  isRollingBack,
  isStepping,
  runningIn,
  takeBackUnbegun,
  transition,
  type DeploymentState,
  type Descent,
  type Input,
  type Phase,
  type State,
} from './transitions.js'
import { Waiters } from './waiters.js'
import { warn } from './warn.js'
import { WayBack } from './way-back.js'
import type { Wanted } from './writer.js'

/**
 * Moves a deployment along, whatever moves it: a person, the store, what a phase gets done, or the progress that it makes by itself.
 *
 * @remarks
 * `#state` is in force: routing follows it, and nothing else. A hold and a rollback are in force at once, and written
 * down as soon as the store allows. A greater share needs the store first: the state in force is written once more, and
 * when that is confirmed (so the store answers, and nobody else drives) the share is in force, and written down next. So
 * the record never gives green more than it was served, except after a rollback that it has not confirmed yet. All else
 * (the beginning, the end of a hold, the end) gives green no more, and is in force when the store has confirmed it.
 */
export class Driver {
  /** What the deployment does by itself. */
  readonly progress: Progress
  /** What people want of it. */
  readonly byHand: ByHand
  readonly #settings: Settings
  readonly #hooks: DriverHooks
  readonly #seat: Seat
  #state: State
  #why = 'nothing was deployed yet'
  #route: Route
  /** The transitions of the deployment in force. */
  #log: readonly LogEntry[] = []
  readonly #handles = new Handles(this)
  #starting: Starting | undefined
  readonly #waiters = new Waiters()
  readonly #chores = new Chores()
  readonly #work: PhaseWork
  readonly #lives: Lives
  readonly #history: History
  /** The rollback of a complete deployment whose old version gets ready. */
  readonly #wayBack: WayBack
  /** A deployment that was taken back before the store had confirmed it: it may never have had it. */
  #unbegun: string | undefined
  /** Why a rollback was refused of late: a person has heard of it. */
  #refusal: string | undefined

  constructor(settings: Settings, hooks: DriverHooks) {
    this.#settings = settings
    this.#hooks = hooks
    this.#state = { active: settings.initial, rolledBack: [], count: 0, deployment: null }
    this.#route = routeOf(this.#state)
    this.#seat = new Seat(settings, this.#token(), {
      confirmed: (wanted) => this.#confirmed(wanted),
      failed: (wanted, error) => this.#failed(wanted, error),
      lost: (winner, why) => this.#fenced(winner, why),
      follow: (record) => this.#goBy(record, `the controller with epoch ${record.epoch} says: ${record.cause}`),
      reachable: (isUp, error) => hooks.announce([storeChange(isUp, error, settings.clock.now())]),
    })
    this.#lives = new Lives(settings, hooks)
    this.#history = new History(settings, (report, why) => {
      hooks.announce([historyChange(report, why, settings.clock.now())])
    })
    // By itself or by hand, it is moved by the same means.
    const steering: ProgressHooks & ByHandHooks = {
      state: () => this.#state,
      why: () => this.#why,
      isDriving: () => this.#seat.isDriving,
      wanted: () => this.#seat.wanted,
      move: (input, why) => this.#move(input, why),
      prepare: (input, why) => this.#prepare(input, why),
      revoke: (why) => this.#revoke(why),
      rollBack: (why, how) => void this.rollBack(why, how),
      announce: (changes) => hooks.announce(changes),
      healthChanged: () => this.#handles.last?.healthChanged(),
      looked: () => this.#handles.last?.renewed(),
      events: (version) => hooks.events(version),
      goBy: (record, why) => this.#goBy(record, why),
    }
    this.progress = new Progress(settings, this.#lives, steering)
    this.byHand = new ByHand(this.#seat, this.progress, this.#waiters, steering)
    this.#wayBack = new WayBack(settings, this.#lives, {
      staged: (version, signal) => this.#staged(version, signal),
      unstaged: (version) => {
        // Whoever stops ends every version.
        if (this.controller !== 'STOPPED' && !routedIn(this.#state).includes(version)) hooks.retire(version)
      },
      rollBack: (complete, descent, why) => this.#switchBack(complete, descent, why),
      notDriving: () => this.#notDriving(),
      announce: (changes) => hooks.announce(changes),
    })
    this.#work = new PhaseWork(settings, {
      move: (input, why) => this.#move(input, why),
      rollBack: (why, results = []) => void this.rollBack(why, { results }),
      advance: (why, results = []) => this.#prepare({ type: 'ADVANCE', results }, why),
      tested: (results) => this.progress.tested(results),
      tell: (change) => hooks.announce([change]),
      staged: (version, signal) => this.#staged(version, signal),
      drained: (version, signal) => hooks.drained(version, signal),
      call: (version, event) => hooks.call(version, event),
    })
  }

  get route(): Route {
    return this.#route
  }

  get state(): State {
    return this.#state
  }

  get controller(): Controller {
    return this.#seat.controller
  }

  get epoch(): number {
    return this.#seat.epoch
  }

  get isStoreUp(): boolean {
    return this.#seat.isStoreUp
  }

  get history(): History {
    return this.#history
  }

  /** The versions of which one may do for `version`, which is down. */
  mayServeFor(version: string): readonly string[] {
    return this.#lives.mayServeFor(version, this.#state)
  }

  /** Whether a version that dies is to be started again. */
  isToLive(version: string): boolean {
    return this.#lives.isToLive(version, this.#state)
  }

  /** The deployment that runs, as far as this process drives it. */
  get deployment(): Deployment | undefined {
    const { last } = this.#handles
    return runningIn(this.#state)?.id === last?.id ? last : undefined
  }

  /** The deployment that this process has driven last, running or over. */
  get last(): Deployment | undefined {
    return this.#handles.last
  }

  /** The last deployment in the record, running or over. */
  get newest(): Deployment | undefined {
    return this.#handles.of(this.#state.deployment?.id)
  }

  /** How a deployment ends, as of whoever follows it now: this process may have stopped, and gone on with it. */
  finishedOf(deploymentId: string): Promise<DeploymentResult> | undefined {
    const { last } = this.#handles
    return last?.id === deploymentId ? last.finished : undefined
  }

  statusOf(deploymentId: string): DeploymentStatus | undefined {
    const deployment = this.#state.deployment
    if (deployment?.id !== deploymentId) return undefined
    // What is over is so for a reason of its own, and not because it was found in the store.
    const why = isOver(deployment.phase) ? (this.#log.at(-1)?.why ?? this.#why) : this.#why
    return statusFrom(deployment, this.progress.elapsedMs(deployment), why, this.#vitalsOf(deployment))
  }

  phaseOf(deploymentId: string): Phase | undefined {
    const { deployment } = this.#state
    return deployment?.id === deploymentId ? deployment.phase : undefined
  }

  #vitalsOf({ from, to }: Pick<DeploymentState, 'from' | 'to'>): Vitals {
    const of = (version: string): VersionHealth => {
      return { version, ...this.#hooks.fares(version), death: this.#lives.whyDead(version) ?? null }
    }
    const { evidence } = this.progress
    return { health: healthOf(this.#settings.health), blue: of(from), green: of(to), evidence }
  }

  /** What is known of a deployment: of the one in force, or that was in force last. */
  reportOf(deploymentId: string, result: DeploymentResult | undefined): DeploymentReport | undefined {
    const { deployment } = this.#state
    if (deployment?.id !== deploymentId) return undefined
    return makeReport({
      deployment,
      log: this.#log,
      why: this.#why,
      result,
      evidence: this.progress.evidence,
      versions: this.#hooks.counters(),
    })
  }

  /** What would keep a version from being deployed now, or hold it at once. */
  problemsOf(to: string, plan: PlanAndConsent): readonly string[] {
    return problemsFor(to, plan, {
      isDriving: this.controller !== 'STOPPED',
      fencedBy: this.#seat.fencedBy,
      running: this.#starting ?? this.#wayBack.deployment ?? runningIn(this.#state),
      state: this.#state,
      health: this.#settings.health,
      isStoreUp: this.isStoreUp,
    })
  }

  /**
   * Takes over from whoever drove last, and goes on where the record says.
   *
   * @param signal - ends the wait for the versions
   */
  async open(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const opened = await takeSeat(
      this.#settings,
      this.#seat,
      this.#lives,
      {
        known: () => ({ state: this.#state, why: this.#why, isUnwritten: this.#seat.isUnwritten }),
        staged: (version, stop) => this.#staged(version, stop),
        restored: async (epoch) => this.progress.jury?.open(epoch),
      },
      signal,
    )
    const { journal, decided, staged, found, state, why, log } = opened
    // The store took its time, in which a person may have decided something.
    const [here, decidedFor] = [this.#state, this.#why]
    const decision = this.#seat.decided > decided ? decisionFor(state, here, { isUnwritten: true }) : undefined
    const from = this.controller
    this.#seat.take(journal, decided)
    // What was so before is no news, and neither is what was decided and told here.
    this.#state = found
    this.#work.resumed(runningIn(found))
    this.progress.forget()
    this.#enter(state, why, log, isAlike(here, state) ? here : found)
    if (this.#state === state) this.#findOver(state, why, log)
    if (decision !== undefined) this.#move(decision, decidedFor)
    this.progress.begin()
    for (const version of routedIn(state)) {
      const failure = staged.get(version)
      if (failure !== undefined) this.died(version, failure.message)
    }
    // One may also have died when it had been ready for a moment, before anybody knew that it was the active one.
    this.#lives.settle(routedIn(state), this.#state)
    this.#takeDeadBack((death) => `"${state.deployment?.to}" died: ${death}`)
    this.#goOn()
    this.#hooks.announce([controllerChange(from, 'DRIVING', state, why, this.#settings.clock.now())])
  }

  /** What was over when this process came can be looked at, and taken back; and the last process may have died before its report was kept. */
  #findOver(state: State, found: string, log: readonly LogEntry[]): void {
    const { deployment } = state
    if (deployment === null || !isOver(deployment.phase)) return
    const why = log.at(-1)?.why ?? found
    const result = resultOf(deployment.phase, why, state)
    const [report, status] = [this.reportOf(deployment.id, result), this.statusOf(deployment.id)]
    if (report !== undefined) this.#history.keep(report)
    if (status !== undefined) this.#handles.foundOver(status, this.progress.forecast(deployment), result)
  }

  /** Ends the driving, not the serving. Waits for the write that is under way, which has a deadline. */
  async close(): Promise<void> {
    const from = this.controller
    if (from === 'STOPPED') return
    this.#seat.leave()
    this.#stepBack()
    this.#starting?.reject(new StoppedError(this.#starting.to))
    const lost = await this.#seat.settled()
    await Promise.all([this.#history.settled, this.progress.jury?.settled])
    const why = `stop() was called${lost?.type === 'ROLL_BACK' ? ' before the store confirmed the rollback' : ''}`
    this.#end({ outcome: 'STOPPED', why })?.()
    this.#hooks.announce([controllerChange(from, 'STOPPED', this.#state, why, this.#settings.clock.now())])
  }

  async deploy(to: string, { retry, acceptMigrated, ...plan }: PlanAndConsent): Promise<Deployment> {
    if (!this.#seat.isDriving) throw this.#seat.notDrivingError(to)
    const wayBack = this.#wayBack.deployment
    const current = runningIn(this.#state)
    const running = this.#starting ?? wayBack ?? current
    const isTakenBack = wayBack !== undefined || (current !== undefined && isRollingBack(current))
    if (running !== undefined && (running.to !== to || (isTakenBack && retry))) {
      throw new DeploymentRunningError(to, running.id, running.to)
    }
    if (isTakenBack) throw new RolledBackVersionError(to)
    if (this.#starting !== undefined) return this.#starting.promise
    if (this.deployment !== undefined) return this.deployment
    if (this.#state.active === to) return alreadyActive(this.#token(), to, this.#vitalsOf({ from: to, to }))
    if (this.#state.rolledBack.includes(to) && !retry) throw new RolledBackVersionError(to)
    const inPlace = inPlaceFor(to, { acceptMigrated, migration: plan.migration }, this.#state)
    if (inPlace !== undefined) throw new MigrationInPlaceError(to, inPlace)

    const [id, salt, health] = [this.#token(), this.#token(), statusOf(this.#settings.health)]
    const starting = makeStarting(id, to)
    this.#starting = starting
    // How it ended the last time is no reason to hold: it is started anew.
    this.#lives.revived(to)
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
   * @returns what became of it where it is not on its way: nobody is given back to a version that is dead, or that cannot
   * read the data any more
   */
  rollBack(why = 'rollback() was called', how: RollBackHow = {}): DeploymentResult | undefined {
    warnOfUnknown(how)
    const running = runningIn(this.#state)
    if (running === undefined) return this.#takeBackUnbegun(why)
    // Who serves is at stake: what is wrong with the batches is said before anything else.
    if (how.batches !== undefined) readBatches(how.batches, running.percentage)
    const accept = how.acceptIrreversible === true
    // What can only freeze gives nobody back, and who died before a stop may be well after the next start.
    const givesBack = accept || !isOneWay(running)
    const isBlueDead = this.controller !== 'STOPPED' && this.#lives.isDead(running.from)
    if (isBlueDead && givesBack && hasShare(running)) return this.#keepGreen(running, why)
    const { batches, results = [] } = how
    // Nobody goes on with the batches where another controller drives.
    const isAtOnce = batches === undefined || this.controller === 'FENCED'
    const descent: Descent | null = isAtOnce ? null : readBatches(batches, running.percentage)
    this.#move({ type: 'ROLL_BACK', elapsedMs: this.progress.elapsedMs(running), accept, descent, results }, why)
    const after = this.#state.deployment
    if (after?.id === running.id && after.phase === 'FROZEN') return { outcome: 'FROZEN', why: this.#why }
    if (this.controller !== 'FENCED') return undefined
    return { outcome: 'FENCED', why: `it is given back in this process alone: ${this.#seat.fencedBy?.message}` }
  }

  /**
   * Takes back what is complete: the old version is made ready, and from the tick in which it is, it is a rollback like any other.
   *
   * @returns `undefined` where that deployment is not complete, or not the newest any more; never rejects
   * @throws TypeError or RangeError when `batches` are none
   */
  takeBackComplete(
    deploymentId: string,
    why = 'rollback() was called',
    how: RollBackHow = {},
  ): Promise<DeploymentResult> | undefined {
    warnOfUnknown(how)
    const complete = completeIn(this.#state)
    if (complete?.id !== deploymentId || this.#starting !== undefined) return undefined
    const descent = how.batches === undefined ? null : readBatches(how.batches, complete.percentage)
    const underWay = this.joinWayBack()
    if (underWay !== undefined) return underWay
    if (!this.#seat.isDriving) return Promise.resolve(this.#notDriving())
    return this.#wayBack.begin(complete, { descent, accept: how.acceptIrreversible === true }, why)
  }

  /** The rollback of a complete deployment that is under way already, if there is one: as ever, who asks again wants it at once. */
  joinWayBack(): Promise<DeploymentResult> | undefined {
    return this.#wayBack.join()
  }

  /** From here on it is a rollback like any other. */
  #switchBack({ id, to }: DeploymentState, batches: Descent | null, why: string): Promise<DeploymentResult> {
    // Nobody is spared by what a dead version would keep.
    const descent = this.#lives.isDead(to) ? null : batches
    this.#move({ type: 'ROLL_BACK', elapsedMs: 0, accept: true, descent }, why)
    return this.finishedOf(id) ?? Promise.resolve(this.#notDriving())
  }

  #notDriving(): DeploymentResult {
    const { fencedBy } = this.#seat
    if (fencedBy !== undefined) return { outcome: 'FENCED', why: `nothing has changed: ${fencedBy.message}` }
    return { outcome: 'STOPPED', why: 'nothing has changed, for this process does not drive: call start() first' }
  }

  /** A `deploy` that the store has not confirmed is taken back before anything of it begins: this is written over it. */
  #takeBackUnbegun(why: string): undefined {
    const { wanted, isDriving } = this.#seat
    if (wanted?.type !== 'DEPLOY' || !isDriving) return
    const state = takeBackUnbegun(wanted.state)
    this.#unbegun = state.deployment?.id
    const log = logged(this.#log, this.#state, state, why, this.#settings.clock.now())
    this.#seat.want({ state, why, type: 'ROLL_BACK', log, evidence: null })
    this.#enter(state, why, log)
  }

  /** A version has died by itself. Green alone is rolled back; blue alone leaves green what it has. */
  died(version: string, why: string): void {
    this.#lives.died(version, why)
    this.#handles.last?.renewed()
    const { clock } = this.#settings
    this.#hooks.announce([deathChange(this.#state, version, why, (other) => this.#lives.isDead(other), clock.now())])
    this.#takeDeadBack(() => `"${version}" died: ${why}`)
  }

  /** A version that had died is ready for its events again. */
  revived(version: string): void {
    if (!this.#lives.revived(version)) return
    this.#refusal = undefined
    this.#handles.last?.renewed()
    this.#hooks.announce([revivalChange(this.#state, version, this.#settings.clock.now())])
    // Green may have died while there was nobody to give its guilds to.
    this.#takeDeadBack(() => `"${runningIn(this.#state)?.to}" is dead, and "${version}" lives again`)
    this.#lives.endRetired(this.#state)
  }

  /** A green that is dead beside a living blue is taken back; all else that lives or died is a matter of what may go on. */
  #takeDeadBack(whyOf: (death: string) => string): void {
    const running = runningIn(this.#state)
    if (running === undefined) return
    const death = this.#lives.whyDead(running.to)
    const isAlone = death !== undefined && !this.#lives.isDead(running.from)
    if (isAlone && isRouted(running)) this.rollBack(whyOf(death))
    else this.progress.reconsider()
  }

  // What may happen

  #move(input: Input, why: string): void {
    const state = transition(this.#state, input)
    if (state === undefined) return
    const log = logged(this.#log, this.#state, state, why, this.#settings.clock.now())
    if (input.type === 'ROLL_BACK' || (input.type === 'HOLD' && input.byHand !== null)) this.#seat.decide()
    // The wish comes first: entering a state tells listeners, who may wish for something else.
    this.#seat.want({ state, why, type: input.type, log, evidence: this.#evidence() })
    if (!afterStore.has(input.type)) this.#enter(state, why, log)
  }

  /** There is nobody to roll back to: the share stays as it is, and a person hears of it. */
  #keepGreen(running: DeploymentState, cause: string): DeploymentResult {
    const problem = this.#lives.problemOfRollback(running) ?? ''
    const why = `${problem}; the cause was: ${cause}`
    // Each event that fails may be a cause.
    if (this.#refusal !== problem) {
      // After an irreversible migration the death of blue speaks against nothing else.
      if (!isOneWay(running)) this.progress.hold(why)
      this.#refusal = problem
      this.#hooks.announce([refusalChange(running, why, this.#settings.clock.now())])
    }
    return { outcome: 'HELD', why }
  }

  /** What is known at the moment of a transition. */
  #evidence(): string | null {
    return runningIn(this.#state) === undefined ? null : this.progress.evidence
  }

  /** Asks the store for leave to go on. A hold or a rollback that comes meanwhile is wanted in its place. */
  #prepare(next: Input, why: string): void {
    if (transition(this.#state, next) === undefined) return
    this.#seat.want({ state: this.#state, why, type: 'PREPARE', next, log: this.#log, evidence: this.#evidence() })
  }

  /** Resolves with what kept a version from getting ready, if anything did. */
  async #staged(version: string, signal: AbortSignal): Promise<Error | undefined> {
    const { clock, stageTimeoutMs } = this.#settings
    this.#lives.staged(version)
    try {
      await runBounded((stop) => this.#hooks.stage(version, stop), stageTimeoutMs, clock, signal)
      return undefined
    } catch (error) {
      return new Error(`"${version}" did not get ready: ${messageOf(error)}`, { cause: error })
    }
  }

  // What the store says

  #confirmed(wanted: Wanted): void {
    this.#unbegun = undefined
    if (afterStore.has(wanted.type)) this.#enter(wanted.state, wanted.why, wanted.log ?? [])
    if (wanted.next === undefined) return this.#goOn()
    // What turns while the store is asked holds a step; a frozen one cannot be held.
    const running = runningIn(this.#state)
    const problem = running && this.progress.problemOfThaw(running)
    if (running === undefined || problem === undefined) this.#move(wanted.next, wanted.why)
    else this.#waiters.fail(new DeploymentHeldError(running, problem))
  }

  /** Nothing shifts without the store: a greater share is not waited for, it is given up. */
  #failed(wanted: Wanted, error: unknown): void {
    const why = messageOf(error)
    if (wanted.type === 'PREPARE') this.#giveUp(wanted, error, why)
    if (wanted.type === 'RESUME' || wanted.type === 'DEPLOY') this.#revoke(why)
    if (wanted.type === 'DEPLOY') this.#starting?.reject(error as Error)
  }

  /** A held one stays held, and a frozen one frozen; whoever promoted it hears why. */
  #giveUp(wanted: Wanted, error: unknown, why: string): void {
    const running = runningIn(this.#state)
    if (running !== undefined && isAdvancing(running)) this.progress.hold(why)
    if (this.#seat.wanted !== wanted) return
    this.#revoke(why)
    this.#waiters.fail(error as Error)
  }

  /** Writes the state in force over one that may have landed in the store meanwhile. */
  #revoke(why: string): void {
    this.#seat.want({ state: this.#state, why, type: 'REVOKE', log: this.#log, evidence: this.#evidence() })
    this.#waiters.settleResumptions()
  }

  #fenced(winner: StateRecord | undefined, why: string): void {
    this.#lives.lostTo(this.#state)
    this.#stepBack()
    this.#starting?.reject(this.#seat.notDrivingError(this.#starting.to))
    // What became of it is not known here: the winner is past it.
    if (winner !== undefined && winner.state.deployment?.id !== this.#handles.last?.id) {
      this.#end({ outcome: 'FENCED', why })?.()
    }
    // What the store had never confirmed is no decision about anything.
    const isUnbegun = this.#unbegun !== undefined && runningIn(this.#state)?.id === this.#unbegun
    if (winner !== undefined) this.#goBy(winner, why, isUnbegun)
    // Nobody goes on with its batches here.
    if (runningIn(this.#state)?.phase === 'ROLLING_BACK') this.#move({ type: 'ROLL_BACK', elapsedMs: 0 }, this.#why)
    this.#end({ outcome: 'FENCED', why })?.()
    this.#hooks.announce([controllerChange('DRIVING', 'FENCED', this.#state, why, this.#settings.clock.now())])
  }

  /** The winner's record is the last confirmed truth. What was decided here against it still stands here, as does what serves where there is no code for it. */
  #goBy({ state, log }: StateRecord, why: string, isUndecided = false): void {
    const isAgainst = !isUndecided && standsAgainst(state, this.#state, this.#seat.isUnwritten)
    if (isAgainst || !this.#hasCodeFor(state)) return
    this.#seat.settle()
    this.#enter(state, why, log)
  }

  // Being in a state

  /** @param told - what people know of */
  #enter(state: State, why: string, log: readonly LogEntry[], told = this.#state): void {
    const before = this.#state
    const running = runningIn(state)
    if (running !== undefined && running.id !== before.deployment?.id) this.#hooks.began(running.to)
    this.#state = state
    this.#why = why
    this.#log = log
    this.#route = routeOf(state)
    this.progress.entered(runningIn(before), running)
    this.#chores.keep(workOf(running))
    if (running !== undefined && this.#seat.isDriving) this.#follow(running)
    const isHeld = state.deployment?.id === this.#handles.last?.id
    if (isHeld) this.#handles.last?.changed()
    const phase = phaseOf(state)
    // It is over before anybody hears of it: whoever does may go on from there.
    const tellEnd = isHeld && isOver(phase) ? this.#end(resultOf(phase, why, state)) : undefined
    this.#hooks.announce(changesBetween(told, state, why, this.#settings.clock.now()))
    tellEnd?.()
    if (phase !== phaseOf(before)) this.#refusal = undefined
    // It may have died before it was to live.
    if (running !== undefined && this.isToLive(running.to)) this.#lives.startLater(running.to)
    if (phase === 'COMPLETE' && before.active !== state.active) {
      this.#lives.startLater(state.active)
      this.#retire(before.active)
    }
    if (phase === 'ROLLED_BACK' && runningIn(before) !== undefined) this.#retire(state.deployment?.to)
    this.progress.reconsider()
    this.#tellStarted()
    if (phase !== 'HOLD' || this.#seat.wanted?.type !== 'RESUME') this.#waiters.settleResumptions()
    this.#waiters.settlePromotions(runningIn(this.#state), this.#why)
  }

  /** `deploy` has done its part when green has its first share, or will not have it for now. */
  #tellStarted(): void {
    const deployment = this.#handles.last
    if (deployment === undefined || deployment.id !== this.#starting?.id) return
    const running = runningIn(this.#state)
    const isOnItsWay = running !== undefined && (isPreparing(running) || (isAdvancing(running) && !isStepping(running)))
    if (!isOnItsWay) this.#starting.resolve(deployment)
  }

  #retire(version: string | undefined): void {
    if (this.#seat.isDriving && version !== undefined) this.#lives.retire(version, this.#state)
  }

  /** The state in force is in the store: what waits for that may begin. */
  #goOn(): void {
    if (this.#seat.wanted !== undefined) return
    const running = runningIn(this.#state)
    // A word that something is wrong comes before the work: nothing is staged while it has to hold.
    this.progress.reconsider()
    const key = workOf(running)
    if (running === undefined || key === undefined || this.#state.deployment !== running) return
    this.#chores.begin(key, this.#work.chore(running, this.#why))
  }

  /** Users have a deployment to hold that goes on here. */
  #follow({ id, percentages, stepMs }: DeploymentState): void {
    const status = this.#handles.isFollowing(id) ? undefined : this.statusOf(id)
    if (status === undefined) return
    const foreseen = this.progress.forecast({ percentages, stepMs })
    this.#handles.follow(status, foreseen)
    if (this.progress.jury === undefined || status.phase === 'ROLLING_BACK') return
    this.#hooks.announce([forecastChange(status, foreseen, this.#settings.clock.now())])
  }

  /** What users hold ends here, unless it has ended before. @returns tells them so, last of all */
  #end(result: DeploymentResult): (() => void) | undefined {
    const deployment = this.#handles.last
    if (deployment?.finish(result) !== true) return undefined
    // What another controller goes on with, or a later start, is not over.
    if (result.outcome !== 'FENCED' && result.outcome !== 'STOPPED') this.#history.keep(deployment.report())
    return () => this.#hooks.finished(deployment, result)
  }

  /** This process does not drive any more: nothing of its own goes on. */
  #stepBack(): void {
    this.progress.stop()
    this.#chores.keep(undefined)
    this.#wayBack.stop()
    this.#waiters.leave(this.#seat.notDrivingError(runningIn(this.#state)?.to ?? this.#state.active))
  }

  #hasCodeFor(state: State): boolean {
    const running = runningIn(state)
    return this.#hasVersion(state.active) && (running === undefined || this.#hasVersion(running.to))
  }

  #hasVersion(version: string): boolean {
    return this.#settings.versions.has(version)
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

/** Whether two states are the same to people. */
function isAlike(one: State, other: State): boolean {
  const [a, b] = [one.deployment, other.deployment]
  return a?.id === b?.id && a?.phase === b?.phase && a?.percentage === b?.percentage && one.active === other.active
}

/** Whether the death of green is news: it was made ready, and is not being taken back already. */
function isRouted(running: DeploymentState): boolean {
  return running.percentage > 0 || !(isRollingBack(running) || isPreparing(running))
}

/** How a deployment ended, with what did not pass on blue after a rollback. */
function resultOf(
  outcome: 'COMPLETE' | 'ROLLED_BACK' | 'FAILED',
  why: string,
  { deployment }: State,
): DeploymentResult {
  const failed = deployment?.results.filter(({ kind, isPassed }) => kind === 'validations' && !isPassed) ?? []
  const failures = failed.map(({ name, why: reason }) => `${name}: ${reason}`)
  return { outcome, why, ...(failures.length > 0 && { failures }) }
}

/** It must not keep a rollback from happening. */
function warnOfUnknown(how: RollBackHow): void {
  const unknown = Object.keys(how).find((name) => !rollbackOptions.includes(name))
  if (unknown === undefined) return
  warn('EVENKEEL_OPTION', `rollback has no option "${unknown}"`, 'It has why, batches and acceptIrreversible.')
}

const rollbackOptions = ['why', 'batches', 'acceptIrreversible', 'results']

/** What is in force only when the store has it. All else is in force before it is written. */
const afterStore: ReadonlySet<Wanted['type']> = new Set(['DEPLOY', 'PASSED', 'FAIL', 'RESUME', 'DRAINED', 'UNDONE'])
