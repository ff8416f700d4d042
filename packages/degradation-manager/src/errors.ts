import { describeError } from './outcome.js'

/**
 * The bot is not serving this at the moment, and the call was not begun. Made without a stack, because a bot
 * under load makes many.
 */
export class ShedError extends Error {
  /** Always `ShedError`. */
  override readonly name = 'ShedError'
  /** Stable, for programs. */
  readonly code = 'SHED'
  /** The same call may succeed later. */
  readonly retryable = true
  /** Nothing was done. */
  readonly applied = 'no'
  /** The feature that is off, or the limiter that has no place. */
  readonly feature: string
  /** The earliest that it makes sense to try again, in ms; undefined when that is for a person to decide. */
  readonly retryAfterMs: number | undefined

  /** @internal */
  constructor(
    feature: string,
    why: string,
    retryAfterMs: number | undefined,
    remedy = ', or give the guard a fallback',
  ) {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    super(`${why} — ${retryHint(retryAfterMs)}${remedy}`)
    Error.stackTraceLimit = limit
    this.feature = feature
    this.retryAfterMs = retryAfterMs
  }
}

/** A call, or a fallback, was not done when its time was up. Whether it took effect is not known. */
export class TimeoutError extends Error {
  /** Always `TimeoutError`. */
  override readonly name = 'TimeoutError'
  /** Stable, for programs. */
  readonly code = 'TIMEOUT'
  /** Only what was declared `idempotent: true` may be tried again. */
  readonly retryable: boolean
  /** It may have taken effect, or may still. */
  readonly applied = 'unknown'
  /** The feature that the call belongs to. */
  readonly feature: string
  /** How long it was waited for, in ms. */
  readonly timeoutMs: number

  /** @internal */
  constructor(feature: string, what: string, timeoutMs: number, idempotent: boolean) {
    super(
      `The ${what} of "${feature}" was not done within ${timeoutMs} ms, and whether it took effect is not known. ` +
        (idempotent ? 'It may be tried again' : 'If doing it twice does no harm, declare the guard idempotent: true'),
    )
    this.retryable = idempotent
    this.feature = feature
    this.timeoutMs = timeoutMs
  }
}

/** No answer was kept that an `AnswerCache` could give, or it is too old. */
export class NoAnswerError extends Error {
  /** Always `NoAnswerError`. */
  override readonly name = 'NoAnswerError'
  /** Stable, for programs. */
  readonly code = 'NO_ANSWER'
  /** An answer may be kept later. */
  readonly retryable = true
  /** Nothing was done. */
  readonly applied = 'no'

  /** @internal */
  constructor(why: string) {
    super(`${why}; give the guard another fallback after it`)
  }
}

/** The fallback was asked to serve and failed too. `cause` is the fallback's own error. */
export class FallbackError extends Error {
  /** Always `FallbackError`. */
  override readonly name = 'FallbackError'
  /** Stable, for programs. */
  readonly code = 'FALLBACK_FAILED'
  /** Neither way worked; the next call decides afresh. */
  readonly retryable = false
  /** `unknown` when the call or one of its fallbacks may have taken effect. */
  readonly applied: 'no' | 'unknown'
  /** The feature that the call belongs to. */
  readonly feature: string
  /** What the call itself had failed with; undefined when it was not made, because the feature was off. */
  readonly failure: unknown

  /** @internal */
  constructor(feature: string, why: string, failure: unknown, cause: unknown, isUnclear: boolean) {
    super(`The fallback of "${feature}" failed: ${describeError(cause)}. It was asked because ${why}`, { cause })
    this.applied = isUnclear ? 'unknown' : 'no'
    this.feature = feature
    this.failure = failure
  }
}

function retryHint(retryAfterMs: number | undefined): string {
  if (retryAfterMs === undefined) return 'it stays so until a person changes it'
  return `try again in ${Math.ceil(retryAfterMs)} ms or later`
}
