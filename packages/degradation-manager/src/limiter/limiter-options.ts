import { checkNames } from '../options.js'
import type { Clock } from '../ports.js'
import { priorities, type Priority } from '../priority.js'
import { maxDelayMs, systemClock } from '../system-clock.js'
import type { LimitRange } from './concurrency-limit.js'

/** What an {@link AdaptiveLimiter} is made of. */
export interface AdaptiveLimiterOptions {
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
  /**
   * After how many ms of waiting nobody cares for the answer any more, more than 0: for all, or by priority.
   *
   * @defaultValue `1_000`
   */
  readonly maxWaitMs?: number | Partial<Readonly<Record<Priority, number>>> | undefined
  /** Where time comes from; the machine's clock unless a test brings another. */
  readonly clock?: Clock | undefined
}

/** The defaults of {@link AdaptiveLimiterOptions}. */
export const adaptiveLimiterDefaults: Readonly<
  Record<'initialLimit' | 'minLimit' | 'maxLimit' | 'maxWaiting' | 'maxWaitMs', number> & Record<'name', string>
> = {
  name: 'limiter',
  initialLimit: 10,
  minLimit: 1,
  maxLimit: 1_000,
  maxWaiting: 200,
  // Discord wants an answer within 3 s; whoever has waited a third of it should hear a polite no while that still helps.
  maxWaitMs: 1_000,
} satisfies Required<Omit<AdaptiveLimiterOptions, 'clock'>>

/** All of it, checked. */
export interface LimiterSettings extends LimitRange {
  readonly name: string
  readonly maxWaiting: number
  readonly maxWaitMs: Readonly<Record<Priority, number>>
  readonly clock: Clock
}

/** @throws TypeError or RangeError naming the option, its value and the remedy */
export function limiterSettings(options: AdaptiveLimiterOptions): LimiterSettings {
  checkNames('An AdaptiveLimiter', options, [...Object.keys(adaptiveLimiterDefaults), 'clock'])
  const defaults = adaptiveLimiterDefaults
  const name = options.name ?? defaults.name
  if (typeof name !== 'string' || name === '') throw new TypeError('name must be a string that is not empty')
  const minLimit = count('minLimit', options.minLimit ?? defaults.minLimit, 1)
  const maxLimit = count('maxLimit', options.maxLimit ?? Math.max(defaults.maxLimit, minLimit), minLimit)
  const wished = options.initialLimit ?? Math.min(maxLimit, Math.max(minLimit, defaults.initialLimit))
  const initialLimit = count('initialLimit', wished, minLimit)
  if (initialLimit > maxLimit) throw new RangeError(`initialLimit is ${initialLimit}, above maxLimit, ${maxLimit}`)
  return {
    name,
    initialLimit,
    minLimit,
    maxLimit,
    maxWaiting: count('maxWaiting', options.maxWaiting ?? defaults.maxWaiting, 0),
    maxWaitMs: waits(options.maxWaitMs ?? defaults.maxWaitMs),
    clock: options.clock ?? systemClock,
  }
}

function count(name: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new RangeError(`${name} is ${String(value)}; give a whole number, ${least} or more`)
}

function waits(given: number | Partial<Readonly<Record<Priority, number>>>): Record<Priority, number> {
  if (typeof given !== 'number') checkNames('maxWaitMs', given, priorities)
  const of = (priority: Priority): number => {
    const value = typeof given === 'number' ? given : (given[priority] ?? adaptiveLimiterDefaults.maxWaitMs)
    if (value > 0 && value <= maxDelayMs) return value
    throw new RangeError(
      `maxWaitMs is ${String(value)} for ${priority}; give ms, more than 0 and at most ${maxDelayMs}`,
    )
  }
  return { critical: of('critical'), high: of('high'), normal: of('normal'), optional: of('optional') }
}
