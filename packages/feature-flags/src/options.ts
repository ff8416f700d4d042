import { attributeTypes, type AttributeType, type AttributeTypes } from './attributes.js'
import type { BooleanFlag, CheckedDefinitions, FlagDefinitions, SegmentDefinitions } from './definitions.js'
import { didYouMean } from './nearest.js'
import type { Clock, FlagStore } from './ports.js'
import type { FlagSource } from './sources.js'

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

/** How the flags of a {@link FeatureFlagsOptions.store} are kept in step. */
export interface SharingOptions {
  /**
   * Whether a flag that falls back in one process falls back in all that share the store.
   * @defaultValue `'process'`
   */
  readonly tripScope?: 'process' | 'shared'
  /**
   * How long to wait for the store, in milliseconds.
   * @defaultValue `2_000`
   */
  readonly timeoutMs?: number
  /**
   * How long `start()` waits for the store before it goes on without, and for each source before it rejects, in
   * milliseconds.
   * @defaultValue `5_000`
   */
  readonly startTimeoutMs?: number
  /**
   * How often to ask whether something was missed, and whether a flag has expired, in milliseconds.
   * @defaultValue `5_000`
   */
  readonly checkIntervalMs?: number
}

/** What targeting rules may do. */
export interface RuleOptions {
  /**
   * Whether conditions may use `matches`, which takes a regular expression.
   * @defaultValue `false`
   */
  readonly patterns?: boolean
}

/** Options of {@link FeatureFlags}. */
export interface FeatureFlagsOptions<
  D extends FlagDefinitions = FlagDefinitions,
  A extends AttributeTypes = AttributeTypes,
  S extends string = string,
