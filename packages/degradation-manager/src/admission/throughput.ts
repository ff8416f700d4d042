/** How long a look back is, in ms: long enough for slow calls, short enough for the load of now. */
const LOOK_BACK_MS = 2_000
/** Promised when nothing is known yet, in ms. */
const UNKNOWN_MS = 1_000
/** Nobody is told to stay away for longer, in ms. */
const MAX_MS = 60_000

/** How quickly calls leave. It costs one addition a call, and looks at the clock only for those who are turned away. */
export class Throughput {
  /** How many have left since the look back began. */
  left = 0
  #sinceMs: number | undefined
  #eachMs: number | undefined

  /** How long it takes until so many have left, in whole ms: an estimate for whoever is turned away. */
  waitMs(nowMs: number, count: number): number {
    const forMs = this.#sinceMs === undefined ? Infinity : nowMs - this.#sinceMs
    if (forMs > MAX_MS) {
      // What left in a quiet night says nothing about now.
      this.#eachMs = undefined
      this.#begin(nowMs)
    } else if (forMs >= LOOK_BACK_MS || (this.#eachMs === undefined && this.left > 0 && forMs > 0)) {
      this.#eachMs = forMs / Math.max(1, this.left)
      if (forMs >= LOOK_BACK_MS) this.#begin(nowMs)
    }
    if (this.#eachMs === undefined) return UNKNOWN_MS
    return Math.ceil(Math.min(MAX_MS, Math.max(1, this.#eachMs * count)))
  }

  #begin(nowMs: number): void {
    this.#sinceMs = nowMs
    this.left = 0
  }
}
