import type { BooleanFlag, CheckedDefinitions, FlagDefinitions } from './definitions.js'
import { didYouMean } from './nearest.js'
import type { Clock } from './ports.js'

/** Limits after which a flag that {@link FeatureFlags.run} sees failing falls back. */
export interface FallbackOptions {
  /**
   * Failed calls within the window that make a flag fall back, if they are also `failureRatio` of all its calls there.
   * @defaultValue `5`
   */
  readonly failureThreshold?: number
  /**
   * The share of a flag's calls within the window that must have failed for it to fall back, 0 to 1.
   * @defaultValue `0.1`
   */
  readonly failureRatio?: number
  /**
   * How far back failures count, in milliseconds.
   * @defaultValue `60_000`
   */
  readonly failureWindowMs?: number
  /**
   * How long a flag stays fallen back before one call tries it again, in milliseconds. It doubles with each failed try.
   * @defaultValue `30_000`
   */
  readonly retryDelayMs?: number
  /**
   * What the doubled delay grows to at most, in milliseconds.
   * @defaultValue `3_600_000`
   */
  readonly maxRetryDelayMs?: number
}

/** Options of {@link FeatureFlags}. */
export interface FeatureFlagsOptions<D extends FlagDefinitions = FlagDefinitions> extends FallbackOptions {
  /** The flags by name. Names and variants are inferred, so that a misspelt one does not compile. */
  readonly flags: D & CheckedDefinitions<D>
  /**
   * Where `EVENKEEL_FLAGS=off` and `EVENKEEL_FLAG_<NAME>` are read from, once, at construction.
   * @defaultValue `process.env`
   */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /**
   * Where time comes from.
   * @defaultValue the system's
   */
  readonly clock?: Clock
}

/** What a flag is unless its declaration says otherwise. */
export const flagDefaults: Required<Pick<BooleanFlag, 'default' | 'by'>> = { default: false, by: 'guild' }

/** The limits of {@link FeatureFlags} unless its options say otherwise. */
export const featureFlagsDefaults: Required<FallbackOptions> = {
  failureThreshold: 5,
  failureRatio: 0.1,
  failureWindowMs: 60_000,
  retryDelayMs: 30_000,
  maxRetryDelayMs: 3_600_000,
}

/** Limits that have been checked. */
export type Limits = Required<FallbackOptions>

/** @throws TypeError, RangeError naming the option, the value and what to write instead */
export function checkLimits(options: FeatureFlagsOptions): Limits {
  if (typeof options !== 'object' || options === null)
    throw new TypeError('FeatureFlags needs options: { flags: { ... } }')
  const known = ['flags', 'environment', 'clock', ...Object.keys(featureFlagsDefaults)]
  for (const option of Object.keys(options)) {
    if (!known.includes(option)) {
      throw new TypeError(`FeatureFlags has no option ${JSON.stringify(option)}${didYouMean(option, known)}`)
    }
  }
  const limits: Limits = {
    failureThreshold: options.failureThreshold ?? featureFlagsDefaults.failureThreshold,
    failureRatio: options.failureRatio ?? featureFlagsDefaults.failureRatio,
    failureWindowMs: options.failureWindowMs ?? featureFlagsDefaults.failureWindowMs,
    retryDelayMs: options.retryDelayMs ?? featureFlagsDefaults.retryDelayMs,
    maxRetryDelayMs: options.maxRetryDelayMs ?? featureFlagsDefaults.maxRetryDelayMs,
  }
  if (!Number.isSafeInteger(limits.failureThreshold) || limits.failureThreshold < 1) {
    throw new RangeError(`failureThreshold must be a whole number of calls from 1, not ${limits.failureThreshold}`)
  }
  if (!(limits.failureRatio >= 0 && limits.failureRatio <= 1)) {
    throw new RangeError(`failureRatio must be from 0 to 1, not ${limits.failureRatio}`)
  }
  for (const option of ['failureWindowMs', 'retryDelayMs', 'maxRetryDelayMs'] as const) {
    if (!(limits[option] > 0 && Number.isFinite(limits[option]))) {
      throw new RangeError(`${option} must be a number of milliseconds above 0, not ${limits[option]}`)
    }
  }
  if (limits.maxRetryDelayMs < limits.retryDelayMs) {
    throw new RangeError(
      `maxRetryDelayMs is ${limits.maxRetryDelayMs}, below retryDelayMs, which is ${limits.retryDelayMs}`,
    )
  }
  return limits
}
