import { EventEmitter } from 'eventemitter3'
import { Announcer } from './announcer.js'
import { Assessment } from './assessment.js'
import { CheckRunner } from './check-runner.js'
import { type CheckResult, type HealthStatus, oneLine } from './check-result.js'
import { Component } from './component.js'
import { resolveDependencies } from './dependencies.js'
import { changeOf, type ComponentHealth, type HealthMonitorEvents, WHOLE } from './events.js'
import { systemLoop } from './loop-turns.js'
import { type LoopHealth, LoopWatch } from './loop-watch.js'
import { type HealthMonitorOptions, resolveChecks } from './options.js'
import type { Clock } from './ports.js'
import { holdProcess, systemClock } from './system-clock.js'
import { systemRandom } from './system-random.js'
import { Trigger, type TriggerHandle } from './triggers/trigger.js'
import { resolveTrigger, type TriggerOptions } from './triggers/trigger-options.js'
import { type HealthWatch, SourceWatch, type WatchOptions } from './watch.js'
import { aggregate, type Moment } from './transitions.js'

const STATUSES: readonly unknown[] = ['up', 'degraded', 'down', 'unknown'] satisfies HealthStatus[]

/**
 * Knows what is wrong with a bot before its users do: runs checks in the background and tells what changed.
 *
 * @remarks
 * Every check runs by itself, never twice at once, with a deadline. One result does not change a status: a result that
 * contradicts it is confirmed first, by looks that follow one another quickly (hysteresis with fast confirmation). From
 * `unknown` the first result decides alone. A status without a new result for `maxAgeMs` is `unknown`.
 *
 * While something that a check depends on is down, the check is not run and its component is `unknown`, without an
 * event: only the root of the trouble is news. A component gets worse only after what it depends on was looked at.
 *
 * The whole is `down` when a critical component is down; else `unknown` when a critical component is unknown, or when
 * nothing is known at all; else `degraded` when anything is not up; else `up`. What is not judged does not count.
 *
 * *Gotchas*: until {@link HealthMonitor.start} nothing runs and everything is `unknown`. After {@link HealthMonitor.stop}
 * the last statuses remain until they are too old; then reading shows `unknown`, but no event tells. A listener that
 * throws keeps the listeners registered after it from that event; the error becomes a process warning with the code
 * `EVENKEEL_LISTENER`.
 *
 * @example
 * ```ts
 * import { HealthMonitor } from '@evenkeel/health-monitor'
 *
 * const health = new HealthMonitor({
 *   checks: {
 *     memory: { check: () => process.memoryUsage.rss() < 2_000_000_000 },
 *     translate: { check: () => ({ status: 'degraded', reason: 'slow today' }), critical: false },
 *   },
 * })
 * health.on('change', ({ message }) => console.log(message))
 * await health.start()
 * await health.checkNow()
 * console.log(health.status) // => degraded
 * await health.stop()
 * ```
 */
export class HealthMonitor<Name extends string = string> extends EventEmitter<HealthMonitorEvents<Name>> {
  readonly #clock: Clock
  readonly #components = new Map<Name, Component<Name>>()
  readonly #assessment: Assessment<Name>
  readonly #announcer: Announcer<Name>
  readonly #loop: LoopWatch | undefined
  readonly #triggers = new Set<Trigger>()
  /** Woken at every change. They are no listeners: those of others may throw, and then the rest is not told. */
  readonly #watches = new Set<() => void>()
  /** Aborts when it stops. */
  #life = new AbortController()
  #announcedStatus: HealthStatus = 'unknown'

