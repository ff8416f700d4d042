import { addValues, countValues, LEAST_MS, percentileOf, type LogHistogram } from './log-histogram.js'
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

/** A percentile is that of so many calls beyond it, at least: of fewer it is what chance makes it. */
const CALLS_BEYOND = 5
/** The median of fewer pairs is what chance makes it. */
const LEAST_PAIRS = 20

/** What {@link latency} remembers. Plain numbers: keep it as JSON. */
export interface LatencyState extends SplitState {
  /** How long calls of the new version took. */
  readonly green: LogHistogram
  /** How long calls of the old version took. */
  readonly blue: LogHistogram
  /** In how many pairs the call of the new version took how many times as long as that of the old one. */
  readonly shift: LogHistogram
}

/**
 * How long calls take, in milliseconds.
 *
 * Each call of the new version is compared with one of the old version in the same interval, drawn at random: if the new
 * version is no slower, it is the slower of the two in half of the pairs. A slow minute of the whole platform is slow for
 * both, and is no evidence.
 *
 * The second condition is the size of the effect: the percentile, or how many times as long the new version takes in the
 * middle of the pairs. In an overload, where calls stall on both versions for as long, a percentile tells nothing of how
 * slow the rest is. A size counts from five calls beyond the percentile on, which are 100 calls for the 95th, and from
 * twenty pairs.
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
 * let state = metric.start()
 * for (let minute = 1; minute <= 10; minute++) {
 *   state = metric.observe(state, { green: [180, 240, 210], blue: [100, 120, 90, 130] })
 * }
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
    start: () => ({ ...noSplit, green: {}, blue: {}, shift: {} }),
    observe: (state, { green, blue }) => {
      if (!(Array.isArray(green) && Array.isArray(blue) && green.every(isAmount) && blue.every(isAmount))) {
        return ignore(state)
      }
      const pairs = pairUp(green, blue, random)
      const slower = pairs.filter(([here, there]) => here > there).length
      const faster = pairs.filter(([here, there]) => here < there).length
      const seen = {
        green: addValues(state.green, green),
        blue: addValues(state.blue, blue),
        shift: addValues(
          state.shift,
          pairs.map(([here, there]) => Math.max(here, LEAST_MS) / Math.max(there, LEAST_MS)),
        ),
      }
      return observeSplit({ ...state, ...seen }, slower, faster, 1, 1)
    },
    assess: (state, name) => {
      const atEnd = { name: `p${percentile} of ${name}`, ratio: ratioOfEnds(state, percentile) }
      const inMiddle = { name: `${name}, call by call`, ratio: ratioOfPairs(state) }
      const isReached = ({ ratio }: { readonly ratio: number | undefined }): boolean => (ratio ?? 0) >= maxRatio
      // The end is what people wait for; where it says nothing, the middle.
      const told = isReached(atEnd) || !(isReached(inMiddle) || atEnd.ratio === undefined) ? atEnd : inMiddle
      const effect = { ratio: told.ratio, isReached: isReached(told) }
      return assessSplit(told.ratio === undefined ? atEnd.name : told.name, state, SAFE_ODDS, effect)
    },
  }
}

/** How many times as long the new version takes at the percentile; `undefined` for too few calls. */
function ratioOfEnds({ green, blue }: LatencyState, percentile: number): number | undefined {
  const least = CALLS_BEYOND / (1 - percentile / 100)
  // Of a share such as 0.95 binary fractions leave something behind.
  if (Math.min(countValues(green), countValues(blue)) < least - 1e-6) return undefined
  const [here, there] = [percentileOf(green, percentile), percentileOf(blue, percentile)]
  return here === undefined || there === undefined ? undefined : here / there
}

/** How many times as long it takes in the middle of the pairs, after Hodges and Lehmann (1963). */
function ratioOfPairs({ shift }: LatencyState): number | undefined {
  return countValues(shift) < LEAST_PAIRS ? undefined : percentileOf(shift, 50)
}

function withDefaults(options: LatencyOptions): Defaults<LatencyOptions> {
  return {
    maxIncrease: options.maxIncrease ?? latencyDefaults.maxIncrease,
    percentile: options.percentile ?? latencyDefaults.percentile,
    random: options.random ?? systemRandom,
  }
}

/** Draws pairs. Every call is in one at most, or they would not be independent. */
function pairUp(
  green: readonly number[],
  blue: readonly number[],
  random: () => number,
): (readonly [green: number, blue: number])[] {
  const isGreenFew = green.length <= blue.length
  const [few, many] = isGreenFew ? [green, [...blue]] : [blue, [...green]]
  return few.map((one, i) => {
    const at = i + Math.floor(random() * (many.length - i))
    const other = many[at] as number
    many[at] = many[i] as number
    return isGreenFew ? ([one, other] as const) : ([other, one] as const)
  })
}
