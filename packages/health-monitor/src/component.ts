import type { CheckRunner } from './check-runner.js'
import type { CheckResult, HealthStatus } from './check-result.js'
import type { ComponentHealth } from './events.js'
import type { ResolvedCheck } from './options.js'
import { type ComponentState, expire, type Moment, unobserved } from './transitions.js'

/** A failure that is not believed before those that the component depends on have been looked at. */
interface Doubt<Name extends string> {
  readonly result: CheckResult
  /** Whose looks have not ended yet. */
  readonly awaits: Set<Component<Name>>
}

/** One component: what is known of it, and what that is worth while what it depends on is in trouble. */
export class Component<Name extends string> {
  readonly name: Name
  readonly options: ResolvedCheck<Name>
  readonly critical: boolean
  /** What it depends on, at any depth, roots first. Filled by the monitor, once all components exist. */
  readonly ancestors: Component<Name>[] = []
  /** What depends on it, at any depth. */
  readonly descendants: Component<Name>[] = []
  runner!: CheckRunner
  /** What its own results say. */
  state: ComponentState
  tookMs: number | undefined
  /** Somebody reported a status while a run was under way: what that run saw is older news. */
  isRunOutdated = false
  /** It began together with others, so its next look is put at a time of its own. */
  isInStep = false
  doubt: Doubt<Name> | undefined
  /** It has been down, and nobody has seen it work since: also when by now nobody knows how it is. */
  wasDown = false
  /** The root of the trouble that keeps it from being judged. */
  waitsFor: Component<Name> | undefined
  /** It reported its status itself while its check was not to be judged. */
  speaksForItself = false
  /** What it waited for is well again, and it has not been looked at since. */
  backSince: Component<Name> | undefined
  cancelLook: () => void = () => {}
  cancelExpiry: () => void = () => {}
  /** Since when it has not been judged, epoch ms. */
  #unjudgedSince: number | undefined

  constructor(name: Name, options: ResolvedCheck<Name>, now: Moment) {
    this.name = name
    this.options = options
    this.critical = options.critical
    this.state = unobserved(now)
  }

  /** It is down, or may be about to: whatever fails below it need not have failed by itself. */
  get isInTrouble(): boolean {
    const { suspicion } = this.state
    const isSuspected = suspicion?.direction === 'worse' && suspicion.result.status === 'down'
    return this.wasDown || isSuspected || this.doubt !== undefined
  }

  /** What its own results say at this moment: no timer may have come round to ageing it. */
  seenAt(now: Moment): ComponentState {
    return expire(this.state, this.options.maxAgeMs, now)
  }

  /** Nobody judges it at this moment, for something that it depends on is in trouble. */
  isUnjudged(now: Moment): boolean {
    const { waitsFor } = this
    if (waitsFor === undefined) return false
    // In doubt about its parent, what was seen before counts until it is too old.
    const isOld = this.seenAt(now).status === 'unknown'
    return isOld || (waitsFor.wasDown && !this.speaksForItself)
  }

  /** Its status as everybody reads it; what a bot with thousands of components asks of all of them at every change. */
  statusAt(now: Moment): HealthStatus {
    return this.#verdict(this.seenAt(now), now).status
  }

  /** How it is, for everybody to read. */
  health(now: Moment): ComponentHealth {
    const seen = this.seenAt(now)
    const { observedAt } = seen
    const { status, reason, since } = this.#verdict(seen, now)
    return { status, reason, since, observedAt, tookMs: this.tookMs, critical: this.critical }
  }

  /**
   * Follows what it depends on.
   *
   * @returns whether the trouble above it is over, so that it is to be looked at
   */
  followAncestors(now: Moment): boolean {
    const before = this.waitsFor
    const wasUnjudged = this.isUnjudged(now)
    this.waitsFor = this.ancestors.find((ancestor) => ancestor.isInTrouble)
    if (this.isUnjudged(now)) {
      this.#unjudgedSince ??= now.at
      this.backSince = undefined
    }
    if (this.waitsFor !== undefined) {
      this.doubt = undefined
      this.cancelLook()
      return false
    }
    if (before === undefined) return false
    this.speaksForItself = false
    if (wasUnjudged || this.#unjudgedSince !== undefined) {
      // What was known before the trouble is where it goes on from, so that one bad look after it is no news.
      this.state = { ...this.state, observedMs: now.ms, suspicion: undefined }
      if (this.state.status !== 'unknown') this.backSince = before
    }
    return true
  }

  /** Takes in what its results say now. */
  become(next: ComponentState): void {
    const isSame = next.status === this.state.status
    if (!isSame || next.suspicion === undefined) {
      this.backSince = undefined
      if (this.waitsFor === undefined) this.#unjudgedSince = undefined
    }
    this.state = next
    if (next.status === 'down') this.wasDown = true
    else if (next.status !== 'unknown') this.wasDown = false
  }

  #verdict(seen: ComponentState, now: Moment): Pick<ComponentHealth, 'status' | 'reason' | 'since'> {
    const since = this.#unjudgedSince ?? seen.since
    if (this.waitsFor !== undefined && this.isUnjudged(now)) {
      const { name, wasDown } = this.waitsFor
      const { status } = this.waitsFor.seenAt(now)
      const trouble = wasDown ? `${name} is ${status}` : `${name} may be down`
      return { status: 'unknown', reason: `not judged while ${trouble}`, since }
    }
    if (this.backSince !== undefined && seen.status !== 'unknown') {
      return { status: 'unknown', reason: `not confirmed yet since ${this.backSince.name} is back`, since }
    }
    return seen
  }
}
