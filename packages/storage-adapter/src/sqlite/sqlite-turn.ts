import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../ports.js'

/** How long writes may follow one another before others have their turn of the event loop, in milliseconds. */
const TURN_MS = 10

/**
 * Lets others have their turn. SQLite answers at once, so whoever awaits one write after another would keep timers and
 * sockets waiting until the last.
 */
export class SqliteTurn {
  readonly #clock: Clock
  #startedMs = 0
  #isUnderWay = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether a write came before in this turn. */
  get isUnderWay(): boolean {
    return this.#isUnderWay
  }

  /** @returns what to await first; `undefined` when the turn is still short */
  pause(): Promise<void> | undefined {
    const nowMs = this.#clock.monotonic()
    if (!this.#isUnderWay) {
      this.#isUnderWay = true
      this.#startedMs = nowMs
      setImmediate(() => (this.#isUnderWay = false))
      return undefined
    }
    return nowMs - this.#startedMs < TURN_MS ? undefined : nextTurn()
  }
}
