import type { HealthStatus } from './ports.js'

/**
 * Where a deployment is.
 *
 * `IDLE`: none yet. `GREEN_STAGING`: it is written down, and green has nobody. `CANARY_TESTING`: green has its first
 * share. `SHIFTING_TRAFFIC`: green has a later share, at last all. `HOLD`: the share stays as it is until health and
 * store allow more. `DRAINING_BLUE`: green has everybody, and the calls that began on blue finish there. `COMPLETE`:
 * green is the active version. `ROLLING_BACK`: blue has everybody again, and the calls that began on green finish
 * there. `ROLLED_BACK`: it is over, and the version is remembered as rolled back.
 */
export type Phase =
  | 'IDLE'
  | 'GREEN_STAGING'
  | 'CANARY_TESTING'
  | 'SHIFTING_TRAFFIC'
  | 'HOLD'
  | 'DRAINING_BLUE'
  | 'COMPLETE'
  | 'ROLLING_BACK'
  | 'ROLLED_BACK'

/** How a deployment goes, decided when it begins. */
export interface Plan {
  /** Green's share of the guilds in each step, rising, at last 100. */
  readonly percentages: readonly number[]
  /** How long each step must last in good health. */
  readonly stepMs: number
  /** How long a step may be held before a human is asked. */
  readonly maxHoldMs: number
  /** The guilds, and users of direct messages, that green has from the first step on, whatever its share. */
  readonly first: readonly string[]
}

/** One deployment, as it is written down. Plain JSON. */
export interface DeploymentState extends Plan {
  readonly id: string
  /** The version that served when it began (blue). */
  readonly from: string
  /** The version that is to serve (green). */
  readonly to: string
  /** Mixed into the bucket of each guild: kept, so that a restart moves nobody. */
  readonly salt: string
  readonly phase: Exclude<Phase, 'IDLE'>
  /** The index of the current step in `percentages`; -1 while it is only staged. */
  readonly step: number
  /** Green's share now. */
  readonly percentage: number
  /** How long the step had lasted in good health when this was written. */
  readonly elapsedMs: number
  /** What later health is measured against. */
  readonly healthAtStart: HealthStatus
  /** Why a person holds it: it goes on when a person says so. `null` when nobody does. */
  readonly heldByHand: string | null
}

