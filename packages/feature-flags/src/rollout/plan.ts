import type { Id } from '../context.js'

/** A step of a rollout: who has the flag on, and for how long before the next step. */
export interface RolloutPhase {
  /** Its name, which no other phase has. */
  readonly name: string
  /** The share of guilds or users, 0 to 100. It never falls from one phase to the next. */
  readonly percentage: number
  /** Guilds that have it on whatever the percentage: those of this phase and of all before it. */
  readonly targetGuilds: readonly string[]
  /** How long it takes at least, in milliseconds. */
  readonly durationMs: number
}

/**
 * What makes a rollout stop or go back. What is left out is not judged.
 *
 * Memory, the database and satisfaction are judged only where the option `measure` of {@link Rollout} gives them.
 *
 * The increases compare who has the flag on with who has it off at the same time, and are sizes that are cared about: a
 * rollout goes back when there is evidence beside the size. The limits are absolute.
 */
export interface RollbackTriggers {
  /** So many more errors roll back: 0.2 for 20 % more. Above 0. */
  readonly errorRateIncrease?: number | undefined
  /** So much slower rolls back: 0.5 for 50 % more, of the 95th percentile. Above 0. */
  readonly responseTimeIncrease?: number | undefined
  /** More reports of users than this within two hours roll back, if they are more than the flag's share of them. */
  readonly userReports?: number | undefined
  /** So much more memory, over four hours of a process's age, pauses: 0.3 for 30 % more. Above 0. */
  readonly memoryIncrease?: number | undefined
  /** More failed connections to the database than this within an hour roll back, or pause when the sides are not told apart. */
  readonly connectionFailures?: number | undefined
  /** More queries that timed out than this within an hour roll back, or pause when the sides are not told apart. */
  readonly queryTimeouts?: number | undefined
  /** A larger part of failed calls within an hour rolls back: 0.05 for 5 %. Above 0, below 1. */
  readonly maxErrorRatio?: number | undefined
  /** Slower than this at the 95th percentile within an hour pauses, in milliseconds. Above 0. */
  readonly maxResponseTimeMs?: number | undefined
  /** Less than this pauses, in the unit of what the rollout is given. */
  readonly minSatisfaction?: number | undefined
}

/** A rollout, checked: what {@link checkPlan} makes of a {@link PlanDefinition}, and {@link readPlan} of a file. */
export interface RolloutPlan {
  /** In order, at least one. A list of percentages has become a phase of each. */
  readonly phases: readonly RolloutPhase[]
  /** What makes it stop or go back. */
  readonly triggers: RollbackTriggers
}

/** A step of a rollout, or several that share a name, as it is written in code. */
export interface PhaseDefinition {
  /** Its name, which no other phase has. */
  readonly name: string
  /** The share of guilds or users, 0 to 100. A list stands for a phase of each, such as `gradual (5 %)`. */
  readonly percentage: number | readonly number[]
  /** Guilds that have it on whatever the percentage, from this phase to the end. */
  readonly targetGuilds?: readonly Id[] | undefined
  /** How long it takes at least, in milliseconds; with a list of percentages, each of them. */
  readonly durationMs: number
}

/** A rollout as it is written in code. A {@link RolloutPlan} is one too. */
export interface PlanDefinition {
  /** In order, at least one. */
  readonly phases: readonly PhaseDefinition[]
  /**
   * What makes it stop or go back. With none, `{}`, it is a plan by time alone: only a catastrophe rolls back.
   *
   * @defaultValue {@link triggerDefaults}
   */
  readonly triggers?: RollbackTriggers | undefined
}

/** What makes a rollout stop or go back when its plan does not say. */
export const triggerDefaults: Readonly<
  Required<Pick<RollbackTriggers, 'errorRateIncrease' | 'responseTimeIncrease' | 'userReports'>>
> = { errorRateIncrease: 0.2, responseTimeIncrease: 0.5, userReports: 5 }
