import type { Forecast } from '../judgement/forecast.js'
import type { PlanAndConsent } from '../deploy-options.js'
import { statusOf } from '../health-gate.js'
import type { Plan, ProbeResult } from '../plan.js'
import type { HealthSource } from '../ports.js'
import type { MigrationInPlace, Phase, State } from '../transitions.js'

/** A step that a deployment would take. */
export interface DryStep {
  /** Its phase. */
  readonly phase: Phase
  /** Green's share in it, 0 to 100. */
  readonly percentage: number
  /** When it begins at the earliest, in ms after `deploy`. */
  readonly beginsAfterMs: number
  /** How long it takes at least, in ms: what your functions take is not known. */
  readonly atLeastMs: number
  /** How long it takes at most, in ms, before it fails; `undefined` where it is held instead. */
  readonly atMostMs: number | undefined
}

/** What `deploy` would do. */
export interface DryRun {
  /** The version that serves now. */
  readonly from: string
  /** The version that would be deployed. */
  readonly to: string
  /** Whether nothing would refuse or fail it now. */
  readonly isReady: boolean
  /** What would refuse it or hold it now, as clauses. */
  readonly problems: readonly string[]
  /** The results of the checks, which were run. */
  readonly checks: readonly ProbeResult[]
  /** Every step, in order. */
  readonly steps: readonly DryStep[]
  /** How long it takes at least, in ms. */
  readonly atLeastMs: number
  /** How long the evidence takes. */
  readonly forecast: Forecast
}

/** What stands in the way of a deployment, or does not. */
export interface Standing {
  readonly isDriving: boolean
  readonly fencedBy: Error | undefined
  /** The deployment that runs, or is to run. */
  readonly running: { readonly id: string; readonly to: string } | undefined
  readonly state: State
  readonly health: HealthSource | undefined
  readonly isStoreUp: boolean
}

/** What would keep a version from being deployed now, or hold it at once, as clauses. Pure. */
export function problemsFor(to: string, plan: PlanAndConsent, standing: Standing): readonly string[] {
  const { isDriving, fencedBy, running, state, health, isStoreUp } = standing
  if (!isDriving) return ['this process does not drive, so what runs is not known: call start() first']
  const status = statusOf(health)
  const inPlace = inPlaceFor(to, plan, state)
  return [
    ...(fencedBy === undefined ? [] : [fencedBy.message]),
    ...(running === undefined ? [] : [`deployment ${running.id} to "${running.to}" is running`]),
    ...(state.active === to ? [`version "${to}" is the active one already`] : []),
    ...(state.rolledBack.includes(to) && !plan.retry ? [`version "${to}" was rolled back before`] : []),
    ...(inPlace === undefined
      ? []
      : [`the migration "${inPlace.name}" of deployment ${inPlace.deploymentId} is in place`]),
    ...(status === 'down' || status === 'unknown' ? [`health is ${status}, so it would be held at 0 %`] : []),
    ...(isStoreUp ? [] : ['the store of the deployment state cannot be reached']),
  ]
}

/** The migration that an older version would find in place, where nobody has accepted that. Pure. */
export function inPlaceFor(
  to: string,
  { migration, acceptMigrated }: Pick<PlanAndConsent, 'migration' | 'acceptMigrated'>,
  { inPlace, deployment }: State,
): (MigrationInPlace & { readonly isNewest: boolean }) | undefined {
  const found = inPlace?.find(({ from }) => from === to)
  if (found === undefined || migration !== null || acceptMigrated) return undefined
  return { ...found, isNewest: deployment?.id === found.deploymentId }
}

/** How long what somebody else's functions do may take, in ms. */
export interface Limits {
  readonly probeTimeoutMs: number
  readonly backupTimeoutMs: number
  readonly migrationTimeoutMs: number
  readonly stageTimeoutMs: number
  readonly drainMs: number
}

/** Every step of a plan, with its times. Pure. */
export function stepsOf(plan: Plan, limits: Limits): readonly DryStep[] {
  const { checks, backup, migration, smokeTests, acceptanceTests, percentages, stepMs, bakeMs } = plan
  const { probeTimeoutMs, backupTimeoutMs, migrationTimeoutMs, stageTimeoutMs, drainMs } = limits
  const steps: DryStep[] = []
  let beginsAfterMs = 0
  const add = (phase: Phase, percentage: number, atLeastMs: number, atMostMs?: number): void => {
    steps.push({ phase, percentage, beginsAfterMs, atLeastMs, atMostMs })
    beginsAfterMs += atLeastMs
  }
  if (checks.length > 0) add('PRECHECK', 0, 0, probeTimeoutMs)
  if (backup) add('BACKUP', 0, 0, backupTimeoutMs)
  if (migration !== null) add('MIGRATING', 0, 0, migrationTimeoutMs)
  add('GREEN_STAGING', 0, 0, stageTimeoutMs)
  if (smokeTests.length > 0) add('SMOKE', 0, 0, probeTimeoutMs)
  for (const [step, percentage] of percentages.entries()) {
    const atLeastMs = typeof stepMs === 'number' ? stepMs : (stepMs[step] ?? 0)
    add(step === 0 ? 'CANARY_TESTING' : 'SHIFTING_TRAFFIC', percentage, atLeastMs)
  }
  if (bakeMs > 0) add('BAKING', 100, bakeMs)
  if (acceptanceTests.length > 0) add('BAKING', 100, 0, probeTimeoutMs)
  add('DRAINING_BLUE', 100, 0, drainMs)
  add('COMPLETE', 100, 0)
  return steps
}
