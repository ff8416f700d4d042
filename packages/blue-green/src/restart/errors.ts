/** An event came before `start()` had resolved, or after `stop()`. Start first, then log in; destroy the client after `stop()`. */
export class NotStartedError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'NotStartedError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'NOT_STARTED'
  /** The same call can succeed after `start()`. */
  readonly retryable = true
  /** Nothing ran here. */
  readonly applied = 'no'

  /** @internal */
  constructor(version: string) {
    super(
      `Version "${version}" takes no event now: await start() before you log in, and destroy the client after stop()`,
    )
  }
}

/** This process does not own the events, although `takeOver()` was called. */
export class TakeOverError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'TakeOverError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'NOT_TAKEN_OVER'
  /** The same call can succeed later. */
  readonly retryable = true
  /** It may own them in a moment; `status.role` says so. */
  readonly applied = 'unknown'
  /** Why, as a clause. */
  readonly why: string

  /** @internal */
  constructor(version: string, why: string) {
    super(`Version "${version}" does not own the events: ${why}. Whoever owned them serves; call takeOver() again.`)
    this.why = why
  }
}
