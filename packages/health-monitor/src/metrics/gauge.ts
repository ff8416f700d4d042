import type { Complain } from './warnings.js'

/** A number that goes up and down. */
export class Gauge {
  readonly #complain: Complain
  #value: number

  /** @internal */
  constructor(complain: Complain) {
    this.#complain = complain
    this.#value = 0
  }

  /** What it is now. */
  get value(): number {
    return this.#value
  }

  /**
   * It is so now.
   *
   * @param value - any number; `NaN` says that nobody knows. What is no number is ignored, and becomes one process
   *   warning with the code `EVENKEEL_METRICS`
   */
  set(value: number): void {
    if (typeof value === 'number') this.#value = value
    else this.#complain(`a gauge was set to a ${typeof value}; it was left as it is`)
  }

  /**
   * It is so much more now.
   *
   * @param by - how much; less than zero for down; 1 unless told
   */
  add(by = 1): void {
    // A text would be appended, and of a BigInt the sum would throw.
    this.set(typeof by === 'number' ? this.#value + by : by)
  }
}
