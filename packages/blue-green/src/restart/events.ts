import type { Severity } from '../changes.js'

/** Something is different now. `what` says what `from` and `to` are. */
export interface RestartChange {
  /**
   * `owner`: the process that handles the events, as its version. `share`: how many percent of the
   * guilds another process has in the owner's place. `members`: how many processes share the token. `membership`: whether this one is
   * `in` or `out`. `store`: `up` or `down`. `connection`: of a process that is to go while that is
   * `down`: `awaited` while it waits, `left` when it goes all the same.
   */
  readonly what: 'owner' | 'share' | 'members' | 'membership' | 'store' | 'connection'
  /** What it was. */
  readonly from: string | number
  /** What it is. */
  readonly to: string | number
  /** When, in epoch ms. */
  readonly at: number
  /** The cause, as a clause. */
  readonly why: string
  /** `CRITICAL` wants a human now. */
  readonly severity: Severity
  /** The whole as a sentence, fit for a log or a chat channel. */
  readonly message: string
}

/** What became of an event whose process died with it. */
export interface EventOfTheDead {
  /** Which thing this is about. */
  readonly what: 'event'
  /** Whose claim there was: the id of the process that died, or of the one that had claimed what ran here without a claim. */
  readonly from: string
  /** `repeated`: this process runs it once more. `unfinished`: nobody does, as its effects are `atMostOnce`. */
  readonly to: 'repeated' | 'unfinished'
  /** The event. */
  readonly eventId: string
  /** Which run this is; for `unfinished` the one that did not end. */
  readonly attempt: number
  /** When, in epoch ms. */
  readonly at: number
  /** The cause, as a clause. */
  readonly why: string
  /** `WARNING` where something may have happened twice, or not at all. */
  readonly severity: Severity
  /** The whole as a sentence, fit for a log or a chat channel. */
  readonly message: string
}

/** An event that this process let go without knowing that another one has it, or that it ran without a claim, so that another one may have run it, too. */
export interface UndecidedEvent {
  /** Which thing this is about. */
  readonly what: 'event'
  /** What it was. */
  readonly from: 'kept'
  /** What became of it. */
  readonly to: 'undecided'
  /** The event; `undefined` for one without an id. */
  readonly eventId: string | undefined
  /** When, in epoch ms. */
  readonly at: number
  /** The cause, as a clause. */
  readonly why: string
  /** `WARNING`: another process has likely handled it, and nobody here knows. */
  readonly severity: Severity
  /** The whole as a sentence, fit for a log or a chat channel. */
  readonly message: string
}

/** Another process has served for `bakeMs` in place of this one, which may go now. */
export interface Replaced {
  /** Which thing this is about. */
  readonly what: 'process'
  /** The version of this process. */
  readonly from: string
  /** The version that serves now. */
  readonly to: string
  /** When, in epoch ms. */
  readonly at: number
  /** The cause, as a clause. */
  readonly why: string
  /** How much it matters. */
  readonly severity: Severity
  /** The whole as a sentence, fit for a log or a chat channel. */
  readonly message: string
}

/** The events of {@link GaplessRestart}. */
export interface RestartEvents {
  /** Something is different now; `status` shows it already. */
  change: [change: RestartChange]
  /** A process died with an event, which runs here once more. Or it ran here without a claim, as the store was out, and another process had claimed it. */
  repeated: [event: EventOfTheDead]
  /** A process died with an event that must not run twice: look whether it was done. */
  unfinished: [event: EventOfTheDead]
  /**
   * It is not known whether another process has an event that this one let go: if the owner died just then, or none was there, nobody has. Or it
   * ran here without a claim, as the store was out, and may have run elsewhere: `why` says which.
   */
  undecided: [event: UndecidedEvent]
  /** This process may go: another one has served long enough. */
  replaced: [replaced: Replaced]
}
