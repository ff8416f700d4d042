import type { Metric, Sides } from './metric.js'
import { type Defaults, toMaxRatio } from './options.js'
import { assessSplit, ignore, noSplit, observeSplit, type SplitState } from './split-metric.js'

/** What a version did in an interval. */
export interface ErrorCounts {
  /** How many requests, commands or events it was given. */
  readonly requests: number
  /** How many of them failed. Leave out what the user did wrong. */
  readonly errors: number
}

/** How {@link errorRate} judges. */
export interface ErrorRateOptions {
  /**
   * So much more is cared about: 0.2 for 20 % more.
   *
   * @defaultValue 0.2
   */
  readonly maxIncrease?: number | undefined
}

/** The defaults of {@link errorRate}. */
export const errorRateDefaults: Defaults<ErrorRateOptions> = { maxIncrease: 0.2 }

/**
 * Errors of both versions, each beside its own traffic.
 *
 * _Proven_ for errors that are independent of each other: to find a version guilty that is no worse has the chance that
 * the plan allows, whatever the traffic does and however often one looks. Errors that come in bunches, as those of a few
 * guilds that always fail, are not independent: with guilds that stay on one version use {@link affectedGuilds}.
 *
 * @throws RangeError when `maxIncrease` is not above 0
 *
 * @example
 * ```ts
 * import { errorRate } from '@evenkeel/canary-judge'
 *
 * const metric = errorRate({ maxIncrease: 0.2 })
 * let state = metric.start()
 * for (let minute = 1; minute <= 5; minute++) {
 *   state = metric.observe(state, { green: { requests: 200, errors: 10 }, blue: { requests: 1_800, errors: 18 } })
 * }
 * const { isEffectReached, evidence } = metric.assess(state, 'errors')
 * console.log(isEffectReached && evidence >= 100) // => true
 * ```
 */
export function errorRate(options: ErrorRateOptions = {}): Metric<Sides<ErrorCounts>, SplitState> {
  const maxRatio = toMaxRatio(options.maxIncrease ?? errorRateDefaults.maxIncrease)
  return {
    start: () => noSplit,
    observe: (state, { green, blue }) => {
      if (!(green?.errors <= green?.requests && blue?.errors <= blue?.requests)) return ignore(state)
      return observeSplit(state, green.errors, blue.errors, green.requests, blue.requests)
    },
    assess: (state, name) => assessSplit(name, state, maxRatio),
  }
}
