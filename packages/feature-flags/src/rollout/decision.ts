import type { Severity } from '../news.js'
import { formatDuration } from './duration.js'
import type { PhaseJudgement } from './rollout-judge.js'
import type { RolloutVerdict } from './rollout-ports.js'
import type { Input, Run } from './transitions.js'

/** What keeps a flag from being as the rollout wants it. */
export interface FlagProblem {
  /**
   * `OFF`: it is off for everyone, for now. `FALLEN_BACK`: so it is, because its new path kept failing. `BY_HAND`:
   * somebody set another percentage.
   */
  readonly kind: 'OFF' | 'FALLEN_BACK' | 'BY_HAND'
  readonly why: string
}

/** What is seen in one look. */
export interface Look {
  /** How long all was known to be well since the last look, in milliseconds; 0 after trouble. */
  readonly elapsedMs: number
  /** How long since the last look that went well, in milliseconds; 0 when nobody looked in between. */
  readonly sinceMs: number
  readonly problem: FlagProblem | undefined
  readonly verdict: RolloutVerdict
  /** Asked only when the time of the phase is over. */
  readonly endPhase: () => PhaseJudgement
}

/** What a decision goes by beside the look. */
export interface DecisionLimits {
  /** Of the phase. */
  readonly durationMs: number
  readonly maxHoldMs: number
  readonly maxFallenBackMs: number
  readonly isGradual: boolean
}

/** What follows from a look. */
export interface Decision {
  /** How much of the time since the last look counts. */
  readonly time: Extract<Input, { type: 'TICK' }>
  /** What happens then; `undefined` when nothing does. */
  readonly input: Input | undefined
  readonly why: string
  readonly severity: Severity
}

/**
 * What a driver does with a run that is on its way up. Pure.
 *
 * Harm goes before everything, also while the run is held or paused. Only the time of a phase that runs, with its flag
 * in force and nothing against it, is healthy time. What a person has seen and let pass does not pause it again.
 */
export function decide(
  run: Run,
  { elapsedMs, sinceMs, problem, verdict, endPhase }: Look,
  { durationMs, maxHoldMs, maxFallenBackMs, isGradual }: DecisionLimits,
): Decision {
  const cause = verdict.cause ?? verdict.why
  const isPause = verdict.action === 'PAUSE' && !run.acknowledged.includes(cause)
  const isFallenBack = problem?.kind === 'FALLEN_BACK'
  const isHealthy = run.state === 'RUNNING' && problem === undefined && verdict.action !== 'ROLLBACK' && !isPause
  const healthyMs = isHealthy ? elapsedMs : 0
  const time = {
    type: 'TICK',
    healthyMs,
    heldMs: run.state === 'HOLDING' ? elapsedMs : 0,
    // A flag that recovers for a moment only to fall back again has not recovered.
    fallenBackMs: isFallenBack ? sinceMs : 0 - healthyMs,
  } as const
  const rollBack = (why: string, inBatches = isGradual): Decision => {
    return { time, input: { type: 'ROLL_BACK', isGradual: inBatches, why }, why, severity: 'CRITICAL' }
  }
  const nothing: Decision = { time, input: undefined, why: '', severity: 'INFO' }

  if (verdict.action === 'ROLLBACK') return rollBack(verdict.why)
  if (isFallenBack && run.fallenBackMs + sinceMs >= maxFallenBackMs) {
    const within = formatDuration(maxFallenBackMs)
    // Everybody is on the old path already: there is nobody to take off in batches.
    return rollBack(`the flag fell back to the old path, and did not recover within ${within}`, false)
  }
  if (run.state !== 'RUNNING' && run.state !== 'HOLDING') return nothing
  if (problem?.kind === 'BY_HAND') return { time, input: { type: 'PAUSE' }, why: problem.why, severity: 'WARNING' }
  if (isPause) return { time, input: { type: 'PAUSE', cause }, why: verdict.why, severity: 'WARNING' }
  if (problem !== undefined) {
    if (run.heldFor === 'FLAG') return tooLong(run, time, problem.why, maxHoldMs) ?? nothing
    return { time, input: { type: 'HOLD', heldFor: 'FLAG' }, why: problem.why, severity: 'WARNING' }
  }
  if (run.heldFor === 'FLAG')
    return { time, input: { type: 'GO_ON' }, why: 'the flag is in force again', severity: 'INFO' }
  if (run.healthyMs + time.healthyMs < durationMs) return nothing

  const end = endPhase()
  if (end.action === 'roll back') return rollBack(end.why)
  if (end.action === 'advance') return { time, input: { type: 'ADVANCE' }, why: end.why, severity: 'INFO' }
  if (run.heldFor === 'EVIDENCE') {
    const why = `${end.why}; \`resume\` waits as long again, \`skip\` goes on without evidence`
    return tooLong(run, time, why, maxHoldMs) ?? nothing
  }
  return { time, input: { type: 'HOLD', heldFor: 'EVIDENCE' }, why: end.why, severity: 'WARNING' }
}

function tooLong(run: Run, time: Decision['time'], why: string, maxHoldMs: number): Decision | undefined {
  if (run.heldMs + time.heldMs < maxHoldMs) return undefined
  const cause = `it was held for ${formatDuration(maxHoldMs)}: ${why}`
  return { time, input: { type: 'PAUSE' }, why: cause, severity: 'CRITICAL' }
}
