import type { Table } from './records.js'

/** What is known of the age of an event that comes now. */
export interface Arrivals {
  /** For how long it may have waited in the session of this process, in ms. */
  readonly lateByMs: number
  /** A table that is no newer. */
  readonly since: Table
}

/** Where this process stands among the others, as far as an event is concerned. */
export interface Standing {
  readonly isIn: boolean
  readonly isAlone: boolean
  /** Whether it is alone, and writes no claims. */
  readonly isQuiet: boolean
  /** For how long it has been alone, in ms; 0 while it is not. */
  readonly aloneMs: number
  /** For how long the same events have been its own, in ms; 0 while none are. */
  readonly servingMs: number
  readonly isServing: boolean
  readonly holdsLease: boolean
  readonly isStoreUp: boolean
  readonly isConfirmed: boolean
  readonly table: Table
  /** Those who may get what comes now. */
  readonly members: readonly string[]
  /** How old what comes now of a guild may be. */
  arrivalsOf(unitId: string | undefined): Arrivals
  /** Whether the events of a guild are its own. */
  owns(unitId: string | undefined): boolean
  /** Which process a flow stays with, if any. */
  pinnedAt(key: string): string | undefined
  /** Whether all others know that it stays with this one. */
  isPinKnown(key: string): boolean
  /** Whether it has stayed with another process until a moment ago. */
  wasPinnedElsewhere(key: string): boolean
  /** Whether the events of a guild will be its own when the one before has agreed. */
  awaits(unitId: string | undefined): boolean
  /** Whether the events of a guild were its own until a moment ago, and whoever is to have them may not know yet. */
  hasGivenAway(unitId: string | undefined): boolean
  /** Whether no other one has handled events without claims since then, as far as they have said so since. */
  hasClaimsSince(before: Table): boolean
  /** Whether each of the others has begun and given a sign of life since then, and since this one sees all that happens. */
  haveCaughtUpSince(sinceMs: number, among?: readonly string[]): boolean
  /** Whether another one has given a sign of life since then, or is not there any more. */
  hasLivedSince(other: string, sinceMs: number): boolean
  hasBeenAwakeSince(sinceMs: number): boolean
  hasReachedStoreSince(sinceMs: number): boolean
  isStoreOutSince(sinceMs: number): boolean
  /** Whether the events of a guild are this process's, and have been since a table on. */
  hasOwnedSince(before: Table, unitId: string | undefined): boolean
  beat(): Promise<void>
  /** An event was handled without a claim, as the store was out: the table is to say so. */
  noteUnclaimed(): void
}

/** What a desk tells. */
export interface DeskHooks {
  /** An event of a dead process runs here once more; or it ran here without a claim, and one `by` another process was there. */
  repeated(eventId: string, by: string, attempt: number, isHarmless: boolean, isUnclaimed: boolean): void
  /** An event of a dead process is left alone. */
  unfinished(eventId: string, by: string, attempt: number): void
  /** An event is let go, and nobody here knows whether another process has it. */
  undecided(eventId: string | undefined, why: string): void
}
