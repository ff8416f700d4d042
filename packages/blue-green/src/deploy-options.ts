import { defined, readCount, readDuration, requireKnown } from './checked-options.js'
import { readFirst, type Id } from './context.js'
import type { Settings } from './options.js'
import type { Batches, Plan } from './plan.js'

/** Each may be left out, or `undefined`. */
type Optional<T> = { readonly [Key in keyof T]?: T[Key] | undefined }

/** How a deployment is to go. */
export interface DeployOptions extends Optional<
  Pick<Plan, 'percentages' | 'stepMs' | 'bakeMs' | 'maxHoldMs' | 'advance' | 'minEvents' | 'backup'>
> {
  /**
   * Guilds, and users of direct messages, that green has from the first step on, whatever its share: your own test guild.
   * With `percentages: [0, 10, 100]` the first step is theirs alone. 1,000 at most.
   */
  readonly first?: readonly Id[] | undefined
  /** The name of one of `migrations`: it is run before green gets ready, after a backup if there is a `backup`. */
  readonly migration?: string | undefined
  /**
   * Where `judge` finds green worse, give its guilds back in batches, for where the old version could not bear all at once; without
   * it, at once. Failing guilds, a dead version and a failed canary test take back everything at once all the same.
   */
  readonly rollbackBatches?: Batches | undefined
  /** Deploy the version although it was rolled back before. */
  readonly retry?: boolean | undefined
  /**
   * Deploy the version that served before the last migration, although that is in place: a person says that it can read the data.
   * `deployment.rollback()` of that deployment undoes the migration instead.
   */
  readonly acceptMigrated?: boolean | undefined
}

/** A plan, and what a person accepts. */
export interface PlanAndConsent extends Plan {
  readonly retry: boolean
  readonly acceptMigrated: boolean
}

/** The value of each option of `deploy` that is not given. */
export const deployDefaults: Required<Omit<DeployOptions, 'migration' | 'rollbackBatches'>> = {
  percentages: [1, 10, 50, 100],
  stepMs: 600_000,
  bakeMs: 0,
  maxHoldMs: 3_600_000,
  advance: 'evidence',
  minEvents: 100,
  backup: false,
  first: [],
  retry: false,
  acceptMigrated: false,
}

/** What of the constructor's options a plan is made of. */
export type Available = Pick<
  Settings,
  'checks' | 'backup' | 'migrations' | 'smokeTests' | 'canaryTests' | 'acceptanceTests' | 'validations'
>

/** @throws TypeError or RangeError that names the option and its value */
export function readDeployOptions(asked: DeployOptions | undefined, available: Available): PlanAndConsent {
  const options = asked ?? {}
  requireKnown('deploy', options, [...Object.keys(deployDefaults), 'migration', 'rollbackBatches'])
  const given = { ...deployDefaults, ...defined(options) }
  const [retry, acceptMigrated, backup] = [
    readBoolean('retry', given.retry),
    readBoolean('acceptMigrated', given.acceptMigrated),
    readBoolean('backup', given.backup),
  ]
  if (backup && available.backup === undefined) {
    throw new TypeError('backup: true needs a backup in the options of BlueGreen, which says how to make one')
  }
  if (given.advance !== 'evidence' && given.advance !== 'time') {
    throw new RangeError(`advance must be 'evidence' or 'time', not ${String(given.advance)}`)
  }
  const migration = readMigration(options.migration, available)
  const percentages = readPercentages(given.percentages)
  return {
    percentages,
    stepMs: readStepMs(given.stepMs, percentages),
    bakeMs: given.bakeMs === 0 ? 0 : readDuration('bakeMs', given.bakeMs),
    maxHoldMs: readDuration('maxHoldMs', given.maxHoldMs),
    first: readFirst(given.first),
    advance: given.advance,
    minEvents: readCount('minEvents', given.minEvents, 0),
    rollbackBatches: readPlanned(options.rollbackBatches),
    backup: backup || (migration !== null && available.backup !== undefined),
    migration,
    checks: [...available.checks.keys()],
    smokeTests: [...available.smokeTests.keys()],
    canaryTests: [...available.canaryTests.keys()],
    acceptanceTests: [...available.acceptanceTests.keys()],
    validations: [...available.validations.keys()],
    retry,
    acceptMigrated,
  }
}

