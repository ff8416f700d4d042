/** The flow is pinned to another version, which has begun it. Its events go there. */
export class PinnedElsewhereError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'PinnedElsewhereError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'PINNED_ELSEWHERE'
  /** The same call can succeed when the other version has released it. */
  readonly retryable = true
  /** Nothing was changed. */
  readonly applied = 'no'
  /** What was to be pinned. */
  readonly key: string
  /** The version that has it. */
  readonly version: string

  /** @internal */
  constructor(key: string, wanted: string, version: string) {
    super(
      `Cannot pin "${key}" to "${wanted}": it is pinned to "${version}", where it began. Give its events the same \`pin\` in context().`,
    )
    this.key = key
    this.version = version
  }
}
