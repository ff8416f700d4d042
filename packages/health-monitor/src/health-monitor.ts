import { EventEmitter } from 'eventemitter3'
import { CheckRunner } from './check-runner.js'
import { type CheckResult, describeFailure, type HealthStatus, oneLine } from './check-result.js'
import { type CheckOptions, type HealthMonitorOptions, resolveChecks, WHOLE } from './options.js'
import type { Clock } from './ports.js'
import { holdProcess, systemClock } from './system-clock.js'
import {
  aggregate,
  believe,
  type ComponentState,
  expire,
  type Moment,
  nextLookMs,
  observe,
  unobserved,
} from './transitions.js'

/** What is known about one component. */
export interface ComponentHealth {
  /** Its confirmed status. */
  readonly status: HealthStatus
  /** What the last result with this status said, in one line. */
  readonly reason: string
  /** Since when it has this status, epoch ms. */
  readonly since: number
  /** When it was last looked at or reported, epoch ms; `undefined` before the first time. */
  readonly observedAt: number | undefined
  /** How long the last run of its check took, in ms; `undefined` before the first has ended. */
  readonly tookMs: number | undefined
  /** Whether the bot is of no use without it. */
  readonly critical: boolean
}

/** A component, or the whole, changed its status. */
export interface HealthChange<Name extends string = string> {
  /** The component's name, or `health` for the whole. */
  readonly what: Name | 'health'
  /** The status before. */
  readonly from: HealthStatus
  /** The status now. */
  readonly to: HealthStatus
  /** When, epoch ms. */
  readonly at: number
  /** The reason, in one line. */
  readonly why: string
  /** `INFO` for up; `CRITICAL` when the whole or a critical component is down; `WARNING` otherwise. */
  readonly severity: 'INFO' | 'WARNING' | 'CRITICAL'
  /** All of it in one sentence, for people. */
  readonly message: string
}

/** The events of a {@link HealthMonitor}. */
export interface HealthMonitorEvents<Name extends string = string> {
  /** A component, or the whole, changed its status. The getters already show it. */
  change: [change: HealthChange<Name>]
}

interface Component<Name> {
  readonly name: Name
  readonly options: Required<CheckOptions>
  readonly runner: CheckRunner
  state: ComponentState
  tookMs: number | undefined
  /** Somebody reported a status while a run was under way: what that run saw is older news. */
  isRunOutdated: boolean
  cancelLook: () => void
  cancelExpiry: () => void
}

const STATUSES: readonly unknown[] = ['up', 'degraded', 'down', 'unknown'] satisfies HealthStatus[]

const nothing = (): void => {}

