import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../ports.js'

/** Others have their turn of the event loop at least so often, in milliseconds. */
const TURN_MS = 3

/** Keeps long work from holding up everything else: an answer that comes at once lets nobody else in. */
export class Turns {
  readonly #clock: Clock
  #sinceMs = -Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Long work begins. */
  begin(): void {
    this.#sinceMs = this.#clock.monotonic()
  }

  /** Lets others have their turn when they have waited for long. */
  async breathe(): Promise<void> {
    if (this.#clock.monotonic() - this.#sinceMs < TURN_MS) return
    await nextTurn()
    this.begin()
  }
}
