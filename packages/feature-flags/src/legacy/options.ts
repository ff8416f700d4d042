import { isVersion } from '../conditions/version.js'
import { didYouMean } from '../nearest.js'
import type { SwitchFlags, WallClock } from './ports.js'

/** Options of {@link Deprecations}. */
export interface DeprecationsOptions {
  /** The version of the program that runs, such as `'2.4.1'`. Without it nothing is ever overdue. */
  readonly version?: string
  /**
   * What a call does in a version in which its function is gone: `'warn'` as before, or `'throw'` a {@link RemovedError}.
   * @defaultValue `'warn'`
   */
  readonly afterRemoval?: 'warn' | 'throw'
  /** The flags that `switchTo` asks. */
  readonly flags?: SwitchFlags
  /**
   * How many calling places are kept, and warned of, for each deprecated function. 0 never looks for any.
   * @defaultValue `50`
   */
  readonly maxCallSites?: number
  /**
   * Whether each calling place is a `DeprecationWarning` of the process. It is a `change` event anyway.
   * @defaultValue `true`
   */
  readonly emitWarnings?: boolean
  /**
   * Where dates come from.
   * @defaultValue the system's
   */
  readonly clock?: WallClock
  /**
   * Where chance comes from: numbers from 0 up to 1.
   * @defaultValue the system's
   */
  readonly random?: () => number
}

/** What {@link Deprecations} does unless its options say otherwise. */
export const deprecationsDefaults: Required<
  Pick<DeprecationsOptions, 'afterRemoval' | 'maxCallSites' | 'emitWarnings'>
> = { afterRemoval: 'warn', maxCallSites: 50, emitWarnings: true }

/** @throws TypeError, RangeError naming the option, the value and what to write instead */
export function checkDeprecationsOptions(
  options: DeprecationsOptions,
): DeprecationsOptions & typeof deprecationsDefaults {
  const known = ['version', 'flags', 'clock', 'random', ...Object.keys(deprecationsDefaults)]
  for (const option of Object.keys(options)) {
    if (!known.includes(option)) {
      throw new TypeError(`Deprecations has no option ${JSON.stringify(option)}${didYouMean(option, known)}`)
    }
  }
  const checked = {
    ...options,
    afterRemoval: options.afterRemoval ?? deprecationsDefaults.afterRemoval,
    maxCallSites: options.maxCallSites ?? deprecationsDefaults.maxCallSites,
    emitWarnings: options.emitWarnings ?? deprecationsDefaults.emitWarnings,
  }
  const { version, afterRemoval, maxCallSites, emitWarnings } = checked
  if (version !== undefined && (typeof version !== 'string' || !isVersion(version))) {
    throw new TypeError(`version must be a whole version such as '2.4.1', not ${JSON.stringify(version)}`)
  }
  if (afterRemoval !== 'warn' && afterRemoval !== 'throw') {
    throw new TypeError(`afterRemoval must be 'warn' or 'throw', not ${JSON.stringify(afterRemoval)}`)
  }
  if (afterRemoval === 'throw' && version === undefined) {
    throw new TypeError("afterRemoval: 'throw' needs the `version` of the program, to tell when that is")
  }
  if (!Number.isSafeInteger(maxCallSites) || maxCallSites < 0) {
    throw new RangeError(`maxCallSites must be a whole number from 0, not ${maxCallSites}`)
  }
  if (typeof emitWarnings !== 'boolean') throw new TypeError('emitWarnings must be true or false')
  return checked
}
