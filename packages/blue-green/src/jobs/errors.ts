/** A run is not this process's any more: another one may have begun it. What it still does may be done twice. */
export class JobLostError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'JobLostError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'JOB_LOST'
  /** The same call fails again. */
  readonly retryable = false
  /** What was to be committed was not written. */
  readonly applied = 'no'
  /** The run: the name of the job and its due time. */
  readonly runId: string

  /** @internal */
  constructor(runId: string, why: string) {
    super(
      `Run ${runId} is not this process's any more: ${why}. Let it end; it runs again elsewhere if its effects allow that.`,
    )
    this.runId = runId
  }
}
