import type { CheckResult, HealthStatus } from './check-result.js'
import type { CheckRunner } from './check-runner.js'
import type { Component } from './component.js'
import { LookTimes } from './look-times.js'
import type { Clock } from './ports.js'
import { believe, type ComponentState, isWorse, type Moment, observe } from './transitions.js'

/** Whom an assessment tells. */
interface Audience<Name extends string> {
  /** A component went from one status to another. */
  changed(component: Component<Name>, from: HealthStatus, now: Moment): void
  /** The whole may have changed, or may not. */
  settled(now: Moment): void
}

/**
 * Turns what checks see into statuses: confirms it, lets it grow old, and believes no failure before what a component
 * depends on has been looked at.
 */
export class Assessment<Name extends string> {
  readonly #components: readonly Component<Name>[]
  readonly #clock: Clock
  readonly #audience: Audience<Name>
  readonly #times: LookTimes<Name>

  constructor(
    components: readonly Component<Name>[],
    { clock, random }: { clock: Clock; random: () => number },
    audience: Audience<Name>,
  ) {
    this.#components = components
    this.#clock = clock
    this.#audience = audience
    this.#times = new LookTimes(clock, random, {
      look: (component) => this.#look(component),
      expire: (component) => this.#expire(component),
    })
  }

  /** Whether it looks by itself. */
  get isRunning(): boolean {
    return this.#times.isRunning
  }

  start(): void {
    this.#times.start(this.#components)
  }

  stop(): void {
    this.#times.stop(this.#components)
    for (const component of this.#components) {
      component.doubt = undefined
      component.runner.abandon()
    }
  }

  /** A run of a component's check has ended, or reached its deadline, whoever asked for it. */
  takeIn(component: Component<Name>, { status, reason }: CheckResult, tookMs: number): void {
    const isOutdated = component.isRunOutdated
    component.isRunOutdated = false
    if (status !== 'unknown') component.tookMs = tookMs
    if (isOutdated || status === 'unknown') this.#times.schedule(component)
    else this.#judge(component, { status, reason })
    this.#answerDoubts(component)
  }

  /** A component says itself how it is: that needs no confirmation. */
  report(component: Component<Name>, result: CheckResult): void {
    component.isRunOutdated = component.runner.isRunning
    component.doubt = undefined
    component.speaksForItself = component.waitsFor !== undefined
    const now = this.#moment()
    this.#settle(component, believe(component.seenAt(now), result, now))
  }

  /** The looks that failures wait for. */
  asked(): CheckRunner[] {
    return this.#components.flatMap(({ doubt }) => [...(doubt?.awaits ?? [])].map(({ runner }) => runner))
  }

  #look(component: Component<Name>): void {
    if (!this.isRunning || component.waitsFor !== undefined) return
    const { runner, options } = component
    if (!runner.isHung) {
      // Its verdict arrives in takeIn.
      void runner.run()
      return
    }
    if (component.seenAt(this.#moment()).status === 'unknown') {
      this.#times.schedule(component)
      return
    }
    const reason = `no answer within ${options.timeoutMs} ms, and the check is still running`
    const { observedMs, observedAt } = component.state
    // That it still has not ended is one more failure, but no news of the component: its status goes on ageing.
    this.#judge(component, { status: 'down', reason }, (next) => ({ ...next, observedMs, observedAt }))
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
      this.#times.schedule(component)
    } else if (isWorse(next.status, state.status) && this.#askAncestors(component, seen)) {
      this.#followTroubleAt(component, now)
      this.#times.schedule(component)
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

  /** The look that somebody waited for has ended. */
  #answerDoubts(ancestor: Component<Name>): void {
    for (const component of ancestor.descendants) {
      const { doubt } = component
      if (doubt === undefined || !doubt.awaits.delete(ancestor) || doubt.awaits.size > 0) continue
      component.doubt = undefined
      const now = this.#moment()
      component.followAncestors(now)
      if (component.waitsFor !== undefined) {
        this.#times.schedule(component)
        continue
      }
      const { status, reason } = doubt.result
      if (status === 'unknown') continue
      this.#settle(component, observe(component.seenAt(now), { status, reason }, component.options, now))
    }
  }

  /** One that fails makes those that it depends on suspicious: they are looked at without waiting out their interval. */
  #hintTo(ancestors: readonly Component<Name>[]): void {
    if (!this.isRunning) return
    for (const ancestor of ancestors) {
      // One that is suspected already is looked at in its own time: many hints must not confirm it in no time.
      if (ancestor.state.suspicion === undefined) this.#look(ancestor)
    }
  }

  /** The one place where a component changes: first schedule, then settle, and announce last. */
  #settle(component: Component<Name>, next: ComponentState): void {
    const now = this.#moment()
    const { state: before, backSince, descendants } = component
    const isFresh = component.seenAt(now) === before
    component.become(next)
    const freed = this.#followTroubleAt(component, now)
    this.#times.schedule(component)
    if (next.status !== before.status) this.#audience.changed(component, before.status, now)
    const isSame = next.status === before.status && isFresh && backSince === undefined && descendants.length === 0
    // While it runs, timers see to it that nothing grows old in silence.
    if (!isSame || !this.isRunning) this.#audience.settled(now)
    this.#times.lookAtAll(freed)
  }

  /** @returns those for which the trouble is over */
  #followTroubleAt(component: Component<Name>, now: Moment): Component<Name>[] {
    const freed: Component<Name>[] = []
    for (const descendant of component.descendants) {
      const { waitsFor } = descendant
      if (descendant.followAncestors(now)) freed.push(descendant)
      // Its timers depend on what it waits for; setting them anew without need would put its look off for ever.
      if (descendant.waitsFor !== waitsFor || descendant.isUnjudged(now)) this.#times.schedule(descendant)
    }
    return freed
  }

  #expire(component: Component<Name>): void {
    const now = this.#moment()
    const next = component.seenAt(now)
    // A timer may be a fraction of a millisecond early.
    if (next === component.state) {
      this.#times.schedule(component)
    } else if (component.waitsFor !== undefined) {
      component.followAncestors(now)
      this.#audience.settled(now)
    } else {
      this.#settle(component, next)
    }
  }

  #moment(): Moment {
    return { at: this.#clock.now(), ms: this.#clock.monotonic() }
  }
}
