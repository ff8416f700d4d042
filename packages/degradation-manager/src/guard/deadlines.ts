import type { Clock } from '../ports.js'

/** What happens when its time is up. In a list of its like while it waits. */
export interface Deadline {
  /** Monotonic ms. */
  readonly untilMs: number
  previous: Deadline | undefined
  next: Deadline | undefined
  expire(): void
}

/** A timer that fires so much later than it should says that the event loop was blocked, ms. */
const BLOCKED_MS = 20

/**
 * Runs something when its time is up; one turn of the loop later when the loop was blocked, for answers may lie there that
 * could not be read meanwhile, and timers come first in a turn.
 *
 * @returns cancels it
 */
export function whenDue(clock: Clock, inMs: number, run: () => void): () => void {
  const dueMs = clock.monotonic() + inMs
  let cancel = clock.after(inMs, () => {
    if (clock.monotonic() - dueMs < BLOCKED_MS) run()
    else cancel = clock.after(0, run)
  })
  return () => cancel()
}

/**
 * Deadlines that all lie equally far ahead when they are set, so that the first in the list is the first due, and one
 * timer serves all of them. When the last is met the timer is left to run out once, for it costs more to set than a call:
 * a guard that nobody calls has none.
 */
export class Deadlines {
  /** How far ahead they lie, in ms. */
  readonly timeoutMs: number
  readonly #clock: Clock
  #first: Deadline | undefined
  #last: Deadline | undefined
  #isArmed = false

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock
    this.timeoutMs = timeoutMs
  }

  add(deadline: Deadline): void {
    deadline.previous = this.#last
    if (this.#last === undefined) this.#first = deadline
    else this.#last.next = deadline
    this.#last = deadline
    if (!this.#isArmed) this.#arm(this.timeoutMs)
  }

  /** It was met. */
  remove(deadline: Deadline): void {
    const { previous, next } = deadline
    if (previous !== undefined) previous.next = next
    else if (this.#first === deadline) this.#first = next
    else return
    if (next !== undefined) next.previous = previous
    else this.#last = previous
    deadline.previous = undefined
    deadline.next = undefined
  }

  #arm(inMs: number): void {
    this.#isArmed = true
    whenDue(this.#clock, inMs, () => this.#expire())
  }

  #expire(): void {
    this.#isArmed = false
    const nowMs = this.#clock.monotonic()
    for (let first = this.#first; first !== undefined && first.untilMs <= nowMs; first = this.#first) {
      this.remove(first)
      first.expire()
    }
    if (this.#first !== undefined) this.#arm(this.#first.untilMs - nowMs)
  }
}
