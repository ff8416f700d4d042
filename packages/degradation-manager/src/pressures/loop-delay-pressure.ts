import type { Clock } from '../ports.js'
import { checkedPressure, clipped, type PressureOptions } from './check-pressure.js'

/** How {@link loopDelayPressure} measures. */
export interface LoopDelayPressureOptions extends PressureOptions {
  /** How long an event may wait for the event loop on average, in ms: this much is a pressure of 1. */
  readonly maxDelayMs?: number | undefined
}

/** The defaults of {@link loopDelayPressure}. */
export const loopDelayPressureDefaults: Readonly<Record<'windowMs' | 'maxDelayMs', number>> = {
  windowMs: 10_000,
  maxDelayMs: 100,
}

/** How often is measured: ten times a second costs a hundredth of a percent of a processor. */
const beatMs = 100

/** After so many windows without a look, nobody is interested any more. */
const windowsToStop = 3

/** Whatever was late by more stood still as a whole, as a laptop that sleeps: no fault of the event loop. */
const suspendedMs = 60_000

/**
 * How long an event waits for the event loop, as a share of `maxDelayMs`: whether the bot gets round to its work.
 *
 * @remarks
 * It is what an event met on average that came at any moment of the last `windowMs` or so, the later ones counting most
 * (exponentially weighted): a block counts for every moment that it lasted, and one short block is nothing. It is
 * measured from the first look on, and until nobody has looked for three windows.
 *
 * @param options - the window, and what is too long
 * @returns what `pressures` takes; a rule that names `loopDelay` has one without it
 * @throws TypeError or RangeError when an option does not exist or is out of range
 *
 * @example
 * ```ts
 * import { loopDelayPressure } from '@evenkeel/degradation-manager'
 *
 * const loopDelay = loopDelayPressure({ maxDelayMs: 200 })
 * console.log(loopDelay()) // => 0
 * ```
 */
export function loopDelayPressure(options: LoopDelayPressureOptions = {}): () => number {
  const { windowMs, maxDelayMs, clock } = checkedPressure('loopDelayPressure', options, loopDelayPressureDefaults)
  const delay = new MeanDelay(clock, windowMs)
  return () => clipped(delay.look() / maxDelayMs)
}

/** The average wait for the event loop, measured while somebody looks. */
class MeanDelay {
  readonly #clock: Clock
  readonly #windowMs: number
  #meanMs = 0
  #lookedMs = 0
  #isBeating = false

  constructor(clock: Clock, windowMs: number) {
    this.#clock = clock
    this.#windowMs = windowMs
  }

  look(): number {
    this.#lookedMs = this.#clock.monotonic()
    if (!this.#isBeating) {
      this.#meanMs = 0
      this.#isBeating = true
      this.#beat()
    }
    return this.#meanMs
  }

  #beat(): void {
    const beganMs = this.#clock.monotonic()
    this.#clock.after(beatMs, () => {
      const nowMs = this.#clock.monotonic()
      const lateMs = Math.max(0, nowMs - beganMs - beatMs)
      const wasSuspended = lateMs > suspendedMs
      if (wasSuspended) this.#meanMs = 0
      else this.#take(lateMs)
      this.#isBeating = wasSuspended || nowMs - this.#lookedMs <= windowsToStop * this.#windowMs
      if (this.#isBeating) this.#beat()
    })
  }

  /**
   * A beat that is late stands for the events that would have come while it was due, each of which waited less than the
   * one before; until then they waited as long as the beat, for nothing else is known of them.
   */
  #take(lateMs: number): void {
    const spanMs = beatMs + lateMs
    const waitMs = (lateMs * beatMs + lateMs ** 2 / 2) / spanMs
    const kept = Math.exp(-spanMs / this.#windowMs)
    this.#meanMs = kept * this.#meanMs + (1 - kept) * waitMs
  }
}
