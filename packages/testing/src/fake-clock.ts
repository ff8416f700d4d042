/**
 * A clock that moves only when told to, and fits the `clock` option of every evenkeel package.
 *
 * @remarks
 * Timers fire in the order of their deadlines, and promises settle after each one, so a timer that arms itself again
 * fires as often as it would in real time.
 *
 * *Gotchas*: `advance` waits for promises, not for real input and output. Code that awaits a file or a socket needs
 * its own sign that it has finished.
 *
 * @example
 * ```ts
 * import { FakeClock } from '@evenkeel/testing'
 *
 * const clock = new FakeClock()
 * let rang = 0
 * clock.after(60_000, () => rang++)
 * await clock.advance(60_000)
 * console.log(rang) // 1
 * ```
 */
export class FakeClock {
  #wallAt: number
  #monotonicMs = 0
  #nextId = 0
  readonly #timers = new Map<number, { dueMs: number; run: () => void }>()

  /** @param startAt - the wall time to begin at, in epoch ms; 2026-01-01 unless told otherwise */
  constructor(startAt: number = Date.UTC(2026, 0, 1)) {
    this.#wallAt = startAt
  }

  /** Wall time in epoch ms. It moves with {@link FakeClock.advance} and leaps with {@link FakeClock.jump}. */
  now(): number {
    return this.#wallAt
  }

  /** Elapsed milliseconds since the clock was made. Never goes back, whatever the wall clock does. */
  monotonic(): number {
    return this.#monotonicMs
  }

  /**
   * Runs a function once, when `delayMs` have been advanced.
   *
   * @param delayMs - milliseconds; below zero counts as zero, NaN is refused
   * @param run - what to run
   * @returns cancels it; harmless when it has run
   * @throws RangeError when `delayMs` is not a number
   */
  after(delayMs: number, run: () => void): () => void {
    if (Number.isNaN(delayMs)) throw new RangeError('FakeClock.after: delayMs is NaN; give milliseconds')
    const id = this.#nextId++
    this.#timers.set(id, { dueMs: this.#monotonicMs + Math.max(0, delayMs), run })
    return () => this.#timers.delete(id)
  }

  /** How many timers wait. Zero at the end of a test says that nothing was left behind. */
  get pending(): number {
    return this.#timers.size
  }

  /**
   * Lets time pass: fires every timer that falls due, in order, letting promises settle after each.
   *
   * @param ms - milliseconds, zero or more; zero fires what is due now
   * @throws RangeError when `ms` is negative or not a finite number
   */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0) || !Number.isFinite(ms)) throw new RangeError(`FakeClock.advance: ms must be 0 or more, not ${ms}`)
    const targetMs = this.#monotonicMs + ms
    await settle()
    for (let next = this.#due(targetMs); next !== undefined; next = this.#due(targetMs)) {
      const [id, timer] = next
      this.#timers.delete(id)
      this.#moveTo(Math.max(this.#monotonicMs, timer.dueMs))
      timer.run()
      await settle()
    }
    this.#moveTo(targetMs)
  }

  /**
   * Corrects the wall clock, as an operator or a time server would. Timers and {@link FakeClock.monotonic} stay.
   *
   * @param ms - milliseconds forward, or back when negative
   */
  jump(ms: number): void {
    this.#wallAt += ms
  }

  #moveTo(monotonicMs: number): void {
    this.#wallAt += monotonicMs - this.#monotonicMs
    this.#monotonicMs = monotonicMs
  }

  /** The earliest timer not beyond the target; of equals the one set first, since a Map keeps its order. */
  #due(targetMs: number): [number, { dueMs: number; run: () => void }] | undefined {
    let earliest: [number, { dueMs: number; run: () => void }] | undefined
    for (const entry of this.#timers) {
      if (entry[1].dueMs <= targetMs && (earliest === undefined || entry[1].dueMs < earliest[1].dueMs)) earliest = entry
    }
    return earliest
  }
}

/** One turn of the event loop runs every promise reaction that is ready, and those that they make ready. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
