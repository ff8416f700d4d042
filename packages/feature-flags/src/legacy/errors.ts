/** A deprecated function was called in a version in which it is gone. */
export class RemovedError extends Error {
  /** The name of this class. */
  override readonly name = 'RemovedError'
  /** Stable, to be compared in code. */
  readonly code = 'REMOVED'
  /** Calling again gives the same answer. */
  readonly retryable = false
  /** Nothing was done. */
  readonly applied = 'no'
  /** The name under which it was deprecated. */
  readonly deprecated: string
  /** The version in which it is gone. */
  readonly removedIn: string
  /** What to use in its place, if that was said. */
  readonly instead: string | undefined

  /**
   * @param deprecated - what was called
   * @param version - the version that runs
   */
  constructor(
    deprecated: { readonly name: string; readonly removedIn: string; readonly instead?: string | undefined },
    version: string,
  ) {
    const { name, removedIn, instead } = deprecated
    super(
      `${name} was removed in ${removedIn}, and this is ${version}${instead === undefined ? '' : `; use ${instead}`}`,
    )
    this.deprecated = name
    this.removedIn = removedIn
    this.instead = instead
  }
}
