import { EventEmitter } from 'eventemitter3'
import { phaseOf, type BlueGreenChange, type Controller, type Severity } from './changes.js'
import { readDuration, requireKnown } from './checked-options.js'
import { Claims, type Claim } from './claims.js'
import { readContext, type EventContext } from './context.js'
import {
  whyOf,
  type Deployment,
  type DeploymentResult,
  type DeploymentStatus,
  type Outcome,
  type RollbackOptions,
} from './deployment.js'
import { Driver } from './driver.js'
import { StoppedError } from './errors.js'
import { failsAlone, findCatastrophe, isCatastrophe } from './failing-guilds.js'
import { Lane, type VersionCounters } from './lane.js'
import { readDeployOptions, type DeployOptions, type PlanAndConsent } from './deploy-options.js'
import {
  readOptions,
  type AnswerOf,
  type BlueGreenOptions,
  type EventOf,
  type Handler,
  type Settings,
  type VersionOf,
  type Versions,
} from './options.js'
import { Pins, type Pin, type PinCounts, type PinOptions } from './pins/pins.js'
import { reported, type VersionReport } from './judgement/judge-options.js'
import type { Side } from './judgement/window.js'
import { failureIn, runProbes } from './probes.js'
import { stepsOf, type DryRun } from './report/dry-run.js'
import { Notices } from './report/notices.js'
import type { DeploymentReport } from './report/report.js'
import { versionFor } from './routing.js'
import { Crew, type EventNews } from './slots/crew.js'
import { functionSlot } from './slots/function-slot.js'
import type { MemoryReading, Slot } from './slots/slot.js'
import { isTakenBack, runningIn, type Phase } from './transitions.js'
import { warn } from './warn.js'

/** A deployment is over, as far as this process is concerned. */
export interface BlueGreenFinished {
  /** Which thing this is about. */
  readonly what: 'deployment'
  /** The version that served when it began. */
  readonly from: string
  /** The version that was to serve. */
  readonly to: string
  /** When, in epoch ms. */
  readonly at: number
  /** The cause, as a clause. */
  readonly why: string
  /** `WARNING` unless it is complete. */
  readonly severity: Severity
  /** The whole as a sentence, fit for a log or a chat channel. */
  readonly message: string
  /** How it ended. */
  readonly outcome: Outcome
  /** The deployment. */
  readonly deploymentId: string
}

/** The events of {@link BlueGreen}. */
export interface BlueGreenEvents {
  /** Something is different now. */
  change: [change: BlueGreenChange]
  /** A deployment is over. */
  finished: [finished: BlueGreenFinished]
  /** A version that is a slot could not serve an event that was routed to it, or died over it; another one has it now. */
  redelivered: [news: EventNews]
  /** A version that is a slot died over an event that is not run again: nobody knows what became of it. Write it down. */
  unknown: [news: EventNews]
}

/** All there is to know at one moment. */
export interface BlueGreenStatus {
  /** Where the last deployment is; `IDLE` before the first. */
  readonly phase: Phase
  /** The version that serves what no deployment moves. */
  readonly active: string
  /** The deployment that runs, if any. */
  readonly deployment: DeploymentStatus | undefined
  /** Versions that `deploy` refuses without `retry: true`. */
  readonly rolledBack: readonly string[]
  /** Whether this process drives. */
  readonly controller: Controller
  /** The fencing token of this process; 0 before `start()`. */
  readonly epoch: number
  /** Whether the last write to the store was answered. */
  readonly store: 'up' | 'down'
  /** Further copies of events, which were not handled. */
  readonly duplicates: number
  /** The flows that are pinned to a version, by version. Those that have or had none are not in it. */
  readonly pins: ReadonlyMap<string, PinCounts>
  /** What became of the events, by version. */
  readonly versions: ReadonlyMap<string, VersionCounters>
}

/** How `drain` is to wait. */
export interface DrainOptions {
  /** How long at most, in ms; `drainMs` of the constructor unless given. */
  readonly timeoutMs?: number | undefined
  /** Ends the wait early, with a rejection. */
  readonly signal?: AbortSignal | undefined
}

/** What `drain` found. */
export interface Drained {
  /** Whether every call that was waited for has settled. */
  readonly drained: boolean
  /** How many have not. */
  readonly running: number
}

