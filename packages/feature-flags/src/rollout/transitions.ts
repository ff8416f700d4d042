import type { RolloutPhase } from './plan.js'
import type { FlagShare } from './rollout-ports.js'
import type { CheckResult } from './validation.js'

/**
 * Where a rollout is.
 *
 * `PENDING`: nothing is written down yet. `RUNNING`: the time of a phase runs. `HOLDING`: it does not, until the flag
 * is in force again or there is enough evidence. `PAUSED`: it waits for a person. `ROLLING_BACK`: the share goes down,
 * at once or in batches. `VALIDATING`: the flag is off, and it is looked whether all is well again. `COMPLETE`: every
 * phase was passed, and the share of the last one stays. `ROLLED_BACK`, `ABORTED`: the flag is off.
 */
export type RolloutState =
  'PENDING' | 'RUNNING' | 'HOLDING' | 'PAUSED' | 'ROLLING_BACK' | 'VALIDATING' | 'COMPLETE' | 'ROLLED_BACK' | 'ABORTED'

/** What a phase may wait for: evidence, or its own flag, which is off. */
export type HoldCause = 'EVIDENCE' | 'FLAG'

/** How far a rollback has come. */
export interface RollbackProgress {
  /** Why it is rolled back, as a clause. */
  readonly why: string
  /** Whether it goes in batches. */
  readonly isGradual: boolean
  /** How many batches are done. */
  readonly batches: number
  /** How long it has taken, as far as somebody drove it, in milliseconds. */
  readonly elapsedMs: number
  /** How long the flag has been off, as far as somebody looked, in milliseconds. */
  readonly settledMs: number
}

/** One run of a rollout. Plain JSON. */
export interface Run {
  /** Where it is. */
  readonly state: Exclude<RolloutState, 'PENDING'>
  /** The version of the code that it is about. */
  readonly version: string
  /** Tells an edited plan from the one that it runs by. */
  readonly fingerprint: string
  /** The index of the phase in the plan. */
  readonly phase: number
  /** The phase's name, for people. */
  readonly phaseName: string
  /** What is to be in force. */
  readonly share: FlagShare
  /** How long the phase has lasted in good health, in milliseconds. */
  readonly healthyMs: number
  /** How long it has been held for what it waits for now, in milliseconds. */
  readonly heldMs: number
  /** What it waits for, while it is held. */
  readonly heldFor: HoldCause | null
  /** How long its flag has been fallen back, less the healthy time since then, in milliseconds. */
  readonly fallenBackMs: number
  /** What the judge paused it for; `null` while it is not paused, or by somebody else. */
  readonly pausedFor: string | null
  /** What the judge paused it for before, and a person let pass: no cause to pause again in this phase. */
  readonly acknowledged: readonly string[]
  /** How far its rollback has come, if there is one. */
  readonly rollback: RollbackProgress | null
  /** What was found after its rollback. */
  readonly validation: readonly CheckResult[] | null
}

/** What a run is measured against: the plan of the process that drives. */
export interface PlanInForce {
  readonly fingerprint: string
  readonly version: string
  readonly phases: readonly RolloutPhase[]
}

/** What can happen to a run. */
export type Input =
  /** A new run, from its first phase. */
  | { readonly type: 'BEGIN' }
  /** Its plan was edited: the phase begins anew. After the last phase of the old plan, the new one goes on. */
  | { readonly type: 'EDIT' }
  /** Time has passed. Of the time of a flag that has fallen back, healthy time is taken off: below 0. */
  | { readonly type: 'TICK'; readonly healthyMs: number; readonly heldMs: number; readonly fallenBackMs: number }
  | { readonly type: 'ADVANCE' }
  | { readonly type: 'HOLD'; readonly heldFor: HoldCause }
  /** What held it is over. */
  | { readonly type: 'GO_ON' }
  /** The cause is that of the judge. */
  | { readonly type: 'PAUSE'; readonly cause?: string }
  /** A person lets a paused run go on, and what it was paused for pass. */
  | { readonly type: 'RESUME' }
  /** A person passes to the next phase without waiting. */
  | { readonly type: 'SKIP' }
  | { readonly type: 'ABORT' }
  | { readonly type: 'ROLL_BACK'; readonly isGradual: boolean; readonly why: string }
  /** The next share of a gradual rollback. */
  | { readonly type: 'BATCH'; readonly percentage: number; readonly targetGuilds: readonly string[] }
  /** The rollback takes its time. */
  | { readonly type: 'ROLLBACK_TICK'; readonly elapsedMs: number }
  /** The flag is off, and it is waited until there is something to see. */
  | { readonly type: 'SETTLE_TICK'; readonly elapsedMs: number }
  | { readonly type: 'VALIDATED'; readonly checks: readonly CheckResult[] }
  /** The same share under a newer sequence. */
  | { readonly type: 'REASSERT' }

