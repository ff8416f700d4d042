import { describeFailure } from './check-result.js'
import type { ShutdownReport } from './shutdown.js'

/**
 * The reason of the `AbortSignal` that a check receives, once its deadline has passed.
 *
 * @remarks
 * The component's reason carries the same sentence. Nobody has to catch it: a check that passes its signal on, to
 * `fetch` for instance, rejects with it, and the monitor has already counted the timeout.
 */
export class CheckTimeoutError extends Error {
  /** The class's name. */
  override readonly name = 'CheckTimeoutError'
  /** Stable, for programs. */
  readonly code = 'CHECK_TIMEOUT'
  /** The next run may well answer. */
  readonly retryable = true
  /** Whatever the check was doing may still happen. */
  readonly applied = 'unknown'
  /** The check's name. */
  readonly check: string
  /** Its deadline in milliseconds. */
  readonly timeoutMs: number

  /**
   * @param check - the check's name
   * @param timeoutMs - its deadline in milliseconds
   */
  constructor(check: string, timeoutMs: number) {
    super(
      `No answer within ${timeoutMs} ms; if the check is merely slow, raise checks[${JSON.stringify(check)}].timeoutMs`,
    )
    this.check = check
    this.timeoutMs = timeoutMs
  }
}

/** The reason of the `AbortSignal` that a check receives, when the monitor is stopped before the check has ended. */
export class CheckAbandonedError extends Error {
  /** The class's name. */
  override readonly name = 'CheckAbandonedError'
  /** Stable, for programs. */
  readonly code = 'CHECK_ABANDONED'
  /** A monitor that is started again runs the check again. */
  readonly retryable = true
  /** Whatever the check was doing may still happen. */
  readonly applied = 'unknown'
  /** The check's name. */
  readonly check: string

  /** @param check - the check's name */
  constructor(check: string) {
    super('The monitor was stopped before the check had ended')
    this.check = check
  }
}

/** A part did not start, so `runUntilSignal` stopped those that had, and gave up. */
export class StartFailedError extends Error {
  /** The class's name. */
  override readonly name = 'StartFailedError'
  /** Stable, for programs. */
  readonly code = 'START_FAILED'
  /** Whether another try may help, only the cause can tell. */
  readonly retryable = false
  /** The part that failed may have begun something. */
  readonly applied = 'unknown'
  /** The part's name. */
  readonly part: string
  /** What became of the parts that had started before. */
  readonly report: ShutdownReport

  /**
   * @param part - the part's name
   * @param report - what became of the parts that had started before
   * @param cause - what the part's `start()` threw
   */
  constructor(part: string, report: ShutdownReport, cause: unknown) {
    const left = report.left.length === 0 ? 'all of them stopped' : `still running: ${report.left.join(', ')}`
    super(`${part} did not start: ${describeFailure(cause)}; the parts before it were asked to stop, ${left}`, {
      cause,
    })
    this.part = part
    this.report = report
  }
}
