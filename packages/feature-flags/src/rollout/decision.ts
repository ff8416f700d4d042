import type { Severity } from '../news.js'
import type { PhaseVerdict, RolloutVerdict } from './rollout-ports.js'
import type { Input, Run } from './transitions.js'

/** What keeps a flag from being as the rollout wants it. */
export interface FlagProblem {
  /** `OFF`: it is off for everyone, for now. `BY_HAND`: somebody set another percentage. */
  readonly kind: 'OFF' | 'BY_HAND'
  readonly why: string
}

/** What is seen in one look. */
export interface Look {
  /** How long since the last look that went well, in milliseconds; 0 when nobody looked in between. */
  readonly elapsedMs: number
  readonly problem: FlagProblem | undefined
  readonly verdict: RolloutVerdict
  /** Asked only when the time of the phase is over. */
  readonly endPhase: () => PhaseVerdict
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
 * in force and nothing against it, is healthy time.
 */
export function decide(
  run: Run,
  { elapsedMs, problem, verdict, endPhase }: Look,
  { durationMs, maxHoldMs, isGradual }: { durationMs: number; maxHoldMs: number; isGradual: boolean },
): Decision {
  const isHealthy = run.state === 'RUNNING' && problem === undefined && verdict.action === 'CONTINUE'
  const time = {
    type: 'TICK',
    healthyMs: isHealthy ? elapsedMs : 0,
    heldMs: run.state === 'HOLDING' ? elapsedMs : 0,
  } as const
  const rollBack = (why: string): Decision => {
    return { time, input: { type: 'ROLL_BACK', isGradual, why }, why, severity: 'CRITICAL' }
  }
  const nothing: Decision = { time, input: undefined, why: '', severity: 'INFO' }

  if (verdict.action === 'ROLLBACK') return rollBack(verdict.why)
  if (run.state !== 'RUNNING' && run.state !== 'HOLDING') return nothing
  if (problem?.kind === 'BY_HAND') return { time, input: { type: 'PAUSE' }, why: problem.why, severity: 'WARNING' }
  if (verdict.action === 'PAUSE') return { time, input: { type: 'PAUSE' }, why: verdict.why, severity: 'WARNING' }
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
  if (run.heldFor === 'EVIDENCE') return tooLong(run, time, end.why, maxHoldMs) ?? nothing
  return { time, input: { type: 'HOLD', heldFor: 'EVIDENCE' }, why: end.why, severity: 'WARNING' }
}

function tooLong(run: Run, time: Decision['time'], why: string, maxHoldMs: number): Decision | undefined {
  if (run.heldMs + time.heldMs < maxHoldMs) return undefined
  const cause = `it was held for ${maxHoldMs} ms: ${why}`
  return { time, input: { type: 'PAUSE' }, why: cause, severity: 'CRITICAL' }
}
