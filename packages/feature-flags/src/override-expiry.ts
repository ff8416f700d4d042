import type { Clock } from './ports.js'
import { overrideKey, type OverridePlace } from './stored-override.js'

/** Many that end about the same time are ended together. */
const togetherMs = 1_000

/**
 * Ends overrides when the wall clock says that their time is over, by one timer for all of them. That clock may leap, so
 * it is looked at from time to time.
 */
export class OverrideExpiry {
  readonly #clock: Clock
  readonly #checkIntervalMs: number
  readonly #end: (places: readonly OverridePlace[]) => void
  readonly #due = new Map<string, { readonly place: OverridePlace; readonly expiresAt: number }>()
  /** None ends earlier. */
  #earliestAt = Infinity
  #timer: { readonly dueMs: number; readonly cancel: () => void } | undefined
  #isStopped = false

  /** @param checkIntervalMs - how late the end may be noticed after the clock has leapt */
  constructor(clock: Clock, checkIntervalMs: number, end: (places: readonly OverridePlace[]) => void) {
    this.#clock = clock
    this.#checkIntervalMs = checkIntervalMs
    this.#end = end
  }

  /** @param expiresAt - until when it holds, epoch ms; `undefined` for ever */
  set(place: OverridePlace, expiresAt: number | undefined): void {
    const key = overrideKey(place)
    if (expiresAt === undefined) {
      this.#due.delete(key)
      return
    }
    this.#due.set(key, { place, expiresAt })
    this.#earliestAt = Math.min(this.#earliestAt, expiresAt)
    this.#arm(expiresAt - this.#clock.now())
  }

  /** Ends none any more, and leaves no timer behind. */
  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** Goes on, and ends at once those whose time is over by now. */
  resume(): void {
    if (!this.#isStopped) return
    this.#isStopped = false
    this.#sweep()
  }

  /** The timer rings no later than that. */
  #arm(leftMs: number): void {
    if (this.#isStopped) return
    const delayMs = Math.min(Math.max(0, leftMs), this.#checkIntervalMs)
    const dueMs = this.#clock.monotonic() + delayMs
    if (this.#timer !== undefined && this.#timer.dueMs <= dueMs) return
    this.#timer?.cancel()
    this.#timer = { dueMs, cancel: this.#clock.after(delayMs, () => this.#sweep()) }
  }

  #sweep(): void {
    this.#timer = undefined
    const now = this.#clock.now()
    if (this.#earliestAt <= now) this.#endUntil(now)
    if (this.#due.size > 0) this.#arm(Math.max(this.#earliestAt - this.#clock.now(), togetherMs))
  }

  #endUntil(now: number): void {
    const over: OverridePlace[] = []
    this.#earliestAt = Infinity
    for (const [key, { place, expiresAt }] of this.#due) {
      if (expiresAt > now) {
        this.#earliestAt = Math.min(this.#earliestAt, expiresAt)
        continue
      }
      this.#due.delete(key)
      over.push(place)
    }
    if (over.length > 0) this.#end(over)
  }
}
