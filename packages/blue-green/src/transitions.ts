import type { BackupMade, Migrated, Plan, ProbeResult } from './plan.js'
import type { HealthStatus } from './ports.js'

/**
 * Where a deployment is.
 *
 * `IDLE`: none yet. `PRECHECK`: the checks run, and nothing has happened. `BACKUP`: the data is copied. `MIGRATING`: the data
 * is changed. `GREEN_STAGING`: green gets ready, and has nobody. `SMOKE`: green answers synthetic calls, and has nobody.
 * `CANARY_TESTING`: green has its first share. `SHIFTING_TRAFFIC`: green has a later share, at last all. `HOLD`: the share
 * stays as it is until health, store, evidence or a person allow more. `BAKING`: green has everybody, and may still be taken
 * back; it ends with the acceptance tests. `DRAINING_BLUE`: the calls that began on blue finish there. `COMPLETE`: green is the active version; by hand it can be taken back. `ROLLING_BACK`:
 * blue has everybody again, or gets them back in batches; the calls that began on green finish there, and the migration is
 * undone. `VALIDATING_ROLLBACK`: blue is looked at. `ROLLED_BACK`: it is over, and the version is remembered as rolled back.
 * `FROZEN`: it should be rolled back and cannot be, after an irreversible migration; a person decides. `FAILED`: it ended
 * before anything had happened.
 */
export type Phase =
  | 'IDLE'
  | 'PRECHECK'
  | 'BACKUP'
  | 'MIGRATING'
  | 'GREEN_STAGING'
  | 'SMOKE'
  | 'CANARY_TESTING'
  | 'SHIFTING_TRAFFIC'
  | 'HOLD'
  | 'BAKING'
  | 'DRAINING_BLUE'
  | 'COMPLETE'
  | 'ROLLING_BACK'
  | 'VALIDATING_ROLLBACK'
  | 'ROLLED_BACK'
  | 'FROZEN'
  | 'FAILED'

/** A rollback in batches: the shares that are still to come, falling, at last 0. */
export interface Descent {
  readonly percentages: readonly number[]
  readonly pauseMs: number
}

/** One deployment, as it is written down. Plain JSON. */
export interface DeploymentState extends Plan {
  readonly id: string
  /** Which one it is, from 1. */
  readonly number: number
  /** The version that served when it began (blue). */
  readonly from: string
  /** The version that is to serve (green). */
  readonly to: string
  /** Mixed into the bucket of each guild: kept, so that a restart moves nobody. */
  readonly salt: string
  readonly phase: Exclude<Phase, 'IDLE'>
  /** The index of the current step in `percentages`; -1 before the first, one more than the last while it bakes, two more in the acceptance tests. */
  readonly step: number
  /** Green's share now. */
  readonly percentage: number
  /** How long the step had lasted in good health when this was written. */
  readonly elapsedMs: number
  /** What later health is measured against. */
  readonly healthAtStart: HealthStatus
  /** Why a person holds it: it goes on when a person says so. `null` when nobody does. */
  readonly heldByHand: string | null
  /** Whether it is held until the evidence suffices, or a person goes on without it. */
  readonly awaitsEvidence: boolean
  /** A person has gone on from `FROZEN`: what the bot finds by itself takes nothing back any more. */
  readonly isOverruled: boolean
  readonly migrated: Migrated
  readonly backedUp: BackupMade | null
  /** The last result of each check, synthetic call and validation. */
  readonly results: readonly ProbeResult[]
  readonly descent: Descent | null
}

/** A migration of a deployment that is complete: what served before it may not read the data. */
export interface MigrationInPlace {
  readonly deploymentId: string
  /** The version that served before it. */
  readonly from: string
  /** Its name in `migrations`. */
  readonly name: string
  readonly irreversible: boolean
}

/** So many of them are remembered. */
const maxInPlace = 20

