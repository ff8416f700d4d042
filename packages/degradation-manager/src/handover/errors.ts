/** The event was not taken over, and nothing was done: the next fallback may serve it. */
export class NotTakenError extends Error {
  /** Always `NotTakenError`. */
  override readonly name = 'NotTakenError'
  /** Stable, for programs. */
  readonly code = 'NOT_TAKEN'
  /** It may be taken later. */
  readonly retryable = true
  /** Nothing was done. */
  readonly applied = 'no'
  /** Who was to take it. */
  readonly taker: string
  /** The earliest that it makes sense to offer it again, in ms; undefined when nobody knows. */
  readonly retryAfterMs: number | undefined

  /** @internal */
  constructor(taker: string, why: string, retryAfterMs?: number, cause?: unknown) {
    super(`"${taker}" has not taken the event over: ${why}`, cause === undefined ? undefined : { cause })
    this.taker = taker
    this.retryAfterMs = retryAfterMs
  }
}

/** Whether the event was taken over is not known, so nobody else may serve it. */
export class HandOverUnclearError extends Error {
  /** Always `HandOverUnclearError`. */
  override readonly name = 'HandOverUnclearError'
  /** Stable, for programs. */
  readonly code = 'HAND_OVER_UNCLEAR'
  /** Only what was declared `idempotent: true` may be tried again. */
  readonly retryable = false
  /** It may have been handled, or may still be. */
  readonly applied = 'unknown'
  /** Who was to take it. */
  readonly taker: string

  /** @internal */
  constructor(taker: string, why: string, cause?: unknown) {
    super(
      `Whether "${taker}" has taken the event over is not known: ${why}. ` +
        'If handling it twice does no harm, declare the guard idempotent: true',
      cause === undefined ? undefined : { cause },
    )
    this.taker = taker
  }
}
