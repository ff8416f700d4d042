import type { Assessment } from '@evenkeel/canary-judge'
import { noGuilds } from './guild-watch.js'
import { findPassedLimits } from './recent-hour.js'
import { PlanMetrics, type RolloutJudgeOptions } from './rollout-judge-metrics.js'
import { observeInterval, startState } from './rollout-judge-observe.js'
import { endAlone, endCompared, type PhaseJudgement } from './rollout-judge-phase.js'
import { powerByPhase, powerOfPlan, type PhasePower, type RolloutTraffic } from './rollout-judge-power.js'
import type { RolloutInterval, RolloutJudgeState } from './rollout-judge-state.js'

export type { RolloutJudgeOptions } from './rollout-judge-metrics.js'
export type { PhaseJudgement } from './rollout-judge-phase.js'
export type { PhasePower, RolloutTraffic } from './rollout-judge-power.js'
export type { RolloutInterval, RolloutJudgeState } from './rollout-judge-state.js'

/** What a {@link RolloutJudge} says. */
export interface RolloutJudgement {
  /** `CONTINUE` is no promise that all is well: see {@link RolloutJudge.endPhase}. */
  readonly action: 'CONTINUE' | 'PAUSE' | 'ROLLBACK'
  /** The reason. */
  readonly why: string
  /** The e-value of the whole rollout against "the new path is no worse". 1 is nothing. */
  readonly evidence: number
  /** Names what it pauses for, the same each time. */
  readonly cause?: string
}

/**
 * Judges a rollout by the triggers of its plan. It remembers nothing: each method takes a state, and `observe` gives the
 * next one.
 *
 * Half of the chance of a false alarm is for the evidence of the whole rollout, and half is for the evidence of each phase:
 * a harm that first shows at a larger share is not outweighed by the good days before it. The first phase that begins gets
 * a half of that, the next ones a sixth, a twelfth, 1 / (k (k + 1)): together no more than all, however often a plan is edited.
 */
export class RolloutJudge {
  readonly #metrics: PlanMetrics

  /**
   * @param options - the plan, and how often to be wrong
   * @throws RangeError when a trigger or `falseAlarmRatio` is out of its range
   */
  constructor(options: RolloutJudgeOptions) {
    this.#metrics = new PlanMetrics(options)
  }

  /** Before the first interval. Once for each rollout, and again when the code that is rolled out is another one. */
  start(): RolloutJudgeState {
    return startState(this.#metrics)
  }

  /**
   * Starts anew with what is known of the guilds from before, such as from a rollout that was rolled back.
   *
   * @param state - from before
   */
  startAgain({ guilds: { history }, speeds }: RolloutJudgeState): RolloutJudgeState {
    return { ...this.start(), guilds: { ...noGuilds, history }, speeds }
  }

  /**
   * Takes in what happened. Also while nobody has the flag on: what is usual for each guild is learnt then.
   *
   * @param state - from before
   * @param interval - since then; what makes no sense in it is passed over
   */
  observe(state: RolloutJudgeState, interval: RolloutInterval): RolloutJudgeState {
    return observeInterval(this.#metrics, state, interval)
  }

  /**
   * Says what is known, at any time and as often as you like.
   *
   * @param state - what is known
   * @param acknowledged - causes that a person has seen and let pass: it pauses for others only
   */
  judge(state: RolloutJudgeState, acknowledged: readonly string[] = []): RolloutJudgement {
    const { plan, by } = this.#metrics
    const whole = this.#metrics.whole?.judge(state.whole)
    const sincePhase = this.#metrics.ofPhase(state.begun)?.judge(state.sincePhase)
    const evidence = Math.min(whole?.evidence ?? 1, Number.MAX_VALUE)
    if (state.catastrophe !== null) return { action: 'ROLLBACK', why: state.catastrophe, evidence }
    if (whole?.verdict === 'HARMFUL') return { action: 'ROLLBACK', why: whole.message, evidence }
    if (sincePhase?.verdict === 'HARMFUL') {
      return { action: 'ROLLBACK', why: `since the phase began, ${sincePhase.message}`, evidence }
    }
    const isNew = (cause: string): boolean => !acknowledged.includes(cause)
    const limits = findPassedLimits(state.hour, plan.triggers, by)
    const limit = limits.find(({ action, cause }) => action === 'ROLLBACK' || isNew(cause))
    if (limit !== undefined) return { ...limit, evidence }
    const reports: Assessment | undefined = whole?.metrics['reports']
    if (reports?.isEffectReached === true && isNew('reports')) {
      const why = `more than ${String(plan.triggers.userReports)} users complained within two hours (${reports.message})`
      return { action: 'PAUSE', why, evidence, cause: 'reports' }
    }
    const memory = state.memory === null ? undefined : this.#metrics.memory?.assess(state.memory, 'memory')
    if (memory?.isEffectReached === true && isNew('memory'))
      return { action: 'PAUSE', why: memory.message, evidence, cause: 'memory' }
    return { action: 'CONTINUE', why: whole?.message ?? 'the plan names no trigger to compare by', evidence }
  }

  /**
   * Says what to do when the time of a phase is over. It goes on when a harm of three times is ruled out by what happened
   * in this phase, or when the new path failed less than once in a thousand calls in it; without enough evidence it holds.
   *
   * What cannot be compared by evidence goes on by less, and says so: a phase of target guilds alone by its time and
   * twenty calls, and one at 100 %, where nobody is left to compare with, by how often the old path failed before.
   *
   * @param state - what is known
   * @param acknowledged - as for `judge`: what a person has let pass holds no phase
   * @param phase - which phase ends, from 0: by the evidence of another one it does not
   */
  endPhase(
    state: RolloutJudgeState,
    acknowledged: readonly string[] = [],
    phase: number = state.phase,
  ): PhaseJudgement {
    const { action, why } = this.judge(state, acknowledged)
    if (action === 'ROLLBACK') return { action: 'roll back', why }
    if (action === 'PAUSE') return { action: 'hold', why }
    if (phase !== state.phase) return { action: 'hold', why: 'nothing was observed in this phase yet' }
    const inForce = this.#metrics.plan.phases[phase]
    if (this.#metrics.whole === undefined)
      return { action: 'advance', why: 'the time is over, and nothing is compared' }
    if (inForce?.percentage === 0 && inForce.targetGuilds.length === 0) {
      return { action: 'advance', why: 'the time is over, and nobody has it on yet' }
    }
    if (state.green.calls === 0) return { action: 'hold', why: 'nobody has called the new path in this phase' }
    return endAlone(this.#metrics, state, inForce) ?? endCompared(this.#metrics, state)
  }

  /**
   * Says before a rollout what its evidence will show in the time of each phase: a phase that is too short for its traffic
   * is held when its time is over, until there is enough evidence or a person lets it go on.
   *
   * @param traffic - of the flag
   * @throws RangeError when a figure is out of its range
   */
  power(traffic: RolloutTraffic): string {
    return powerOfPlan(this.#metrics, traffic)
  }

  /**
   * The same in figures, by phase.
   *
   * @param traffic - of the flag
   * @returns `undefined` where the plan does not compare errors
   * @throws RangeError when a figure is out of its range
   */
  powers(traffic: RolloutTraffic): readonly PhasePower[] | undefined {
    return powerByPhase(this.#metrics, traffic)
  }
}