/** All that must survive a restart. */
export interface State {
  /** The version that serves whatever no deployment moves. */
  readonly active: string
  /** Versions that are refused until someone insists. */
  readonly rolledBack: readonly string[]
  /** How many deployments have begun. */
  readonly count: number
  /** The last deployment, running or over. */
  readonly deployment: DeploymentState | null
  /** The last migrations that can be undone, or cannot, and were not, oldest first; absent when there are none. */
  readonly inPlace?: readonly MigrationInPlace[]
}

/** What can happen to a state. */
export type Input =
  | {
      readonly type: 'DEPLOY'
      readonly id: string
      readonly to: string
      readonly salt: string
      readonly plan: Plan
      readonly health: HealthStatus
    }
  /** What the phase had to get done is done. */
  | { readonly type: 'PASSED'; readonly results?: readonly ProbeResult[]; readonly backup?: BackupMade }
  /** What the phase had to get done failed, before anything had happened. */
  | { readonly type: 'FAIL'; readonly results?: readonly ProbeResult[] }
  /** What comes before the next step is over. */
  | { readonly type: 'ADVANCE'; readonly results?: readonly ProbeResult[] }
  /** A person, or the evidence, ends what kept the next step back. */
  | { readonly type: 'FORWARD' }
  | {
      readonly type: 'HOLD'
      readonly elapsedMs: number
      readonly byHand: string | null
      readonly awaitsEvidence?: boolean
      /** Green fails with nobody to compare it with: blue is not given up meanwhile. */
      readonly isDoubted?: boolean
      readonly results?: readonly ProbeResult[]
    }
  /** The person who holds it does so no more. Something else may hold it still. */
  | { readonly type: 'LET_GO' }
  /** What held it is over: the step begins anew. */
  | { readonly type: 'RESUME' }
  | {
      readonly type: 'ROLL_BACK'
      readonly elapsedMs: number
      /** Whether a person accepts that the migration is irreversible. */
      readonly accept?: boolean
      readonly descent?: Descent | null
      readonly results?: readonly ProbeResult[]
    }
  /** The pause between two batches is over. */
  | { readonly type: 'DESCEND' }
  /** The calls on the version that lost its traffic have finished, or had their time. */
  | { readonly type: 'DRAINED' }
  /** The way back of the migration has ended. */
  | { readonly type: 'UNDONE'; readonly isUndone: boolean }

/** The deployment of a state, unless there is none or it is over. */
export function runningIn(state: State): DeploymentState | undefined {
  const deployment = state.deployment
  return deployment === null || isOver(deployment.phase) ? undefined : deployment
}

/** The deployment that is complete and can still be taken back: nothing has come after it. */
export function completeIn({ active, deployment }: State): DeploymentState | undefined {
  return deployment?.phase === 'COMPLETE' && deployment.to === active ? deployment : undefined
}

/** Whether a deployment in this phase has ended. */
export function isOver(phase: Phase): phase is 'COMPLETE' | 'ROLLED_BACK' | 'FAILED' {
  return phase === 'COMPLETE' || phase === 'ROLLED_BACK' || phase === 'FAILED'
}

/** Whether the time of a step is running. */
export function isStepping({ phase }: DeploymentState): boolean {
  return phase === 'CANARY_TESTING' || phase === 'SHIFTING_TRAFFIC' || phase === 'BAKING'
}

/** Whether it goes on by itself to the next share, unless something holds it. */
export function isAdvancing(deployment: DeploymentState): boolean {
  return isStepping(deployment) || deployment.phase === 'GREEN_STAGING' || deployment.phase === 'SMOKE'
}

/** Whether it is busy with what comes before green gets ready. */
export function isPreparing({ phase }: DeploymentState): boolean {
  return phase === 'PRECHECK' || phase === 'BACKUP' || phase === 'MIGRATING'
}

/** Whether blue gets its traffic back, or has it. */
export function isRollingBack({ phase }: DeploymentState): boolean {
  return phase === 'ROLLING_BACK' || phase === 'VALIDATING_ROLLBACK'
}

