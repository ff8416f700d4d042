import type { BucketBy } from './context.js'
import type { Cause, FlagShare, FlagState } from './table.js'

/** Why something is changed, and who changes it. */
export interface ChangeReason {
  /** For the people who will read it in an event, in a log or from {@link FeatureFlags.explain}. */
  readonly why: string
  /** Who does it: a name, a user's id. */
  readonly by?: string
}

/** Why an override is set, by whom, and for how long. */
export interface OverrideReason extends ChangeReason {
  /**
   * How long it holds, in milliseconds.
   * @defaultValue for ever
   */
  readonly forMs?: number
}

/** What a flag is like at present, whoever asks. */
export interface FlagStatus {
  /** The flag's name. */
  readonly name: string
  /** What it is for, if that was said. */
  readonly description: string | undefined
  /** Who looks after it, if that was said. */
  readonly owner: string | undefined
  /** Whether it decides by its own rules, or what holds it off; `all-off` while all flags are. */
  readonly state: FlagState | 'all-off'
  /** What is counted. */
  readonly by: BucketBy
  /** The percentage that counts, 0 to 100; `undefined` where there is none. */
  readonly percentage: number | undefined
  /** What a rollout has given to it. */
  readonly share: FlagShare | undefined
  /** How many guilds have an override. */
  readonly guildOverrides: number
  /** How many users have an override. */
  readonly userOverrides: number
  /** While `state` is `fallen-back`: from when on a call may try it again, in epoch ms. */
  readonly retryAt: number | undefined
  /** When it should be gone, in epoch ms. */
  readonly expiresAt: number | undefined
  /** Whether that time has come. */
  readonly isExpired: boolean
  /** How often each answer was given in this process since the flags were made: `{ on, off }`, or by variant. */
  readonly usage: Readonly<Record<string, number>>
  /** The last change since the flags were made: what, when, why and by whom. */
  readonly lastChange: FlagChange | undefined
}

/** How much a piece of news matters to whoever runs the bot. */
export type Severity = 'INFO' | 'WARNING' | 'CRITICAL'

/** What every piece of news says. */
export interface FlagNews {
  /** The flag's name. */
  readonly what: string
  /** When, in epoch ms. */
  readonly at: number
  /** The reason that was given or found. */
  readonly why: string
  /** Who did it, if that was said. */
  readonly by?: string
  /** How much it matters. */
  readonly severity: Severity
  /** All of it as a sentence. */
  readonly message: string
  /** The state of what was done at run time that this belongs to. It only grows, also between processes of one store. */
  readonly epoch: number
}

/** A flag was held off or let go: by hand, by falling back or recovering, or because of a flag that it requires. */
export interface StateChange extends FlagNews {
  /** What of the flag changed. */
  readonly aspect: 'state'
  /** Before. */
  readonly from: FlagState
  /** After. */
  readonly to: FlagState
}

/** A percentage was set while running. */
export interface PercentageChange extends FlagNews {
  /** What of the flag changed. */
  readonly aspect: 'percentage'
  /** Before, 0 to 100. A flag without a percentage counts as 0 or 100 by its default. */
  readonly from: number
  /** After, 0 to 100. */
  readonly to: number
}

/** An override was set or removed. */
export interface OverrideChange extends FlagNews {
  /** What of the flag changed. */
  readonly aspect: 'override'
  /** Before; `undefined` where there was none. */
  readonly from: boolean | string | undefined
  /** After; `undefined` where it was removed or has expired. */
  readonly to: boolean | string | undefined
  /** The guild that it is for, if it is for a guild. */
  readonly guildId?: string
  /** The user that it is for, if it is for a user. */
  readonly userId?: string
}

/** All flags were switched off at once, or given back to their own rules. */
export interface AllFlagsChange extends FlagNews {
  /** Every flag at once. */
  readonly what: '*'
  /** What changed. */
  readonly aspect: 'all'
  /** Before. */
  readonly from: 'on' | 'off'
  /** After. */
  readonly to: 'on' | 'off'
}

/** A rollout named other guilds. */
export interface TargetChange extends FlagNews {
  /** What of the flag changed. */
  readonly aspect: 'targets'
  /** The guilds before. */
  readonly from: readonly string[]
  /** The guilds after. */
  readonly to: readonly string[]
}

/** A source describes the flag otherwise than before. */
export interface DeclarationChange extends FlagNews {
  /** What of the flag changed. */
  readonly aspect: 'declaration'
  /** The properties that changed, as they were. */
  readonly from: Readonly<Record<string, unknown>>
  /** The same, as they are. */
  readonly to: Readonly<Record<string, unknown>>
}

/** The store was lost, or reached again. While it is `stale`, flags answer from what was seen last. */
export interface FeedChange extends FlagNews {
  /** All flags. */
  readonly what: '*'
  /** What changed. */
  readonly aspect: 'feed'
  /** Before. */
  readonly from: 'live' | 'stale'
  /** After. */
  readonly to: 'live' | 'stale'
}

/** Something about flags changed. `aspect` tells which of the kinds it is. */
export type FlagChange =
  StateChange | PercentageChange | OverrideChange | TargetChange | DeclarationChange | AllFlagsChange | FeedChange

/** A source has a document that cannot be used, or none any more. The last good one stays in force. */
export interface FlagRefusal extends FlagNews {
  /** Why. Mostly a {@link FlagDocumentError}, which names the line. */
  readonly error: Error
}

/** The time of a flag is over, and it is still there. */
export interface FlagExpiry extends FlagNews {
  /** Since when, in epoch ms. */
  readonly expiresAt: number
  /** Who looks after it, if that was said. */
  readonly owner: string | undefined
}

/** One call of {@link FeatureFlags.run} has ended. */
export interface RanCall {
  /** The flag. */
  readonly flag: string
  /** The path that was taken, by the flag's answer. Where the old path serves after the new one failed, only `on` is told. */
  readonly path: 'on' | 'off'
  /** Whether it failed, and not by a fault of the user's. */
  readonly isFailure: boolean
  /** How long it took, in milliseconds. */
  readonly tookMs: number
  /** The guild, if there is one. */
  readonly guildId: string | undefined
  /** The user, if there is one. */
  readonly userId: string | undefined
}

/** The new path of {@link FeatureFlags.run} failed once. */
export interface FlagFailure extends FlagNews {
  /** The path that failed. */
  readonly from: 'on'
  /** What the caller gets instead: the answer of the old path, or the error, where the new path may have taken effect. */
  readonly to: 'off' | 'error'
  /** What the new path threw. */
  readonly error: unknown
}

/** The events of {@link FeatureFlags}. */
export interface FlagEvents {
  /** Something changed, and is in force. */
  change: [change: FlagChange]
  /** A call of a new path failed. Whether that makes the flag fall back is a `change` of its own. */
  failed: [failure: FlagFailure]
  /** A document was refused. */
  refused: [refusal: FlagRefusal]
  /** A flag is still there though its time is over. Told once. */
  expired: [expiry: FlagExpiry]
  /** A call of `run` has ended: for whoever counts. */
  ran: [call: RanCall]
}

/** Who and why, at the end of a sentence. */
export function told({ why, by }: Pick<Cause, 'why' | 'by'>): string {
  return `${by === undefined ? '' : ` by ${by}`}: ${why}`
}

/** When, why and by whom. */
export function stamp({ why, by, at }: Cause): Pick<FlagNews, 'at' | 'why' | 'by'> {
  return by === undefined ? { at, why } : { at, why, by }
}
