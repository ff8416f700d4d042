/**
 * Up to which number everything is done, while it is done out of order: what a session may be resumed from, so that nothing that has not
 * ended is left out. Numbers may be left out by the sender, and may come again.
 */
export class LowWaterMark {
  /** What has come and is not done. A number that comes in order is the largest, so the first is the smallest. */
  readonly #open = new Set<number>()
  #received: number

  /** @param done - everything up to this number is done */
  constructor(done: number) {
    this.#received = done
  }

  /** The largest number that has come. */
  get received(): number {
    return this.#received
  }

  /** Everything up to this number is done, and it never goes back. */
  get done(): number {
    const first = this.#open.keys().next()
    return first.done === true ? this.#received : first.value - 1
  }

  /** How many have come and are not done. */
  get open(): number {
    return this.#open.size
  }

  /** It has come. One below the mark, or one that came before, is not looked for a second time. */
  begin(number: number): void {
    if (number <= this.#received) return
    this.#received = number
    this.#open.add(number)
  }

  /** It is done. */
  end(number: number): void {
    this.#open.delete(number)
  }
}
