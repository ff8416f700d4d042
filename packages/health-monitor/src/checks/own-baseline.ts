/** The window moves in so many steps. */
const STEPS = 12

interface Step {
  readonly startMs: number
  endMs: number
  readonly counts: Float64Array
}

/** What was counted in a step that has become the past. */
export interface Retired {
  readonly counts: Float64Array
  /** What the past was before that. */
  readonly baseline: Float64Array
  /** By how much it has faded since the last, 0 to 1. */
  readonly fade: number
}

/**
 * Counters that only grow, split into the present (a window) and the past before it, which fades: of two days ago less is
 * remembered than of yesterday. So the past takes as little room as one window, and follows what becomes usual.
 */
export class OwnBaseline {
  readonly #windowMs: number
  readonly #halfLifeMs: number
  readonly #onRetire: (step: Retired) => void
  #last: { readonly atMs: number; readonly totals: Float64Array } | undefined
  #steps: Step[] = []
  #baseline = new Float64Array(0)
  #fadedMs = 0
  #learnedMs = 0
  /** What has become the past, and is not to be usual. */
  #held = new Float64Array(0)
  #heldMs = 0
  #isHolding = false

  /** @param onRetire - told each step when it becomes the past, just before it does, unless it is held back */
  constructor(windowMs: number, halfLifeMs: number, onRetire: (step: Retired) => void) {
    this.#windowMs = windowMs
    this.#halfLifeMs = halfLifeMs
    this.#onRetire = onRetire
  }

  /**
   * Takes in what the counters show. Counters that went back have begun again, and what happened during a pause of more
   * than a window says nothing about the present: both are only a new beginning to count from.
   */
  take(nowMs: number, totals: readonly number[]): void {
    const last = this.#last
    const now = { atMs: nowMs, totals: Float64Array.from(totals) }
    this.#last = now
    if (last?.totals.length !== totals.length) {
      this.#steps = []
      this.#baseline = new Float64Array(totals.length)
      this.#letGo()
      this.#fadedMs = nowMs
      this.#learnedMs = 0
      return
    }
    const counts = now.totals.map((total, index) => total - (last.totals[index] as number))
    const isUsable = nowMs - last.atMs <= this.#windowMs && counts.every((count) => count >= 0)
    if (isUsable) this.#take(last.atMs, nowMs, counts)
    this.#retire(nowMs)
  }

  /** What was counted within the last window. */
  recent(): Float64Array {
    return this.#sum(this.#steps)
  }

  /** What was counted within the last of the window's steps, and in the one that is not full yet. */
  latest(): Float64Array {
    return this.#sum(this.#steps.slice(-2))
  }

  /** What was counted before the window, the older the less. */
  baseline(): Float64Array {
    return this.#baseline
  }

  /** From now on, what becomes the past is not usual. */
  hold(): void {
    this.#isHolding = true
  }

  /** What was held back is what is usual, in place of what was. */
  accept(): void {
    if (!this.#isHolding) return
    this.#baseline = this.#held
    this.#learnedMs = this.#heldMs
    this.#letGo()
  }

  /**
   * Forgets the window but for its latest steps, and all that was held back: neither present nor usual.
   *
   * @param latest - how many of the latest steps to keep
   */
  forget(latest: 0 | 2): void {
    this.#steps = latest === 0 ? [] : this.#steps.slice(-latest)
    this.#letGo()
  }

  /** For how long the past has been learned, in ms. */
  get learnedMs(): number {
    return this.#learnedMs
  }

  #take(fromMs: number, nowMs: number, counts: Float64Array): void {
    let open = this.#steps.at(-1)
    // Counts belong together when nothing lies between them.
    if (open === undefined || open.endMs !== fromMs || open.endMs - open.startMs >= this.#windowMs / STEPS) {
      open = { startMs: fromMs, endMs: nowMs, counts: new Float64Array(counts.length) }
      this.#steps.push(open)
    }
    open.endMs = nowMs
    add(open.counts, counts)
  }

  #retire(nowMs: number): void {
    for (let step = this.#steps[0]; step !== undefined && step.endMs <= nowMs - this.#windowMs; step = this.#steps[0]) {
      this.#steps.shift()
      const fade = 2 ** -((step.endMs - this.#fadedMs) / this.#halfLifeMs)
      this.#fadedMs = step.endMs
      const { counts } = step
      const tookMs = step.endMs - step.startMs
      if (this.#isHolding) {
        this.#held = this.#held.map((count, index) => count * fade + (counts[index] as number))
        this.#heldMs += tookMs
        continue
      }
      const baseline = this.#baseline.map((count) => count * fade)
      this.#onRetire({ counts, baseline, fade })
      this.#baseline = baseline.map((count, index) => count + (counts[index] as number))
      this.#learnedMs += tookMs
    }
  }

  #letGo(): void {
    this.#held = new Float64Array(this.#baseline.length)
    this.#heldMs = 0
    this.#isHolding = false
  }

  #sum(steps: readonly Step[]): Float64Array {
    const sum = new Float64Array(this.#baseline.length)
    for (const { counts } of steps) add(sum, counts)
    return sum
  }
}

function add(sum: Float64Array, counts: Float64Array): void {
  for (let index = 0; index < sum.length; index++) sum[index] = (sum[index] as number) + (counts[index] as number)
}
