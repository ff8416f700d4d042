import { describeError } from '../outcome.js'

/**
 * A mode was set or cleared by hand while the store could not be reached. It is in force in this process, and in the
 * others once the store is reached again while the manager is started, unless somebody else has changed it there in the
 * meantime.
 */
export class ModeStoreError extends Error {
  /** Always `ModeStoreError`. */
  override readonly name = 'ModeStoreError'
  /** Stable, for programs. */
  readonly code = 'MODE_STORE'
  /** It is tried again by itself. */
  readonly retryable = true
  /** The store may have been reached nevertheless. */
  readonly applied = 'unknown'

  /** @internal */
  constructor(cause: unknown) {
    super(
      `The mode is in force here, and not yet known to be stored for other processes: ${describeError(cause)}; ` +
        'it is tried again by itself once start() is called, and until stop() is',
      { cause },
    )
  }
}

/** What is in the store cannot be read: it is of a newer release, or was written by something else. */
export class StateFormatError extends Error {
  /** Always `StateFormatError`. */
  override readonly name = 'StateFormatError'
  /** Stable, for programs. */
  readonly code = 'STATE_FORMAT'
  /** The same call fails again. */
  readonly retryable = false
  /** The record was left as it is. */
  readonly applied = 'no'
  /** The key in the store. */
  readonly key: string
  /** The format version that was found, if any. */
  readonly found: number | undefined
  /** The newest format version that this release reads. */
  readonly supported: number

  /** @internal */
  constructor(key: string, found: number | undefined, supported: number, why: string) {
    super(
      `Cannot read the modes under "${key}": ${why}, and this release reads format ${supported}. ` +
        'Upgrade @evenkeel/degradation-manager, or give another name.',
    )
    this.key = key
    this.found = found
    this.supported = supported
  }
}