/** All that must survive a restart. */
export interface State {
  /** The version that serves whatever no deployment moves. */
  readonly active: string
  /** Versions that are refused until someone insists. */
  readonly rolledBack: readonly string[]
  /** The last deployment, running or over. */
  readonly deployment: DeploymentState | null
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
  /** What comes before the next step is over. */
  | { readonly type: 'ADVANCE' }
  | { readonly type: 'HOLD'; readonly elapsedMs: number; readonly byHand: string | null }
  /** The person who holds it does so no more. Something else may hold it still. */
  | { readonly type: 'LET_GO' }
  /** What held it is over: the step begins anew. */
  | { readonly type: 'RESUME' }
  | { readonly type: 'ROLL_BACK'; readonly elapsedMs: number }
  /** The calls on the version that lost its traffic have finished, or had their time. */
  | { readonly type: 'DRAINED' }

/** The deployment of a state, unless there is none or it is over. */
export function runningIn(state: State): DeploymentState | undefined {
  const deployment = state.deployment
  if (deployment === null || deployment.phase === 'COMPLETE' || deployment.phase === 'ROLLED_BACK') return undefined
  return deployment
}

/** Whether the time of a step is running. */
export function isStepping(deployment: DeploymentState): boolean {
  return deployment.phase === 'CANARY_TESTING' || deployment.phase === 'SHIFTING_TRAFFIC'
}

/** Whether it goes on by itself to the next share, unless something holds it. */
export function isAdvancing(deployment: DeploymentState): boolean {
  return isStepping(deployment) || deployment.phase === 'GREEN_STAGING'
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
    return { ...state, deployment: begin(state.active, input) }
  }
  if (running === undefined) return undefined
  switch (input.type) {
    case 'ADVANCE': {
      if (!isAdvancing(running)) return undefined
      if (running.step + 1 < running.percentages.length) return withDeployment(state, atStep(running, running.step + 1))
      return withDeployment(state, { ...running, phase: 'DRAINING_BLUE', elapsedMs: 0 })
    }
    case 'HOLD':
      if (!isAdvancing(running) && running.phase !== 'HOLD') return undefined
      return withDeployment(state, {
        ...running,
        phase: 'HOLD',
        elapsedMs: input.elapsedMs,
        heldByHand: input.byHand ?? running.heldByHand,
      })
    case 'LET_GO':
      if (running.heldByHand === null) return undefined
      return withDeployment(state, { ...running, heldByHand: null })
    case 'RESUME':
      if (running.phase !== 'HOLD' || running.heldByHand !== null) return undefined
      return withDeployment(state, atStep(running, running.step))
    case 'ROLL_BACK':
      if (running.phase === 'ROLLING_BACK') return undefined
      return {
        ...state,
        rolledBack: [...state.rolledBack.filter((version) => version !== running.to), running.to],
        deployment: {
          ...running,
          phase: 'ROLLING_BACK',
          percentage: 0,
          elapsedMs: input.elapsedMs,
          heldByHand: null,
        },
      }
    case 'DRAINED':
      if (running.phase === 'ROLLING_BACK') return withDeployment(state, { ...running, phase: 'ROLLED_BACK' })
      if (running.phase !== 'DRAINING_BLUE') return undefined
      return {
        active: running.to,
        rolledBack: state.rolledBack.filter((version) => version !== running.to),
        deployment: { ...running, phase: 'COMPLETE' },
      }
  }
}

/**
 * What a new process makes of the state that it finds.
 *
 * @remarks
 * A step begins anew, for nobody knows how the bot fared while it was down; but what a person holds stays held. Shares and
 * buckets stay. If the code of
 * green is gone, so is the deployment: it rolls back. If the code of blue is gone when green has passed every step, it is
 * complete: no call can still run on blue. If the code of the active version is gone, `initial` serves.
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
    const steps = isStepping(running) || (running.phase === 'HOLD' && running.heldByHand === null)
    const state = steps ? withDeployment(stored, atStep(running, running.step)) : stored
    if (running.heldByHand !== null) return { state, why: `it is still held by hand: ${running.heldByHand}` }
    return { state, why: 'the deployment was running when the last controller ended' }
  }
  if (hasBlue) {
    const why = `version "${running.to}" is no longer in versions`
    return { state: transition(stored, { type: 'ROLL_BACK', elapsedMs: 0 }) ?? stored, why }
  }
  const complete = running.phase === 'DRAINING_BLUE' && hasGreen && transition(stored, { type: 'DRAINED' })
  if (!complete) return undefined
  return { state: complete, why: `every step was passed, and version "${running.from}" is no longer in versions` }
}

function begin(from: string, input: Extract<Input, { type: 'DEPLOY' }>): DeploymentState {
  const { id, to, salt, plan, health } = input
  const start = { ...plan, id, from, to, salt, healthAtStart: health }
  return { ...start, phase: 'GREEN_STAGING', step: -1, percentage: 0, elapsedMs: 0, heldByHand: null }
}

function atStep(deployment: DeploymentState, step: number): DeploymentState {
  if (step === -1) return { ...deployment, phase: 'GREEN_STAGING', step, percentage: 0, elapsedMs: 0 }
  const percentage = deployment.percentages[step]
  if (percentage === undefined) throw new RangeError(`deployment ${deployment.id} has no step ${step}`)
  return { ...deployment, phase: step === 0 ? 'CANARY_TESTING' : 'SHIFTING_TRAFFIC', step, percentage, elapsedMs: 0 }
}

function withDeployment(state: State, deployment: DeploymentState): State {
  return { ...state, deployment }
}
