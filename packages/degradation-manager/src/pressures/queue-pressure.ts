import { inspect } from 'node:util'
import type { PressureOptions } from './check-pressure.js'
import { smoothedPressure } from './smoothed-pressure.js'

/**
 * How full a queue is, as a share of what it may hold, smoothed so that a burst is nothing.
 *
 * @param length - gives how many wait now
 * @param max - how many are a pressure of 1; more than 0
 * @param options - the window, in ms
 * @returns what `pressures` takes
 * @throws TypeError or RangeError when an argument is none
 *
 * @example
 * ```ts
 * import { DegradationManager, queuePressure } from '@evenkeel/degradation-manager'
 *
 * const waiting: string[] = []
 * const modes = new DegradationManager({
 *   features: { translate: { priority: 'optional' } },
 *   pressures: { queue: queuePressure(() => waiting.length, 500) },
 *   rules: [{ pressure: 'queue', enter: 0.8, leave: 0.4, mode: 'DEGRADED' }],
 * })
 * console.log(modes.mode) // => FULL
 * ```
 */
export function queuePressure(length: () => number, max: number, options: PressureOptions = {}): () => number {
  if (typeof length !== 'function') throw new TypeError('queuePressure needs a function: () => how many wait')
  if (!(max > 0 && max < Infinity)) throw new RangeError(`max of queuePressure is ${inspect(max)}; give more than 0`)
  return smoothedPressure(() => {
    const waiting: unknown = length()
    return typeof waiting === 'number' ? waiting / max : (waiting as number)
  }, options)
}