/**
 * Runs two versions of a bot side by side in one process, and moves the guilds from one to the other step by step.
 *
 * @remarks
 * Each event is handled by exactly one version. A guild moves as a whole and never back, except by a rollback. A call
 * that has begun ends where it began.
 *
 * *Gotchas*: call `start()` before events arrive, for only then does this process know what was active before its
 * restart; until then `initial` serves. A rollback is in force before the store has it: if the process dies in
 * between, it resumes at the share that the store knows, and has to be rolled back again. Timers do not keep the
 * process alive; the connection of a bot does.
 *
 * @example
 * ```ts
 * import { setTimeout as sleep } from 'node:timers/promises'
 * import { BlueGreen, memoryState } from '@evenkeel/blue-green'
 *
 * const blueGreen = new BlueGreen({
 *   versions: { v1: async () => 'old', v2: async () => 'new' },
 *   initial: 'v1',
 *   context: (message: { id: string; guildId: string }) => ({ eventId: message.id, guildId: message.guildId }),
 *   store: memoryState(),
 * })
 * await blueGreen.start()
 * const deployment = await blueGreen.deploy('v2', { percentages: [10, 100], stepMs: 20 })
 * while (blueGreen.deployment !== undefined) await sleep(5)
 * console.log((await deployment.finished).outcome) // => COMPLETE
 * console.log(await blueGreen.handle({ id: '1', guildId: '81384788765712384' })) // => new
 * await blueGreen.stop()
 * ```
 */
export class BlueGreen<
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a BlueGreen whatever its versions
  Named extends Versions<Event> = any,
  Event = EventOf<Named[keyof Named]>,
