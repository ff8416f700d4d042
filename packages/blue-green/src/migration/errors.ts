/** What was to be a copy is, or reaches, the original. Nothing was migrated. */
export class NotIsolatedError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'NotIsolatedError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'NOT_ISOLATED'
  /** The same call fails again. */
  readonly retryable = false
  /** Nothing was migrated. A probe that was written to find out was deleted again. */
  readonly applied = 'no'

  /** @internal */
  constructor(why: string) {
    super(
      `The copy is not isolated: ${why}. ` +
        'Let `copy` make a new, empty store each time, in the folder that it is given, and nowhere else.',
    )
  }
}
