import type { Id } from '../context.js'

/** For whom a flag is asked, as the provider makes it out of an evaluation context. */
export interface FlagAudience {
  /** The guild, if the evaluation context names one. */
  readonly guildId?: Id | null | undefined
  /** The user, if the evaluation context names one. */
  readonly userId?: Id | null | undefined
  /** The whole evaluation context, for the rules that look at it. */
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
}

/** What the provider reads of an explained answer. */
export interface FlagAnswer {
  /** The answer. */
  readonly value: unknown
  /** The rule that answered. */
  readonly reason: string
  /** The flag whose rule it was; the one that was asked for unless said. */
  readonly decidedBy?: string | undefined
  /** The name of the variant; made of the value unless said. */
  readonly variant?: string | undefined
}

/** What the provider reads of a piece of news. */
export interface ProvidedChange {
  /** The flag that changed, `'*'` for all. */
  readonly what: string
  /** What of it changed. `'feed'` tells whether changes that are made elsewhere still arrive. */
  readonly aspect: string
  /** After. Of the feed: `'stale'` or `'live'`. */
  readonly to?: unknown
  /** All of it as a sentence. */
  readonly message: string
}

/** The flags that a provider answers from: a `FeatureFlags`, or anything of this shape. */
export interface ProvidedFlags {
  /** Whether there is a flag of this name. */
  has(name: string): boolean
  /** The answer and how it came about. Throws a `TypeError` or `RangeError` when an id is none. */
  explain(name: string, context: FlagAudience): FlagAnswer
  /** The same answer without its sentence, where there is a cheaper way to it. It is asked in place of `explain`. */
  evaluate?(name: string, context: FlagAudience): FlagAnswer
  /** Calls a listener with each change, when it is in force. */
  on(event: 'change', listener: (change: ProvidedChange) => void): unknown
  /** Undoes `on`. */
  off(event: 'change', listener: (change: ProvidedChange) => void): unknown
  /** The names of all flags; they are told to have changed when all of them have. */
  readonly names?: readonly string[] | undefined
  /** `'stale'` while changes that were made elsewhere may be missing. */
  readonly feed?: string | undefined
  /** Begins to follow changes. May be called twice. */
  start?(): unknown
  /** Ends that. May be called twice. */
  stop?(): unknown
}
