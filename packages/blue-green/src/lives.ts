import { keptChange } from './changes.js'
import type { DriverHooks } from './driver-hooks.js'
import type { Settings } from './options.js'
import { isOneWay, runningIn, type DeploymentState, type State } from './transitions.js'

/**
 * Which versions are known to be dead, which may serve in their place, and which are to be ended. In memory: after a restart each is
 * staged anew, and shows.
 */
export class Lives {
  readonly #settings: Pick<Settings, 'versions' | 'clock'>
  readonly #hooks: Pick<DriverHooks, 'announce' | 'retire' | 'startLater'>
  /** Why each died. */
  readonly #dead = new Map<string, string>()
  /** What will be ended when the active version lives. */
  readonly #toRetire = new Set<string>()
  /** What was started although the store did not say that it is to serve. */
  readonly #unasked = new Set<string>()
  /** What served here when another controller took over. */
  #servedBefore: readonly string[] = []

  constructor(
    settings: Pick<Settings, 'versions' | 'clock'>,
    hooks: Pick<DriverHooks, 'announce' | 'retire' | 'startLater'>,
  ) {
    this.#settings = settings
    this.#hooks = hooks
  }

  isDead(version: string): boolean {
    return this.#dead.has(version)
  }

  whyDead(version: string): string | undefined {
    return this.#dead.get(version)
  }

  died(version: string, why: string): void {
    this.#dead.set(version, why)
  }

  /** @returns whether it was dead */
  revived(version: string): boolean {
    return this.#dead.delete(version)
  }

  /** It is made ready, whatever was to become of it. */
  staged(version: string): void {
    this.#toRetire.delete(version)
    // It may die again in the tick in which it is ready.
    this.#dead.delete(version)
  }

  /** What speaks against giving green more; `undefined` when nothing does. Blue does not matter where it could have nothing back anyway. */
  problem(running: DeploymentState): string | undefined {
    const [blue, green] = [this.problemOfRollback(running), this.#dead.get(running.to)]
    if (blue !== undefined && !isOneWay(running)) return blue
    return green === undefined ? undefined : `"${running.to}" is dead (${green})`
  }

  /** What speaks against taking green's share back; `undefined` when blue lives. */
  problemOfRollback({ from, to }: DeploymentState): string | undefined {
    const [blue, green] = [this.#dead.get(from), this.#dead.get(to)]
    if (blue === undefined) return undefined
    if (green === undefined) return `"${from}" is dead (${blue}), so nothing can be rolled back to it`
    return `"${from}" and "${to}" are both dead (${blue}; ${green})`
  }

  /** The versions that have served what is routed now, and live as far as anybody knows: one of them may do for `version`, which is down. */
  mayServeFor(version: string, state: State): readonly string[] {
    const { active, deployment } = state
    // What it has begun to write, nobody else can read.
    if (deployment !== null && version === deployment.to && isOneWay(deployment)) return []
    const running = runningIn(state)
    const green = running !== undefined && running.step >= 0 ? [running.to] : []
    const all = [active, ...green, ...this.#toRetire, ...this.#servedBefore]
    return all.filter((each) => this.#settings.versions.has(each))
  }

  /** Whether a version that dies is to be started again: it serves what no deployment moves, or what cannot be given back. */
  isToLive(version: string, state: State): boolean {
    const running = runningIn(state)
    const isFrozen = running?.phase === 'FROZEN' && running.step >= 0 && running.to === version
    return isFrozen || state.active === version || this.#servedBefore.includes(version)
  }

  /** A version that is wanted and dead lives again some time. */
  startLater(version: string): void {
    const why = this.#dead.get(version)
    if (why !== undefined) this.#hooks.startLater(version, why)
  }

  /** No event is routed to it any more. While the active version is dead, it is all there is. */
  retire(version: string, state: State): void {
    if (!this.#settings.versions.has(version)) return
    this.#toRetire.add(version)
    this.endRetired(state)
    if (!this.#toRetire.has(version) || this.#dead.has(version)) return
    this.#hooks.announce([keptChange(state, version, this.#settings.clock.now())])
  }

  /** Ends what has lost its traffic, if the active version lives. */
  endRetired(state: State): void {
    if (this.#dead.has(state.active)) return
    for (const version of this.#toRetire) {
      this.#toRetire.delete(version)
      // Another controller may have made it the active one.
      if (version !== state.active) this.#hooks.retire(version)
    }
  }

  /** The store does not say who is to serve; these do. */
  servesUnasked(versions: readonly string[]): void {
    for (const version of versions) this.#unasked.add(version)
  }

  /** This process drives again: what the state routes to is made ready next. */
  tookOver(): void {
    this.#toRetire.clear()
    this.#servedBefore = []
  }

  /** Starts what is wanted and died meanwhile, and ends what nobody has asked for. */
  settle(routed: readonly string[], state: State): void {
    for (const version of routed) this.startLater(version)
    for (const version of this.#unasked) if (!routed.includes(version)) this.retire(version, state)
    this.#unasked.clear()
  }

  /** What the new controller routes to may not live here; what served until now does. */
  lostTo(before: State): void {
    this.#servedBefore = this.mayServeFor(before.active, before)
  }
}
