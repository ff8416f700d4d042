import type { Clock } from '../ports.js'

/** Does one thing after the other, and one of them again after a while. */
export class Turns {
  readonly #clock: Clock
  #last: Promise<unknown> = Promise.resolve()
  #cancelTimer: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Does it when everything before it is done, however that ended. */
  next<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#last.then(step)
    this.#last = done.catch(() => undefined)
    return done
  }

  /** Calls `run` after a while, in place of what was to be called then. */
  after(delayMs: number, run: () => void): void {
    this.cancel()
    this.#cancelTimer = this.#clock.after(delayMs, run)
  }

  /** Calls nothing. */
  cancel(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }
}
