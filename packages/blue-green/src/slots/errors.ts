/** Marks the errors by which a slot speaks of itself, also across two copies of the package; no worker can send it. */
const bySlot = Symbol.for('@evenkeel/blue-green/slot-failure')

/** What a slot says of an event: that it has not begun it, that it has no room for it, or that nobody knows. */
export interface SlotFailure {
  readonly kind: 'not-begun' | 'shed' | 'unknown'
  /** Whether another version may run it. */
  readonly mayRepeat: boolean
}

/** What a slot says of an event; `undefined` when the error is the version's own. */
export function failureOf(error: unknown): SlotFailure | undefined {
  if (typeof error !== 'object' || error === null || !(bySlot in error)) return undefined
  return error[bySlot] as SlotFailure
}

/** The version has certainly not begun the event: any other may handle it. */
export class NotBegunError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'NotBegunError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'NOT_BEGUN'
  /** Another version can take the event, or this one later. */
  readonly retryable = true
  /** Nothing was done. */
  readonly applied = 'no'
  /** The slot. */
  readonly slot: string

  /**
   * @param slot - what the slot is called
   * @param why - as a clause
   * @param cause - what was thrown, if anything
   */
  constructor(slot: string, why: string, cause?: unknown) {
    super(`"${slot}" has not begun the event: ${why}`, cause === undefined ? undefined : { cause })
    this.slot = slot
    Object.defineProperty(this, bySlot, { value: { kind: 'not-begun', mayRepeat: true } })
  }
}

/** The version had begun the event, or may have, and nobody knows how far it came. */
export class OutcomeUnknownError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'OutcomeUnknownError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'OUTCOME_UNKNOWN'
  /** Whether a second run does no harm, by the declared `effects`. */
  readonly retryable: boolean
  /** It may have taken effect, or may still. */
  readonly applied = 'unknown'
  /** The slot. */
  readonly slot: string

  /**
   * @param slot - what the slot is called
   * @param why - as a clause
   * @param mayRepeat - whether another version may run it again
   * @param cause - what was thrown, if anything
   */
  constructor(slot: string, why: string, mayRepeat: boolean, cause?: unknown) {
    super(`What became of the event on "${slot}" is not known: ${why}`, cause === undefined ? undefined : { cause })
    this.slot = slot
    this.retryable = mayRepeat
    Object.defineProperty(this, bySlot, { value: { kind: 'unknown', mayRepeat } })
  }
}

/** As many events run on the version as it may have. */
export class ShedError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'ShedError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'SHED'
  /** The same event can be taken later. */
  readonly retryable = true
  /** Nothing was done. */
  readonly applied = 'no'
  /** The slot. */
  readonly slot: string
  /** The earliest that it makes sense to try again, in ms. */
  readonly retryAfterMs: number

  /** @internal */
  constructor(slot: string, maxInFlight: number, retryAfterMs: number) {
    // Made by the thousand when it is made at all.
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    super(
      `"${slot}" has ${maxInFlight} events under way, as many as maxInFlight allows; try again in ${retryAfterMs} ms`,
    )
    Error.stackTraceLimit = limit
    this.slot = slot
    this.retryAfterMs = retryAfterMs
    Object.defineProperty(this, bySlot, { value: { kind: 'shed', mayRepeat: true } })
  }
}

/** The version did not become ready. */
export class SlotStartError extends Error {
  /** The class of this error, also across two copies of the package. */
  override readonly name = 'SlotStartError'
  /** Stable, for code that has to tell errors apart. */
  readonly code = 'SLOT_START'
  /** Whatever kept it from starting may pass. */
  readonly retryable = true
  /** No event reached it. */
  readonly applied = 'no'
  /** The slot. */
  readonly slot: string
  /** What kept it, as a clause. */
  readonly why: string

  /** @internal */
  constructor(slot: string, why: string, cause?: unknown) {
    super(`"${slot}" did not become ready: ${why}`, cause === undefined ? undefined : { cause })
    this.slot = slot
    this.why = why
  }
}