/** Whether a run is over. */
export function isOver({ state }: Pick<Run, 'state'>): boolean {
  return state === 'COMPLETE' || state === 'ROLLED_BACK' || state === 'ABORTED'
}

/** Whether a run is on its way up, or waits there. */
export function isGoing({ state }: Pick<Run, 'state'>): boolean {
  return state === 'RUNNING' || state === 'HOLDING' || state === 'PAUSED'
}

/**
 * The whole state machine. Pure: no clock, no store, no side effect.
 *
 * @param sequence - that of the next transition; a share that changes gets it
 * @returns the next run, or `undefined` where the input has no meaning: an advance that comes after a rollback, say, which
 * is how a rollback wins every race
 */
export function transition(run: Run | undefined, input: Input, plan: PlanInForce, sequence: number): Run | undefined {
  if (input.type === 'BEGIN') {
    const isRollingBack = run?.state === 'ROLLING_BACK' || run?.state === 'VALIDATING'
    return isRollingBack ? undefined : begin(plan, sequence)
  }
  if (run === undefined) return undefined
  const { state } = run
  switch (input.type) {
    case 'EDIT':
      return edit(run, plan, sequence)
    case 'TICK':
      return isGoing(run) ? passTime(run, input) : undefined
    case 'ADVANCE':
      if (state !== 'RUNNING' && state !== 'HOLDING') return undefined
      return advance({ ...run, acknowledged: [] }, plan, sequence)
    case 'SKIP':
      return isGoing(run) ? advance(acknowledge(run), plan, sequence) : undefined
    case 'HOLD':
      if (state !== 'RUNNING' && state !== 'HOLDING') return undefined
      return state === 'HOLDING' && run.heldFor === input.heldFor
        ? undefined
        : { ...run, state: 'HOLDING', heldFor: input.heldFor, heldMs: 0 }
    case 'GO_ON':
      return state === 'HOLDING' ? { ...run, state: 'RUNNING', heldFor: null, heldMs: 0 } : undefined
    case 'PAUSE':
      if (state !== 'RUNNING' && state !== 'HOLDING') return undefined
      return { ...run, state: 'PAUSED', heldFor: null, pausedFor: input.cause ?? null }
    case 'RESUME':
      // The share gets a new sequence, and so goes before what was set by hand meanwhile.
      if (state !== 'PAUSED') return undefined
      return { ...acknowledge(run), state: 'RUNNING', heldMs: 0, fallenBackMs: 0, share: { ...run.share, sequence } }
    case 'ABORT':
      return isGoing(run) ? { ...off(run, sequence), state: 'ABORTED' } : undefined
    case 'ROLL_BACK':
      return rollBack(run, input, sequence)
    case 'BATCH':
      return batch(run, input, sequence)
    case 'ROLLBACK_TICK':
      if (state !== 'ROLLING_BACK' || run.rollback === null) return undefined
      return { ...run, rollback: { ...run.rollback, elapsedMs: Math.round(run.rollback.elapsedMs + input.elapsedMs) } }
    case 'SETTLE_TICK':
      if (state !== 'VALIDATING' || run.rollback === null) return undefined
      return { ...run, rollback: { ...run.rollback, settledMs: Math.round(run.rollback.settledMs + input.elapsedMs) } }
    case 'VALIDATED':
      return state === 'VALIDATING' ? { ...run, state: 'ROLLED_BACK', validation: input.checks } : undefined
    case 'REASSERT':
      return { ...run, share: { ...run.share, sequence } }
  }
}

/** Time that passes: in whole milliseconds, and never less than nothing. */
export function passTime(run: Run, { healthyMs, heldMs, fallenBackMs }: Extract<Input, { type: 'TICK' }>): Run {
  return {
    ...run,
    healthyMs: Math.max(0, Math.round(run.healthyMs + healthyMs)),
    heldMs: Math.max(0, Math.round(run.heldMs + heldMs)),
    fallenBackMs: Math.max(0, Math.round(run.fallenBackMs + fallenBackMs)),
  }
}

/** The time that has passed from one moment of a run to a later one. */
export function timeBetween(from: Run, to: Run): Extract<Input, { type: 'TICK' }> {
  return {
    type: 'TICK',
    healthyMs: to.healthyMs - from.healthyMs,
    heldMs: to.heldMs - from.heldMs,
    fallenBackMs: to.fallenBackMs - from.fallenBackMs,
  }
}

/** Whether nothing happens but that time passes. */
export function isTime({ type }: Input): boolean {
  return type === 'TICK' || type === 'ROLLBACK_TICK' || type === 'SETTLE_TICK'
}

