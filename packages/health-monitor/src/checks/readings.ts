/** A window is read in so many steps at least: no more are kept, however often one looks. */
const STEPS = 12

/** A look that comes after so many windows says nothing about the present one: whatever happened, a pause hides it. */
const WINDOWS_TO_FORGET = 10

/** What a counter showed, and when. */
export interface Reading<T> {
  /** Monotonic ms. */
  readonly takenMs: number
  readonly value: T
}

/**
 * What a counter that only grows showed over the last while, so that its rate over a window can be told by a subtraction.
 * A rate since the beginning would be a mean over the whole life, and hide a load that has just begun.
 */
export class Readings<T> {
  readonly #windowMs: number
  #kept: Reading<T>[] = []

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  /**
   * Takes a reading.
   *
   * @returns the youngest one that is a whole window old; `undefined` while there is none
   */
  take(nowMs: number, value: T): Reading<T> | undefined {
    if (nowMs - (this.#kept.at(-1)?.takenMs ?? nowMs) > WINDOWS_TO_FORGET * this.#windowMs) this.#kept = []
    const newest = this.#kept.at(-1)
    const base = this.#kept.findLast(({ takenMs }) => takenMs <= nowMs - this.#windowMs)
    if (base !== undefined) this.#kept.splice(0, this.#kept.indexOf(base))
    if (newest === undefined || nowMs - newest.takenMs >= this.#windowMs / STEPS) {
      this.#kept.push({ takenMs: nowMs, value })
    }
    return base
  }

  /** For how long there have been readings, in ms: less than a window while {@link Readings.take} gives nothing. */
  coveredMs(nowMs: number): number {
    return nowMs - (this.#kept[0]?.takenMs ?? nowMs)
  }
}
