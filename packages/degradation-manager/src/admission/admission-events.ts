/** What became of all calls so far. */
export interface AdmissionCounts {
  /** Let in. */
  readonly admitted: number
  /** Turned away because the room was full. */
  readonly refused: number
  /** Turned away because they had waited too long. */
  readonly expired: number
  /** Gone by their own signal, or by the deadline of their guard. */
  readonly aborted: number
  /** Places that were taken back from work that did not end within `maxOverdueMs` after its caller had gone. */
  readonly reclaimed: number
}

/** A limiter or a bulkhead has begun, or ceased, to turn calls away. */
export interface AdmissionChange {
  /** Its name. */
  readonly what: string
  /** `up` while everyone is let in, `degraded` while some are turned away. */
  readonly from: 'up' | 'degraded'
  /** How it is now. */
  readonly to: 'up' | 'degraded'
  /** When, epoch ms. */
  readonly at: number
  /** The reason, in words for an operator. */
  readonly why: string
  /** `WARNING` when it begins to turn away. */
  readonly severity: 'INFO' | 'WARNING'
  /** All of it in one sentence. */
  readonly message: string
}

/** The events of an `AdaptiveLimiter` and of a `Bulkhead`. */
export interface AdmissionEvents {
  /** It has begun, or ceased, to turn calls away. */
  change: [change: AdmissionChange]
}