/** Whether blue gets its traffic back, or has got it back by a rollback. */
export function isTakenBack(deployment: DeploymentState): boolean {
  return isRollingBack(deployment) || deployment.phase === 'ROLLED_BACK'
}

/** Whether green has to be ready: it has a share, or may be given one without being made ready again. */
export function hasShare(deployment: DeploymentState): boolean {
  return deployment.percentage > 0 || (deployment.step >= 0 && !isRollingBack(deployment))
}

/** Whether its last step is over, and green only has to pass its acceptance tests. */
export function isAccepting({ step, percentages }: DeploymentState): boolean {
  return step > percentages.length
}

/** The names of the synthetic calls that a step asks for. */
export function testsOf(deployment: DeploymentState): readonly string[] {
  return isAccepting(deployment) ? deployment.acceptanceTests : deployment.canaryTests
}

/** How long the time of its step is. */
export function stepMsOf({ step, percentages, stepMs, bakeMs }: DeploymentState): number {
  if (step >= percentages.length) return step === percentages.length ? bakeMs : 0
  return typeof stepMs === 'number' ? stepMs : (stepMs[Math.max(0, step)] ?? 0)
}

/** Whether a rollback would give blue data that it cannot read. */
export function isIrreversible({ migration, migrated }: DeploymentState): boolean {
  return migration?.irreversible === true && migrated !== 'NO'
}

/** Whether blue cannot have the traffic back, or have it after the end: an irreversible migration has begun, and nobody has accepted that. */
export function isOneWay(deployment: DeploymentState): boolean {
  return isIrreversible(deployment) && !isTakenBack(deployment)
}

/**
 * The whole state machine. Pure: no clock, no store, no side effect.
 *
 * @returns the next state, or `undefined` where the input has no meaning: an advance that comes after a rollback, say,
 * which is how a rollback wins every race
 */
export function transition(state: State, input: Input): State | undefined {
  const running = runningIn(state)
  if (input.type === 'DEPLOY') {
    if (running !== undefined) return undefined
    return { ...state, count: state.count + 1, deployment: begin(state, input) }
  }
  if (running === undefined) return input.type === 'ROLL_BACK' ? takeBackComplete(state, input) : undefined
  switch (input.type) {
    case 'PASSED':
      return passed(state, withResults(running, input.results), input.backup)
    case 'FAIL':
      if (running.phase !== 'PRECHECK' && running.phase !== 'BACKUP') return undefined
      return withDeployment(state, { ...withResults(running, input.results), phase: 'FAILED', heldByHand: null })
    case 'ADVANCE':
      return isAdvancing(running) ? withDeployment(state, next(withResults(running, input.results))) : undefined
    case 'FORWARD':
      return forward(state, running)
    case 'HOLD':
      return hold(state, withResults(running, input.results), input)
    case 'LET_GO':
      if (running.heldByHand === null) return undefined
      return withDeployment(state, { ...running, heldByHand: null })
    case 'RESUME':
      if (running.phase !== 'HOLD' || running.heldByHand !== null) return undefined
      return withDeployment(state, atStep(running, running.step))
    case 'ROLL_BACK':
      return rollBack(state, withResults(running, input.results), input)
    case 'DESCEND': {
      const { descent } = running
      if (running.phase !== 'ROLLING_BACK' || descent === null) return undefined
      return withDeployment(state, descend(running, descent))
    }
    case 'DRAINED':
      return drained(state, running)
    case 'UNDONE':
      if (running.phase !== 'ROLLING_BACK' || running.migrated !== 'UNDOING') return undefined
      return withDeployment(state, afterUndoing({ ...running, migrated: input.isUndone ? 'UNDONE' : 'STUCK' }))
  }
}

/** A deployment that was to begin and has not, taken back: of its first phase nothing has happened. */
export function takeBackUnbegun(state: State): State {
  const running = runningIn(state)
  if (running === undefined) return state
  return withDeployment(state, { ...running, phase: 'ROLLING_BACK', percentage: 0, migrated: 'NO', heldByHand: null })
}

