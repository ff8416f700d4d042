/** The newest calls, counted. What a call costs does not depend on how many there are. */
export interface Window {
  readonly calls: number
  readonly failures: number
  readonly slow: number
  record(isFailed: boolean, isSlow: boolean, nowMs: number): void
  /** Drops what is too old by now. */
  forget(nowMs: number): void
  clear(): void
}

const FAILED = 1
const SLOW = 2

/** The last so many calls: a ring with a byte for each, made when the first call ends. */
export class CountWindow implements Window {
  calls = 0
  failures = 0
  slow = 0
  readonly #size: number
  #ring: Uint8Array | undefined
  #next = 0

  constructor(size: number) {
    this.#size = size
  }

  record(isFailed: boolean, isSlow: boolean): void {
    const ring = (this.#ring ??= new Uint8Array(this.#size))
    const next = this.#next
    // What was never written is 0 and takes nothing away.
    const old = ring[next] as number
    if (old !== 0) {
      this.failures -= old & FAILED
      this.slow -= (old & SLOW) >> 1
    }
    ring[next] = (isFailed ? FAILED : 0) | (isSlow ? SLOW : 0)
    if (isFailed) this.failures++
    if (isSlow) this.slow++
    if (this.calls < this.#size) this.calls++
    this.#next = next + 1 === this.#size ? 0 : next + 1
  }

  forget(): void {}

  clear(): void {
    this.#ring?.fill(0)
    this.#next = 0
    this.calls = 0
    this.failures = 0
    this.slow = 0
  }
}

/** A time window moves in so many steps; the oldest step is dropped whole. */
const STEPS = 10

/** The calls of the last so many milliseconds, in steps of a tenth. */
export class TimeWindow implements Window {
  calls = 0
  failures = 0
  slow = 0
  readonly #stepMs: number
  /** Of each step the calls, the failures and the slow ones. */
  #steps: Uint32Array | undefined
  #step = 0

  constructor(windowMs: number) {
    this.#stepMs = windowMs / STEPS
  }

  record(isFailed: boolean, isSlow: boolean, nowMs: number): void {
    this.forget(nowMs)
    const steps = (this.#steps ??= new Uint32Array(3 * STEPS))
    const at = 3 * (this.#step % STEPS)
    steps[at] = (steps[at] as number) + 1
    this.calls++
    if (isFailed) {
      steps[at + 1] = (steps[at + 1] as number) + 1
      this.failures++
    }
    if (isSlow) {
      steps[at + 2] = (steps[at + 2] as number) + 1
      this.slow++
    }
  }

  forget(nowMs: number): void {
    const step = Math.floor(nowMs / this.#stepMs)
    if (step === this.#step) return
    const steps = this.#steps
    if (steps !== undefined) {
      for (let gone = Math.min(STEPS, step - this.#step), old = step; gone > 0; gone--, old--) {
        const at = 3 * (old % STEPS)
        this.calls -= steps[at] as number
        this.failures -= steps[at + 1] as number
        this.slow -= steps[at + 2] as number
        steps.fill(0, at, at + 3)
      }
    }
    this.#step = step
  }

  clear(): void {
    this.#steps?.fill(0)
    this.calls = 0
    this.failures = 0
    this.slow = 0
  }
}
