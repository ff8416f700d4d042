import type { BucketBy, Id } from '../context.js'
import type { Clock } from '../ports.js'
import type { PlanDefinition } from './plan.js'
import type { RolloutInterval } from './rollout-judge.js'
import type { RolloutFlags, RolloutStore } from './rollout-ports.js'
import type { ValidationCheck } from './validation.js'

/** Options of a rollout that have a default. */
export interface RolloutLimits {
  /**
   * How often the driver looks, judges and writes, and the others hand over what they counted, in milliseconds.
   * @defaultValue `15_000`
   */
  readonly intervalMs?: number | undefined
  /**
   * How often evidence is written down while nothing happens, in milliseconds: a driver that is killed loses no more of it.
   * Evidence of 10,000 guilds is more than a megabyte.
   * @defaultValue `60_000`
   */
  readonly evidenceMs?: number | undefined
  /**
   * Another process takes over when the driver's record stood unchanged for so long, in milliseconds.
   * @defaultValue `60_000`
   */
  readonly leaseMs?: number | undefined
  /**
   * How long one answer of the store may take, in milliseconds.
   * @defaultValue `5_000`
   */
  readonly timeoutMs?: number | undefined
  /**
   * How long a phase may be held before a person is asked, in milliseconds.
   * @defaultValue `86_400_000`
   */
  readonly maxHoldMs?: number | undefined
  /**
   * How long the flag may be fallen back because its new path keeps failing, before the rollout is rolled back, in
   * milliseconds. Healthy time in between is taken off.
   * @defaultValue `600_000`
   */
  readonly maxFallenBackMs?: number | undefined
  /**
   * How many guilds leave in one batch of a gradual rollback, at least. Needs `guilds`.
   * @defaultValue `100`
   */
  readonly batchGuilds?: number | undefined
  /**
   * How long between two batches, in milliseconds.
   * @defaultValue `30_000`
   */
  readonly batchDelayMs?: number | undefined
  /**
   * How long a gradual rollback may take, in milliseconds. Batches get larger so that it does not take longer.
   * @defaultValue `600_000`
   */
  readonly maxRollbackMs?: number | undefined
  /**
   * How long `check` and each of `validate` may take, in milliseconds.
   * @defaultValue `5_000`
   */
  readonly checkTimeoutMs?: number | undefined
  /**
   * How long the flag is off before it is looked whether all is well, in milliseconds, so that there is something to see: what
   * the old path does then is compared with what it did before. `0` looks at once and compares nothing.
   * @defaultValue `60_000`
   */
  readonly settleMs?: number | undefined
  /**
   * Whether a rollback that nobody asked for goes in batches, too.
   * @defaultValue `false`
   */
  readonly gradually?: boolean | undefined
  /**
   * Names the code that is rolled out, such as a commit. After a rollback another version may begin, the same may not.
   * @defaultValue `''`
   */
  readonly version?: string | undefined
}

/** Options of {@link Rollout}. */
export interface RolloutOptions extends RolloutLimits {
  /** The flags. */
  readonly flags: RolloutFlags
  /** The name of the flag that is rolled out. It is on or off: one with variants is refused. */
  readonly flag: string
  /** The phases, and what makes it go back. A trigger that no call shows needs `measure`. */
  readonly plan: PlanDefinition
  /** Where the rollout is kept: a collection of `@evenkeel/storage-adapter`. Hand it the primary, not a fail-over. */
  readonly store: RolloutStore
  /**
   * Which processes serve the bot: only this one, those of one machine, or those of many. A store whose agreement does not
   * reach so far is refused.
   * @defaultValue that of the store; one that serves a single process must be said
   */
  readonly scope?: 'process' | 'machine' | 'cluster' | undefined
  /** The guilds that the bot serves, for batches of a gradual rollback and for its validation. */
  readonly guilds?: (() => Iterable<Id>) | undefined
  /**
   * Asked between the batches of a gradual rollback: does it help? If not, or without an answer in time, everything goes
   * off at once.
   */
  readonly check?: (() => boolean | Promise<boolean>) | undefined
  /**
   * What else is measured, for the triggers that calls do not show: memory, failures of the database, satisfaction. Asked
   * at each look, on the process that drives. Without an answer in time nothing is measured, and nonsense is passed over.
   */
  readonly measure?: (() => RolloutMeasures | Promise<RolloutMeasures>) | undefined
  /**
   * What the flag's percentage is a share of, as its reports and errors are compared by that.
   * @defaultValue as the flag says, else `'guild'`
   */
  readonly by?: BucketBy | undefined
  /**
   * What is looked at after a rollback, by name, such as commands and data. That the flag is off, and the errors and the latency
   * of the old path, are looked at anyway.
   */
  readonly validate?: Readonly<Record<string, ValidationCheck>> | undefined
  /**
   * Where time comes from.
   * @defaultValue the system's
   */
  readonly clock?: Clock | undefined
  /**
   * Where chance comes from, from 0 up to but not including 1: it draws which calls are compared.
   * @defaultValue the system's
   */
  readonly random?: (() => number) | undefined
}

/** What is measured beside the calls; see {@link RolloutInterval}. */
export type RolloutMeasures = Omit<RolloutInterval, 'tookMs' | 'phase' | 'processes'>

/** The value of each option of {@link Rollout} that is not given. */
export const rolloutDefaults: { readonly [K in keyof RolloutLimits]-?: NonNullable<RolloutLimits[K]> } = {
  intervalMs: 15_000,
  evidenceMs: 60_000,
  leaseMs: 60_000,
  timeoutMs: 5_000,
  maxHoldMs: 86_400_000,
  maxFallenBackMs: 600_000,
  batchGuilds: 100,
  batchDelayMs: 30_000,
  maxRollbackMs: 600_000,
  checkTimeoutMs: 5_000,
  settleMs: 60_000,
  gradually: false,
  version: '',
}
