import type { Clock } from '../ports.js'
import { seeded } from './seeded.js'

/** A clock that only ever goes on, for weeks in a second. */
export class WeekClock implements Clock {
  #ms = 0

  now(): number {
    return Date.UTC(2026, 0, 1) + this.#ms
  }

  monotonic(): number {
    return this.#ms
  }

  after(): () => void {
    throw new Error('nothing here waits')
  }

  pass(ms: number): void {
    this.#ms += ms
  }

  get hours(): number {
    return this.#ms / 3_600_000
  }
}

/** How many calls an hour there are at each hour: few at night, many in the evening. */
export function nightAndDay(callsPerHour: number): (hours: number) => number {
  return (hours) => callsPerHour * (1 + 0.9 * Math.sin((2 * Math.PI * (hours - 10)) / 24))
}

/** How many of something that happens `mean` times on average happened; exact (Knuth). */
function poisson(mean: number, random: () => number): number {
  let happened = -1
  // A sum of small ones, since e^-mean would be 0 of large ones.
  for (let left = mean; left > 0; left -= 50) {
    const limit = Math.exp(-Math.min(50, left))
    for (let product = 1; product > limit; product *= random()) happened++
    if (left > 50) happened--
  }
  return Math.max(0, happened)
}

/** Counts that grow as calls come in, one kind each, at its share. */
export function countCalls(seed: number, kinds: number) {
  const random = seeded(seed)
  const counts = new Array<number>(kinds).fill(0)
  return {
    counts,
    /** A minute passes. */
    minute: (callsPerHour: number, shares: readonly number[]): void => {
      for (const [kind, share] of shares.entries()) {
        if (share > 0) counts[kind] = (counts[kind] ?? 0) + poisson((callsPerHour / 60) * share, random)
      }
    },
    random,
  }
}
