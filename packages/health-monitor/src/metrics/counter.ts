import type { Complain } from './warnings.js'

/** Counts what happens. */
export class Counter {
  readonly #complain: Complain
  #value = 0

  /** @internal */
  constructor(complain: Complain) {
    this.#complain = complain
  }

  /** How often it has happened since the start of the process. */
  get value(): number {
    return this.#value
  }

  /**
   * It has happened.
   *
   * @remarks
   * *Gotchas*: what is no number from 0 is not counted, and becomes one process warning with the code `EVENKEEL_METRICS`.
   *
   * @param by - how often, from 0; once unless told
   */
  add(by = 1): void {
    if (typeof by === 'number' && by >= 0 && by < Infinity) this.#value += by
    else this.#complain(`a counter cannot grow by ${String(by)}; it was left as it is`)
  }
}
