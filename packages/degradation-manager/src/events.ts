import type { Mode } from './mode.js'

/** How much an operator should care. */
export type Severity = 'INFO' | 'WARNING' | 'CRITICAL'

/** What every event carries. */
export interface News {
  /** When, in epoch ms. */
  readonly at: number
  /** The reason, in words for an operator. */
  readonly why: string
  /** How much an operator should care. */
  readonly severity: Severity
  /** All of it as one sentence, ready for a log or a chat. */
  readonly message: string
}

/** The bot serves more or less than before. */
export interface ModeChange extends News {
  /** Tells this change from the others. */
  readonly what: 'mode'
  /** The mode before. */
  readonly from: Mode
  /** The mode from now on. */
  readonly to: Mode
}

/** A mode was set by hand, or handed back, and the mode in force is the same as before. */
export interface OverrideChange extends News {
  /** Tells this change from the others. */
  readonly what: 'override'
  /** The mode that had been set by hand; `none` when the rules decided. */
  readonly from: Mode | 'none'
  /** The mode that is set by hand; `none` when the rules decide. */
  readonly to: Mode | 'none'
}

/** What a rule looks at cannot be read any more, or can be again. While it cannot, the rule stays as it was. */
export interface InputChange extends News {
  /** What kind of input it is. */
  readonly what: 'pressure' | 'component'
  /** Its name. */
  readonly name: string
  /** What it was before. */
  readonly from: 'readable' | 'unreadable'
  /** What it is now. */
  readonly to: 'readable' | 'unreadable'
}

/** The payload of `change`; `what` tells which. */
export type DegradationChange = ModeChange | OverrideChange | InputChange

/** The payload of `fallback`: one call was answered by its fallback. */
export interface FallbackServed extends News {
  /** The feature that the call belongs to. */
  readonly what: string
  /** What should have answered. */
  readonly from: 'call'
  /** What did answer. */
  readonly to: 'fallback'
  /** What the call failed with; undefined when it was not made, because the feature was off. */
  readonly error: unknown
}

/** The events of a {@link DegradationManager}. */
export interface DegradationManagerEvents {
  /** The mode, what holds it, or what the rules can see has changed. */
  change: [change: DegradationChange]
  /** One call was answered by its fallback. */
  fallback: [served: FallbackServed]
}