  /**
   * Validates, and does nothing else.
   *
   * @param options - the checks by name
   * @throws TypeError when a check is not a function, has the name `health`, depends on itself or on none that exists,
   *   or an option does not exist
   * @throws RangeError when a duration or a count is out of range
   */
  constructor(options: HealthMonitorOptions<Name>) {
    super()
    const checks = resolveChecks(options)
    const requirements = resolveDependencies(checks)
    this.#clock = options.clock ?? systemClock
    this.#announcer = new Announcer(this as EventEmitter)
    const { loop = {} } = options
    const watch =
      loop === false
        ? undefined
        : new LoopWatch(systemClock, systemLoop, loop, (news) => {
            this.#announcer.add({ event: 'blocked', news })
            this.#announcer.tell()
          })
    // The loop lives in real time, and has nothing to say about another.
    this.#loop = this.#clock === systemClock ? watch : undefined
    for (const [name, checkOptions] of checks) {
      const component = new Component(name, checkOptions, this.#moment())
      component.runner = new CheckRunner(name, checkOptions, this.#clock, (result, tookMs) => {
        this.#assessment.takeIn(component, result, tookMs)
      })
      this.#components.set(name, component)
    }
    // Roots first here too, so that each follows those above it.
    for (const [name, needed] of requirements) {
      const component = this.#component(name)
      for (const ancestor of needed.map((each) => this.#component(each))) {
        component.ancestors.push(ancestor)
        ancestor.descendants.push(component)
      }
    }
    const { random = systemRandom } = options
    this.#assessment = new Assessment(
      [...this.#components.values()],
      { clock: this.#clock, random },
      {
        changed: ({ name, critical, state }, from, { at }) => {
          const news = changeOf(name, critical, from, state.status, state.reason, at)
          this.#announcer.add({ event: 'change', news })
        },
        settled: (now) => this.#settle(now),
      },
    )
  }

  /** The status of the whole, now. */
  get status(): HealthStatus {
    const now = this.#moment()
    const standing: { status: HealthStatus; critical: boolean }[] = []
    for (const component of this.#components.values()) {
      if (!component.isUnjudged(now)) standing.push({ status: component.statusAt(now), critical: component.critical })
    }
    return aggregate(standing)
  }

  /** Every component as it is now, in the order of declaration. A snapshot: read it again for news. */
  get components(): ReadonlyMap<Name, ComponentHealth> {
    const now = this.#moment()
    return new Map(this.#list((component) => [component.name, component.health(now)]))
  }

  /** How the event loop is; `undefined` when it is not watched: `loop: false`, or a clock of its own. */
  get loop(): LoopHealth | undefined {
    return this.#loop?.health
  }

  /** Whether it looks by itself: it was started, and not stopped since. */
  get isRunning(): boolean {
    return this.#assessment.isRunning
  }

  /**
   * Begins to look: every check runs at once, many of them in quick succession, then at its interval. Does nothing when
   * it has begun already.
   */
  start(): Promise<void> {
    if (!this.isRunning) {
      this.#life = new AbortController()
      this.#loop?.start()
      this.#assessment.start()
      for (const trigger of this.#triggers) trigger.follow()
    }
    return Promise.resolve()
  }

  /**
   * Stops looking. Checks and actions that are under way are aborted and say nothing; none is waited for. Watches end.
   * Statuses stay as they are until they are too old.
   */
  stop(): Promise<void> {
    this.#life.abort(new Error('The monitor was stopped'))
    this.#loop?.stop()
    for (const trigger of this.#triggers) trigger.suspend()
    this.#assessment.stop()
    return Promise.resolve()
  }

  /** As {@link HealthMonitor.stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /**
   * Runs one check now, or joins the run that is under way. The result counts like any other.
   *
   * @remarks
   * *Gotchas*: it tells what this run saw, while the component's status may still wait for confirmation, or not be judged
   * at all. Unlike the looks in the background, it keeps the process alive until it can answer.
   *
   * @param name - the check's name
   * @returns what the run saw, by the check's deadline; it never rejects for what a check does
   * @throws TypeError when there is no such check
   */
  check(name: Name): Promise<CheckResult> {
    return runHeld(this.#component(name).runner)
  }

  /**
   * Runs every check now, all at the same time; for each, see {@link HealthMonitor.check}.
   *
   * @returns what each run saw, when the last has ended or reached its deadline
   */
  async checkNow(): Promise<ReadonlyMap<Name, CheckResult>> {
    const seen = this.#list(async ({ name, runner }) => [name, await runHeld(runner)] as const)
    const results = new Map(await Promise.all(seen))
    // What failed is not settled before what it depends on has been looked at once more.
    for (let asked = this.#assessment.asked(); asked.length > 0; asked = this.#assessment.asked()) {
      await Promise.all(asked.map(runHeld))
    }
    return results
  }

  /**
   * Lets a part that knows by itself say how it is, a fail-over for instance. It takes effect at once, without
   * confirmation.
   *
   * @remarks
   * The report replaces the status and its reason, and starts the confirmation anew. A run that was under way at that
   * moment is ignored, since it began to look before. From then on results count as ever: those that agree keep the
   * status, and as many as `failuresToDown` or `successesToUp` in a row that contradict it replace it. A report counts
   * as a look, so it too is `unknown` after `maxAgeMs` without a result. Reporting `unknown` lets the next result decide
   * alone. It counts also while the component's check is not judged, for whatever it depends on: the part knows.
   *
   * @param name - the component
   * @param status - how it is
   * @param why - the reason, for people
   * @throws TypeError when there is no such component, no such status, or no reason
   */
  report(name: Name, status: HealthStatus, why: string): void {
    const component = this.#component(name)
    if (!STATUSES.includes(status)) {
      throw new TypeError(`HealthMonitor.report: status must be one of ${STATUSES.join(', ')}`)
    }
    const reason = typeof why === 'string' ? oneLine(why) : ''
    if (reason === '') throw new TypeError('HealthMonitor.report: say why, in a string')
    this.#assessment.report(component, { status, reason })
  }

  /**
   * Follows what comes, a deployment for instance: a snapshot at once, then one every `everyMs`, for `forMs`. When the
   * whole is down (confirmed, as ever), that is given at once as the last snapshot.
   *
   * @remarks
   * It ends without a further snapshot when `signal` aborts or the monitor stops. While somebody waits for a snapshot, it
   * keeps the process alive.
   *
   * @param options - how often and for how long
   * @returns snapshots for `for await`
   * @throws TypeError when the monitor has not been started, or an option does not exist
   * @throws RangeError when an option is out of range
   *
   * @example
   * ```ts
   * import { HealthMonitor } from '@evenkeel/health-monitor'
   *
   * const health = new HealthMonitor({ checks: { disk: { check: () => true } } })
   * await health.start()
   * await health.checkNow()
   * for await (const { status, isFailure } of health.watch({ everyMs: 100, forMs: 200 })) {
   *   console.log(status, isFailure) // up false, three times
   * }
   * await health.stop()
   * ```
   */
  watch(options: WatchOptions = {}): HealthWatch<Name> {
    if (!this.isRunning) throw new TypeError('HealthMonitor.watch: nothing happens before start(); start the monitor')
    const follow = (wake: () => void): (() => void) => {
      this.#watches.add(wake)
      return () => this.#watches.delete(wake)
    }
    return new SourceWatch<Name>(this, follow, this.#clock, options, this.#life.signal)
  }

  /**
   * Runs an action once when a component, or the whole, reaches a status, and another once that is over.
   *
   * @remarks
   * The action has a deadline and is tried again when it fails, later and later. It never runs twice at once, nor again
   * before what called for it was over: one that fails the very check that called for it runs once. Two that undo one
   * another become slower with every run, and end at `maxRunsPerHour`. Whatever it does is told by the event `trigger`.
   *
   * What is the case already when the trigger is set counts. `unknown` neither begins nor ends anything, not even the
   * waiting of `forMs`. An action that missed its deadline, or was cut off by `stop()`, may have been done: it is undone too.
   *
   * @param options - at which status, and what to do
   * @returns the trigger; its `off()` takes it off
   * @throws TypeError or RangeError when an option does not exist or is out of range
   *
   * @example
   * ```ts
   * import { HealthMonitor } from '@evenkeel/health-monitor'
   *
   * const health = new HealthMonitor({ checks: { search: { check: () => true } } })
   * health.when({
   *   component: 'search',
   *   is: 'down',
   *   run: ({ why }) => console.log(`search is off: ${why}`),
   *   whenOver: () => console.log('search is on'),
   * })
   * health.report('search', 'down', 'no index') // search is off: no index
   * ```
   */
  when(options: TriggerOptions<NoInfer<Name>>): TriggerHandle {
    const resolved = resolveTrigger(options, [...this.#components.keys(), WHOLE])
    const look = (): { status: HealthStatus; reason: string } => {
      const { component } = resolved
      if (component === WHOLE) return { status: this.status, reason: this.#why(this.#moment()) }
      return this.#component(component as Name).health(this.#moment())
    }
    const trigger = new Trigger(resolved, this.#clock, {
      look,
      tell: (news) => {
        this.#announcer.add({ event: 'trigger', news })
        this.#announcer.tell()
      },
      forget: () => this.#triggers.delete(trigger),
      all: this.#triggers,
    })
    this.#triggers.add(trigger)
    trigger.follow()
    return trigger
  }

  /** The whole may have changed, or may not. */
  #settle(now: Moment): void {
    const { status } = this
    // What has just been set free is about to be looked at: until then there is nothing to tell.
    const isPending = (): boolean =>
      status === 'unknown' &&
      this.isRunning &&
      this.#list(({ backSince }) => backSince).some((root) => root !== undefined)
    if (status !== this.#announcedStatus && !isPending()) {
      const news = changeOf<Name>(WHOLE, true, this.#announcedStatus, status, this.#why(now), now.at)
      this.#announcer.add({ event: 'change', news })
      this.#announcedStatus = status
    }
    this.#announcer.tell()
    for (const trigger of this.#triggers) trigger.follow()
    for (const wake of this.#watches) wake()
  }

  #why(now: Moment): string {
    const ailing = [...this.#components.values()]
      .filter((component) => !component.isUnjudged(now))
      .map((component) => ({ name: component.name, ...component.health(now) }))
      .filter(({ status }) => status !== 'up')
    if (ailing.length === 0) return 'every component is up'
    return oneLine(ailing.map(({ name, status, reason }) => `${name} is ${status} (${reason})`).join('; '))
  }

  #component(name: Name): Component<Name> {
    const component = this.#components.get(name)
    if (component !== undefined) return component
    const known = [...this.#components.keys()].join(', ') || 'none'
    throw new TypeError(`HealthMonitor: there is no check ${JSON.stringify(name)}; there are: ${known}`)
  }

  #list<T>(pick: (component: Component<Name>) => T): T[] {
    return [...this.#components.values()].map(pick)
  }

  #moment(): Moment {
    return { at: this.#clock.now(), ms: this.#clock.monotonic() }
  }
}

/** Somebody waits for this run: without a handle, Node would end the process instead of answering. */
function runHeld(runner: CheckRunner): Promise<CheckResult> {
  const release = holdProcess()
  return runner.run().finally(release)
}
