import { addValues, percentileOf, type LogHistogram } from './log-histogram.js'
import type { Metric, Sides } from './metric.js'
import { type Defaults, toMaxRatio } from './options.js'
import { assessSplit, ignore, isAmount, noSplit, observeSplit, type SplitState } from './split-metric.js'
import { systemRandom } from './system-random.js'

/** How {@link latency} judges. */
export interface LatencyOptions {
  /**
   * So much more is cared about: 0.5 for 50 % more.
   *
   * @defaultValue 0.5
   */
  readonly maxIncrease?: number | undefined
  /**
   * Of which percentile, between 0 and 100, both excluded.
   *
   * @defaultValue 95
   */
  readonly percentile?: number | undefined
  /**
   * Draws which two calls are compared: a number from 0 to 1, 1 excluded.
   *
   * @defaultValue Math.random
   */
  readonly random?: (() => number) | undefined
}

/** The defaults of {@link latency}. */
export const latencyDefaults: Defaults<Omit<LatencyOptions, 'random'>> = { maxIncrease: 0.5, percentile: 95 }

/** To be slower in 3 of 5 pairs: what half as much again comes to for latencies that are spread as they usually are. */
const SAFE_ODDS = 1.5

/** What {@link latency} remembers. Plain numbers: keep it as JSON. */
export interface LatencyState extends SplitState {
  /** How long calls of the new version took. */
  readonly green: LogHistogram
  /** How long calls of the old version took. */
  readonly blue: LogHistogram
}

/**
 * How long calls take, in milliseconds.
 *
 * Each call of the new version is compared with one of the old version in the same interval, drawn at random: if the new
 * version is no slower, it is the slower of the two in half of the pairs. A slow minute of the whole platform is slow for
 * both, and is no evidence. The percentile is the second condition, as the size of the effect.
 *
 * _Proven_ for calls that are independent of each other. Give it what was measured in an interval, or a fair sample of
 * that.
 *
 * @throws RangeError when an option is out of its range
 *
 * @example
 * ```ts
 * import { latency } from '@evenkeel/canary-judge'
 *
 * const metric = latency({ maxIncrease: 0.5, percentile: 95 })
 * const state = metric.observe(metric.start(), { green: [180, 240, 210], blue: [100, 120, 90, 130] })
 * console.log(metric.assess(state, 'latency').isEffectReached) // => true
 * ```
 */
export function latency(options: LatencyOptions = {}): Metric<Sides<readonly number[]>, LatencyState> {
  const { maxIncrease, percentile, random } = withDefaults(options)
  const maxRatio = toMaxRatio(maxIncrease)
  if (!(percentile > 0 && percentile < 100)) {
    throw new RangeError(`percentile must be above 0 and below 100, such as 95, not ${percentile}`)
  }
  return {
    start: () => ({ ...noSplit, green: {}, blue: {} }),
    observe: (state, { green, blue }) => {
      if (!(Array.isArray(green) && Array.isArray(blue) && green.every(isAmount) && blue.every(isAmount))) {
        return ignore(state)
      }
      const slower = compare(green, blue, random)
      const seen = { green: addValues(state.green, green), blue: addValues(state.blue, blue) }
      return observeSplit({ ...state, ...seen }, slower.green, slower.blue, 1, 1)
    },
    assess: (state, name) => {
      const [here, there] = [percentileOf(state.green, percentile), percentileOf(state.blue, percentile)]
      const ratio = here === undefined || there === undefined ? undefined : here / there
      const isReached = ratio !== undefined && ratio >= maxRatio
      return assessSplit(`p${percentile} of ${name}`, state, SAFE_ODDS, { ratio, isReached })
    },
  }
}

function withDefaults(options: LatencyOptions): Defaults<LatencyOptions> {
  return {
    maxIncrease: options.maxIncrease ?? latencyDefaults.maxIncrease,
    percentile: options.percentile ?? latencyDefaults.percentile,
    random: options.random ?? systemRandom,
  }
}

/** In how many pairs each was the slower one. Every call is in one pair at most, or the pairs would not be independent. */
function compare(green: readonly number[], blue: readonly number[], random: () => number): Sides<number> {
  const [few, many] = green.length <= blue.length ? [green, [...blue]] : [blue, [...green]]
  let fewer = 0
  let more = 0
  for (const [i, one] of few.entries()) {
    const at = i + Math.floor(random() * (many.length - i))
    const other = many[at] as number
    many[at] = many[i] as number
    if (one > other) fewer++
    else if (other > one) more++
  }
  return green.length <= blue.length ? { green: fewer, blue: more } : { green: more, blue: fewer }
}
