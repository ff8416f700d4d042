/** No implementation may serve: each is switched off for this context, or down. Nothing was called. */
export class NoImplementationError extends Error {
  /** Always `NoImplementationError`. */
  override readonly name = 'NoImplementationError'
  /** Stable, for programs. */
  readonly code = 'NO_IMPLEMENTATION'
  /** One may serve later. */
  readonly retryable = true
  /** Nothing was done. */
  readonly applied = 'no'
  /** The registry. */
  readonly registry: string

  /** @internal */
  constructor(registry: string, why: string) {
    super(`No implementation of ${registry} may serve: ${why}. Add a last one that needs no flag and no component`)
    this.registry = registry
  }
}

/** Calls of an implementation were still under way when the time was up. They go on. */
export class NotDrainedError extends Error {
  /** Always `NotDrainedError`. */
  override readonly name = 'NotDrainedError'
  /** Stable, for programs. */
  readonly code = 'NOT_DRAINED'
  /** It may be waited for again. */
  readonly retryable = true
  /** Nothing was done. */
  readonly applied = 'no'
  /** The implementation. */
  readonly implementation: string
  /** How many of its calls are under way. */
  readonly inFlight: number
  /** How long it was waited, in ms. */
  readonly timeoutMs: number

  /** @internal */
  constructor(implementation: string, inFlight: number, timeoutMs: number) {
    super(
      `${inFlight} calls of "${implementation}" are under way after ${timeoutMs} ms. ` +
        'Wait again, or give the calls a deadline; if it is still in use, use another one first',
    )
    this.implementation = implementation
    this.inFlight = inFlight
    this.timeoutMs = timeoutMs
  }
}