/**
 * Knows what is wrong with a bot before its users do: runs checks in the background and tells what changed.
 *
 * @remarks
 * Every check runs by itself, never twice at once, with a deadline. One result does not change a status: a result that
 * contradicts it is confirmed first, by looks that follow one another quickly (hysteresis with fast confirmation). From
 * `unknown` the first result decides alone. A status that no result has confirmed for `maxAgeMs` is `unknown`.
 *
 * The whole is `down` when a critical component is down; else `unknown` when a critical component is unknown, or when
 * nothing is known at all; else `degraded` when anything is not up; else `up`.
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
  readonly #outbox: HealthChange<Name>[] = []
  #isRunning = false
  #isAnnouncing = false
  #announcedStatus: HealthStatus = 'unknown'

  /**
   * Validates, and does nothing else.
   *
   * @param options - the checks by name
   * @throws TypeError when a check is not a function, has the name `health`, or an option does not exist
   * @throws RangeError when a duration or a count is out of range
   */
  constructor(options: HealthMonitorOptions<Name>) {
    super()
    const checks = resolveChecks(options)
    this.#clock = options.clock ?? systemClock
    for (const [name, checkOptions] of checks) {
      const component: Component<Name> = {
        name,
        options: checkOptions,
        runner: new CheckRunner(name, checkOptions, this.#clock, (result, tookMs) =>
          this.#takeIn(component, result, tookMs),
        ),
        state: unobserved(this.#moment()),
        tookMs: undefined,
        isRunOutdated: false,
        cancelLook: nothing,
        cancelExpiry: nothing,
      }
      this.#components.set(name, component)
    }
  }

  /** The status of the whole, now. */
  get status(): HealthStatus {
    const now = this.#moment()
    return aggregate(
      this.#list((component) => ({ status: seenAt(component, now).status, critical: component.options.critical })),
    )
  }

  /** Every component as it is now, in the order of declaration. A snapshot: read it again for news. */
  get components(): ReadonlyMap<Name, ComponentHealth> {
    const now = this.#moment()
    return new Map(this.#list((component) => [component.name, publicView(component, now)]))
  }

  /** Begins to look: every check runs at once, then at its interval. Does nothing when it has begun already. */
  start(): Promise<void> {
    if (!this.#isRunning) {
      this.#isRunning = true
      for (const component of this.#components.values()) this.#look(component)
    }
    return Promise.resolve()
  }

  /**
   * Stops looking. Checks that are under way are aborted and say nothing; none is waited for. Statuses stay as they
   * are until they are too old.
   */
  stop(): Promise<void> {
    this.#isRunning = false
    for (const component of this.#components.values()) {
      component.cancelLook()
      component.cancelExpiry()
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
   * *Gotchas*: it tells what this run saw, while the component's status may still wait for confirmation. Unlike the
   * looks in the background, it keeps the process alive until it can answer.
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
    return new Map(await Promise.all(this.#list(async ({ name, runner }) => [name, await runHeld(runner)] as const)))
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
   * alone.
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
    const now = this.#moment()
    this.#settle(component, believe(seenAt(component, now), { status, reason }, now))
  }

  #look(component: Component<Name>): void {
    const { runner, options } = component
    if (!runner.isHung) {
      // Its verdict arrives in #takeIn, whoever asked for the run.
      void runner.run()
      return
    }
    const now = this.#moment()
    const state = seenAt(component, now)
    if (state.status === 'unknown') {
      this.#schedule(component)
      return
    }
    // That it still has not ended is one more failure, but no news of the component: its status goes on ageing.
    const reason = `no answer within ${options.timeoutMs} ms, and the check is still running`
    const next = observe(state, { status: 'down', reason }, options, now)
    this.#settle(component, { ...next, observedMs: state.observedMs, observedAt: state.observedAt })
  }

  #takeIn(component: Component<Name>, { status, reason }: CheckResult, tookMs: number): void {
    const isOutdated = component.isRunOutdated
    component.isRunOutdated = false
    if (isOutdated || status === 'unknown') {
      this.#schedule(component)
      return
    }
    component.tookMs = tookMs
    const now = this.#moment()
    this.#settle(component, observe(seenAt(component, now), { status, reason }, component.options, now))
  }

  /** The one place where a component changes: first schedule, then settle, and announce last. */
  #settle(component: Component<Name>, next: ComponentState): void {
    const { state: before, name, options } = component
    component.state = next
    this.#schedule(component)
    const at = this.#clock.now()
    if (next.status !== before.status) {
      this.#outbox.push(change(name, options.critical, before.status, next.status, next.reason, at))
    }
    const { status } = this
    if (status !== this.#announcedStatus) {
      this.#outbox.push(change<Name>(WHOLE, true, this.#announcedStatus, status, this.#why(), at))
      this.#announcedStatus = status
    }
    this.#announce()
  }

  /** Sets the component's timers anew. A run that is under way needs none: it ends by its deadline. */
  #schedule(component: Component<Name>): void {
    component.cancelLook()
    component.cancelExpiry()
    if (!this.#isRunning) return
    const { state, options, runner } = component
    if (!runner.isRunning) {
      component.cancelLook = this.#clock.after(nextLookMs(state, options), () => this.#look(component))
    }
    if (state.status !== 'unknown') {
      const expiresInMs = Math.max(0, state.observedMs + options.maxAgeMs - this.#clock.monotonic())
      component.cancelExpiry = this.#clock.after(expiresInMs, () => this.#expire(component))
    }
  }

  #expire(component: Component<Name>): void {
    const next = seenAt(component, this.#moment())
    // A timer may be a fraction of a millisecond early.
    if (next === component.state) this.#schedule(component)
    else this.#settle(component, next)
  }

  /** In order, even when a listener reports something itself: its news waits until this has been told. */
  #announce(): void {
    if (this.#isAnnouncing) return
    this.#isAnnouncing = true
    for (let news = this.#outbox.shift(); news !== undefined; news = this.#outbox.shift()) this.#tell(news)
    this.#isAnnouncing = false
  }

  #tell(news: HealthChange<Name>): void {
    try {
      // Inside this class `Name` is open, and the emitter's types cannot work out its own arguments.
      ;(this as EventEmitter).emit('change', news)
    } catch (error) {
      const message = `A listener of a HealthMonitor's "change" threw: ${describeFailure(error)}`
      process.emitWarning(message, { type: 'EvenkeelWarning', code: 'EVENKEEL_LISTENER' })
    }
  }

  #why(): string {
    const ailing = [...this.components].filter(([, { status }]) => status !== 'up')
    if (ailing.length === 0) return 'every component is up'
    return oneLine(ailing.map(([name, { status, reason }]) => `${name} is ${status} (${reason})`).join('; '))
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

/** The component as it is at this moment: no timer may have come round to ageing it. */
function seenAt({ state, options }: Component<string>, now: Moment): ComponentState {
  return expire(state, options.maxAgeMs, now)
}

/** Somebody waits for this run: without a handle, Node would end the process instead of answering. */
function runHeld(runner: CheckRunner): Promise<CheckResult> {
  const release = holdProcess()
  return runner.run().finally(release)
}

function publicView(component: Component<string>, now: Moment): ComponentHealth {
  const { status, reason, since, observedAt } = seenAt(component, now)
  return { status, reason, since, observedAt, tookMs: component.tookMs, critical: component.options.critical }
}

function change<Name extends string>(
  what: Name | 'health',
  critical: boolean,
  from: HealthStatus,
  to: HealthStatus,
  why: string,
  at: number,
): HealthChange<Name> {
  const severity = to === 'up' ? 'INFO' : to === 'down' && critical ? 'CRITICAL' : 'WARNING'
  const subject = what === WHOLE ? 'Health' : what
  const message = `${subject} went from ${from} to ${to}: ${why}${/[.!?…]$/.test(why) ? '' : '.'}`
  return { what, from, to, at, why, severity, message }
}
