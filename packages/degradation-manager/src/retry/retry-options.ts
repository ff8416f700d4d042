import { wholeNumber } from '../admission/admission-options.js'
import { milliseconds, optionalFunction } from '../breaker/breaker-options.js'
import { checkNames } from '../options.js'
import { systemRandom } from '../system-random.js'
import { RetryBudget } from './retry-budget.js'

/** How a guard tries again. */
export interface RetryOptions {
  /** How often at most it tries again after the first time; at least 1. */
  readonly attempts: number
  /**
   * The pause before the first retry is of random length up to this, in ms, more than 0; before each further one up to
   * twice as much (exponential back-off with full jitter).
   *
   * @defaultValue `200`
   */
  readonly delayMs?: number | undefined
  /**
   * No pause is longer, in ms, unless the error asks for it by `retryAfterMs`.
   *
   * @defaultValue `5_000`
   */
  readonly maxDelayMs?: number | undefined
  /**
   * How long one attempt is waited for, in ms, more than 0; unless given only the guard's `timeoutMs` ends it. What timed
   * out may have taken effect, so it is tried again only by a guard that is `idempotent`.
   */
  readonly timeoutMs?: number | undefined
  /** Whether an error is worth it; one that is the user's mistake, says `retryable: false` or may have taken effect is not. */
  readonly isRetryable?: ((error: unknown) => boolean) | undefined
  /** What bounds the retries of all calls together; one of the guard's own unless given. */
  readonly budget?: RetryBudget | undefined
  /** Chance, for tests: numbers from 0 to 1, 1 excluded. */
  readonly random?: (() => number) | undefined
}

/** The defaults of {@link RetryOptions}. */
export const retryDefaults: Readonly<Record<'delayMs' | 'maxDelayMs', number>> = {
  delayMs: 200,
  maxDelayMs: 5_000,
} satisfies Required<Pick<RetryOptions, 'delayMs' | 'maxDelayMs'>>

/** All of it, checked. */
export interface RetrySettings {
  readonly attempts: number
  readonly delayMs: number
  readonly maxDelayMs: number
  readonly timeoutMs: number | undefined
  readonly isRetryable: ((error: unknown) => boolean) | undefined
  readonly budget: RetryBudget
  readonly random: () => number
}

/** @throws TypeError or RangeError naming the option, its value and the remedy */
export function retrySettings(what: string, options: RetryOptions): RetrySettings {
  const others = ['attempts', 'timeoutMs', 'isRetryable', 'budget', 'random']
  checkNames(what, options, [...others, ...Object.keys(retryDefaults)])
  const { timeoutMs, isRetryable, budget = new RetryBudget(), random = systemRandom } = options
  optionalFunction(`isRetryable of ${what}`, isRetryable)
  optionalFunction(`random of ${what}`, random)
  if (typeof budget?.take !== 'function') throw new TypeError(`The budget of ${what} must be a RetryBudget`)
  return {
    attempts: wholeNumber('attempts', options.attempts, 1),
    delayMs: milliseconds('delayMs', options.delayMs ?? retryDefaults.delayMs),
    maxDelayMs: milliseconds('maxDelayMs', options.maxDelayMs ?? retryDefaults.maxDelayMs),
    timeoutMs: timeoutMs === undefined ? undefined : milliseconds('timeoutMs', timeoutMs),
    isRetryable,
    budget,
    random,
  }
}

/**
 * How long to pause before the next attempt, in ms.
 *
 * @param retry - the settings
 * @param tries - how many attempts were made
 * @param error - what the last one failed with
 * @see Marc Brooker, "Exponential Backoff And Jitter" (AWS, 2015)
 */
export function pauseMs(retry: RetrySettings, tries: number, error: unknown): number {
  const most = Math.min(retry.maxDelayMs, retry.delayMs * 2 ** Math.min(tries - 1, 30))
  return Math.max(askedMs(error), most * retry.random())
}

/** What the error itself asks for; nothing when it cannot be read. */
function askedMs(error: unknown): number {
  try {
    const { retryAfterMs } = (error ?? {}) as { retryAfterMs?: unknown }
    return typeof retryAfterMs === 'number' && retryAfterMs > 0 ? retryAfterMs : 0
  } catch {
    return 0
  }
}
