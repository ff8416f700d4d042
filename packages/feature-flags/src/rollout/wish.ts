import type { RolloutRecord } from './rollout-record.js'
import { isOver, transition, type Input, type PlanInForce } from './transitions.js'

/** What is to be done with a record that nobody drives: drive it as it is, or begin a run or a phase anew. */
export type Wish = 'TAKE' | Extract<Input, { type: 'BEGIN' | 'EDIT' }>

/** What `start()` was called for, while that is not decided yet. */
export interface Start {
  readonly isRetry: boolean
}

/** Whether everything was put in force and told. */
export function isSettled({ told, sequence, run, owner }: RolloutRecord): boolean {
  return told === sequence && !(isOver(run) && owner !== null)
}

/**
 * What is to be done with a record that nobody drives; `undefined` for nothing. Pure.
 *
 * What is over is begun anew only by a start, and then only with another version, or when told to. Without a start, a run
 * of another version or by another plan is not touched either. A rollback that is under way is brought to its end first,
 * whoever comes with whichever version.
 */
export function wishFor(
  record: RolloutRecord | undefined,
  plan: PlanInForce,
  start: Start | undefined,
): Wish | undefined {
  if (record === undefined) return start && { type: 'BEGIN' }
  const { run } = record
  if (run.state === 'ROLLING_BACK' || run.state === 'VALIDATING' || !isSettled(record)) return 'TAKE'
  const isOther = run.version !== plan.version
  if (isOver(run)) {
    if (start === undefined) return undefined
    if (isOther || start.isRetry) return { type: 'BEGIN' }
    const isLonger = run.state === 'COMPLETE' && transition(run, { type: 'EDIT' }, plan, 0) !== undefined
    return isLonger ? { type: 'EDIT' } : undefined
  }
  if (isOther && start !== undefined) return { type: 'BEGIN' }
  if (run.fingerprint === plan.fingerprint) return 'TAKE'
  // In a rolling deploy a process of the old version would take the rollout back to where it came from.
  return start && { type: 'EDIT' }
}
