import type { Clock } from './ports.js'
import { overrideKey, type OverridePlace } from './stored-override.js'

/** Many that end about the same time are ended together. */
const togetherMs = 1_000
/** Timers of Node hold no more. */
const maxTimerMs = 2 ** 31 - 1

/** Ends overrides when their time is over, by one timer for all of them. */
export class OverrideExpiry {
  readonly #clock: Clock
  readonly #end: (place: OverridePlace) => void
  readonly #due = new Map<string, { readonly place: OverridePlace; readonly dueMs: number }>()
  #timer: { readonly dueMs: number; readonly cancel: () => void } | undefined

  constructor(clock: Clock, end: (place: OverridePlace) => void) {
    this.#clock = clock
    this.#end = end
  }

  /** @param leftMs - how long it holds; `undefined` for ever */
  set(place: OverridePlace, leftMs: number | undefined): void {
    const key = overrideKey(place)
    if (leftMs === undefined) {
      this.#due.delete(key)
      return
    }
    const dueMs = this.#clock.monotonic() + leftMs
    this.#due.set(key, { place, dueMs })
    if (this.#timer === undefined || dueMs < this.#timer.dueMs) this.#arm(dueMs)
  }

  #arm(dueMs: number): void {
    this.#timer?.cancel()
    const delayMs = Math.min(Math.max(0, dueMs - this.#clock.monotonic()), maxTimerMs)
    this.#timer = { dueMs, cancel: this.#clock.after(delayMs, () => this.#sweep()) }
  }

  #sweep(): void {
    this.#timer = undefined
    const nowMs = this.#clock.monotonic()
    let nextMs = Infinity
    for (const [key, { place, dueMs }] of this.#due) {
      if (dueMs > nowMs) {
        nextMs = Math.min(nextMs, dueMs)
        continue
      }
      this.#due.delete(key)
      this.#end(place)
    }
    if (this.#due.size > 0) this.#arm(Math.max(nextMs, nowMs + togetherMs))
  }
}
