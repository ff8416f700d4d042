import { checkedPressure, clipped, type PressureOptions } from './check-pressure.js'

/** The defaults of {@link smoothedPressure} and {@link queuePressure}. */
export const smoothedPressureDefaults: Readonly<Record<'windowMs', number>> = { windowMs: 3_000 }

/**
 * A pressure of your own that jumps, made calm: what it was over the last `windowMs` or so, the later values counting
 * most (exponentially weighted). One sample that lies moves no rule.
 *
 * @param read - gives the pressure: 0 is idle, 1 is as much as it can take; what is beyond counts as 1
 * @param options - the window
 * @returns what `pressures` takes
 * @throws TypeError or RangeError when an option does not exist or is out of range
 *
 * @example
 * ```ts
 * import { smoothedPressure } from '@evenkeel/degradation-manager'
 *
 * let inFlight = 3
 * const load = smoothedPressure(() => inFlight / 10, { windowMs: 5_000 })
 * console.log(load()) // => 0.3
 * inFlight = 10
 * console.log(load() < 0.9) // => true
 * ```
 */
export function smoothedPressure(read: () => number, options: PressureOptions = {}): () => number {
  const { windowMs, clock } = checkedPressure('smoothedPressure', options, smoothedPressureDefaults)
  if (typeof read !== 'function') throw new TypeError('smoothedPressure needs a function: () => a number 0..1')
  let smooth: number | undefined
  let takenMs = 0
  return () => {
    const given: unknown = read()
    // What is no number is told as such, and leaves no trace.
    if (typeof given !== 'number' || Number.isNaN(given)) return given as number
    const value = clipped(given)
    const nowMs = clock.monotonic()
    const kept = smooth === undefined ? 0 : Math.exp((takenMs - nowMs) / windowMs)
    smooth = kept * (smooth ?? 0) + (1 - kept) * value
    takenMs = nowMs
    return smooth
  }
}
