import type { Clock } from '../ports.js'

/** Something that must not take longer than it may. */
export interface Deadline {
  readonly atMs: number
  readonly pass: () => void
}

/**
 * Deadlines that are all equally far away when they begin. One timer serves them all: it is not stopped when one is met,
 * as nearly all are, but fires once, finds nothing to do, and rests.
 */
export class Deadlines {
  readonly #clock: Clock
  readonly #timeoutMs: number
  /** In the order in which they pass, which is that of their beginning. */
  readonly #open = new Set<Deadline>()
  #isTimed = false

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /** @param pass - called when it was not met in time */
  begin(pass: () => void): Deadline {
    const deadline = { atMs: this.#clock.monotonic() + this.#timeoutMs, pass }
    this.#open.add(deadline)
    if (!this.#isTimed) this.#time(this.#timeoutMs)
    return deadline
  }

  meet(deadline: Deadline): void {
    this.#open.delete(deadline)
  }

  #time(delayMs: number): void {
    this.#isTimed = true
    this.#clock.after(delayMs, () => {
      this.#isTimed = false
      this.#look(this.#clock.monotonic())
    })
  }

  #look(nowMs: number): void {
    for (const deadline of this.#open) {
      // Timers of Node may fire a moment early; a millisecond more or less is nothing to a deadline.
      if (deadline.atMs > nowMs + 1) {
        this.#time(deadline.atMs - nowMs)
        return
      }
      this.#open.delete(deadline)
      deadline.pass()
    }
  }
}
