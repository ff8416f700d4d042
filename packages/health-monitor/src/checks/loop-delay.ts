import type { Clock } from '../ports.js'

/** How often is measured: often enough for a percentile, seldom enough to cost nothing (0.05 % of a processor). */
const BEAT_MS = 200

/** After so many windows without a look, nobody is interested any more. */
const WINDOWS_TO_STOP = 3

/** Measures how late the event loop is, while somebody looks. */
export class LoopDelay {
  readonly #clock: Clock
  readonly #windowMs: number
  #late: { atMs: number; lateMs: number }[] = []
  #lookedMs = 0
  #isBeating = false

  constructor(clock: Clock, windowMs: number) {
    this.#clock = clock
    this.#windowMs = windowMs
  }

  /**
   * Somebody looks: measuring goes on, or begins.
   *
   * @returns whether what was before says nothing: measuring has just begun, or the process stood still
   */
  look(): boolean {
    this.#lookedMs = this.#clock.monotonic()
    if (this.#isBeating) return false
    this.#late = []
    this.#isBeating = true
    this.#beat()
    return true
  }

  /** How long an event would have waited at most, in so many of 100 cases, in ms. */
  percentile(percentage: number): number {
    const since = this.#clock.monotonic() - this.#windowMs
    const waits = this.#late.filter(({ atMs }) => atMs > since).flatMap(({ lateMs }) => waitsDuring(lateMs))
    waits.sort((a, b) => a - b)
    return waits[Math.max(0, Math.ceil((percentage / 100) * waits.length) - 1)] ?? 0
  }

  #beat(): void {
    const dueMs = this.#clock.monotonic() + BEAT_MS
    this.#clock.after(BEAT_MS, () => {
      const nowMs = this.#clock.monotonic()
      const wasSuspended = nowMs - dueMs > this.#windowMs
      this.#isBeating = !wasSuspended && nowMs - this.#lookedMs <= WINDOWS_TO_STOP * this.#windowMs
      if (!this.#isBeating) return
      this.#remember(nowMs, Math.max(0, nowMs - dueMs))
      this.#beat()
    })
  }

  #remember(atMs: number, lateMs: number): void {
    this.#late.push({ atMs, lateMs })
    // Now and then, and not at every beat.
    const first = this.#late[0]
    if (first !== undefined && atMs - first.atMs > 2 * this.#windowMs) {
      this.#late = this.#late.filter((beat) => beat.atMs > atMs - this.#windowMs)
    }
  }
}

/** A beat that is late stands for all that would have come in the meantime, each of which would have waited less. */
function waitsDuring(lateMs: number): number[] {
  return Array.from({ length: 1 + Math.floor(lateMs / BEAT_MS) }, (_, beats) => lateMs - beats * BEAT_MS)
}
