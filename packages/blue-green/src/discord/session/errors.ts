/** Another process has the session with Discord and does not give it up, or has just asked for it, or this one was stopped meanwhile. */
export class SessionHeldError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'SessionHeldError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'SESSION_HELD'
  /** The same call can succeed later. */
  readonly retryable = true
  /** This process has no connection, and handles nothing. */
  readonly applied = 'no'
  /** Why, as a clause. */
  readonly why: string

  /** @internal */
  constructor(version: string, why: string) {
    super(`Version "${version}" does not have the session with Discord: ${why}. Whoever has it serves; start() again.`)
    this.why = why
  }
}
