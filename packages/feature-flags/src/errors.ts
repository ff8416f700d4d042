import { didYouMean, nearest } from './nearest.js'
import { describeError } from './outcome.js'
import { literal } from './setting-problem.js'

/**
 * A flag was asked for that was never declared.
 *
 * @remarks
 * The compiler finds this in TypeScript. Where a name comes from outside, such as a command's argument, ask
 * {@link FeatureFlags.has} first.
 */
export class UnknownFlagError extends TypeError {
  /** The name of this class. */
  override readonly name = 'UnknownFlagError'
  /** Stable, to be compared in code. */
  readonly code = 'UNKNOWN_FLAG'
  /** Asking again gives the same answer. */
  readonly retryable = false
  /** Nothing was done. */
  readonly applied = 'no'
  /** The name that was asked for. */
  readonly flag: string
  /** Declared names that look alike, nearest first; at most three. */
  readonly suggestions: readonly string[]

  /**
   * @param flag - the name that was asked for
   * @param known - all declared names
   */
  constructor(flag: string, known: Iterable<string>) {
    // Whoever writes JavaScript can ask for what is no string.
    const name = typeof flag === 'string' ? flag : literal(flag)
    const suggestions = nearest(name, known)
    super(`There is no flag ${JSON.stringify(name)}${didYouMean(name, suggestions) || '; declare it in `flags`'}`)
    this.flag = name
    this.suggestions = suggestions
  }
}

/**
 * The store of the flags was not reached in time.
 *
 * @remarks
 * What was asked for is in force in this process, and in the others once the store is reached again; then what somebody
 * else changed meanwhile stands, unless this switches something off.
 */
export class FlagStoreError extends Error {
  /** The name of this class. */
  override readonly name = 'FlagStoreError'
  /** Stable, to be compared in code. */
  readonly code = 'FLAG_STORE'
  /** It is tried again by itself. */
  readonly retryable = true
  /** The store may have been reached nevertheless. */
  readonly applied = 'unknown'

  /** @param cause - what the store said */
  constructor(cause: unknown) {
    super(`The change is in force here, and not yet known to be stored for other processes: ${describeError(cause)}`, {
      cause,
    })
  }
}

/** A flag cannot be let go here, because a layer below switches it off: the code or a file. */
export class FlagHeldOffError extends Error {
  /** The name of this class. */
  override readonly name = 'FlagHeldOffError'
  /** Stable, to be compared in code. */
  readonly code = 'FLAG_HELD_OFF'
  /** It stays off until it is changed there. */
  readonly retryable = false
  /** Nothing was done. */
  readonly applied = 'no'
  /** The flag. */
  readonly flag: string

  /**
   * @param flag - the flag
   * @param why - which layer says so
   */
  constructor(flag: string, why: string) {
    super(`Flag ${JSON.stringify(flag)} stays off because ${why}; change it there`)
    this.flag = flag
  }
}
