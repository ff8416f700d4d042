import { AdaptiveLimiter } from '../admission/adaptive-limiter.js'
import type { AdaptiveLimiterOptions } from '../admission/limiter-options.js'
import type { Priority } from '../priority.js'
import { EventQueue } from './event-queue.js'

/** Numbers from 0 to 1, 1 excluded, the same for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** How long the work of one call is, around the mean. */
export type Spread = 'equal' | 'exponential'

/** A backend that takes so many calls at once and lets the others wait, and those who call it. */
export interface Overload {
  /** How many calls the backend works on at once. The limiter does not know. */
  readonly capacity: (nowMs: number) => number
  /** How long one takes, ms. */
  readonly serviceMs: (nowMs: number) => number
  readonly spread?: Spread
  /** How many calls arrive in a second, at random (Poisson), of each priority. */
  readonly perSecond: Partial<Readonly<Record<Priority, number>>>
  /** A caller has gone after so many ms. */
  readonly patienceMs: number
  readonly limiter: AdaptiveLimiterOptions
  readonly seed: number
  readonly warmUpMs: number
  readonly endMs: number
}

/** What became of the calls of one priority after the warm-up. */
export interface Served {
  /** The share that was answered in time. */
  readonly inTimeRatio: number
  /** How long those that were answered took, waiting included: the 99th percentile, ms. */
  readonly p99Ms: number
}

/** What became of all. */
export interface OverloadResult {
  readonly by: Partial<Record<Priority, Served>>
  /** What the backend has done, as a share of what it could have. */
  readonly useRatio: number
  /** The limit, ten times a second. */
  readonly limits: readonly number[]
}

/** Tells the story of an overload, in simulated time. */
export async function tellOverload(story: Overload): Promise<OverloadResult> {
  const time = new EventQueue()
  const random = seeded(story.seed)
  const limiter = new AdaptiveLimiter({ ...story.limiter, clock: time })
  const backend = new Backend(time, story, random)
  const tallies = new Map<Priority, { arrived: number; inTime: number; tookMs: number[] }>()
  let done = 0
  const isCounted = (): boolean => time.monotonic() >= story.warmUpMs
  // Who comes last would not be answered any more.
  const lastMs = story.endMs - 2 * story.patienceMs
  for (const [priority, perSecond] of Object.entries(story.perSecond) as [Priority, number][]) {
    const tally = { arrived: 0, inTime: 0, tookMs: [] as number[] }
    tallies.set(priority, tally)
    const arrive = (): void => {
      time.after((-Math.log(1 - random()) / perSecond) * 1_000, arrive)
      if (time.monotonic() === 0) return
      const arrivedMs = time.monotonic()
      const counts = isCounted() && arrivedMs <= lastMs
      if (counts) tally.arrived++
      limiter
        .run(() => backend.work(), { priority })
        .then(
          () => {
            if (isCounted()) done++
            if (!counts) return
            const tookMs = time.monotonic() - arrivedMs
            tally.tookMs.push(tookMs)
            if (tookMs <= story.patienceMs) tally.inTime++
          },
          () => undefined,
        )
    }
    arrive()
  }
  const limits: number[] = []
  const watch = (): void => {
    limits.push(limiter.limit)
    time.after(100, watch)
  }
  watch()
  await time.runUntil(story.endMs)
  let possible = 0
  for (let ms = story.warmUpMs; ms < story.endMs; ms += 10) possible += (story.capacity(ms) / story.serviceMs(ms)) * 10
  const by: Partial<Record<Priority, Served>> = {}
  for (const [priority, { arrived, inTime, tookMs }] of tallies) {
    const sorted = tookMs.sort((a, b) => a - b)
    by[priority] = { inTimeRatio: inTime / arrived, p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? Infinity }
  }
  return { by, useRatio: done / possible, limits }
}

/** First come, first served, like a pool of connections with an unbounded queue. */
class Backend {
  readonly #time: EventQueue
  readonly #story: Overload
  readonly #random: () => number
  readonly #waiting: (() => void)[] = []
  #busy = 0

  constructor(time: EventQueue, story: Overload, random: () => number) {
    this.#time = time
    this.#story = story
    this.#random = random
  }

  work(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#begin()
    })
  }

  #begin(): void {
    while (this.#busy < this.#story.capacity(this.#time.monotonic()) && this.#waiting.length > 0) {
      const resolve = this.#waiting.shift() as () => void
      this.#busy++
      this.#time.after(this.#lengthMs(), () => {
        this.#busy--
        resolve()
        this.#begin()
      })
    }
  }

  #lengthMs(): number {
    const mean = this.#story.serviceMs(this.#time.monotonic())
    return this.#story.spread === 'exponential' ? -Math.log(1 - this.#random()) * mean : mean
  }
}
