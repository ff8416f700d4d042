import type { Assessment } from '@evenkeel/canary-judge'
import type { RolloutPhase } from './plan.js'
import { isAbove } from './recent-hour.js'
import type { PlanMetrics } from './rollout-judge-metrics.js'
import type { RolloutJudgeState } from './rollout-judge-state.js'
import { withoutWorst } from './worst-guilds.js'

/** What to do when the time of a phase is over. */
export interface PhaseJudgement {
  /** `hold`: wait for evidence, or ask a person. */
  readonly action: 'advance' | 'hold' | 'roll back'
  /** The reason. */
  readonly why: string
}

/** So many calls are the least by which target guilds alone go on. */
const TESTER_CALLS = 20
/** So many times as many failures must have been ruled out, as with evidence. */
const WORSE = 3
/** A path of which fewer calls fail is well, even if there is nothing to compare it with. */
const RARE = 0.001

/** Phases of which the paths cannot be compared. */
export function endAlone(
  metrics: PlanMetrics,
  state: RolloutJudgeState,
  phase: RolloutPhase | undefined,
): PhaseJudgement | undefined {
  const { names, errors } = metrics
  const { green, blue } = state
  if (phase?.percentage !== 0 && phase?.percentage !== 100) return undefined
  const most = (WORSE * (blue.failures + 1)) / (blue.calls + 1)
  const before = `${blue.failures} of ${blue.calls} of the old path`
  const what = `${green.failures} of ${green.calls} calls of the new path failed`
  if (phase.percentage === 0) {
    if (green.calls < TESTER_CALLS) {
      return { action: 'hold', why: `the target guilds have made ${green.calls} calls, fewer than ${TESTER_CALLS}` }
    }
    if (isAbove(green.failures, green.calls, Math.min(most, 0.5))) {
      return { action: 'hold', why: `${what} in the target guilds, and ${before}` }
    }
    return { action: 'advance', why: `the time is over, and target guilds alone are no comparison: ${what}` }
  }
  const alone = 'nobody is left to compare with'
  if (!names.includes(errors)) return { action: 'advance', why: `the time is over, and ${alone}` }
  if (failsRarely(green)) return { action: 'advance', why: `${alone}, and ${what}` }
  if (blue.calls === 0) {
    return { action: 'hold', why: `${alone}, and how often the old path failed is not known: ${what}` }
  }
  const [calls, failures] = withoutWorst(green.calls, green.failures, green.worst)
  if (most < 1 && isAbove(failures, calls, most)) {
    return { action: 'roll back', why: `${what}, more than ${WORSE} times as many as before (${before})` }
  }
  return { action: 'advance', why: `${alone}; ${what}, and before ${before}` }
}

/** Phases of which both paths have calls. */
export function endCompared(metrics: PlanMetrics, state: RolloutJudgeState): PhaseJudgement {
  const { names, errors } = metrics
  const judged = metrics.ofPhase(state.begun)?.judge(state.sincePhase)
  const assessed = Object.entries<Assessment>(judged?.metrics ?? {})
  const isRare = failsRarely(state.green)
  const isCompared = (name: string): boolean => (state.compared[name] ?? 0) > 0
  if (names.includes(errors) && !isRare && !isCompared(errors)) {
    return { action: 'hold', why: 'the paths have not been compared in this phase yet' }
  }
  if (!isRare && !names.some(isCompared)) return { action: 'hold', why: 'nothing could be compared in this phase' }
  // What could not be measured at all holds nothing: waiting would not change that.
  const open = assessed.filter(
    ([name, { holdsPhase }]) => holdsPhase && isCompared(name) && !(isRare && name === errors),
  )
  if (open.length > 0) {
    const reasons = open.map(([, each]) => each.message).join('; ')
    return { action: 'hold', why: `a harm of three times is not ruled out yet: ${reasons}` }
  }
  const found = assessed.filter(([, { ruledOut }]) => ruledOut !== undefined).map(([, { message }]) => message)
  const unmeasured = [
    ...names.filter((name) => !isCompared(name) && !(isRare && name === errors)),
    ...(metrics.memory !== undefined && state.memory === null ? ['memory'] : []),
  ]
  const { calls, failures } = state.green
  const reasons = [
    ...(isRare ? [`of ${calls} calls of the new path ${failures} failed`] : []),
    ...(found.length > 0 ? [`a harm of three times is ruled out: ${found.join('; ')}`] : []),
    ...(unmeasured.length > 0 ? [`not measured: ${unmeasured.join(', ')}`] : []),
  ]
  return {
    action: 'advance',
    why: reasons.length > 0 ? reasons.join('; ') : 'the time is over, and nothing is against it',
  }
}

/**
 * Whether so few calls fail that a comparison is of no use: the e-value against "one in a thousand or more" is 20, by a
 * bet on one in ten thousand.
 */
function failsRarely({ calls, failures }: RolloutJudgeState['blue']): boolean {
  const little = RARE / 10
  const log = failures * Math.log(little / RARE) + (calls - failures) * Math.log((1 - little) / (1 - RARE))
  return log >= Math.log(20)
}
