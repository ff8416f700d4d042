import type { Clock } from '../ports.js'

/** Runs a task again and again, never beside itself, at times that the task and others ask for. The soonest one wins. */
export class Ticker {
  readonly #clock: Clock
  readonly #task: () => Promise<number | undefined>
  #isOpen = false
  #cancel: (() => void) | undefined
  /** On the monotonic clock. */
  #dueAt = Infinity
  #running: Promise<void> | undefined

  /** @param task - never rejects, and says in how many milliseconds it wants to be run again, if at all */
  constructor(clock: Clock, task: () => Promise<number | undefined>) {
    this.#clock = clock
    this.#task = task
  }

  start(): void {
    this.#isOpen = true
  }

  /** Resolves when the task does not run any more. */
  async stop(): Promise<void> {
    this.#isOpen = false
    this.#forget()
    await this.#running
  }

  /** Runs the task in so many milliseconds, unless it will be run sooner anyway. */
  within(delayMs: number): void {
    const dueAt = this.#clock.monotonic() + delayMs
    if (!this.#isOpen || dueAt >= this.#dueAt) return
    this.#forget()
    this.#dueAt = dueAt
    // While it runs, the time is only remembered.
    if (this.#running === undefined) this.#arm()
  }

  #arm(): void {
    const delayMs = Math.max(0, this.#dueAt - this.#clock.monotonic())
    this.#cancel = this.#clock.after(delayMs, () => {
      this.#forget()
      this.#running = this.#task().then((delay) => {
        this.#running = undefined
        if (delay !== undefined) this.within(delay)
        if (this.#isOpen && this.#cancel === undefined && this.#dueAt !== Infinity) this.#arm()
      })
    })
  }

  #forget(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#dueAt = Infinity
  }
}
