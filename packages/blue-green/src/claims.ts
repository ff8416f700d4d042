import type { Clock } from './ports.js'

/** The event ids of the last while, so that the second copy of an event is known for one. */
export class Claims {
  readonly #ids = new Set<string>()
  /**
   * The same ids, oldest first, from `#head` on: all live equally long. A queue of its own, because looking for the
   * first entry of a Set steps over every entry that was ever deleted before it.
   */
  #queue: { readonly id: string; readonly expiresMs: number }[] = []
  #head = 0
  readonly #clock: Clock
  readonly #claimMs: number
  readonly #maxClaims: number

  constructor(clock: Clock, claimMs: number, maxClaims: number) {
    this.#clock = clock
    this.#claimMs = claimMs
    this.#maxClaims = maxClaims
  }

  /** True for the first copy of an event, false for every further one. */
  take(id: string): boolean {
    const nowMs = this.#clock.monotonic()
    while ((this.#queue[this.#head]?.expiresMs ?? Infinity) <= nowMs) this.#forgetOldest()
    if (this.#ids.has(id)) return false
    if (this.#ids.size >= this.#maxClaims) this.#forgetOldest()
    this.#ids.add(id)
    this.#queue.push({ id, expiresMs: nowMs + this.#claimMs })
    return true
  }

  get size(): number {
    return this.#ids.size
  }

  #forgetOldest(): void {
    const oldest = this.#queue[this.#head]
    if (oldest === undefined) return
    this.#ids.delete(oldest.id)
    this.#head += 1
    // Half of the array is behind the head: close up, at a cost that so many calls share.
    if (this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
  }
}
