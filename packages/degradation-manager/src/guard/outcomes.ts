import type { LatencySummary } from './latencies.js'

/** A value, and whether it is the real thing. */
export interface Outcome<Value> {
  /** What the call, or a fallback, gave. */
  readonly value: Value
  /** Whether a fallback gave it. */
  readonly degraded: boolean
  /** Why the fallback served, in words for an operator; undefined when none did. */
  readonly why: string | undefined
  /** How old the value is, in ms, when an `AnswerCache` gave it. */
  readonly ageMs: number | undefined
}

/** How one fallback did in a drill. */
export interface DrillStep {
  /** Its name. */
  readonly name: string
  /** Whether it answered in time. */
  readonly works: boolean
  /** How long that took, in ms. */
  readonly tookMs: number
  /** What it failed with; undefined when it worked. */
  readonly error: unknown
}

/** Whether the fallbacks of a guard work. */
export interface DrillReport {
  /** Whether all of them do. */
  readonly works: boolean
  /** How each of them did, in the order in which they are asked. */
  readonly steps: readonly DrillStep[]
}

/** What became of the calls of a guard so far. */
export interface GuardStats {
  /** All of them. */
  readonly calls: number
  /** Answered by the function itself. */
  readonly succeeded: number
  /** Failed in the end, though a fallback may have answered. The user's own mistakes are not among them. */
  readonly failed: number
  /** Those of the failed that were not done in time. */
  readonly timedOut: number
  /** The user's own mistakes. */
  readonly userErrors: number
  /** Given up by their caller's signal. */
  readonly aborted: number
  /** Not begun: the feature is off, the breaker open, or there was no place. */
  readonly refused: number
  /** Attempts beyond the first. */
  readonly retries: number
  /** Answered by a fallback. */
  readonly fellBack: number
  /** How long attempts took that went well. A guard without a deadline does not look at the clock, so it has none. */
  readonly latencyMs: LatencySummary
}
