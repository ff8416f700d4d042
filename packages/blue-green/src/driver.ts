import {
  changesBetween,
  controllerChange,
  deathChange,
  evidenceChange,
  forecastChange,
  historyChange,
  holdChange,
  phaseOf,
  refusalChange,
  revivalChange,
  storeChange,
  type Controller,
} from './changes.js'
import {
  alreadyActive,
  statusFrom,
  DrivenDeployment,
  type Deployment,
  type DeploymentResult,
  type DeploymentStatus,
} from './deployment.js'
import {
  DeploymentHeldError,
  DeploymentRunningError,
  FencedError,
  MigrationInPlaceError,
  RolledBackVersionError,
  StoppedError,
  StoreUnavailableError,
} from './errors.js'
import { messageOf, runBounded } from './bounded.js'
import { Chores } from './chores.js'
import { readBatches, type PlanAndConsent } from './deploy-options.js'
import type { DriverHooks, RollBackHow } from './driver-hooks.js'
import { Doubt } from './doubt.js'
import { healthProblem, statusOf } from './health-gate.js'
import { Journal } from './journal.js'
import { forecast, type Forecast } from './judgement/forecast.js'
import { Jury } from './judgement/jury.js'
import { Lives } from './lives.js'
import { Lookout } from './lookout.js'
import type { Settings } from './options.js'
import { Pace } from './pace.js'
import { PhaseWork, workOf } from './phase-work.js'
import type { Plan } from './plan.js'
import { isNewer, logged, type LogEntry, type StateRecord } from './record.js'
import { routeOf, type Route } from './routing.js'
import { inPlaceFor, problemsFor } from './report/dry-run.js'
import { History } from './report/history.js'
import { makeReport, type DeploymentReport } from './report/report.js'
import { healthOf, type VersionHealth, type Vitals } from './report/vitals.js'
import { decisionFor, routedIn, standsAgainst, takeOver, type Known, type Resumption } from './resumption.js'
import { makeStarting, type Starting } from './starting.js'
import {
  completeIn,
  hasShare,
  isAccepting,
  isOver,
  isAdvancing,
  isOneWay,
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
import { StepGate } from './step-gate.js'
import { Waiters } from './waiters.js'
import { warn } from './warn.js'
import { WayBack } from './way-back.js'
import { Writer, type Wanted } from './writer.js'

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
  #lookout: Lookout | undefined
  /** Of the newest record of another controller that this process follows. */
  #followed: Pick<StateRecord, 'epoch' | 'sequence'> | undefined
  #isStoreUp = true

  #state: State
  #why = 'nothing was deployed yet'
  #route: Route
  #deployment: DrivenDeployment | undefined
  #starting: Starting | undefined
  readonly #waiters = new Waiters()
  readonly #chores = new Chores()
  readonly #lives: Lives
  /** Whether something was decided here that nobody has written down, nor will before this process drives again. */
  #isUnwritten = false
  /** A deployment that was taken back before the store had confirmed it: it may never have had it. */
  #unbegun: string | undefined
  /** Why a rollback was refused of late: a person has heard of it. */
  #refusal: string | undefined
  /** The rollback of a complete deployment whose old version gets ready. */
  readonly #wayBack: WayBack
  /** The last deployment where it was over before this process came. */
  #found: DrivenDeployment | undefined
  readonly #pace: Pace
  readonly #work: PhaseWork
  readonly #jury: Jury | undefined
  readonly #gate: StepGate
  readonly #doubt: Doubt
  readonly #history: History
  /** The transitions of the deployment in force. */
  #log: readonly LogEntry[] = []
  constructor(settings: Settings, hooks: DriverHooks) {
    this.#settings = settings
    this.#hooks = hooks
    this.#controllerId = this.#token()
    this.#lives = new Lives(settings, hooks)
    this.#wayBack = new WayBack(settings, this.#lives, {
      staged: (version, signal) => this.#staged(version, signal),
      unstaged: (version) => {
        // Whoever stops ends every version.
        if (this.#controller !== 'STOPPED' && !routedIn(this.#state).includes(version)) hooks.retire(version)
      },
      rollBack: (complete, descent, why) => this.#switchBack(complete, descent, why),
      notDriving: () => this.#notDriving(),
      announce: (changes) => hooks.announce(changes),
    })
    this.#pace = new Pace(settings.clock, {
      over: (stepMs) => this.#stepElapsed(stepMs),
      stoodStill: (lateMs) => this.#stoodStill(lateMs),
      heldTooLong: () => this.#callHuman(),
      pauseOver: () => this.#descend(),
      stillWaiting: () => this.#lookAgain(),
    })
    this.#history = new History(settings, (report, why) => {
      hooks.announce([historyChange(report, why, settings.clock.now())])
    })
    const { judge } = settings
    this.#jury =
      judge &&
      new Jury(settings, judge, {
        looked: () => {
          this.#deployment?.renewed()
          this.#lookAgain()
        },
        lost: (why) => {
          if (runningIn(this.#state) !== undefined) this.takeBack(why)
        },
        trouble: (why) => hooks.announce([evidenceChange(this.#state, why, settings.clock.now())]),
      })
    this.#doubt = new Doubt(settings.clock, settings.recoverMs)
    this.#gate = new StepGate(this.#jury, (version) => hooks.events(version))
    this.#work = new PhaseWork(settings, {
      move: (input, why) => this.#move(input, why),
      rollBack: (why, results = []) => void this.rollBack(why, { results }),
      advance: (why, results = []) => this.#prepare(why, { type: 'ADVANCE', results }),
      tested: (results) => {
        this.#gate.tested(results)
        // A source of health may have changed without saying so, and a step of calls alone has no time at whose end it is asked.
        this.#reconsider()
        this.#endStep()
      },
      tell: (change) => hooks.announce([change]),
      staged: (version, signal) => this.#staged(version, signal),
      drained: (version, signal) => hooks.drained(version, signal),
      call: (version, event) => hooks.call(version, event),
    })
    this.#state = { active: settings.initial, rolledBack: [], count: 0, deployment: null }
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

  /** Who judges, if anybody does. */
  get jury(): Jury | undefined {
    return this.#jury
  }

  /** Whether it waits for what health says of a green that fails with nobody to compare it with. */
  get isInDoubt(): boolean {
    return this.#doubt.isOpen
  }

  /** Since when health has been well, or had been before it was not, as far as this deployment has asked. */
  get wellSinceMs(): number {
    return this.#doubt.wellSinceMs
  }

  get isStoreUp(): boolean {
    return this.#isStoreUp
  }

  /** The deployment that runs, as far as this process drives it. */
  get deployment(): Deployment | undefined {
    return runningIn(this.#state)?.id === this.#deployment?.id ? this.#deployment : undefined
  }

  /** The deployment that this process has followed last, running or over. */
  get last(): Deployment | undefined {
    return this.#deployment
  }

  /** The last deployment in the record, running or over. */
  get newest(): Deployment | undefined {
    const id = this.#state.deployment?.id
    return [this.#found, this.#deployment].find((each) => each !== undefined && each.id === id)
  }

  /** How a deployment ends, as of whoever follows it now: this process may have stopped, and gone on with it. */
  finishedOf(deploymentId: string): Promise<DeploymentResult> | undefined {
    return this.#deployment?.id === deploymentId ? this.#deployment.finished : undefined
  }

  /** How long the evidence of a plan will take. */
  forecast(plan: Pick<Plan, 'percentages' | 'stepMs'>): Forecast {
    return this.#jury?.forecast(plan) ?? forecast(plan, undefined, undefined)
  }

  statusOf(deploymentId: string): DeploymentStatus | undefined {
    const deployment = this.#state.deployment
    if (deployment?.id !== deploymentId) return undefined
    // What is over is so for a reason of its own, and not because it was found in the store.
    const why = isOver(deployment.phase) ? (this.#log.at(-1)?.why ?? this.#why) : this.#why
    return statusFrom(deployment, this.#elapsedMs(), why, this.#vitalsOf(deployment))
  }

  phaseOf(deploymentId: string): Phase | undefined {
    const { deployment } = this.#state
    return deployment?.id === deploymentId ? deployment.phase : undefined
  }

  #vitalsOf({ from, to }: Pick<DeploymentState, 'from' | 'to'>): Vitals {
    const of = (version: string): VersionHealth => {
      return { version, ...this.#hooks.fares(version), death: this.#lives.whyDead(version) ?? null }
    }
    const evidence = this.#jury?.find().why ?? null
    return { health: healthOf(this.#settings.health), blue: of(from), green: of(to), evidence }
  }

  /** What is known of a deployment: of the one in force, or that was in force last. */
  reportOf(deploymentId: string, result: DeploymentResult | undefined): DeploymentReport | undefined {
    const { deployment } = this.#state
    if (deployment?.id !== deploymentId) return undefined
    const evidence = this.#jury?.find().why ?? null
    return makeReport({
      deployment,
      log: this.#log,
      why: this.#why,
      result,
      evidence,
      versions: this.#hooks.counters(),
    })
  }

  /** What would keep a version from being deployed now, or hold it at once. */
  problemsOf(to: string, plan: PlanAndConsent): readonly string[] {
    return problemsFor(to, plan, {
      isDriving: this.#controller !== 'STOPPED',
      fencedBy: this.#fencedBy,
      running: this.#starting ?? this.#wayBack.deployment ?? runningIn(this.#state),
      state: this.#state,
      health: this.#settings.health,
      isStoreUp: this.#isStoreUp,
    })
  }

  /**
   * Takes over from whoever drove last, and goes on where the record says.
   *
   * @param signal - ends the wait for the versions
   */
  async open(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { store, name, clock, storeTimeoutMs, storeRetryMs, lookMs, health } = this.#settings
    const key = `blue-green:${name}`
    const journal = new Journal({ store, key, controller: this.#controllerId, clock, timeoutMs: storeTimeoutMs })
    const before = this.#state
    const { found, state, why, log } = await this.#takeOver(journal).catch(async (error) => {
      if (!(error instanceof StoreUnavailableError)) throw error
      // What was active when this process knew it last serves on.
      this.#lives.servesUnasked(routedIn(this.#state))
      await this.#stageAll(this.#state, signal).catch(() => undefined)
      throw error
    })
    this.#lives.tookOver()
    const failures = await this.#stageAll(state, signal)
    // The versions took their time, in which a person may have decided something.
    const decision = this.#state === before ? undefined : decisionFor(state, this.#state, { isUnwritten: true })
    const decidedFor = this.#why
    const from = this.#controller
    this.#controller = 'DRIVING'
    this.#fencedBy = undefined
    this.#isUnwritten = false
    this.#isStoreUp = true
    this.#journal = journal
    this.#followed = undefined
    this.#lookout?.stop()
    this.#lookout = new Lookout(clock, lookMs, {
      read: () => journal.look(),
      found: (record) => this.#noticed(record),
    })
    this.#writer = new Writer(journal, clock, storeRetryMs, {
      confirmed: (wanted) => this.#confirmed(wanted),
      failed: (wanted, error) => this.#failed(wanted, error),
      fenced: (winner) => this.#fenced(winner),
      reachable: (isUp, error) => this.#reachable(isUp, error),
    })
    health?.on('change', this.#healthChanged)
    // What was so before is no news.
    this.#state = found
    this.#work.resumed(runningIn(found))
    this.#gate.entered(undefined)
    this.#enter(state, why, log)
    if (decision !== undefined) this.#move(decision, decidedFor)
    this.#jury?.start()
    for (const [version, failure] of failures) this.died(version, failure.message)
    // One may also have died when it had been ready for a moment, before anybody knew that it was the active one.
    this.#lives.settle(routedIn(state), this.#state)
    this.#takeDeadBack((why) => `"${state.deployment?.to}" died: ${why}`)
    this.#goOn()
    this.#hooks.announce([controllerChange(from, 'DRIVING', state, why, clock.now())])
    const { deployment } = state
    // The last process may have died before its report was kept.
    if (deployment !== null && isOver(deployment.phase)) {
      const outcome = deployment.phase as 'COMPLETE' | 'ROLLED_BACK' | 'FAILED'
      const result = resultOf(outcome, log.at(-1)?.why ?? why, state)
      const report = this.reportOf(deployment.id, result)
      if (report !== undefined) this.#history.keep(report)
      this.#find(result)
    }
  }

  async #takeOver(journal: Journal): Promise<Resumption> {
    const known: Known = { state: this.#state, why: this.#why, isUnwritten: this.#isUnwritten }
    const resumption = await takeOver(journal, this.#settings, known)
    await this.#jury?.open(journal.epoch)
    return resumption
  }

  /** Makes ready whatever the state routes to. @throws what kept the last of it from getting ready, when there is no other */
  async #stageAll(state: State, signal: AbortSignal): Promise<ReadonlyMap<string, Error>> {
    const routed = routedIn(state)
    const failures = new Map<string, Error>()
    await Promise.all(
      routed.map(async (version) => {
        const failure = await this.#staged(version, signal)
        if (failure !== undefined) failures.set(version, failure)
      }),
    )
    signal.throwIfAborted()
    const [first] = failures.values()
    if (first !== undefined && failures.size === routed.length) throw first.cause
    return failures
  }

  /** Ends the driving, not the serving. Waits for the write that is under way, which has a deadline. */
  async close(): Promise<void> {
    if (this.#controller === 'STOPPED') return
    const from = this.#controller
    this.#leave('STOPPED')
    this.#lookout?.stop()
    this.#starting?.reject(new StoppedError(this.#starting.to))
    await this.#writer?.stop()
    await Promise.all([this.#history.settled, this.#jury?.settled])
    const lost = this.#writer?.wanted
    this.#isUnwritten ||= from === 'DRIVING' && lost !== undefined
    const why = `stop() was called${lost?.type === 'ROLL_BACK' ? ' before the store confirmed the rollback' : ''}`
    this.#finish({ outcome: 'STOPPED', why })
    this.#hooks.announce([controllerChange(from, 'STOPPED', this.#state, why, this.#settings.clock.now())])
  }

  async deploy(to: string, { retry, acceptMigrated, ...plan }: PlanAndConsent): Promise<Deployment> {
    if (this.#fencedBy !== undefined) throw this.#fencedBy
    if (this.#controller !== 'DRIVING') throw new StoppedError(to)
    const wayBack = this.#wayBack.deployment
    const running = this.#starting ?? wayBack ?? runningIn(this.#state)
    const current = runningIn(this.#state)
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
    const isBlueDead = this.#controller !== 'STOPPED' && this.#lives.isDead(running.from)
    if (isBlueDead && givesBack && hasShare(running)) return this.#keepGreen(running, why)
    const { batches, results = [] } = how
    const descent: Descent | null = batches === undefined ? null : readBatches(batches, running.percentage)
    this.#move({ type: 'ROLL_BACK', elapsedMs: this.#elapsedMs(), accept, descent, results }, why)
    const after = this.#state.deployment
    if (after?.id === running.id && after.phase === 'FROZEN') return { outcome: 'FROZEN', why: this.#why }
    if (this.#controller !== 'FENCED') return undefined
    return { outcome: 'FENCED', why: `it is given back in this process alone: ${this.#fencedBy?.message}` }
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
    if (this.#controller !== 'DRIVING') return Promise.resolve(this.#notDriving())
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
    if (this.#fencedBy !== undefined)
      return { outcome: 'FENCED', why: `nothing has changed: ${this.#fencedBy.message}` }
    return { outcome: 'STOPPED', why: 'nothing has changed, for this process does not drive: call start() first' }
  }

  /** A `deploy` that the store has not confirmed is taken back before anything of it begins: this is written over it. */
  #takeBackUnbegun(why: string): undefined {
    const wanted = this.#writer?.wanted
    if (wanted?.type !== 'DEPLOY' || this.#controller !== 'DRIVING') return
    const state = takeBackUnbegun(wanted.state)
    this.#unbegun = state.deployment?.id
    const log = logged(this.#log, this.#state, state, why, this.#settings.clock.now())
    this.#writer?.want({ state, why, type: 'ROLL_BACK', log, evidence: null })
    this.#enter(state, why, log)
  }

  /** What the bot has found out by itself: at once, unless a person has gone on in spite of it. */
  takeBack(why: string, how: RollBackHow = {}): void {
    if (runningIn(this.#state)?.isOverruled !== true) this.rollBack(why, how)
  }

  /**
   * Green fails, and nobody is left to compare it with: it may be the version, or what any version needs. Health tells, when it has
   * had the time to notice; where there is none, green is taken back.
   *
   * @param isFailing - whether it has failed on since a moment
   */
  suspect(why: string, isFailing: (sinceMs: number) => boolean): void {
    const running = runningIn(this.#state)
    const { health, clock } = this.#settings
    if (running === undefined || running.isOverruled) return
    const hold: Input = { type: 'HOLD', elapsedMs: this.#elapsedMs(), byHand: null, isDoubted: true }
    const mayHold = transition(this.#state, hold) !== undefined && !this.#lives.isDead(running.from)
    if (health === undefined || !mayHold) return this.takeBack(why)
    const problem = healthProblem(health, running.healthAtStart)
    // Without the driving nobody looks at the time.
    if (this.#controller !== 'DRIVING') return problem === undefined ? this.takeBack(why) : undefined
    if (this.#doubt.isOpen) return
    this.#doubt.begin((sinceMs) => {
      if (healthProblem(health, running.healthAtStart) === undefined && isFailing(sinceMs))
        this.takeBack(`${why}, and health is well`)
    })
    const held = `${why}, which serves nobody now: ${problem ?? 'it is rolled back if that lasts in good health'}`
    this.#move(hold, held)
    // Whoever was told of the hold may have taken it back.
    if (this.#doubt.isOpen) this.#hooks.announce([refusalChange(running, held, clock.now())])
  }

  /** A version has died by itself. Green alone is rolled back; blue alone leaves green what it has. */
  died(version: string, why: string): void {
    this.#lives.died(version, why)
    this.#deployment?.renewed()
    const { clock } = this.#settings
    this.#hooks.announce([deathChange(this.#state, version, why, (other) => this.#lives.isDead(other), clock.now())])
    this.#takeDeadBack(() => `"${version}" died: ${why}`)
  }

  /** A version that had died is ready for its events again. */
  revived(version: string): void {
    if (!this.#lives.revived(version)) return
    this.#refusal = undefined
    this.#deployment?.renewed()
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
    else this.#reconsider()
  }

  /** Goes on to the next step now; resolves when it has, or there is none, and rejects when something holds it. */
  promote(why = 'promote() was called'): Promise<void> {
    if (this.#fencedBy !== undefined) return Promise.reject(this.#fencedBy)
    const running = runningIn(this.#state)
    if (running === undefined) return Promise.resolve()
    const { phase } = running
    if (!isAdvancing(running) && phase !== 'HOLD' && phase !== 'FROZEN') return Promise.resolve()
    if (this.#controller !== 'DRIVING') return Promise.reject(new StoppedError(running.to))
    // A source of health may have changed without saying so.
    this.#reconsider()
    const now = runningIn(this.#state)
    const isWaiting = now?.phase === 'HOLD' && now.awaitsEvidence && now.heldByHand === null
    if (now?.phase === 'HOLD' && !isWaiting) return Promise.reject(this.#held())
    const problem = this.#problemOfThaw(running)
    if (problem !== undefined) return Promise.reject(this.#held(problem))
    const promoted = this.#waiters.promoted(running)
    // What is only staged goes on by itself, and not before green is ready.
    if (isWaiting || phase === 'FROZEN') this.#prepare(why, { type: 'FORWARD' })
    else if (isStepping(running)) this.#prepare(why, { type: 'ADVANCE' })
    return promoted
  }

  /** What speaks against going on from `FROZEN`, where that gives green a share: to get ready, or to run its migration again, does not. */
  #problemOfThaw(running: DeploymentState): string | undefined {
    const isShareNext = running.phase === 'FROZEN' && running.step >= 0 && running.migrated !== 'BEGUN'
    return isShareNext ? this.#problem(running) : undefined
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
    // What is not written would be held again by the next start, here or elsewhere.
    if (this.#controller !== 'DRIVING') return Promise.reject(this.#fencedBy ?? new StoppedError(running.to))
    const problem = this.#problem(running)
    this.#move({ type: 'LET_GO' }, problem === undefined ? why : `${why}, but ${problem}`)
    const now = runningIn(this.#state)
    // Whoever was told of it may have done something else.
    if (problem !== undefined || now?.phase !== 'HOLD' || now.heldByHand !== null) return Promise.resolve()
    const resumed = this.#waiters.resumed()
    this.#move({ type: 'RESUME' }, why)
    return resumed
  }

  // What may happen

  #move(input: Input, why: string): void {
    const state = transition(this.#state, input)
    if (state === undefined) return
    const log = logged(this.#log, this.#state, state, why, this.#settings.clock.now())
    // The wish comes first: entering a state tells listeners, who may wish for something else.
    if (this.#controller === 'DRIVING')
      this.#writer?.want({ state, why, type: input.type, log, evidence: this.#evidence() })
    else this.#isUnwritten = true
    if (!waitsForStore(input.type)) this.#enter(state, why, log)
  }

  /** There is nobody to roll back to: the share stays as it is, and a person hears of it. */
  #keepGreen(running: DeploymentState, cause: string): DeploymentResult {
    const problem = this.#lives.problemOfRollback(running) ?? ''
    const why = `${problem}; the cause was: ${cause}`
    // Each event that fails may be a cause.
    if (this.#refusal === problem) return { outcome: 'HELD', why }
    // After an irreversible migration the death of blue speaks against nothing else.
    if (!isOneWay(running)) this.#move({ type: 'HOLD', elapsedMs: this.#elapsedMs(), byHand: null }, why)
    this.#refusal = problem
    this.#hooks.announce([refusalChange(running, why, this.#settings.clock.now())])
    return { outcome: 'HELD', why }
  }

  /** The next batch goes back, unless there is nobody to take it: then it is looked at again after the next pause. */
  #descend(): void {
    const running = runningIn(this.#state)
    if (running !== undefined && !this.#lives.isDead(running.from)) this.#move({ type: 'DESCEND' }, this.#why)
  }

  readonly #healthChanged = (): void => {
    this.#deployment?.healthChanged()
    this.#reconsider()
  }

  /** Health, the store or the phase has changed: does the deployment hold, go on, or wait? */
  readonly #reconsider = (): void => {
    const running = runningIn(this.#state)
    if (running === undefined || this.#controller !== 'DRIVING') return
    const problem = this.#problem(running)
    // Before its recovery: what is found guilty then does not go on.
    this.#doubt.look(problem === undefined)
    const isWaiting = running.phase === 'HOLD' && running.awaitsEvidence
    if ((isAdvancing(running) || isWaiting) && problem !== undefined) {
      this.#move({ type: 'HOLD', elapsedMs: this.#elapsedMs(), byHand: null }, problem)
    } else if (running.phase === 'HOLD') {
      // More evidence ends its hold, not time.
      const isFree = problem === undefined && running.heldByHand === null && !running.awaitsEvidence
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
    return this.#lives.problem(running) ?? healthProblem(this.#settings.health, running.healthAtStart)
  }

  #stepElapsed(stepMs: number): void {
    this.#gate.timeIsOver()
    // A source may have changed without saying so. If it did, this holds, and the advance means nothing any more.
    this.#reconsider()
    this.#endStep(`${stepMs} ms have passed${this.#settings.health === undefined ? '' : ' in good health'}`)
  }

  /** The step ends when it has had its time, its synthetic calls have passed, and nothing else is waited for. */
  #endStep(reason?: string): void {
    const running = runningIn(this.#state)
    if (running === undefined || !this.#gate.isThrough(running)) return
    const why = reason ?? `its ${isAccepting(running) ? 'acceptance' : 'canary'} tests have passed`
    this.#jury?.look()
    if (this.#convict()) return
    const lacking = this.#gate.lacking(running)
    const { results } = this.#gate
    if (lacking === undefined) return this.#prepare(why, { type: 'ADVANCE', results })
    const elapsedMs = this.#elapsedMs()
    this.#move({ type: 'HOLD', elapsedMs, byHand: null, awaitsEvidence: true, results }, lacking)
  }

  /** Another window has ended: green may be found harmful, or what a held step waited for may be there. */
  #lookAgain(): void {
    const running = runningIn(this.#state)
    if (running === undefined || this.#controller !== 'DRIVING' || this.#convict()) return
    if (running.phase !== 'HOLD' || !running.awaitsEvidence || running.heldByHand !== null) return
    if (this.#writer?.wanted !== undefined || this.#gate.lacking(running) !== undefined) return
    // A source of health may have changed without saying so.
    this.#reconsider()
    if (runningIn(this.#state)?.awaitsEvidence !== true) return
    this.#prepare(this.#jury?.find().why ?? 'it has had as many events as the plan asks for', { type: 'FORWARD' })
  }

  /** @returns whether green is found harmful, and was taken back for it */
  #convict(): boolean {
    const running = runningIn(this.#state)
    const harm = running && this.#gate.harm(running)
    if (harm === undefined) return false
    this.takeBack(harm, { batches: running?.rollbackBatches ?? undefined })
    return true
  }

  /** What is known at the moment of a transition. */
  #evidence(): string | null {
    const isRunning = runningIn(this.#state) !== undefined
    return (isRunning && this.#jury?.find().why) || null
  }

  #stoodStill(lateMs: number): void {
    const why = `the process stood still for ${Math.round(lateMs)} ms`
    this.#move({ type: 'HOLD', elapsedMs: this.#elapsedMs(), byHand: null }, why)
  }

  /** Asks the store for leave to go on. A hold or a rollback that comes meanwhile is wanted in its place. */
  #prepare(why: string, next: Input): void {
    if (transition(this.#state, next) === undefined || this.#controller !== 'DRIVING') return
    this.#writer?.want({ state: this.#state, why, type: 'PREPARE', next, log: this.#log, evidence: this.#evidence() })
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

  #callHuman(): void {
    const running = runningIn(this.#state)
    if (running?.phase !== 'HOLD') return
    this.#hooks.announce([holdChange(running, this.#why, this.#settings.clock.now())])
  }

  // What the store says

  #confirmed(wanted: Wanted): void {
    this.#unbegun = undefined
    if (waitsForStore(wanted.type)) this.#enter(wanted.state, wanted.why, wanted.log ?? [])
    if (wanted.next === undefined) return this.#goOn()
    // What turns while the store is asked holds a step; a frozen one cannot be held.
    const running = runningIn(this.#state)
    const problem = running && this.#problemOfThaw(running)
    if (problem === undefined) this.#move(wanted.next, wanted.why)
    else this.#waiters.fail(this.#held(problem))
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
    if (running !== undefined && isAdvancing(running)) {
      this.#move({ type: 'HOLD', elapsedMs: this.#elapsedMs(), byHand: null }, why)
    }
    if (this.#writer?.wanted !== wanted) return
    this.#revoke(why)
    this.#waiters.fail(error as Error)
  }

  /** Writes the state in force over one that may have landed in the store meanwhile. */
  #revoke(why: string): void {
    this.#writer?.want({ state: this.#state, why, type: 'REVOKE', log: this.#log, evidence: this.#evidence() })
    this.#waiters.settleResumptions()
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
    // Its answer is what says so.
    if (!this.#isStoreUp) this.#reachable(true, undefined)
    this.#fencedBy = new FencedError(why, winner?.epoch)
    this.#lives.lostTo(this.#state)
    this.#leave('FENCED')
    this.#starting?.reject(this.#fencedBy)
    // The winner's record is the last confirmed truth. A rollback decided here still stands here.
    const running = runningIn(this.#state)
    const isTakenBack =
      winner !== undefined &&
      running?.id !== this.#unbegun &&
      standsAgainst(winner.state, this.#state, this.#isUnwritten)
    // What became of it is not known here: the winner is past it.
    if (winner !== undefined && winner.state.deployment?.id !== this.#deployment?.id) {
      this.#finish({ outcome: 'FENCED', why })
    }
    this.#followed = winner
    if (winner !== undefined && !isTakenBack && this.#hasCodeFor(winner.state)) {
      this.#isUnwritten = false
      this.#enter(winner.state, why, winner.log)
    }
    this.#finish({ outcome: 'FENCED', why })
    this.#hooks.announce([controllerChange('DRIVING', 'FENCED', this.#state, why, this.#settings.clock.now())])
  }

  /** Another controller may have taken over, or have gone on. An older epoch is what a store said that lags. */
  #noticed(record: StateRecord): void {
    if (this.#controller === 'DRIVING' && record.epoch > this.epoch) {
      // What is being written is refused.
      void this.#writer?.stop()
      this.#fenced(record)
    } else if (this.#controller === 'FENCED' && isNewer(record, this.#followed)) {
      this.#followed = record
      if (standsAgainst(record.state, this.#state, this.#isUnwritten) || !this.#hasCodeFor(record.state)) return
      this.#isUnwritten = false
      this.#enter(record.state, `the controller with epoch ${record.epoch} says: ${record.cause}`, record.log)
    }
  }

  // Being in a state

  #enter(state: State, why: string, log: readonly LogEntry[]): void {
    const before = this.#state
    const running = runningIn(state)
    if (running !== undefined && running.id !== before.deployment?.id) this.#hooks.began(running.to)
    this.#state = state
    this.#why = why
    this.#log = log
    this.#route = routeOf(state)
    const last = runningIn(before)
    if (running?.step !== last?.step || running?.phase !== last?.phase) this.#gate.entered(running)
    if (running?.phase !== 'HOLD') this.#doubt.end()
    this.#chores.keep(workOf(running))
    if (running !== undefined) this.#jury?.follow(running)
    this.#pace.enter(runningIn(before), running, this.#controller === 'DRIVING')
    if (running !== undefined && this.#controller === 'DRIVING') this.#follow(running.id)
    this.#hooks.announce(changesBetween(before, state, why, this.#settings.clock.now()))
    if (state === this.#state && state.deployment?.id === this.#deployment?.id) this.#deployment?.changed()
    const phase = phaseOf(state)
    const isEnd = phase === 'COMPLETE' || phase === 'ROLLED_BACK' || phase === 'FAILED'
    if (isEnd && state.deployment?.id === this.#deployment?.id) this.#finish(resultOf(phase, why, state))
    if (phase !== phaseOf(before)) this.#refusal = undefined
    // It may have died before it was to live.
    if (running !== undefined && this.isToLive(running.to)) this.#lives.startLater(running.to)
    if (phase === 'COMPLETE' && before.active !== state.active) {
      this.#lives.startLater(state.active)
      this.#retire(before.active)
    }
    if (phase === 'ROLLED_BACK' && runningIn(before) !== undefined) this.#retire(state.deployment?.to)
    this.#reconsider()
    this.#tellStarted()
    if (phase !== 'HOLD' || this.#writer?.wanted?.type !== 'RESUME') this.#waiters.settleResumptions()
    this.#waiters.settlePromotions(runningIn(this.#state), () => this.#held())
  }

  /** `deploy` has done its part when green has its first share, or will not have it for now. */
  #tellStarted(): void {
    const deployment = this.#deployment
    if (deployment === undefined || deployment.id !== this.#starting?.id) return
    const running = runningIn(this.#state)
    const isOnItsWay = running !== undefined && (isPreparing(running) || (isAdvancing(running) && !isStepping(running)))
    if (!isOnItsWay) this.#starting.resolve(deployment)
  }

  #retire(version: string | undefined): void {
    if (this.#controller === 'DRIVING' && version !== undefined) this.#lives.retire(version, this.#state)
  }

  #held(why = this.#why): DeploymentHeldError {
    const running = runningIn(this.#state)
    return new DeploymentHeldError(running?.id ?? '', why, running?.heldByHand != null)
  }

  /** The state in force is in the store: what waits for that may begin. */
  #goOn(): void {
    if (this.#writer?.wanted !== undefined) return
    const running = runningIn(this.#state)
    // A word that something is wrong comes before the work: nothing is staged while it has to hold.
    this.#reconsider()
    const key = workOf(running)
    if (running === undefined || key === undefined || this.#state.deployment !== running) return
    this.#chores.begin(key, this.#work.chore(running, this.#why))
  }

  #elapsedMs(): number {
    const running = runningIn(this.#state)
    if (running === undefined || !isStepping(running)) return this.#state.deployment?.elapsedMs ?? 0
    return this.#pace.steppingMs
  }

  #follow(deploymentId: string): void {
    if (this.#deployment?.id === deploymentId && !this.#deployment.isFinished) return
    const status = this.statusOf(deploymentId)
    if (status === undefined) return
    const { stepMs } = this.#state.deployment ?? status
    const foreseen = this.forecast({ percentages: status.percentages, stepMs })
    const before = [this.#deployment, this.#found]
    this.#deployment = new DrivenDeployment(status, foreseen, this)
    this.#found = undefined
    for (const each of before) if (each?.id === deploymentId) each.takenBackBy(this.#deployment)
    if (this.#jury === undefined || status.phase === 'ROLLING_BACK') return
    this.#hooks.announce([forecastChange(status, foreseen, this.#settings.clock.now())])
  }

  /** A deployment that was over when this process came can be looked at, and taken back, like one that ended here. */
  #find(result: DeploymentResult): void {
    const { deployment } = this.#state
    const status = deployment && this.statusOf(deployment.id)
    if (status == null || deployment === null) return
    if (this.#deployment?.id === deployment.id && this.#deployment.outcome === result.outcome) return
    this.#found = new DrivenDeployment(status, this.forecast(deployment), this)
    this.#found.finish(result)
  }

  #finish(result: DeploymentResult): void {
    const deployment = this.#deployment
    if (deployment?.finish(result) !== true) return
    // What another controller goes on with, or a later start, is not over.
    if (result.outcome !== 'FENCED' && result.outcome !== 'STOPPED') this.#history.keep(deployment.report())
    this.#hooks.finished(deployment, result)
  }

  #leave(controller: Exclude<Controller, 'DRIVING'>): void {
    this.#controller = controller
    this.#pace.cancel()
    this.#doubt.end()
    this.#chores.keep(undefined)
    this.#wayBack.stop()
    this.#jury?.stop()
    const why = this.#fencedBy ?? new StoppedError(runningIn(this.#state)?.to ?? this.#state.active)
    this.#waiters.leave(why)
    this.#settings.health?.off('change', this.#healthChanged)
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
function waitsForStore(type: Wanted['type']): boolean {
  return waiting.has(type)
}

const waiting: ReadonlySet<Wanted['type']> = new Set(['DEPLOY', 'PASSED', 'FAIL', 'RESUME', 'DRAINED', 'UNDONE'])
