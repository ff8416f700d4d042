import type { Severity } from '../../changes.js'
import type { EventOfTheDead, Replaced } from '../../restart/events.js'

/** Something is different now. `what` says what `from` and `to` are. */
export interface SessionChange {
  /**
   * `session`: `new`, `resumed`, `closed` (the next process may go on with it) or `lost` (nobody can). `membership`: whether this process is
   * one of those that the others know, `in` or `out`. `store`: `up` or `down`.
   */
  readonly what: 'session' | 'membership' | 'store'
  /** What it was. */
  readonly from: string
  /** What it is. */
  readonly to: string
  /** When, in epoch ms. */
  readonly at: number
  /** The cause, as a clause. */
  readonly why: string
  /** `CRITICAL` wants a human now. */
  readonly severity: Severity
  /** The whole as a sentence, fit for a log or a chat channel. */
  readonly message: string
}

/** The events of {@link SessionHandover}. */
export interface SessionHandoverEvents {
  /** Something is different now; `status` shows it already. */
  change: [change: SessionChange]
  /** A process died with an event, which runs here once more. */
  repeated: [event: EventOfTheDead]
  /** A process died with an event that must not run twice: look whether it was done. */
  unfinished: [event: EventOfTheDead]
  /** Another process takes the session: this one may `stop()`, and end. */
  replaced: [replaced: Replaced]
}
