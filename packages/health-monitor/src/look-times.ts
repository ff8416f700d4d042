import type { Component } from './component.js'
import type { Clock } from './ports.js'
import { SharedTimers } from './shared-timers.js'
import { nextLookMs } from './transitions.js'

/** Looks at regular intervals share what wakes the process: at multiples of this, and of a tenth of a short interval. */
const GRID_MS = 1_000

/** Of many checks that begin together, so many do in one turn of the event loop, and the next so many ms later. */
const BATCH = { size: 10, gapMs: 20 } as const

/** Who is told when it is time. Methods, so that whoever takes any monitor takes one whose names are known, too. */
interface Looker<Name extends string> {
  /** Looks at a component. */
  look(component: Component<Name>): void
  /** What is known of a component may be too old. */
  expire(component: Component<Name>): void
}

/** When each component is looked at next, and when what is known of it has grown too old. */
export class LookTimes<Name extends string> {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #timers: SharedTimers
  readonly #looker: Looker<Name>
  #isRunning = false

  /**
   * @param random - from 0 to below 1
   * @param looker - is told when it is time
   */
  constructor(clock: Clock, random: () => number, looker: Looker<Name>) {
    this.#clock = clock
    this.#random = random
    this.#timers = new SharedTimers(clock)
    this.#looker = looker
  }

  /** Whether anybody is looked at without being asked for. */
  get isRunning(): boolean {
    return this.#isRunning
  }

  start(components: readonly Component<Name>[]): void {
    this.#isRunning = true
    this.lookAtAll(components)
  }

  stop(components: readonly Component<Name>[]): void {
    this.#isRunning = false
    for (const component of components) this.schedule(component)
  }

  /** Looks at many at the same time, though not in one turn of the event loop; afterwards each at a time of its own. */
  lookAtAll(components: readonly Component<Name>[]): void {
    if (!this.#isRunning) return
    for (const [index, component] of components.entries()) {
      component.isInStep = true
      const delayMs = Math.floor(index / BATCH.size) * BATCH.gapMs
      component.cancelLook()
      if (delayMs === 0) this.#looker.look(component)
      else component.cancelLook = this.#clock.after(delayMs, () => this.#looker.look(component))
    }
  }

  /** Sets the component's timers anew. A run that is under way needs none: it ends by its deadline. */
  schedule(component: Component<Name>): void {
    component.cancelLook()
    component.cancelExpiry()
    if (!this.#isRunning) return
    const { state, runner, waitsFor, doubt } = component
    if (!runner.isRunning && waitsFor === undefined && doubt === undefined) {
      component.cancelLook = this.#plan(component)
    }
    const nowMs = this.#clock.monotonic()
    if (state.status !== 'unknown' && !component.isUnjudged({ at: this.#clock.now(), ms: nowMs })) {
      const expiresInMs = Math.max(0, state.observedMs + component.options.maxAgeMs - nowMs)
      component.cancelExpiry = this.#clock.after(expiresInMs, () => this.#looker.expire(component))
    }
  }

  #plan(component: Component<Name>): () => void {
    const { state, options } = component
    const look = (): void => this.#looker.look(component)
    const delayMs = nextLookMs(state, options)
    if (state.status === 'unknown' || state.suspicion !== undefined) return this.#clock.after(delayMs, look)
    const gridMs = Math.min(GRID_MS, options.intervalMs / 10)
    const fromNowMs = component.isInStep ? delayMs * (1 - this.#random()) : delayMs
    component.isInStep = false
    return this.#timers.at(Math.round((this.#clock.monotonic() + fromNowMs) / gridMs) * gridMs, look)
  }
}
