import { didYouMean, nearest } from './nearest.js'
import { literal } from './specification.js'

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
    const names = [...known]
    // Whoever writes JavaScript can ask for what is no string.
    const name = typeof flag === 'string' ? flag : literal(flag)
    super(`There is no flag ${JSON.stringify(name)}${didYouMean(name, names) || '; declare it in `flags`'}`)
    this.flag = name
    this.suggestions = nearest(name, names)
  }
}
