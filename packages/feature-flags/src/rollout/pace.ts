import type { Life } from './driver-life.js'
import { isOver } from './transitions.js'

/** How soon the store is tried again, in milliseconds. */
const RETRY_MS = 1_000

/** How long until there is something to do, in milliseconds. */
export function delayToNext({ settings, journal, knowledge, switchOff, batchAtMs }: Life, isStoreUp: boolean): number {
  const { intervalMs, leaseMs, batchDelayMs, settleMs, plan, clock } = settings
  if (!isStoreUp || switchOff.owed !== undefined) return Math.min(RETRY_MS, intervalMs)
  const { record } = journal
  if (record === undefined || !journal.isMine) {
    // What is over changes by hand only.
    return record !== undefined && isOver(record.run) ? leaseMs : Math.min(intervalMs, leaseMs / 6)
  }
  const run = knowledge.runOf(record)
  let untilMs = Infinity
  if (run.state === 'ROLLING_BACK' && batchAtMs !== undefined) {
    untilMs = Math.max(0, batchAtMs + batchDelayMs - clock.monotonic())
  } else if (run.state === 'VALIDATING') {
    untilMs = Math.max(1, settleMs - (run.rollback?.settledMs ?? 0))
  } else if (run.state === 'RUNNING') {
    untilMs = Math.max(1, (plan.phases[run.phase]?.durationMs ?? intervalMs) - run.healthyMs)
  }
  return Math.min(intervalMs, untilMs)
}
