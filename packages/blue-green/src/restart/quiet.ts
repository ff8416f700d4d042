import type { Clock } from '../ports.js'

/** What a {@link Quiet} is made of. */
export interface QuietSettings {
  readonly clock: Clock
  readonly leaseMs: number
  readonly redoMs: number
}

/**
 * Whether a process that is alone handles events without claims, which the others, should some come back, cannot know of. So the table says
 * that before it begins.
 *
 * @remarks
 * One who leaves may have had an event of which the copy comes here only now: a lease is long enough for that, of a process that is connected. One who is taken for dead
 * may only stand still, and has events that came to it when it wakes up.
 */
export class Quiet {
  readonly #settings: QuietSettings
  #isOn = false
  #fromMs = -Infinity

  constructor(settings: QuietSettings) {
    this.#settings = settings
  }

  get isOn(): boolean {
    return this.#isOn
  }

  /** Whether one that is alone may say now that it writes no claims. */
  get isDue(): boolean {
    return !this.#isOn && this.#settings.clock.monotonic() >= this.#fromMs
  }

  begin(): void {
    this.#isOn = true
  }

  /** Others are there, or were a moment ago. */
  notAlone(): void {
    this.#isOn = false
    this.#waitFor(this.#settings.leaseMs)
  }

  /** Others are taken for dead. */
  afterDeath(): void {
    this.#isOn = false
    this.#waitFor(Math.max(this.#settings.leaseMs, this.#settings.redoMs))
  }

  #waitFor(ms: number): void {
    this.#fromMs = Math.max(this.#fromMs, this.#settings.clock.monotonic() + ms)
  }
}