> extends EventEmitter<BlueGreenEvents> {
  readonly #settings: Settings
  readonly #context: (event: Event) => EventContext
  readonly #lanes = new Map<string, Lane>()
  /** Where a version is more than a function. */
  readonly #crew: Crew | undefined
  readonly #claims: Claims
  readonly #pins: Pins
  readonly #driver: Driver
  readonly #notices: Notices | undefined
  /** What is yet to be told. */
  readonly #outbox: (() => void)[] = []
  #isTelling = false
  /** Starts and stops, one after the other. */
  #life: Promise<unknown> = Promise.resolve()
  /** Ends the starts that were asked for before the next stop. */
  #untilStop = new AbortController()
  #duplicates = 0

  /**
   * Checks the options and does nothing else.
   *
   * @param options - the versions, what an event is about, and where the state is kept
   * @throws TypeError or RangeError that names the option, its value, and what would do
   */
  constructor(options: BlueGreenOptions<Named, Event>) {
    super()
    this.#settings = readOptions(options)
    this.#context = options.context
    const { versions, clock, claimMs, maxClaims, maxPins } = this.#settings
    for (const name of versions.keys()) this.#lanes.set(name, new Lane(this.#settings))
    this.#claims = new Claims(clock, claimMs, maxClaims)
    this.#pins = new Pins({ clock, maxPins })
    this.#notices = this.#settings.notify && new Notices(this.#settings.notify)
    this.#driver = new Driver(this.#settings, {
      announce: (changes) => this.#announce(changes),
      finished: (deployment, result) => this.#tellFinished(deployment, result),
      began: (version) => this.#lanes.get(version)?.guilds.clear(),
      stage: async (version, signal) => {
        this.#pins.keep(version)
        await this.#crew?.stage(version, signal)
      },
      retire: (version) =>
        this.#pins.whenFree(version, () => {
          // A function serves on.
          if (typeof versions.get(version) !== 'function') this.#pins.ended(version)
          void this.#crew?.retire(version)
        }),
      startLater: (version, why) => this.#crew?.startLater(version, why),
      drained: (version, signal) => this.#drained(version, signal),
      call: (version, event) => this.#call(version, event),
      counters: () => this.#counters,
      // A version that is not in the code any more has had nothing.
      fares: (version) => (this.#lanes.get(version) ?? new Lane(this.#settings)).fares,
      events: (version) => this.#lanes.get(version)?.events ?? 0,
    })
    this.#crew = this.#crewOf(versions)
  }

  /** Where everything is now: a snapshot. */
  get status(): BlueGreenStatus {
    const { state, controller, epoch, isStoreUp } = this.#driver
    const running = runningIn(state)
    return {
      phase: phaseOf(state),
      active: state.active,
      deployment: running && this.#driver.statusOf(running.id),
      rolledBack: state.rolledBack,
      controller,
      epoch,
      store: isStoreUp ? 'up' : 'down',
      duplicates: this.#duplicates,
      pins: this.#pins.counts,
      versions: this.#counters,
    }
  }

  /** The deployment that runs, also one that was resumed after a restart. */
  get deployment(): Deployment | undefined {
    return this.#driver.deployment
  }

  /**
   * The last deployment, running or over, also one that was over before this process began; `undefined` before the first, before
   * `start()`, and where another process has taken over since with one of its own. Its `rollback()` takes back also what is complete.
   */
  get lastDeployment(): Deployment | undefined {
    return this.#driver.newest
  }

  /**
   * Gives an event to the version that owns its guild. The handler begins in this very tick; nothing is waited for.
   *
   * @remarks
   * *Gotchas*: a call that fails is not tried on the other version, since nobody knows how far it came. Answer the
   * user where you handle rejections today.
   *
   * @param event - whatever the handlers take
   * @returns settles as the handler does. The second copy of an event resolves `undefined` without being handled, also
   * when the first one failed; `status.duplicates` counts it. An event that was refused with `NotBegunError` or `ShedError` may be
   * passed again.
   * @throws `NotBegunError` when a version that is a slot could not take it, and no other one could, within `maxWaitMs`
   * @throws `OutcomeUnknownError` when a version that is a slot died over it, and it is not run again
   * @throws TypeError or RangeError, as a rejection, when `context` returns what is no context; then nothing ran
   */
  async handle(event: Event): Promise<AnswerOf<Named[keyof Named]> | undefined> {
    const { eventId, unitId, pin } = readContext(this.#context(event))
    const claim = eventId === undefined ? undefined : this.#claims.take(eventId)
    if (eventId !== undefined && claim === undefined) {
      this.#duplicates += 1
      return undefined
    }
    const version = this.#pinned(pin) ?? versionFor(this.#driver.route, unitId)
    const lane = this.#lanes.get(version)
    if (lane === undefined) throw new Error(`there is no version "${version}"; this is a fault of blue-green`)
    const watched = this.#watched(version, unitId)
    const result = await lane.run(
      (move) => this.#serve(version, event, claim, move),
      (how, at) => {
        // What another version does for a guild that is not its own is no evidence for or against either.
        if (at !== lane) return
        if (how === 'succeeded' && unitId !== undefined) lane.guilds.succeeded(unitId)
        if (how === 'failed') this.#failed(version, lane, unitId)
        watched?.(how === 'failed')
      },
    )
    return result as AnswerOf<Named[keyof Named]>
  }

  /**
   * Begins to move the guilds to another version. Starts the driving first if need be.
   *
   * @remarks
   * Idempotent: while the version is being deployed, the running deployment is returned, with the plan it began with;
   * when it is active already, the result is a deployment that has finished as `ALREADY_ACTIVE`.
   *
   * @param version - one of the names in `versions`
   * @param options - the plan; each step lasts `stepMs` in good health before the next
   * @returns the deployment, once the store has it and green has its first share, unless health holds it; it goes on by
   * itself
   * @throws {@link DeploymentRunningError} while another version is being deployed, or this one being rolled back
   * @throws {@link RolledBackVersionError} when the version was or is being rolled back, unless `retry` is true
   * @throws {@link MigrationInPlaceError} when the version served before the last migration and that was not undone, unless
   * `migration` or `acceptMigrated` is given
   * @throws {@link StoreUnavailableError} when the store does not confirm; the deployment is then taken back
   * @throws {@link FencedError} when another controller drives
   * @throws {@link StoppedError} when `stop()` is called before the store has confirmed
   * @throws whatever {@link BlueGreen.start} throws, when this starts it
   */
  async deploy(version: VersionOf<Named>, options?: DeployOptions): Promise<Deployment> {
    const plan = this.#planOf(version, options)
    await this.start()
    return this.#driver.deploy(version, plan)
  }

  /**
   * Gives all traffic back to the old version, at once: no event that arrives after this call starts on the new one.
   *
   * @remarks
   * If nothing runs here, the driving is started if need be, and what the store holds is rolled back. A `deploy` that the store
   * has not confirmed yet is taken back before anything of it begins. In a process that is fenced it is in force for that process alone,
   * and resolves `FENCED`. What is complete is taken back by `blueGreen.lastDeployment?.rollback()` and not by this, so that no trigger
   * undoes a release of long ago.
   *
   * *Gotchas*: it resolves when the calls on the new version have finished. A handler of that version that awaits it waits
   * for itself, up to `drainMs`.
   *
   * @param options - `why`, for the record and the events, and how
   * @returns how the deployment ended, once the store has it, or `undefined` if none was running
   * @throws whatever {@link BlueGreen.start} throws, when this starts it
   */
  async rollback(options?: RollbackOptions): Promise<DeploymentResult | undefined> {
    const goingBack = this.#driver.joinWayBack()
    if (goingBack !== undefined) return goingBack
    const refusal = this.#driver.rollBack(whyOf(options), options ?? {})
    if (refusal !== undefined) return refusal
    const isStopped = this.#driver.controller === 'STOPPED'
    return (isStopped ? undefined : this.deployment?.finished) ?? this.#rollBackWhatIsStored(options)
  }

  /**
   * Says what `deploy` would do, and does nothing but run the checks: each step with its times, what would refuse it, and how
   * long the evidence takes.
   *
   * @param version - one of the names in `versions`
   * @param options - the plan
   * @throws RangeError or TypeError as `deploy` does for wrong options
   */
  async dryRun(version: VersionOf<Named>, options?: DeployOptions): Promise<DryRun> {
    const plan = this.#planOf(version, options)
    const from = this.#driver.state.active
    const problems = this.#driver.problemsOf(version, plan)
    const { signal } = new AbortController()
    const context = { deploymentId: 'dry-run', from, to: version }
    const functions = {
      get: (name: string) => {
        const check = this.#settings.checks.get(name)
        return check && ((stop: AbortSignal): unknown => check({ ...context, signal: stop }))
      },
    }
    const checks = await runProbes('checks', plan.checks, functions, this.#settings, signal)
    const steps = stepsOf(plan, this.#settings)
    const atLeastMs = steps.at(-1)?.beginsAfterMs ?? 0
    const isReady = problems.length === 0 && failureIn(checks) === undefined
    return {
      from,
      to: version,
      isReady,
      problems,
      checks,
      steps,
      atLeastMs,
      forecast: this.#driver.progress.forecast(plan),
    }
  }

  /**
   * The reports of the last deployments that have ended, the newest first: as many as `historyLength` keeps.
   *
   * @throws {@link StoreUnavailableError} when the store does not answer
   */
  history(): Promise<readonly DeploymentReport[]> {
    return this.#driver.history.read()
  }

  /**
   * Keeps a flow of several events where it began: a collector, a wizard, the follow-ups of an answer, a voice connection. While it is
   * pinned, events whose `context` gives the same key as `pin` go to that version, whatever is deployed. A rollback moves it, unless it
   * `stays`; so does a drain that takes longer than `drainMs`.
   *
   * @param version - the version that begins the flow
   * @param key - what its events have in common
   * @param options - what kind of flow it is, and how long it may take
   * @returns to be released when the flow is over
   * @throws {@link PinnedElsewhereError} when the key is pinned to another version
   * @throws TypeError or RangeError when the version, the key or an option is wrong
   */
  pin(version: VersionOf<Named>, key: string, options?: PinOptions): Pin {
    if (this.#lanes.has(version)) return this.#pins.pin(version, key, options)
    throw new RangeError(this.#noVersion('pin to', version))
  }

  /**
   * Tells of what no call shows: a user complains, or a call got no connection to the database, or no answer from it in time. It
   * counts against the version that serves the guild (or, without a guild, the user), of each kind once per guild and window. Judged
   * where `judge` has `userReports`, `connectionFailures` or `queryTimeouts`; nothing happens otherwise.
   *
   * @param about - the guild, or the user of a direct message; what happened; and the version that it happened to, where another one
   * may serve the guild by now
   * @throws TypeError or RangeError when an identifier is none or has lost digits, or when there is no such kind or version
   */
  report(about: VersionReport<VersionOf<Named>>): void {
    const { kind = 'userReport', version, ...context } = about
    const { unitId } = readContext({ ...context, eventId: null })
    if (unitId === undefined) throw new TypeError('report takes a guildId or a userId: where it happened')
    if (!Object.hasOwn(reported, kind)) {
      throw new RangeError(`report has no kind ${JSON.stringify(kind)}; it has ${Object.keys(reported).join(', ')}`)
    }
    if (version !== undefined && !this.#lanes.has(version)) throw new RangeError(this.#noVersion('report of', version))
    const { progress, route } = this.#driver
    const side = this.#sideOf(version ?? versionFor(route, unitId))
    if (side !== undefined) progress.jury?.report(kind, side, unitId)
  }

  /**
   * How much memory a version's own process uses, for `judge` with `memoryIncrease`: compared at the same age, up to a day, so tell it
   * from the beginning. Versions in a child process or a thread of `./workers` are measured by themselves, once a minute. Versions
   * that are functions share one process, so there is nothing to measure. What makes no sense is ignored, and so is a version that is
   * neither active nor being deployed.
   *
   * @param version - one of the names in `versions`
   * @param sample - the age of its process in ms, and what it uses in bytes
   * @throws RangeError when no version has this name, TypeError when the sample is none
   */
  measureMemory(version: VersionOf<Named>, sample: MemoryReading): void {
    if (!this.#lanes.has(version)) throw new RangeError(this.#noVersion('measure', version))
    requireKnown('measureMemory', sample, ['ageMs', 'bytes'])
    this.#measured(version, sample)
  }

  /**
   * Takes over the state in the store, and resumes the deployment that it finds: at the same share, for the same
   * guilds, with the time of the step begun anew. Whoever drove before is fenced.
   *
   * @throws {@link StoreUnavailableError} when the store does not answer; `initial` serves on, and you may call again
   * @throws {@link VersionMissingError} when the deployment needs a version that is not in `versions`
   * @throws {@link StateFormatError} when the record was written by a newer release, or by something else
   * @throws {@link StoppedError} when `stop()` is called before the versions are ready
   */
  start(): Promise<void> {
    const { signal } = this.#untilStop
    return this.#next(async () => {
      if (this.#driver.controller === 'STOPPED') await this.#driver.open(signal)
    })
  }

  /**
   * Stops driving; a `start()` that waits for its versions ends, with a {@link StoppedError}. A deployment stays in the store for
   * the next `start()`, and its `finished` resolves `STOPPED`. Versions that
   * are functions handle events as before; those that are slots end when they are done with what they run, at the latest after
   * `drainMs`.
   */
  stop(): Promise<void> {
    this.#untilStop.abort(new StoppedError(this.#driver.state.active, true))
    this.#untilStop = new AbortController()
    return this.#next(async () => {
      await this.#driver.close()
      await this.#crew?.stop()
    })
  }

  /** The same as {@link BlueGreen.stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /**
   * Waits until every call that runs now has settled. Events that arrive meanwhile are handled, and not waited for.
   *
   * @param options - a deadline and a signal
   * @throws the reason of the signal when it is aborted; TypeError or RangeError when an option is wrong
   */
  async drain(options: DrainOptions = {}): Promise<Drained> {
    requireKnown('drain', options, ['timeoutMs', 'signal'])
    const { timeoutMs = this.#settings.drainMs, signal } = options
    readDuration('timeoutMs', timeoutMs)
    signal?.throwIfAborted()
    const waits = [...this.#lanes.values()].map((lane) => this.#settled(lane, timeoutMs, signal))
    const running = (await Promise.all(waits)).reduce((sum, left) => sum + left, 0)
    signal?.throwIfAborted()
    return { drained: running === 0, running }
  }

  get #counters(): ReadonlyMap<string, VersionCounters> {
    return new Map([...this.#lanes].map(([name, lane]) => [name, lane.counters]))
  }

  #planOf(version: string, options: DeployOptions | undefined): PlanAndConsent {
    const plan = readDeployOptions(options, this.#settings)
    if (this.#lanes.has(version)) return plan
    throw new RangeError(this.#noVersion('deploy', version))
  }

  #noVersion(what: string, version: string): string {
    return `Cannot ${what} "${version}": it is none of ${[...this.#lanes.keys()].join(', ')}`
  }

  #next(step: () => Promise<void>): Promise<void> {
    const done = this.#life.then(step)
    this.#life = done.catch(() => undefined)
    return done
  }

  async #rollBackWhatIsStored(options: RollbackOptions | undefined): Promise<DeploymentResult | undefined> {
    const before = this.#driver.last
    await this.start()
    const { last, state } = this.#driver
    // What was rolled back here before this process drove again goes on as such, and may be over already.
    const isGoingOn = last !== before && state.deployment?.id === last?.id
    if (isGoingOn && state.deployment !== null && isTakenBack(state.deployment)) return last?.finished
    return this.#driver.rollBack(whyOf(options), options ?? {}) ?? this.deployment?.finished
  }

  /** What a call tells the judge, by the version that it began on. */
  #watched(version: string, unitId: string | undefined): ((isFailed: boolean) => void) | undefined {
    const { jury } = this.#driver.progress
    const side = this.#sideOf(version)
    if (jury === undefined || side === undefined) return undefined
    const { clock } = this.#settings
    const beganMs = clock.monotonic()
    return (isFailed) => jury.add(side, unitId, clock.monotonic() - beganMs, isFailed)
  }

  #measured(version: string, { ageMs, bytes }: MemoryReading): void {
    if (this.#sideOf(version) !== undefined) this.#driver.progress.jury?.measureMemory(version, ageMs, bytes)
  }

  /** A version that only has flows from before is none of the two that are compared. */
  #sideOf(version: string): Side | undefined {
    const { blue, green } = this.#driver.route
    return version === blue ? 'blue' : version === green ? 'green' : undefined
  }

  /** The catastrophe stop. Runs before the failure is passed on, so that it is the last event that green gets. */
  #failed(version: string, lane: Lane, unitId: string | undefined): void {
    if (unitId === undefined) return
    const { blue, green } = this.#driver.route
    const other = version === green && blue !== green ? this.#lanes.get(blue) : undefined
    lane.guilds.failed(unitId, other?.guilds.isFailing(unitId) ?? false)
    if (other === undefined || !lane.guilds.isFailing(unitId)) return
    const { maxFailingGuilds } = this.#settings
    const running = runningIn(this.#driver.state)
    const [here, there] = [lane.guilds.census(), other.guilds.census()]
    // What is being taken back already needs no proof to be taken back at once.
    const isTaken = running !== undefined && isTakenBack(running) && isCatastrophe(here, there, maxFailingGuilds)
    const isBlueServing = running?.percentage !== 100
    const { progress } = this.#driver
    const found = isTaken
      ? 'WORSE'
      : findCatastrophe(lane.guilds, other.guilds, maxFailingGuilds, isBlueServing, progress.wellSinceMs)
    if (found === undefined) return
    const share = ({ failing, seen }: { failing: number; seen: number }): string => `${failing} of ${seen} guilds`
    const why = `${share(here)} are failing on "${version}", against ${share(there)} on "${blue}"`
    if (found === 'WORSE') return progress.takeBack(why)
    if (progress.isInDoubt) return
    progress.suspect(why, (sinceMs) => {
      const { wellSinceMs } = progress
      return failsAlone(lane.guilds, other.guilds, maxFailingGuilds, { sinceMs, wellSinceMs })
    })
  }

  /** Where the flow began that an event belongs to. */
  #pinned(pin: string | undefined): string | undefined {
    return pin === undefined || this.#pins.size === 0 ? undefined : this.#pins.versionOf(pin)
  }

  #announce(changes: readonly BlueGreenChange[]): void {
    this.#movePins()
    // Who follows another controller leaves it to that one to tell people.
    if (this.#driver.controller !== 'FENCED') for (const change of changes) this.#notices?.told(change)
    this.#tell('change', ...changes)
  }

  /** A version that is rolled back keeps its flows as long as it has a share, and the other one keeps its own whatever it was to do. */
  #movePins(): void {
    const { deployment } = this.#driver.state
    if (deployment === null || !isTakenBack(deployment)) return
    this.#pins.keep(deployment.from)
    if (deployment.percentage === 0) this.#pins.move(deployment.to)
  }

  /** Where a version is more than a function, another one may have to do. */
  #serve(version: string, event: Event, claim: Claim | undefined, move: (to: Lane) => void): unknown {
    if (this.#crew === undefined) return this.#run(version, event)
    const moved = (to: string): void => {
      const lane = this.#lanes.get(to)
      if (lane !== undefined) move(lane)
    }
    const refused = (): void => {
      if (claim !== undefined) this.#claims.release(claim)
    }
    return this.#crew.deliver(version, event, { eventId: claim?.id, moved, refused })
  }

  /** A version that is a function. */
  #run(version: string, event: unknown): unknown {
    const run = this.#settings.versions.get(version) as Handler<never>
    return run(event as never)
  }

  #crewOf(versions: Settings['versions']): Crew | undefined {
    const slots = [...versions].map(([name, version]): [string, Slot<never>] => {
      return [name, typeof version === 'function' ? functionSlot(version) : version]
    })
    if (slots.every(([name, slot]) => slot !== versions.get(name))) return undefined
    const { maxWaitMs, drainMs, stageTimeoutMs, clock } = this.#settings
    return new Crew(
      { slots: new Map(slots), maxWaitMs, drainMs, stageTimeoutMs, clock },
      {
        isToLive: (version) => this.#driver.isToLive(version),
        mayServeFor: (version) => this.#driver.mayServeFor(version),
        died: (version, why) => {
          this.#pins.died(version)
          this.#driver.died(version, why)
        },
        revived: (version) => this.#driver.revived(version),
        measured: (version, reading) => this.#measured(version, reading),
        redelivered: (news) => this.#tell('redelivered', news),
        unknown: (news) => this.#tell('unknown', news),
      },
    )
  }

  /** A synthetic call: of no guild, so that it is no evidence. */
  async #call(version: string, event: unknown): Promise<unknown> {
    const lane = this.#lanes.get(version)
    if (lane === undefined) throw new Error(`there is no version "${version}"`)
    const serve = (): unknown => this.#crew?.call(version, event) ?? this.#run(version, event)
    return lane.runSynthetic(serve)
  }

  /** First the flows, which give it calls, and then the calls. */
  async #drained(version: string, signal: AbortSignal): Promise<number> {
    const lane = this.#lanes.get(version)
    if (lane === undefined) return 0
    const { clock, drainMs } = this.#settings
    const endsMs = clock.monotonic() + drainMs
    await this.#pins.drained(version, drainMs, signal)
    return this.#settled(lane, Math.max(1, endsMs - clock.monotonic()), signal)
  }

  /** Waits for the calls that run now; resolves with how many of them still do when the time is over. */
  async #settled(lane: Lane, timeoutMs: number, signal?: AbortSignal): Promise<number> {
    const calls = lane.running
    if (calls.length === 0) return 0
    let stop!: () => void
    const stopped = new Promise<void>((resolve) => (stop = resolve))
    const cancel = this.#settings.clock.after(timeoutMs, stop)
    signal?.addEventListener('abort', stop, { once: true })
    await Promise.race([Promise.allSettled(calls.map(({ settled }) => settled ?? Promise.resolve())), stopped])
    cancel()
    signal?.removeEventListener('abort', stop)
    return calls.filter((call) => lane.isRunning(call)).length
  }

  #tellFinished(deployment: Deployment, { outcome, why }: DeploymentResult): void {
    const { id, from, to } = deployment
    const severity = outcome === 'COMPLETE' ? 'INFO' : 'WARNING'
    const message = `Deployment ${id} ("${from}" to "${to}") has ended as ${outcome}: ${why.replace(/\.$/, '')}.`
    const at = this.#settings.clock.now()
    this.#tell('finished', { what: 'deployment', from, to, at, why, severity, message, outcome, deploymentId: id })
  }

  /** In order, even when a listener rolls back: what follows from that waits until all this has been told. */
  #tell<Name extends keyof BlueGreenEvents>(name: Name, ...all: BlueGreenEvents[Name][0][]): void {
    for (const news of all) this.#outbox.push(() => this.#emit(name, news))
    if (this.#isTelling) return
    this.#isTelling = true
    for (let emit = this.#outbox.shift(); emit !== undefined; emit = this.#outbox.shift()) emit()
    this.#isTelling = false
  }

  #emit(name: keyof BlueGreenEvents, news: BlueGreenEvents[keyof BlueGreenEvents][0]): void {
    try {
      // Of a union of names, the emitter's types cannot work out the arguments.
      ;(this as EventEmitter).emit(name, news)
    } catch (error) {
      warn('EVENKEEL_LISTENER', `A listener of "${name}" threw; those registered after it missed the event`, error)
    }
  }
}
