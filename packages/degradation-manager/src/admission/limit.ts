import type { Surroundings } from './concurrency-limit.js'

/** How many calls may be under way at once, and what it learns from each. */
export interface Limit {
  /** How many may be in flight at this moment. */
  readonly now: number
  /** How many at once it takes for the best. */
  readonly settled: number
  /** Whether it wants to know when a call begins and ends. Whoever does not is spared two looks at the clock. */
  readonly isTimed: boolean
  began(nowMs: number, inFlight: number): void
  ended(nowMs: number, tookMs: number, inFlight: number, surroundings: Surroundings): void
  leftOut(nowMs: number, inFlight: number): void
}

/** A limit that was given and stays. */
export class FixedLimit implements Limit {
  readonly now: number
  readonly isTimed = false

  constructor(count: number) {
    this.now = count
  }

  get settled(): number {
    return this.now
  }

  began(): void {}

  ended(): void {}

  leftOut(): void {}
}
