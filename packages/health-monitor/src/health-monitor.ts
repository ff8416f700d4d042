import { EventEmitter } from 'eventemitter3'
import { Announcer } from './announcer.js'
import { CheckRunner } from './check-runner.js'
import { type CheckResult, type HealthStatus, oneLine } from './check-result.js'
import { Component } from './component.js'
import { resolveDependencies } from './dependencies.js'
import { changeOf, type ComponentHealth, type HealthMonitorEvents, WHOLE } from './events.js'
import { systemLoop } from './loop-turns.js'
import { type LoopHealth, LoopWatch } from './loop-watch.js'
import { type HealthMonitorOptions, resolveChecks } from './options.js'
import type { Clock } from './ports.js'
import { SharedTimers } from './shared-timers.js'
import { holdProcess, systemClock } from './system-clock.js'
import { systemRandom } from './system-random.js'
import { Trigger, type TriggerHandle } from './triggers/trigger.js'
import { resolveTrigger, type TriggerOptions } from './triggers/trigger-options.js'
import { type HealthWatch, SourceWatch, type WatchOptions } from './watch.js'
import { aggregate, believe, type ComponentState, isWorse, type Moment, nextLookMs, observe } from './transitions.js'

const STATUSES: readonly unknown[] = ['up', 'degraded', 'down', 'unknown'] satisfies HealthStatus[]

/** Looks at regular intervals share what wakes the process: at multiples of this, and of a tenth of a short interval. */
const GRID_MS = 1_000

/** Of many checks that begin together, so many do in one turn of the event loop, and the next so many ms later. */
const BATCH = { size: 10, gapMs: 20 } as const

