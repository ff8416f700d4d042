/** After so many calls in a row from known places, not every call is looked at any more. */
const everyCallUntil = 32

/** What the gap between looks doubles to at most: a look costs some 3 us, so 3 ns a call. */
const maxGap = 1_024

/** What stands for a place that cannot be read. */
const unreadable = 'a place that cannot be read'

/**
 * The places that call one function, each kept once, and when to look for another. To look costs a stack, so:
 * every call is looked at until 32 in a row came from known places, then ever fewer, at random, down to one in 1,024 on
 * average; a new place begins that anew. When there are `maxSites`, nobody looks any more.
 */
export class CallSites {
  readonly #places = new Set<string>()
  readonly #maxSites: number
  readonly #random: () => number
  #knownInARow = 0
  #callsToNextLook = 1

  constructor(maxSites: number, random: () => number) {
    this.#maxSites = maxSites
    this.#random = random
    if (maxSites === 0) this.#callsToNextLook = Infinity
  }

  get places(): readonly string[] {
    return [...this.#places]
  }

  get isFull(): boolean {
    return this.#places.size >= this.#maxSites
  }

  /** Counts a call; whether to look where it comes from. */
  isLookDue(): boolean {
    return --this.#callsToNextLook <= 0
  }

  /** Takes in what a look found. Returns the place if it is new. */
  note(place: string = unreadable): string | undefined {
    const isNew = !this.#places.has(place)
    this.#places.add(place)
    this.#knownInARow = isNew ? 0 : this.#knownInARow + 1
    this.#callsToNextLook = this.isFull ? Infinity : this.#nextGap()
    return isNew ? place : undefined
  }

  /** Random, because a program that calls from its places in turn would meet any regular gap at the same one. */
  #nextGap(): number {
    const gap = Math.min(maxGap, 2 ** Math.max(0, this.#knownInARow - everyCallUntil))
    return gap === 1 ? 1 : 1 + Math.floor(this.#random() * (2 * gap - 1))
  }
}