/** The value of each field of `batches` that is not given. */
export const batchDefaults: Readonly<Record<'size' | 'pauseMs', number>> = { size: 25, pauseMs: 30_000 }

/** @throws TypeError or RangeError that names the field and its value */
export function readBatches(
  batches: Batches,
  percentage: number,
): { readonly percentages: readonly number[]; readonly pauseMs: number } {
  requireKnown('batches', batches, ['percentages', 'size', 'pauseMs'])
  const { percentages, size = batchDefaults.size, pauseMs = batchDefaults.pauseMs } = batches
  readDuration('batches.pauseMs', pauseMs)
  if (percentages !== undefined) {
    const isFalling =
      Array.isArray(percentages) &&
      percentages.every((each, i) => each >= 0 && each <= 100 && (i === 0 || each < (percentages[i - 1] ?? 0)))
    if (!isFalling || batches.size !== undefined) {
      const hint = 'a falling list such as [50, 10, 0], and stand in place of size'
      throw new RangeError(`batches.percentages must be ${hint}, not ${JSON.stringify(percentages)}`)
    }
    const shares = percentages as readonly number[]
    return { percentages: shares.at(-1) === 0 ? shares : [...shares, 0], pauseMs }
  }
  if (!(size >= 1 && size <= 100)) throw new RangeError(`batches.size must be from 1 to 100, not ${String(size)}`)
  const shares: number[] = []
  for (let share = percentage - size; share > 0; share -= size) shares.push(share)
  return { percentages: [...shares, 0], pauseMs }
}

/** As it is written down: of how green's share will be when it comes to that, nothing is known. */
function readPlanned(batches: Batches | undefined): Batches | null {
  if (batches === undefined) return null
  const { pauseMs } = readBatches(batches, 100)
  const { percentages, size = batchDefaults.size } = batches
  return percentages === undefined ? { size, pauseMs } : { percentages: [...percentages], pauseMs }
}

function readBoolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${name} must be true or false, not ${String(value)}`)
  return value
}

function readMigration(name: unknown, { migrations }: Available): Plan['migration'] {
  if (name === undefined) return null
  const migration = typeof name === 'string' ? migrations.get(name) : undefined
  if (migration === undefined) {
    const known = migrations.size === 0 ? 'there are none' : `there are ${[...migrations.keys()].join(', ')}`
    throw new RangeError(`There is no migration ${JSON.stringify(name)}; ${known}`)
  }
  const irreversible = migration.irreversible === true
  return { name: name as string, irreversible, isUndoable: !irreversible && migration.down !== undefined }
}

/** One duration for all steps, or a list with one for each. */
function readStepMs(value: unknown, { length }: readonly number[]): Plan['stepMs'] {
  if (!Array.isArray(value)) return readDuration('stepMs', value)
  const all = (value as unknown[]).map((each, step) => readDuration(`stepMs[${step}]`, each))
  if (all.length === length) return all
  throw new RangeError(
    `stepMs has ${all.length} durations for the ${length} of percentages; name one for each, or one for all`,
  )
}

function readPercentages(value: unknown): readonly number[] {
  const wrong = (reason: string): RangeError => new RangeError(`percentages ${JSON.stringify(value)}: ${reason}`)
  if (!Array.isArray(value) || value.length === 0) throw wrong('must be a list such as [1, 10, 50, 100]')
  const percentages = [...(value as unknown[])]
  let last = -1
  for (const percentage of percentages) {
    // Written so that NaN fails.
    if (typeof percentage !== 'number' || !(percentage >= 0 && percentage <= 100)) {
      throw wrong(`${String(percentage)} is not a number from 0 to 100`)
    }
    if (percentage <= last)
      throw wrong(`${percentage} does not rise above ${last}; use rollback() to take traffic back`)
    last = percentage
  }
  if (last !== 100) throw wrong('the last must be 100, or the deployment could never be complete')
  return percentages as number[]
}