/**
 * What a new process makes of the state that it finds.
 *
 * @remarks
 * A step begins anew, for nobody knows how the bot fared while it was down; but what a person holds stays held. Shares and
 * buckets stay. If the code of green is gone, so is the deployment: it rolls back. If the code of blue is gone when green has
 * passed every step, it is complete: no call can still run on blue. If the code of the active version is gone, `initial`
 * serves.
 *
 * @returns `undefined` when the code that would have to serve is gone, and nothing may take its place unasked
 */
export function resume(
  stored: State,
  versions: { has(version: string): boolean },
  initial: string,
): { readonly state: State; readonly why: string } | undefined {
  const running = runningIn(stored)
  if (running === undefined) {
    if (versions.has(stored.active)) return { state: stored, why: 'the state was loaded from the store' }
    return { state: { ...stored, active: initial }, why: `the stored version "${stored.active}" is not in versions` }
  }
  const [hasBlue, hasGreen] = [versions.has(running.from), versions.has(running.to)]
  if (hasBlue && hasGreen) {
    const isHeld = running.phase === 'HOLD' && running.heldByHand === null
    const steps = isStepping(running) || running.phase === 'SMOKE' || isHeld
    const state = steps ? withDeployment(stored, atStep(running, running.step)) : stored
    if (running.heldByHand !== null) return { state, why: `it is still held by hand: ${running.heldByHand}` }
    return { state, why: 'the deployment was running when the last controller ended' }
  }
  if (hasBlue) {
    const why = `version "${running.to}" is no longer in versions`
    const state = transition(stored, { type: 'ROLL_BACK', elapsedMs: 0 }) ?? stored
    // Blue cannot read the data any more, and green is gone: that is for a person to decide.
    return state.deployment?.phase === 'FROZEN' ? undefined : { state, why }
  }
  const complete = running.phase === 'DRAINING_BLUE' && hasGreen && transition(stored, { type: 'DRAINED' })
  if (!complete) return undefined
  return { state: complete, why: `every step was passed, and version "${running.from}" is no longer in versions` }
}

function begin({ active, count }: State, input: Extract<Input, { type: 'DEPLOY' }>): DeploymentState {
  const { id, to, salt, plan, health } = input
  return enterPreparation(
    {
      ...plan,
      id,
      number: count + 1,
      from: active,
      to,
      salt,
      healthAtStart: health,
      phase: 'PRECHECK',
      step: -1,
      percentage: 0,
      elapsedMs: 0,
      heldByHand: null,
      awaitsEvidence: false,
      isOverruled: false,
      migrated: 'NO',
      backedUp: null,
      results: [],
      descent: null,
    },
    'PRECHECK',
  )
}

type Preparation = 'PRECHECK' | 'BACKUP' | 'MIGRATING' | 'GREEN_STAGING'

/** The first phase from here on for which the plan has anything to do. */
function enterPreparation(deployment: DeploymentState, from: Preparation): DeploymentState {
  const { checks, backup, migration } = deployment
  if (from === 'PRECHECK') {
    return checks.length > 0 ? { ...deployment, phase: from } : enterPreparation(deployment, 'BACKUP')
  }
  if (from === 'BACKUP') return backup ? { ...deployment, phase: from } : enterPreparation(deployment, 'MIGRATING')
  if (from === 'MIGRATING' && migration !== null) return { ...deployment, phase: from, migrated: 'BEGUN' }
  // What a person held meanwhile is held from here on.
  return { ...atStep(deployment, -1), ...(deployment.heldByHand !== null && { phase: 'HOLD' as const }) }
}

