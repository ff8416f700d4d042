import { checkNames } from '../options.js'
import {
  admissionSettings,
  queueDefaults,
  wholeNumber,
  type AdmissionSettings,
  type QueueOptions,
} from './admission-options.js'
import type { LimitRange } from './concurrency-limit.js'

/** What an {@link AdaptiveLimiter} is made of. */
export interface AdaptiveLimiterOptions extends QueueOptions {
  /**
   * What to call it in errors and events.
   *
   * @defaultValue `'limiter'`
   */
  readonly name?: string | undefined
  /**
   * How many calls at once it begins with, from `minLimit` to `maxLimit`.
   *
   * @defaultValue `10`
   */
  readonly initialLimit?: number | undefined
  /**
   * It never allows fewer at once; at least 1.
   *
   * @defaultValue `1`
   */
  readonly minLimit?: number | undefined
  /**
   * It never allows more at once.
   *
   * @defaultValue `1_000`
   */
  readonly maxLimit?: number | undefined
  /**
   * How many calls may wait, of all priorities together; 0 for none.
   *
   * @defaultValue `200`
   */
  readonly maxWaiting?: number | undefined
}

/** The defaults of {@link AdaptiveLimiterOptions}. */
export const adaptiveLimiterDefaults: Readonly<
  Record<'initialLimit' | 'minLimit' | 'maxLimit' | 'maxWaiting' | 'maxWaitMs' | 'maxOverdueMs', number> &
    Record<'name', string>
> = {
  name: 'limiter',
  initialLimit: 10,
  minLimit: 1,
  maxLimit: 1_000,
  maxWaiting: 200,
  ...queueDefaults,
} satisfies Required<Omit<AdaptiveLimiterOptions, 'clock'>>

/** @throws TypeError or RangeError naming the option, its value and the remedy */
export function limiterSettings(options: AdaptiveLimiterOptions): AdmissionSettings & LimitRange {
  checkNames('An AdaptiveLimiter', options, [...Object.keys(adaptiveLimiterDefaults), 'clock'])
  const defaults = adaptiveLimiterDefaults
  const minLimit = wholeNumber('minLimit', options.minLimit ?? defaults.minLimit, 1)
  const maxLimit = wholeNumber('maxLimit', options.maxLimit ?? Math.max(defaults.maxLimit, minLimit), minLimit)
  const wished = options.initialLimit ?? Math.min(maxLimit, Math.max(minLimit, defaults.initialLimit))
  const initialLimit = wholeNumber('initialLimit', wished, minLimit)
  if (initialLimit > maxLimit) throw new RangeError(`initialLimit is ${initialLimit}, above maxLimit, ${maxLimit}`)
  const { name = defaults.name, maxWaiting = defaults.maxWaiting } = options
  return { ...admissionSettings(options, { name, maxWaiting }), initialLimit, minLimit, maxLimit }
}
