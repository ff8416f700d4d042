import type { RolloutState } from './transitions.js'

/** The store did not answer, or not in time. What was asked for may be retried. */
export class RolloutStoreError extends Error {
  /** The name of this class. */
  override readonly name = 'RolloutStoreError'
  /** Stable, to be compared in code. */
  readonly code = 'ROLLOUT_STORE'
  /** The same call may succeed later. */
  readonly retryable = true
  /** Whether the write may have been done. */
  readonly applied: 'no' | 'unknown'

  /**
   * @param message - what failed, as a sentence
   * @param applied - whether the write may have been done
   * @param cause - what the store said
   */
  constructor(message: string, applied: 'no' | 'unknown', cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.applied = applied
  }
}

/** The rollout is not where this can be done: there is nothing to resume, say, or it is over. */
export class RolloutStateError extends Error {
  /** The name of this class. */
  override readonly name = 'RolloutStateError'
  /** Stable, to be compared in code. */
  readonly code = 'ROLLOUT_STATE'
  /** The same call fails again, until the rollout has moved on. */
  readonly retryable = false
  /** Nothing was changed. */
  readonly applied = 'no'
  /** Where the rollout is. */
  readonly state: RolloutState

  /**
   * @param message - what was refused, and what to do
   * @param state - where the rollout is
   */
  constructor(message: string, state: RolloutState) {
    super(message)
    this.state = state
  }
}

/** What the store holds was written by a newer release, or by something else. */
export class RolloutFormatError extends Error {
  /** The name of this class. */
  override readonly name = 'RolloutFormatError'
  /** Stable, to be compared in code. */
  readonly code = 'ROLLOUT_FORMAT'
  /** The same record is refused again. */
  readonly retryable = false
  /** Nothing was changed. */
  readonly applied = 'no'
  /** The key of the record. */
  readonly key: string
  /** The format that was found, if it says one. */
  readonly found: unknown
  /** The format that this release reads. */
  readonly supported: number

  /**
   * @param key - the key of the record
   * @param found - the format that was found
   * @param supported - the format that this release reads
   * @param what - what is wrong, as a clause
   */
  constructor(key: string, found: unknown, supported: number, what: string) {
    super(
      `Cannot read the rollout under ${JSON.stringify(key)}: ${what}. This release reads format ${supported}. ` +
        'Upgrade @evenkeel/feature-flags, or remove the record if it is not a rollout.',
    )
    this.key = key
    this.found = found
    this.supported = supported
  }
}
