/**
 * What was to be a copy, or a scratch store, holds something, or reaches the original or another copy. Nothing was migrated, and no backup
 * was made. It was not stopped.
 */
export class NotIsolatedError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'NotIsolatedError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'NOT_ISOLATED'
  /** The same call fails again. */
  readonly retryable = false
  /** Nothing was migrated, and no backup made. A probe that was written to find out was deleted again. */
  readonly applied = 'no'

  /** @internal */
  constructor(why: string, made: 'copy' | 'scratch' = 'copy') {
    super(`${remedies[made][0]} is not isolated: ${why}. ${remedies[made][1]}`)
  }
}

const remedies = {
  copy: ['The copy', 'Let `copy` make a new, empty store each time, in the folder that it is given, and nowhere else.'],
  scratch: [
    'The scratch store',
    'Let `scratch` make a new, empty store each time, such as `() => new MemoryStorage()`.',
  ],
} as const

/** What a step found, in words of ours: they may be told wherever the report goes. */
export class Finding extends Error {}
