/** More numbers than this are not waited for: the sender has leapt. */
const maxMissing = 1_000

/**
 * Up to which number everything is done, while it is done out of order: what a session may be resumed from, so that nothing that has not
 * ended is left out. A number may come late, be left out by the sender, or come again.
 */
export class LowWaterMark {
  /** What has come and is not done. */
  readonly #open = new Set<number>()
  /** What has not come although a larger number has. */
  #missing = new Set<number>()
  /** Such numbers that were missing a while ago already. */
  #longMissing = new Set<number>()
  #received: number

  /** @param done - everything up to this number is done */
  constructor(done: number) {
    this.#received = done
  }

  /** The largest number that has come. */
  get received(): number {
    return this.#received
  }

  /** Everything up to this number that has come is done. */
  get done(): number {
    return before([this.#open], this.#received)
  }

  /** From here a session is resumed: nothing up to this number is under way, or still to come. */
  get resumable(): number {
    return before([this.#open, this.#missing, this.#longMissing], this.#received)
  }

  /** How many have come and are not done. */
  get open(): number {
    return this.#open.size
  }

  /** It has come. One that came before is not looked for a second time. */
  begin(number: number): void {
    if (number <= this.#received && !this.#missing.has(number) && !this.#longMissing.has(number)) return
    if (number - this.#received <= maxMissing) {
      for (let missing = this.#received + 1; missing < number; missing++) this.#missing.add(missing)
    }
    this.#received = Math.max(this.#received, number)
    this.#missing.delete(number)
    this.#longMissing.delete(number)
    this.#open.add(number)
  }

  /** It is done. */
  end(number: number): void {
    this.#open.delete(number)
  }

  /** What was missing at the last call already was left out by the sender, which is none of what is to be done. */
  giveUpGaps(): void {
    this.#longMissing = this.#missing
    this.#missing = new Set()
  }
}

function before(sets: readonly ReadonlySet<number>[], received: number): number {
  let last = received
  for (const numbers of sets) for (const number of numbers) last = Math.min(last, number - 1)
  return last
}
