import type { Clock } from './ports.js'

/** What the first copy of an event has, until it expires or is released. */
export interface Claim {
  readonly id: string
  readonly expiresMs: number
}

/** The event ids of the last while, so that the second copy of an event is known for one. */
export class Claims {
  readonly #claims = new Map<string, Claim>()
  /**
   * The same claims, oldest first, from `#head` on: all live equally long. A queue of its own, because looking for the
   * first entry of a Map steps over every entry that was ever deleted before it.
   */
  #queue: Claim[] = []
  #head = 0
  /** How many of the queue, from `#head` on, were released. */
  #released = 0
  readonly #clock: Clock
  readonly #claimMs: number
  readonly #maxClaims: number

  constructor(clock: Clock, claimMs: number, maxClaims: number) {
    this.#clock = clock
    this.#claimMs = claimMs
    this.#maxClaims = maxClaims
  }

  /** For the first copy of an event; `undefined` for every further one. */
  take(id: string): Claim | undefined {
    const nowMs = this.#clock.monotonic()
    while ((this.#queue[this.#head]?.expiresMs ?? Infinity) <= nowMs) this.#forgetOldest()
    if (this.#claims.has(id)) return undefined
    while (this.#claims.size >= this.#maxClaims) this.#forgetOldest()
    const claim = { id, expiresMs: nowMs + this.#claimMs }
    this.#claims.set(id, claim)
    this.#queue.push(claim)
    return claim
  }

  /** The event has certainly not begun: the next copy is its first. A claim that is lost already may be another copy's by now. */
  release(claim: Claim): void {
    if (!this.#isHeld(claim)) return
    this.#claims.delete(claim.id)
    this.#released += 1
    // Whoever passes an event again and again must not fill the queue with what was released.
    if (this.#released * 2 <= this.#queue.length - this.#head) return
    this.#queue = this.#queue.filter((claim, at) => at >= this.#head && this.#isHeld(claim))
    this.#head = this.#released = 0
  }

  get size(): number {
    return this.#claims.size
  }

  /** Its id may have been released and taken again. */
  #isHeld(claim: Claim): boolean {
    return this.#claims.get(claim.id) === claim
  }

  #forgetOldest(): void {
    const oldest = this.#queue[this.#head]
    if (oldest === undefined) return
    if (this.#isHeld(oldest)) this.#claims.delete(oldest.id)
    else this.#released -= 1
    this.#head += 1
    // Half of the array is behind the head: close up, at a cost that so many calls share.
    if (this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
  }
}