function passed(state: State, running: DeploymentState, backup: BackupMade | undefined): State | undefined {
  // eslint-disable-next-line @typescript-eslint/switch-exhaustiveness-check -- the rest has nothing to pass
  switch (running.phase) {
    case 'PRECHECK':
      return withDeployment(state, enterPreparation(running, 'BACKUP'))
    case 'BACKUP':
      return withDeployment(state, enterPreparation({ ...running, backedUp: backup ?? null }, 'MIGRATING'))
    case 'MIGRATING':
      return withDeployment(state, enterPreparation({ ...running, migrated: 'DONE' }, 'GREEN_STAGING'))
    case 'GREEN_STAGING':
      return running.smokeTests.length > 0 ? withDeployment(state, { ...running, phase: 'SMOKE' }) : undefined
    case 'VALIDATING_ROLLBACK':
      return withDeployment(state, { ...running, phase: 'ROLLED_BACK' })
    default:
      return undefined
  }
}

function next(running: DeploymentState): DeploymentState {
  const step = running.step + 1
  const { length } = running.percentages
  if (step < length || (step === length && running.bakeMs > 0)) return atStep(running, step)
  if (step <= length + 1 && running.acceptanceTests.length > 0) return atStep(running, length + 1)
  return { ...running, phase: 'DRAINING_BLUE', elapsedMs: 0, awaitsEvidence: false, heldByHand: null }
}

function forward(state: State, running: DeploymentState): State | undefined {
  if (running.phase === 'HOLD') {
    if (running.heldByHand !== null || running.step < 0) return undefined
    return withDeployment(state, next(running))
  }
  if (running.phase !== 'FROZEN') return undefined
  const thawed = { ...running, isOverruled: true }
  if (running.migrated === 'BEGUN') return withDeployment(state, { ...thawed, phase: 'MIGRATING' })
  return withDeployment(state, running.step < 0 ? atStep(thawed, -1) : next(thawed))
}

function hold(state: State, running: DeploymentState, input: Extract<Input, { type: 'HOLD' }>): State | undefined {
  const { elapsedMs, byHand, awaitsEvidence = false, isDoubted = false } = input
  const heldByHand = byHand ?? running.heldByHand
  // What is under way ends, and then it is held.
  if (isPreparing(running)) return byHand === null ? undefined : withDeployment(state, { ...running, heldByHand })
  const isStillKept = isDoubted && running.phase === 'DRAINING_BLUE'
  if (!isAdvancing(running) && running.phase !== 'HOLD' && !isStillKept) return undefined
  return withDeployment(state, { ...running, phase: 'HOLD', elapsedMs, heldByHand, awaitsEvidence })
}

function rollBack(
  state: State,
  running: DeploymentState,
  { elapsedMs, accept = false, descent = null }: Extract<Input, { type: 'ROLL_BACK' }>,
): State | undefined {
  if (running.phase === 'VALIDATING_ROLLBACK') return undefined
  if (running.phase === 'ROLLING_BACK') {
    return running.percentage > 0 ? withDeployment(state, { ...running, percentage: 0, descent: null }) : undefined
  }
  const still = { ...running, elapsedMs, heldByHand: null, awaitsEvidence: false }
  if (isIrreversible(running) && !accept) {
    return running.phase === 'FROZEN' ? undefined : withDeployment(state, { ...still, phase: 'FROZEN' })
  }
  const back: DeploymentState = { ...still, phase: 'ROLLING_BACK', percentage: 0, descent: null }
  const isDescent = descent !== null && descent.percentages.length > 0 && running.percentage > 0
  const deployment = isDescent ? descend({ ...back, percentage: running.percentage }, descent) : back
  // What ended before the version had done anything says nothing against it: its file may have been missing.
  const isUntried = running.phase === 'PRECHECK' || running.phase === 'BACKUP' || running.phase === 'GREEN_STAGING'
  if (isUntried && running.migrated === 'NO') return withDeployment(state, deployment)
  const rolledBack = [...state.rolledBack.filter((version) => version !== running.to), running.to]
  return { ...state, rolledBack, deployment }
}

