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
export interface ModeChange<ModeName extends string = Mode> extends News {
  /** Tells this change from the others. */
  readonly what: 'mode'
  /** The mode before. */
  readonly from: ModeName
  /** The mode from now on. */
  readonly to: ModeName
  /** Whether it was only decided, and nothing has changed. */
  readonly dryRun: boolean
}

/** A mode was set by hand, or handed back, and the mode in force is the same as before. */
export interface OverrideChange<ModeName extends string = Mode> extends News {
  /** Tells this change from the others. */
  readonly what: 'override'
  /** The mode that had been set by hand; `none` when the rules decided. */
  readonly from: ModeName | 'none'
  /** The mode that is set by hand; `none` when the rules decide. */
  readonly to: ModeName | 'none'
  /** Whether it was only decided, and nothing has changed. */
  readonly dryRun: boolean
}

/** What a rule looks at cannot be read any more, or can be again. While it cannot, the rule stays as it was. */
export interface InputChange extends News {
  /** What kind of input it is; `health` is the bot as a whole. */
  readonly what: 'pressure' | 'component' | 'health' | 'flag'
  /** Its name; `overall` for `health`. */
  readonly name: string
  /** What it was before. */
  readonly from: 'readable' | 'unreadable'
  /** What it is now. */
  readonly to: 'readable' | 'unreadable'
}

/** The store cannot be reached, or can be again. While it cannot, what was last known of it holds. */
export interface StoreChange extends News {
  /** Tells this change from the others. */
  readonly what: 'store'
  /** What it was before. */
  readonly from: 'reachable' | 'unreachable'
  /** What it is now. */
  readonly to: 'reachable' | 'unreachable'
}

/** A drill has found that fallbacks would not work, or that they work again. */
export interface DrillChange extends News {
  /** Tells this change from the others. */
  readonly what: 'drill'
  /** The feature whose fallbacks were tried out. */
  readonly name: string
  /** What was known of them before. */
  readonly from: 'working' | 'failing'
  /** What is known of them now. */
  readonly to: 'working' | 'failing'
}

/** The payload of `change`; `what` tells which. */
export type DegradationChange<ModeName extends string = Mode> =
  ModeChange<ModeName> | OverrideChange<ModeName> | InputChange | StoreChange | DrillChange

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
export interface DegradationManagerEvents<ModeName extends string = Mode> {
  /** The mode, what holds it, or what the manager can see has changed. */
  change: [change: DegradationChange<ModeName>]
  /** One call was answered by its fallback. */
  fallback: [served: FallbackServed]
}
