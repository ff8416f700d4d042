/** What a check found, when nothing is in the way. */
export interface CheckFinding {
  /** Always: what does not pass rejects. */
  readonly ok: true
  /** What was found, as a clause. */
  readonly why: string
}

/** A check before a deployment: one of the `checks` of a `BlueGreen`. It rejects with a {@link CheckFailedError}. */
export type PreparationCheck = (context: {
  /** Aborted when the time of the check is up. */
  readonly signal: AbortSignal
}) => Promise<CheckFinding>

/** Something is in the way of the deployment; the message says what, and what to do. Nothing was changed. */
export class CheckFailedError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'CheckFailedError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'CHECK_FAILED'
  /** It passes once what is in the way is gone. */
  readonly retryable = true
  /** Nothing was changed. */
  readonly applied = 'no'

  /** @internal */
  constructor(why: string, cause?: unknown) {
    super(why, cause === undefined ? undefined : { cause })
  }
}

export function found(why: string): CheckFinding {
  return { ok: true, why }
}
