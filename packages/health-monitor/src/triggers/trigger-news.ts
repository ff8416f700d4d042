/** What a trigger's action did. */
export interface TriggerNews {
  /** The trigger's name. */
  readonly what: string
  /** How the trigger was before. */
  readonly from: TriggerState
  /** How it is now. */
  readonly to: TriggerState
  /** When, epoch ms. */
  readonly at: number
  /** Why, in one line: the status that called for it, or what went wrong. */
  readonly why: string
  /** `INFO` for what was done or undone, `WARNING` for what failed or was held back, `CRITICAL` for what was given up. */
  readonly severity: 'INFO' | 'WARNING' | 'CRITICAL'
  /** All of it in one sentence, for people. */
  readonly message: string
}

/**
 * `waiting` for its condition; `done`: the action has run; `failing`: it failed and is tried again; `failed`: it was given
 * up; `held back`: it has run too often lately.
 */
export type TriggerState = 'waiting' | 'done' | 'failing' | 'failed' | 'held back'