>
  extends FallbackOptions, SharingOptions {
  /** The flags by name. Names and variants are inferred, so that a misspelt one does not compile. */
  readonly flags: D & CheckedDefinitions<D, NoInfer<A>, NoInfer<S>>
  /**
   * The attributes that rules may ask for, and that each context must bring: `{ plan: 'string', seats: 'number?' }`.
   * @defaultValue any, none of them required
   */
  readonly attributes?: A
  /** Conditions by name, for rules to refer to. */
  readonly segments?: SegmentDefinitions<NoInfer<A>, S>
  /** Where flags are described beside the code, such as `flagFile('flags.yaml')`: a later one goes before an earlier one. */
  readonly sources?: readonly FlagSource[]
  /** What is changed while running is kept here, and shared with all processes that have the same: a collection. */
  readonly store?: FlagStore
  /** Tells errors that are the user's fault: they neither make a flag fall back nor count as failures of a path. */
  readonly isUserError?: (error: unknown) => boolean
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

/** The options of {@link FeatureFlags} unless told otherwise. */
export const featureFlagsDefaults: Required<FallbackOptions & SharingOptions & RuleOptions> = {
  failureThreshold: 5,
  failureRatio: 0.1,
  failureWindowMs: 60_000,
  retryDelayMs: 30_000,
  maxRetryDelayMs: 3_600_000,
  tripScope: 'process',
  timeoutMs: 2_000,
  startTimeoutMs: 5_000,
  checkIntervalMs: 5_000,
  patterns: false,
}

/** Limits that have been checked. */
export type Limits = Required<FallbackOptions>

const others = ['flags', 'attributes', 'segments', 'sources', 'store', 'isUserError', 'environment', 'clock']

/** @throws TypeError, RangeError naming the option, the value and what to write instead */
export function checkOptions<D extends FlagDefinitions, A extends AttributeTypes, S extends string>(
  options: FeatureFlagsOptions<D, A, S>,
): typeof featureFlagsDefaults {
  if (typeof options !== 'object' || options === null)
    throw new TypeError('FeatureFlags needs options: { flags: { ... } }')
  const known = [...others, ...Object.keys(featureFlagsDefaults)]
  for (const option of Object.keys(options)) {
    if (!known.includes(option)) {
      throw new TypeError(`FeatureFlags has no option ${JSON.stringify(option)}${didYouMean(option, known)}`)
    }
  }
  const given = Object.entries(options).filter(([name, value]) => value !== undefined && !others.includes(name))
  const checked = { ...featureFlagsDefaults, ...(Object.fromEntries(given) as Partial<typeof featureFlagsDefaults>) }
  checkLimits(checked)
  checkSharing(checked, options)
  checkAttributes(options.attributes)
  return checked
}

function checkLimits(limits: typeof featureFlagsDefaults): void {
  if (!Number.isSafeInteger(limits.failureThreshold) || limits.failureThreshold < 1) {
    throw new RangeError(`failureThreshold must be a whole number of calls from 1, not ${limits.failureThreshold}`)
  }
  if (!(limits.failureRatio >= 0 && limits.failureRatio <= 1)) {
    throw new RangeError(`failureRatio must be from 0 to 1, not ${limits.failureRatio}`)
  }
  const durations = [
    'failureWindowMs',
    'retryDelayMs',
    'maxRetryDelayMs',
    'timeoutMs',
    'startTimeoutMs',
    'checkIntervalMs',
  ] as const
  for (const option of durations) {
    if (!(limits[option] > 0 && Number.isFinite(limits[option]))) {
      throw new RangeError(`${option} must be a number of milliseconds above 0, not ${limits[option]}`)
    }
  }
  if (limits.maxRetryDelayMs < limits.retryDelayMs) {
    throw new RangeError(
      `maxRetryDelayMs is ${limits.maxRetryDelayMs}, below retryDelayMs, which is ${limits.retryDelayMs}`,
    )
  }
}

function checkSharing(
  checked: typeof featureFlagsDefaults,
  { store, sources, isUserError }: FeatureFlagsOptions,
): void {
  if (checked.tripScope !== 'process' && checked.tripScope !== 'shared') {
    throw new TypeError(`tripScope must be 'process' or 'shared', not ${JSON.stringify(checked.tripScope)}`)
  }
  if (checked.tripScope === 'shared' && store === undefined) {
    throw new TypeError("tripScope is 'shared', which takes a `store` that the processes share")
  }
  if (typeof checked.patterns !== 'boolean') throw new TypeError('patterns must be true or false')
  if (store !== undefined) checkStore(store)
  const areSources = Array.isArray(sources) && sources.every((each: unknown) => isSource(each))
  if (sources !== undefined && !areSources) {
    throw new TypeError("sources must be a list such as [flagFile('flags.yaml')], each with a name, start and stop")
  }
  if (isUserError !== undefined && typeof isUserError !== 'function') {
    throw new TypeError('isUserError must be a function of an error')
  }
}

const storeCalls = ['entry', 'compareAndSet', 'set', 'delete', 'scan', 'watch'] as const

function checkStore(store: Partial<FlagStore> | null): void {
  const missing = storeCalls.filter((call) => typeof store?.[call] !== 'function')
  if (missing.length === 0) return
  throw new TypeError(
    `store must have ${storeCalls.join(', ')}, as a collection of storage-adapter has; it has no ${missing.join(', ')}`,
  )
}

function isSource(source: unknown): boolean {
  const { name, start, stop } = (source ?? {}) as Partial<FlagSource>
  return typeof name === 'string' && typeof start === 'function' && typeof stop === 'function'
}

function checkAttributes(attributes: unknown): void {
  if (attributes === undefined) return
  if (typeof attributes !== 'object' || attributes === null) {
    throw new TypeError("attributes must be types by name: { plan: 'string' }")
  }
  for (const [name, type] of Object.entries(attributes)) {
    if (attributeTypes.includes(type as AttributeType)) continue
    throw new TypeError(
      `attribute ${JSON.stringify(name)} must be one of ${attributeTypes.join(', ')}, not ${String(type)}`,
    )
  }
}