/**
 * Knows what is wrong with a bot before its users do: runs checks in the background and tells what changed.
 *
 * @remarks
 * Every check runs by itself, never twice at once, with a deadline. One result does not change a status: a result that
 * contradicts it is confirmed first, by looks that follow one another quickly (hysteresis with fast confirmation). From
 * `unknown` the first result decides alone. A status that no result has confirmed for `maxAgeMs` is `unknown`.
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
  readonly #random: () => number
  readonly #components = new Map<Name, Component<Name>>()
  readonly #announcer: Announcer<Name>
  readonly #timers: SharedTimers
  readonly #loop: LoopWatch | undefined
  readonly #triggers = new Set<Trigger>()
  /** Aborts when it stops. */
  #life = new AbortController()
  #isRunning = false
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
    this.#random = options.random ?? systemRandom
    this.#announcer = new Announcer(this as EventEmitter)
    this.#timers = new SharedTimers(this.#clock)
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
        this.#takeIn(component, result, tookMs)
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
  }

  /** The status of the whole, now. */
  get status(): HealthStatus {
    const now = this.#moment()
    return aggregate(this.#judged(now).map((component) => component.health(now)))
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
    return this.#isRunning
  }

  /**
   * Begins to look: every check runs at once, many of them in quick succession, then at its interval. Does nothing when
   * it has begun already.
   */
  start(): Promise<void> {
    if (!this.#isRunning) {
      this.#isRunning = true
      this.#life = new AbortController()
      this.#loop?.start()
      this.#lookAtAll([...this.#components.values()])
      this.#followTriggers()
    }
    return Promise.resolve()
  }

  /**
   * Stops looking. Checks and actions that are under way are aborted and say nothing; none is waited for. Watches end.
   * Statuses stay as they are until they are too old.
   */
  stop(): Promise<void> {
    this.#isRunning = false
    this.#life.abort(new Error('The monitor was stopped'))
    this.#loop?.stop()
    for (const trigger of this.#triggers) trigger.suspend()
    for (const component of this.#components.values()) {
      component.cancelLook()
      component.cancelExpiry()
      component.doubt = undefined
      component.runner.abandon()
    }
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
    for (let asked = this.#asked(); asked.length > 0; asked = this.#asked()) await Promise.all(asked.map(runHeld))
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
    component.isRunOutdated = component.runner.isRunning
    component.doubt = undefined
    component.speaksForItself = component.waitsFor !== undefined
    const now = this.#moment()
    this.#settle(component, believe(component.seenAt(now), { status, reason }, now))
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
    if (!this.#isRunning) throw new TypeError('HealthMonitor.watch: nothing happens before start(); start the monitor')
    return new SourceWatch<Name>(this, this.#clock, options, this.#life.signal)
  }

  /**
   * Runs an action once when a component, or the whole, reaches a status, and another once that is over.
   *
   * @remarks
   * The action has a deadline and is tried again when it fails, later and later. It never runs twice at once, nor again
   * before what called for it was over: one that fails the very check that called for it runs once. Two that undo one
   * another end at `maxRunsPerHour`. Whatever it does is told by the event `trigger`.
   *
   * What is the case already when the trigger is set counts. `unknown` neither begins nor ends anything.
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
    const trigger = new Trigger(
      resolved,
      this.#clock,
      look,
      (news) => {
        this.#announcer.add({ event: 'trigger', news })
        this.#announcer.tell()
      },
      () => this.#triggers.delete(trigger),
    )
    this.#triggers.add(trigger)
    trigger.follow()
    return trigger
  }

  #followTriggers(): void {
    for (const trigger of this.#triggers) trigger.follow()
  }

  /** Looks at many at the same time, though not in one turn of the event loop; afterwards each at a time of its own. */
  #lookAtAll(components: readonly Component<Name>[]): void {
    for (const [index, component] of components.entries()) {
      component.isInStep = true
      const delayMs = Math.floor(index / BATCH.size) * BATCH.gapMs
      component.cancelLook()
      if (delayMs === 0) this.#look(component)
      else component.cancelLook = this.#clock.after(delayMs, () => this.#look(component))
    }
  }

  #look(component: Component<Name>): void {
    if (!this.#isRunning || component.waitsFor !== undefined) return
    const { runner, options } = component
    if (!runner.isHung) {
      // Its verdict arrives in #takeIn, whoever asked for the run.
      void runner.run()
      return
    }
    if (component.seenAt(this.#moment()).status === 'unknown') {
      this.#schedule(component)
      return
    }
    const reason = `no answer within ${options.timeoutMs} ms, and the check is still running`
    const { observedMs, observedAt } = component.state
    // That it still has not ended is one more failure, but no news of the component: its status goes on ageing.
    this.#judge(component, { status: 'down', reason }, (next) => ({ ...next, observedMs, observedAt }))
  }

  #takeIn(component: Component<Name>, { status, reason }: CheckResult, tookMs: number): void {
    const isOutdated = component.isRunOutdated
    component.isRunOutdated = false
    if (status !== 'unknown') component.tookMs = tookMs
    if (isOutdated || status === 'unknown') this.#schedule(component)
    else this.#judge(component, { status, reason })
    this.#answerDoubts(component)
  }

  #judge(
    component: Component<Name>,
    seen: { status: 'up' | 'degraded' | 'down'; reason: string },
    adjust = (next: ComponentState): ComponentState => next,
  ): void {
    const now = this.#moment()
    const state = component.seenAt(now)
    const next = adjust(observe(state, seen, component.options, now))
    component.doubt = undefined
    const { waitsFor } = component
    const isFailure = isWorse(seen.status, state.status)
    if (waitsFor !== undefined && (waitsFor.wasDown || isFailure)) {
      this.#schedule(component)
    } else if (isWorse(next.status, state.status) && this.#askAncestors(component, seen)) {
      this.#followTroubleAt(component, now)
      this.#schedule(component)
    } else {
      this.#settle(component, next)
      if (isFailure && component.state.suspicion?.count === 1) this.#hintTo(component.ancestors)
    }
  }

  /**
   * Nothing gets worse before what it depends on has been looked at since: one dead host is one piece of news.
   *
   * @returns whether there is anybody to wait for
   */
  #askAncestors(component: Component<Name>, result: CheckResult): boolean {
    // Of one that hangs, the monitor has already made up its mind.
    const asked = component.ancestors.filter(({ runner }) => !runner.isHung)
    if (asked.length === 0) return false
    component.doubt = { result, awaits: new Set(asked) }
    for (const { runner } of asked) void runner.run()
    return true
  }

  /** The looks that failures wait for. */
  #asked(): CheckRunner[] {
    return this.#list(({ doubt }) => [...(doubt?.awaits ?? [])]).flatMap((all) => all.map(({ runner }) => runner))
  }

  /** The look that somebody waited for has ended. */
  #answerDoubts(ancestor: Component<Name>): void {
    for (const component of ancestor.descendants) {
      const { doubt } = component
      if (doubt === undefined || !doubt.awaits.delete(ancestor) || doubt.awaits.size > 0) continue
      component.doubt = undefined
      const now = this.#moment()
      component.followAncestors(now)
      if (component.waitsFor !== undefined) {
        this.#schedule(component)
        continue
      }
      const { status, reason } = doubt.result
      if (status === 'unknown') continue
      this.#settle(component, observe(component.seenAt(now), { status, reason }, component.options, now))
    }
  }

  /** One that fails makes those that it depends on suspicious: they are looked at without waiting out their interval. */
  #hintTo(ancestors: readonly Component<Name>[]): void {
    if (!this.#isRunning) return
    for (const ancestor of ancestors) {
      // One that is suspected already is looked at in its own time: many hints must not confirm it in no time.
      if (ancestor.state.suspicion === undefined) this.#look(ancestor)
    }
  }

  /** The one place where a component changes: first schedule, then settle, and announce last. */
  #settle(component: Component<Name>, next: ComponentState): void {
    const now = this.#moment()
    const { state: before, name, options, backSince, descendants } = component
    const isFresh = component.seenAt(now) === before
    component.become(next)
    const freed = this.#followTroubleAt(component, now)
    this.#schedule(component)
    if (next.status !== before.status) {
      const news = changeOf(name, options.critical, before.status, next.status, next.reason, now.at)
      this.#announcer.add({ event: 'change', news })
    }
    const isSame = next.status === before.status && isFresh && backSince === undefined && descendants.length === 0
    // While it runs, timers see to it that nothing grows old in silence.
    if (!isSame || !this.#isRunning) this.#settleWhole(now)
    this.#lookAtAll(freed)
  }

  /** @returns those for which the trouble is over */
  #followTroubleAt(component: Component<Name>, now: Moment): Component<Name>[] {
    const freed: Component<Name>[] = []
    for (const descendant of component.descendants) {
      const { waitsFor } = descendant
      if (descendant.followAncestors(now)) freed.push(descendant)
      // Its timers depend on what it waits for; setting them anew without need would put its look off for ever.
      if (descendant.waitsFor !== waitsFor || descendant.isUnjudged(now)) this.#schedule(descendant)
    }
    return freed
  }

  #settleWhole(now: Moment): void {
    const { status } = this
    // What has just been set free is about to be looked at: until then there is nothing to tell.
    const isPending = this.#isRunning && this.#list(({ backSince }) => backSince).some((root) => root !== undefined)
    if (status !== this.#announcedStatus && !(status === 'unknown' && isPending)) {
      const news = changeOf<Name>(WHOLE, true, this.#announcedStatus, status, this.#why(now), now.at)
      this.#announcer.add({ event: 'change', news })
      this.#announcedStatus = status
    }
    this.#announcer.tell()
    this.#followTriggers()
  }

  /** Sets the component's timers anew. A run that is under way needs none: it ends by its deadline. */
  #schedule(component: Component<Name>): void {
    component.cancelLook()
    component.cancelExpiry()
    if (!this.#isRunning) return
    const { state, runner, waitsFor, doubt } = component
    if (!runner.isRunning && waitsFor === undefined && doubt === undefined) {
      component.cancelLook = this.#plan(component)
    }
    if (state.status !== 'unknown' && !component.isUnjudged(this.#moment())) {
      const expiresInMs = Math.max(0, state.observedMs + component.options.maxAgeMs - this.#clock.monotonic())
      component.cancelExpiry = this.#clock.after(expiresInMs, () => this.#expire(component))
    }
  }

  #plan(component: Component<Name>): () => void {
    const { state, options } = component
    const look = (): void => this.#look(component)
    const delayMs = nextLookMs(state, options)
    if (state.status === 'unknown' || state.suspicion !== undefined) return this.#clock.after(delayMs, look)
    const gridMs = Math.min(GRID_MS, options.intervalMs / 10)
    const fromNowMs = component.isInStep ? delayMs * (1 - this.#random()) : delayMs
    component.isInStep = false
    return this.#timers.at(Math.round((this.#clock.monotonic() + fromNowMs) / gridMs) * gridMs, look)
  }

  #expire(component: Component<Name>): void {
    const now = this.#moment()
    const next = component.seenAt(now)
    // A timer may be a fraction of a millisecond early.
    if (next === component.state) {
      this.#schedule(component)
    } else if (component.waitsFor !== undefined) {
      component.followAncestors(now)
      this.#settleWhole(now)
    } else {
      this.#settle(component, next)
    }
  }

  #why(now: Moment): string {
    const ailing = this.#judged(now)
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

  /** Those that count for the whole. */
  #judged(now: Moment): Component<Name>[] {
    return this.#list((component) => component).filter((component) => !component.isUnjudged(now))
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
