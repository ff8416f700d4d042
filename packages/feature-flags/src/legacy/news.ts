import { warn } from '../warning.js'

/** A deprecated function was called. */
export interface DeprecatedUse {
  /** The name under which it was deprecated. */
  readonly what: string
  /** How often it was called so far, this call included. */
  readonly uses: number
  /** What became of the call: the old function, its replacement, or an error since it is gone. */
  readonly to: 'old' | 'replacement' | 'error'
  /** When, in epoch ms. */
  readonly at: number
  /** Why it is deprecated. */
  readonly why: string
  /** How much it matters to whoever runs the bot. */
  readonly severity: 'INFO'
  /** All of it as a sentence. */
  readonly message: string
}

/** A place was found that calls a deprecated function. */
export interface CallSiteChange {
  /** The name under which it was deprecated. */
  readonly what: string
  /** What changed: the places known to call it. */
  readonly aspect: 'call-site'
  /** How many places were known before. */
  readonly from: number
  /** How many are known now. */
  readonly to: number
  /** The place: `handle (/bot/search.js:12:5)`. */
  readonly place: string
  /** When, in epoch ms. */
  readonly at: number
  /** Why it is deprecated. */
  readonly why: string
  /** How much it matters to whoever runs the bot. */
  readonly severity: 'WARNING'
  /** All of it as a sentence. */
  readonly message: string
}

/** The events of {@link Deprecations}. */
export interface DeprecationEvents {
  /** A place was found that calls a deprecated function; once for each. */
  change: [change: CallSiteChange]
  /** A deprecated function was called; for every call. */
  used: [use: DeprecatedUse]
}

/** How a deprecated function is used. */
export interface DeprecationReport {
  /** The name under which it was deprecated. */
  readonly name: string
  /** Why. */
  readonly reason: string
  /** The version in which it is gone. */
  readonly removedIn: string
  /** What to use in its place, if that was said. */
  readonly instead: string | undefined
  /** Whether the version that runs is that one or a later; `false` while nobody said which one runs. */
  readonly isOverdue: boolean
  /** How often it was called. */
  readonly uses: number
  /** How many of these calls its replacement served. */
  readonly replaced: number
  /** When it was first called, in epoch ms; `undefined` for never. */
  readonly firstUsedAt: number | undefined
  /** When it was last called, in epoch ms; `undefined` for never. */
  readonly lastUsedAt: number | undefined
  /** The places that are known to call it, in the order in which they were found. */
  readonly callSites: readonly string[]
  /** Whether there may be more places, since so many were found that nobody looks any more. */
  readonly isCallSitesFull: boolean
}

/** Tells somebody. One that throws must not break the call that it is told of. */
export function tell(announce: () => void): void {
  try {
    announce()
  } catch (error) {
    warn('EVENKEEL_LISTENER', 'A listener of Deprecations threw; those registered after it missed the event', error)
  }
}