function begin(plan: PlanInForce, sequence: number): Run {
  const { version, fingerprint } = plan
  const nothing = { heldFor: null, pausedFor: null, acknowledged: [], rollback: null, validation: null } as const
  return { state: 'RUNNING', version, fingerprint, ...nothing, ...atPhase(plan, 0, [], sequence) }
}

/** What it was paused for is no cause to pause it again. */
function acknowledge(run: Run): Run {
  const { pausedFor, acknowledged } = run
  if (pausedFor === null) return run
  return { ...run, pausedFor: null, acknowledged: [...new Set([...acknowledged, pausedFor])] }
}

type PhaseFields = Pick<Run, 'phase' | 'phaseName' | 'share' | 'healthyMs' | 'heldMs' | 'fallenBackMs'>

function atPhase(plan: PlanInForce, index: number, stay: readonly string[], sequence: number): PhaseFields {
  const phase = plan.phases[index]
  if (phase === undefined) throw new RangeError(`the plan has no phase ${index}`)
  // Who is in stays in: also a guild that an edited plan names no more.
  const targetGuilds = [...new Set([...stay, ...phase.targetGuilds])]
  const share = { percentage: phase.percentage, targetGuilds, sequence }
  return { phase: index, phaseName: phase.name, share, healthyMs: 0, heldMs: 0, fallenBackMs: 0 }
}

function advance(run: Run, plan: PlanInForce, sequence: number): Run | undefined {
  if (run.fingerprint !== plan.fingerprint) return undefined
  const next = run.phase + 1
  if (next >= plan.phases.length) return { ...run, state: 'COMPLETE', heldFor: null }
  const phase = atPhase(plan, next, run.share.targetGuilds, sequence)
  return { ...run, ...phase, state: 'RUNNING', heldFor: null }
}

function edit(run: Run, plan: PlanInForce, sequence: number): Run | undefined {
  const { fingerprint, phases } = plan
  if (run.fingerprint === fingerprint) return undefined
  const stay = run.share.targetGuilds
  if (run.state === 'COMPLETE') {
    const next = phases.findIndex(({ percentage }) => percentage > run.share.percentage)
    return next === -1
      ? undefined
      : { ...run, fingerprint, ...atPhase(plan, next, stay, sequence), state: 'RUNNING', heldFor: null }
  }
  if (!isGoing(run)) return undefined
  const named = phases.findIndex(({ name }) => name === run.phaseName)
  const index = named === -1 ? Math.min(run.phase, phases.length - 1) : named
  const state = run.state === 'PAUSED' ? 'PAUSED' : 'RUNNING'
  return { ...run, fingerprint, ...atPhase(plan, index, stay, sequence), state, heldFor: null }
}

/** The flag off for everyone. */
function off(run: Run, sequence: number): Run {
  return { ...run, share: { percentage: 0, targetGuilds: [], sequence }, heldFor: null }
}

function rollBack(
  run: Run,
  { isGradual, why }: { isGradual: boolean; why: string },
  sequence: number,
): Run | undefined {
  // "At once" goes before "gradually", and never the other way round.
  if (run.state === 'ROLLING_BACK' && isGradual) return undefined
  if (run.state === 'VALIDATING' || run.state === 'ROLLED_BACK' || run.state === 'ABORTED') return undefined
  const { batches, elapsedMs } = run.rollback ?? { batches: 0, elapsedMs: 0 }
  if (!isGradual) {
    return {
      ...off(run, sequence),
      state: 'VALIDATING',
      rollback: { why, isGradual, batches, elapsedMs, settledMs: 0 },
    }
  }
  const rollback = { why, isGradual, batches: 0, elapsedMs: 0, settledMs: 0 }
  return { ...run, state: 'ROLLING_BACK', heldFor: null, rollback }
}

function batch(
  run: Run,
  next: { percentage: number; targetGuilds: readonly string[] },
  sequence: number,
): Run | undefined {
  if (run.state !== 'ROLLING_BACK' || run.rollback === null) return undefined
  const rollback = { ...run.rollback, batches: run.rollback.batches + 1 }
  // A rollback never gives anybody the flag, whatever a batch says.
  const percentage = Math.min(run.share.percentage, next.percentage)
  const stay = new Set(next.targetGuilds)
  const targetGuilds = run.share.targetGuilds.filter((guild) => stay.has(guild))
  const isOff = percentage === 0 && targetGuilds.length === 0
  return {
    ...run,
    rollback,
    share: { percentage, targetGuilds, sequence },
    state: isOff ? 'VALIDATING' : 'ROLLING_BACK',
  }
}
