import { within } from '../deadline.js'
import { evidenceOf, silently, sinceLastLook, type Life } from './driver-life.js'
import { compareOldPath } from './old-path.js'
import { nextShare } from './rollback.js'
import type { Reason, RolloutRecord } from './rollout-record.js'
import type { Input } from './transitions.js'
import { FLAG_CHECK, messageOf, summarise, validate } from './validation.js'

/** Goes on with a rollback in batches. @returns whether there is more to do at once */
export async function rollOn(life: Life, record: RolloutRecord): Promise<boolean> {
  const { journal, inForce, switchOff, settings } = life
  const { clock, batchDelayMs } = settings
  const { rollback, share } = record.run
  if (rollback === null) return false
  const nowMs = clock.monotonic()
  const elapsedMs = sinceLastLook(life)
  const time = { type: 'ROLLBACK_TICK', elapsedMs } as const
  const isFirst = rollback.batches === 0
  // Whoever takes over need not wait: the last batch is long ago.
  const isDue = isFirst || life.batchAtMs === undefined || nowMs >= life.batchAtMs + batchDelayMs
  let input: Input = time
  let reason: Reason = { why: rollback.why, severity: 'INFO' }
  if (isDue) {
    const problem = isFirst ? undefined : await findBatchProblem(life)
    if (switchOff.isAwaited) return false
    const done = { batches: rollback.batches, elapsedMs: rollback.elapsedMs + elapsedMs }
    input = { type: 'BATCH', ...nextShare(share, inForce.placedGuilds(), done, settings) }
    if (problem !== undefined) {
      input = { type: 'ROLL_BACK', isGradual: false, why: rollback.why }
      reason = { why: `the rollback in batches does not help (${problem}): ${rollback.why}`, severity: 'CRITICAL' }
    }
  }
  const isKept = await journal.move(input, reason, isDue ? { since: record, time } : { since: record })
  life.lastLookMs = isKept ? nowMs : undefined
  if (isKept && isDue) life.batchAtMs = nowMs
  return !isKept || isDue
}

/** Asks whether the batches help. Whoever does not say so in time says no. */
async function findBatchProblem({ settings }: Life): Promise<string | undefined> {
  const { check, clock, checkTimeoutMs } = settings
  if (check === undefined) return undefined
  try {
    const isWell = await within(clock, checkTimeoutMs, 'the check', async () => check())
    return isWell === true ? undefined : 'the check says no'
  } catch (error) {
    return messageOf(error)
  }
}

/** The flag is off: looks how the old path fares, and whether all is well. @returns whether there is more to do at once */
export async function settleDown(life: Life, record: RolloutRecord): Promise<boolean> {
  const { journal, observer, knowledge, settings } = life
  const known = await evidenceOf(life, record)
  const nowMs = settings.clock.monotonic()
  const elapsedMs = sinceLastLook(life)
  const evidence = await observer.lookBack(known)
  const settledMs = (record.run.rollback?.settledMs ?? 0) + elapsedMs
  const isOver = settledMs >= settings.settleMs
  const isKept = isOver
    ? await endRollback(life, record, evidence.traffic)
    : await journal.move({ type: 'SETTLE_TICK', elapsedMs }, silently, { since: record, evidence })
  if (isKept && journal.record !== undefined && !isOver) knowledge.knows(journal.record, evidence, nowMs)
  life.lastLookMs = isKept ? nowMs : undefined
  return !isKept || isOver
}

async function endRollback(
  { journal, inForce, settings }: Life,
  record: RolloutRecord,
  traffic: Parameters<typeof compareOldPath>[0],
): Promise<boolean> {
  const { clock, checkTimeoutMs, settleMs } = settings
  const all = { [FLAG_CHECK]: () => inForce.whoHasIt(), ...settings.validate }
  const [first, ...others] = await validate(all, clock, checkTimeoutMs)
  const compared = settleMs === 0 ? [] : compareOldPath(traffic)
  const checks = [...(first === undefined ? [] : [first]), ...compared, ...others]
  const { found, isWell } = summarise(checks)
  const why = `${record.run.rollback?.why ?? 'it was rolled back'}; ${found}`
  return journal.move({ type: 'VALIDATED', checks }, { why, severity: isWell ? 'INFO' : 'CRITICAL' }, { since: record })
}
