import type { RunRecord } from './lease-records.js'
import { lastDue, nextDue, type DueTimes } from './schedule-times.js'

/** What a schedule does about due times that it cannot keep. */
export interface DuePolicy {
  readonly missed: 'run-once' | 'skip'
  readonly missedAfterMs: number
  readonly maxAttempts: number
}

/** What is to be done now, and why. */
export interface DuePlan {
  /** As it is written down: `running`, or `skipped`. */
  readonly record: RunRecord & { readonly dueAt: number }
  /** Why, as a sentence without its full stop. */
  readonly why: string
  /** Whether a person should know. */
  readonly isUnusual: boolean
}

/**
 * What to do about the last due time of a job.
 *
 * @param before - what was made of the job so far
 * @param at - now, in epoch milliseconds
 * @returns `undefined` when that due time has been dealt with
 */
export function planDue(
  before: RunRecord | undefined,
  times: DueTimes,
  policy: DuePolicy,
  at: number,
): DuePlan | undefined {
  const dueAt = lastDue(times, at)
  const skip = (why: string, isUnusual: boolean): DuePlan => {
    return { record: { state: 'skipped', attempt: 0, at, dueAt }, why, isUnusual }
  }
  const run = (attempt: number, why: string): DuePlan => {
    return { record: { state: 'running', attempt, at, dueAt }, why, isUnusual: attempt > 1 }
  }
  const lastAt = before?.dueAt
  if (before === undefined || lastAt === undefined) return skip('the job is new, and is due from now on', false)
  // Clocks of two machines may differ by less than a period. More means that one of them was wrong.
  if (lastAt > nextDue(times, at)) {
    return skip(`its last run was due at ${iso(lastAt)}, which is yet to come: a clock was wrong, then or now`, true)
  }
  if (lastAt > dueAt) return undefined
  if (lastAt === dueAt) {
    if (before.state === 'interrupted')
      return run(before.attempt + 1, 'the process that ran it was stopped in the middle')
    if (before.state !== 'running') return undefined
    if (before.attempt < policy.maxAttempts)
      return run(before.attempt + 1, 'the process that ran it ended in the middle')
    return skip(`it was begun ${before.attempt} times, and each time the process ended in the middle`, true)
  }
  const lateMs = at - dueAt
  const missed = Math.round((dueAt - lastAt) / times.periodMs) - 1
  if (policy.missed === 'skip' && lateMs > policy.missedAfterMs) {
    return skip(`it was due ${lateMs} ms ago, and missed runs are skipped`, true)
  }
  if (missed > 0) return run(1, `it is due, and stands for ${missed} earlier due times that nobody was there for`)
  return run(1, 'it is due')
}

function iso(at: number): string {
  return new Date(at).toISOString()
}
