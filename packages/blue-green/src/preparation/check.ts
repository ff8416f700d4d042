import { messageOf } from '../bounded.js'
import { reasonOf, untilAborted } from './until-aborted.js'

/** What a check found, when nothing is in the way. */
export interface CheckFinding {
  /** Always: what does not pass rejects. */
  readonly ok: true
  /** What was found, as a clause. */
  readonly why: string
}

/**
 * A check before a deployment: one of the `checks` of a `BlueGreen`.
 *
 * It rejects with a {@link CheckFailedError}, or, as soon as its signal is aborted, with the reason of that: it ends in time although
 * what it asks hangs.
 */
export type PreparationCheck = (context: {
  /** Aborted when the time of the check is up. */
  readonly signal: AbortSignal
}) => Promise<CheckFinding>

/** Something is in the way of the deployment; the message says what. Nothing was changed. */
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

/** A check of a look at something, which may hang or throw what it likes. */
export function checkBy<Finding extends CheckFinding>(
  look: (signal: AbortSignal) => Promise<Finding>,
): (context: { readonly signal: AbortSignal }) => Promise<Finding> {
  return async ({ signal }) => {
    if (signal.aborted) throw reasonOf(signal)
    try {
      return await untilAborted(look(signal), signal)
    } catch (error) {
      if (signal.aborted) throw reasonOf(signal)
      throw error instanceof CheckFailedError ? error : new CheckFailedError(messageOf(error), error)
    }
  }
}

export function found(why: string): CheckFinding {
  return { ok: true, why }
}