/** Blue is the active version again, as it is while a deployment runs: from here on it is a rollback like any other. */
function takeBackComplete(state: State, input: Extract<Input, { type: 'ROLL_BACK' }>): State | undefined {
  const complete = completeIn(state)
  if (complete === undefined || (isIrreversible(complete) && input.accept !== true)) return undefined
  const others = (state.inPlace ?? []).filter(({ deploymentId }) => deploymentId !== complete.id)
  return rollBack({ ...withMigrations(state, others), active: complete.from }, complete, input)
}

/** The next batch goes back. A share that would not fall is passed over. */
function descend(running: DeploymentState, { percentages, pauseMs }: Descent): DeploymentState {
  const rest = percentages.filter((percentage) => percentage < running.percentage)
  const [percentage = 0, ...later] = rest
  const descent = percentage === 0 ? null : { percentages: later, pauseMs }
  return { ...running, percentage, descent }
}

function drained(state: State, running: DeploymentState): State | undefined {
  if (running.phase === 'DRAINING_BLUE') {
    return {
      ...withInPlace(state, running),
      active: running.to,
      rolledBack: state.rolledBack.filter((version) => version !== running.to),
      deployment: { ...running, phase: 'COMPLETE' },
    }
  }
  if (running.phase !== 'ROLLING_BACK' || running.percentage > 0 || running.migrated === 'UNDOING') return undefined
  const { migration, migrated } = running
  const isToUndo = migration?.isUndoable === true && (migrated === 'BEGUN' || migrated === 'DONE')
  return withDeployment(state, isToUndo ? { ...running, migrated: 'UNDOING' } : afterUndoing(running))
}

/** Of a deployment that is complete now. Blue can live with a migration that is neither to be undone nor irreversible. */
function withInPlace(state: State, { id, from, to, migration, migrated }: DeploymentState): State {
  // The versions that the data was changed for have been given up, as a person has accepted.
  const before = (state.inPlace ?? []).filter((each) => each.from !== to)
  const isInPlace = migration !== null && migrated !== 'NO' && (migration.irreversible || migration.isUndoable)
  if (!isInPlace) return withMigrations(state, before)
  const { name, irreversible } = migration
  return withMigrations(state, [...before, { deploymentId: id, from, name, irreversible }])
}

function withMigrations({ inPlace: _, ...state }: State, inPlace: readonly MigrationInPlace[]): State {
  return inPlace.length === 0 ? state : { ...state, inPlace: inPlace.slice(-maxInPlace) }
}

function afterUndoing(running: DeploymentState): DeploymentState {
  const { validations, step, migrated } = running
  const isToValidate = validations.length > 0 && (step >= 0 || migrated !== 'NO')
  return { ...running, phase: isToValidate ? 'VALIDATING_ROLLBACK' : 'ROLLED_BACK' }
}

function atStep(deployment: DeploymentState, step: number): DeploymentState {
  const at = { ...deployment, step, elapsedMs: 0, awaitsEvidence: false }
  if (step === -1) return { ...at, phase: 'GREEN_STAGING', percentage: 0 }
  if (step >= deployment.percentages.length) return { ...at, phase: 'BAKING', percentage: 100 }
  const percentage = deployment.percentages[step]
  if (percentage === undefined) throw new RangeError(`deployment ${deployment.id} has no step ${step}`)
  return { ...at, phase: step === 0 ? 'CANARY_TESTING' : 'SHIFTING_TRAFFIC', percentage }
}

/** The last result of each counts. */
function withResults(deployment: DeploymentState, results: readonly ProbeResult[] = []): DeploymentState {
  if (results.length === 0) return deployment
  const isNewer = (old: ProbeResult): boolean =>
    results.some(({ kind, name }) => kind === old.kind && name === old.name)
  return { ...deployment, results: [...deployment.results.filter((old) => !isNewer(old)), ...results] }
}

function withDeployment(state: State, deployment: DeploymentState): State {
  return { ...state, deployment }
}
