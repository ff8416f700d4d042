/** An event came before `start()` had resolved, or after `stop()`. Start first, then log in; end the client by the option `disconnect`, or after `stop()`. */
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
      `Version "${version}" takes no event now: await start() before you log in, and end the client by the option disconnect, or after stop()`,
    )
  }
}

/** `takeOver()` has not led to what was asked for: it was refused, or the others did not agree. */
export class TakeOverError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'TakeOverError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'NOT_TAKEN_OVER'
  /** The same call can succeed later: the message says when. */
  readonly retryable = true
  /** `'no'` when it was refused; `'unknown'` when the others did not agree in time: they may in a moment, and `status` says so. */
  readonly applied: 'no' | 'unknown'
  /** Why, as a clause. */
  readonly why: string

  /** @internal */
  constructor(version: string, why: string, remedy: string, applied: 'no' | 'unknown' = 'no') {
    super(`Version "${version}" has not taken over: ${why}. ${remedy}.`)
    this.why = why
    this.applied = applied
  }
}
