import type { Clock } from './ports.js'

/**
 * Milliseconds that look like the wall's and never go back: wall time once, and then only what has elapsed. So what is
 * written down means something to the next process, and a clock that is corrected does no harm in this one.
 */
export class SteadyTime {
  readonly #clock: Clock
  readonly #offsetMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#offsetMs = clock.now() - clock.monotonic()
  }

  ms(): number {
    return Math.round(this.#offsetMs + this.#clock.monotonic())
  }
}
