import { decide } from './decision.js'
import { evidenceOf, foresee, sinceLastLook, type Life } from './driver-life.js'
import { trafficOf } from './foresight.js'
import type { RolloutRecord } from './rollout-record.js'
import { passTime, timeBetween } from './transitions.js'

/** Looks at a run that is on its way up, and does what follows. @returns whether there is more to do at once */
export async function watch(life: Life, record: RolloutRecord): Promise<boolean> {
  const { journal, observer, inForce, knowledge, switchOff, settings } = life
  const { clock, plan, intervalMs, leaseMs, maxHoldMs, maxFallenBackMs, gradually: isGradual } = settings
  const known = await evidenceOf(life, record)
  const nowMs = clock.monotonic()
  const sinceMs = sinceLastLook(life)
  const before = knowledge.runOf(record)
  const { evidence, verdict, problem } = await observer.observe(before, known, sinceMs)
  const sinceLookMs = Math.min(sinceMs, 2 * intervalMs)
  const look = {
    // After trouble, or when the process stood still, nobody knows how the flag fared.
    elapsedMs: life.hasSeenTrouble ? 0 : sinceLookMs,
    sinceMs: sinceLookMs,
    problem: inForce.problem(before) ?? problem,
    verdict,
    endPhase: () => observer.endPhase(evidence.judge, before),
  }
  life.hasSeenTrouble = false
  const durationMs = plan.phases[before.phase]?.durationMs ?? 0
  const { time, input, why, severity } = decide(before, look, { durationMs, maxHoldMs, maxFallenBackMs, isGradual })
  if (switchOff.isAwaited) return false
  // Nobody else can drive yet, so this is not about a run that has gone on without this process.
  const isSure = life.lastLookMs !== undefined && clock.monotonic() - life.lastLookMs < leaseMs
  if (input?.type === 'ROLL_BACK' && isSure) switchOff.hurry(input, { why, severity })
  const after = passTime(before, time)
  let isKept: boolean
  try {
    if (input === undefined && !knowledge.isDue(nowMs, settings)) {
      isKept = await journal.renew(record)
      if (isKept && journal.record !== undefined) knowledge.learn(journal.record, evidence, after)
    } else {
      const all = timeBetween(record.run, after)
      const along = { since: record, evidence, ...(input === undefined ? {} : { time: all }) }
      isKept = await journal.move(input ?? all, { why, severity }, along)
      if (isKept && journal.record !== undefined) knowledge.knows(journal.record, evidence, nowMs)
    }
  } catch (error) {
    if (input?.type === 'ROLL_BACK') await switchOff.owe(input, { why, severity })
    throw error
  }
  life.lastLookMs = nowMs
  // What was known before was told before.
  if (isKept) foresee(life, evidence, trafficOf(known.traffic) === undefined)
  return !isKept || input !== undefined
}
