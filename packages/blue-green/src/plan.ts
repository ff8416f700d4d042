/** How the data is changed for the new version, as far as it must survive a restart. */
export interface PlannedMigration {
  /** Its name in `migrations`. */
  readonly name: string
  /** Whether the old version can no longer be given the traffic back once it has begun. */
  readonly irreversible: boolean
  /** Whether it has a `down`, which a rollback runs. */
  readonly isUndoable: boolean
}

/** How a rollback in batches goes. */
export interface Batches {
  /** Green's share after each batch: falling, such as `[50, 10, 0]`. The last is 0, whether or not it is named. */
  readonly percentages?: readonly number[] | undefined
  /** In place of `percentages`: so many percent of the guilds go back in each batch, from 1 to 100. */
  readonly size?: number | undefined
  /** How long to wait between two batches, in ms. */
  readonly pauseMs?: number | undefined
}

/** How a deployment goes, decided when it begins. */
export interface Plan {
  /** Green's share of the guilds in each step, rising, at last 100. */
  readonly percentages: readonly number[]
  /** How long each step must last in good health; a list has one for each of `percentages`. */
  readonly stepMs: number | readonly number[]
  /** How long green has everybody after the last step, and may still be taken back, before blue is drained. 0 for not. */
  readonly bakeMs: number
  /** How long a step may be held before a human is asked. */
  readonly maxHoldMs: number
  /** The guilds, and users of direct messages, that green has from the first step on, whatever its share. */
  readonly first: readonly string[]
  /** What ends a step of which the evidence says neither safe nor harmful: more evidence, or its time and `minEvents`. */
  readonly advance: 'evidence' | 'time'
  /** How many events green must have had in a step that ends by its time. Synthetic calls are none. */
  readonly minEvents: number
  /** How the guilds go back when the evidence finds green worse; `null` for at once. */
  readonly rollbackBatches?: Batches | null | undefined
  /** Whether there is a backup before anything changes. */
  readonly backup: boolean
  /** The migration, if there is one. */
  readonly migration: PlannedMigration | null
  /** The names of the checks before anything happens. */
  readonly checks: readonly string[]
  /** The names of the synthetic calls on green before anybody has it. */
  readonly smokeTests: readonly string[]
  /** The names of the synthetic calls on green in each step. */
  readonly canaryTests: readonly string[]
  /** The names of the synthetic calls on green at the end, before blue is given up. */
  readonly acceptanceTests: readonly string[]
  /** The names of what must pass on blue after a rollback. */
  readonly validations: readonly string[]
}

/** What became of a check, a synthetic call or a validation. */
export interface ProbeResult {
  /** Which option it is of. */
  readonly kind: 'checks' | 'smokeTests' | 'canaryTests' | 'acceptanceTests' | 'validations'
  /** Its name there. */
  readonly name: string
  /** Whether it passed. */
  readonly isPassed: boolean
  /** Why it did not, as a clause; empty when it did. */
  readonly why: string
  /** How long it took, in ms. */
  readonly tookMs: number
}

/** A backup that was made. */
export interface BackupMade {
  /** Names it where it was made. */
  readonly id: string
  /** How large it is, where that is known. */
  readonly bytes: number | null
  /** When, in epoch ms. */
  readonly at: number
}

/**
 * How far a migration is. `BEGUN` is written before it begins and `DONE` after it ended, `UNDOING` and `UNDONE` alike for the
 * way back. `STUCK`: it could not be undone.
 */
export type Migrated = 'NO' | 'BEGUN' | 'DONE' | 'UNDOING' | 'UNDONE' | 'STUCK'
