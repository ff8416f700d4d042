import {
  findCatastrophe,
  Judge,
  memoryGrowth,
  powerReport,
  type Assessment,
  type JudgeState,
  type MemorySample,
  type MemoryState,
  type Metrics,
  type Sides,
} from '@evenkeel/canary-judge'
import type { BucketBy } from '../context.js'
import { formatDuration } from './duration.js'
import {
  addTimes,
  adjustSpeeds,
  learnSpeeds,
  relativeLatencies,
  type GuildSpeeds,
  type TimedGuilds,
} from './guild-speeds.js'
import { failingGuilds, noGuilds, watchGuilds, type GuildWatch } from './guild-watch.js'
import type { RolloutPhase, RolloutPlan } from './plan.js'
import { addToHour, amount, findPassedLimits, isAbove, type DatabaseCounts, type RecentHour } from './recent-hour.js'
import type { Both, TallyDifference } from './tally.js'
import { errorMetricOf, metricsOf } from './triggers.js'
import { addToWorst, withoutWorst, type WorstGuilds } from './worst-guilds.js'

/** What happened since the last time. */
export interface RolloutInterval {
  /** How long that was, in milliseconds on a clock that is not set back. Nonsense counts as no time. */
  readonly tookMs: number
  /** Which phase of the plan it was, from 0. */
  readonly phase: number
  /** What each process did. */
  readonly processes: readonly TallyDifference[]
  /** How many guilds or users were on each path, or anything in proportion, for reports; by default the calls. */
  readonly users?: Both<number> | undefined
  /** What processes of the new and the old version used, where the two do not share processes. */
  readonly memory?: readonly MemorySample[] | undefined
  /** Failures of the database: of each path if they can be told apart, else of both. */
  readonly database?: DatabaseCounts | Both<DatabaseCounts> | undefined
  /** What users say, in the unit of `minSatisfaction`. */
  readonly satisfaction?: number | undefined
  /** How often the new version was started anew, unasked, in the last five minutes. */
  readonly restarts?: number | undefined
  /** Whether each path reaches its database. */
  readonly storage?: Both<boolean> | undefined
}

/** What is known of a rollout. A plain value: keep it as JSON, and go on from there after a crash. */
export interface RolloutJudgeState {
  /** The version of this format. */
  readonly format: 1
  /** How long the rollout has been watched. */
  readonly elapsedMs: number
  /** The phase that runs, from 0. */
  readonly phase: number
  /** How many phases have begun, one that begins anew among them. */
  readonly begun: number
  /** The evidence of the whole rollout. */
  readonly whole: JudgeState<Metrics>
  /** The evidence since the phase began, for a harm that more traffic brings to light. */
  readonly sincePhase: JudgeState<Metrics>
  /** What memory was used; `null` when nobody said. */
  readonly memory: MemoryState | null
  /** The last hour, for absolute limits. */
  readonly hour: RecentHour
  /** Guilds, and what is usual for each. */
  readonly guilds: GuildWatch
  /** How fast each guild is. */
  readonly speeds: GuildSpeeds
  /** Calls that were measured in the present window of ten minutes. */
  readonly timed: TimedGuilds
  /** Calls of the new path since the phase began. */
  readonly green: {
    /** How many there were. */
    readonly calls: number
    /** How many of them failed. */
    readonly failures: number
    /** In which guilds, or for which users, most of them failed. */
    readonly worst: WorstGuilds
  }
  /** Calls of the old path, until everybody has the new one. */
  readonly blue: {
    /** How many there were. */
    readonly calls: number
    /** How many of them failed. */
    readonly failures: number
  }
  /** How often each metric compared both paths since the phase began. */
  readonly compared: Readonly<Record<string, number>>
  /** Why to go back without waiting for evidence; `null` for no reason. */
  readonly catastrophe: string | null
}

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

/** What to do when the time of a phase is over. */
export interface PhaseJudgement {
  /** `hold`: wait for evidence, or ask a person. */
  readonly action: 'advance' | 'hold' | 'roll back'
  /** The reason. */
  readonly why: string
}

/** What traffic a flag has. */
export interface RolloutTraffic {
  /** Calls of both paths in a minute. */
  readonly callsPerMinute: number
  /** Which part of them fails ordinarily, between 0 and 1. */
  readonly errorRatio: number
  /** How many guilds make a call within ten minutes; needed while the flag is by guild. */
  readonly guilds?: number | undefined
}

/** Options of {@link RolloutJudge}. */
export interface RolloutJudgeOptions {
  /** Its triggers say what is judged. */
  readonly plan: RolloutPlan
  /** What the flag's percentage is a share of. */
  readonly by: BucketBy
  /** Draws which calls are compared: from 0 to 1, 1 excluded. */
  readonly random: () => number
  /**
   * The chance, over the whole rollout, to find a path guilty that is no worse. Above 0, below 1.
   *
   * @defaultValue 0.01
   */
  readonly falseAlarmRatio?: number | undefined
}

type NamedSample = readonly [name: string, sample: object]

const noCalls = { calls: 0, failures: 0, worst: {} }
/** So many calls are the least by which target guilds alone go on. */
const TESTER_CALLS = 20
/** So many times as many failures must have been ruled out, as with evidence. */
const WORSE = 3
/** A path of which fewer calls fail is well, even if there is nothing to compare it with. */
const RARE = 0.001

/**
 * Judges a rollout by the triggers of its plan. It remembers nothing: each method takes a state, and `observe` gives the
 * next one.
 *
 * Half of the chance of a false alarm is for the evidence of the whole rollout, and half is for the evidence of each phase:
 * a harm that first shows at a larger share is not outweighed by the good days before it. The first phase that begins gets
 * a half of that, the next ones a sixth, a twelfth, 1 / (k (k + 1)): together no more than all, however often a plan is edited.
 */
export class RolloutJudge {
  readonly #plan: RolloutPlan
  readonly #by: BucketBy
  readonly #names: readonly string[]
  readonly #whole: Judge<Metrics> | undefined
  readonly #metrics: Metrics
  readonly #memory: ReturnType<typeof memoryGrowth> | undefined
  readonly #falseAlarmRatio: number

  /**
   * @param options - the plan, and how often to be wrong
   * @throws RangeError when a trigger or `falseAlarmRatio` is out of its range
   */
  constructor({ plan, by, random, falseAlarmRatio = 0.01 }: RolloutJudgeOptions) {
    const metrics = metricsOf(plan.triggers, by, random) as Metrics
    const { memoryIncrease } = plan.triggers
    this.#plan = plan
    this.#by = by
    this.#metrics = metrics
    this.#names = Object.keys(metrics)
    this.#memory = memoryIncrease === undefined ? undefined : memoryGrowth({ maxIncrease: memoryIncrease })
    this.#falseAlarmRatio = falseAlarmRatio / 2
    if (this.#names.length === 0) return
    this.#whole = new Judge({ metrics, falseAlarmRatio: falseAlarmRatio / 2 })
  }

  /** Before the first interval. Once for each rollout, and again when the code that is rolled out is another one. */
  start(): RolloutJudgeState {
    return {
      format: 1,
      elapsedMs: 0,
      phase: 0,
      begun: 1,
      whole: this.#whole?.start() ?? {},
      sincePhase: this.#whole?.start() ?? {},
      memory: null,
      hour: [],
      guilds: noGuilds,
      speeds: {},
      timed: {},
      green: noCalls,
      blue: { calls: 0, failures: 0 },
      compared: {},
      catastrophe: null,
    }
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
    const { processes, memory = [], database = {}, satisfaction, restarts, storage } = interval
    const elapsedMs = state.elapsedMs + amount(interval.tookMs)
    const isOther = interval.phase !== state.phase && this.#plan.phases[interval.phase] !== undefined
    const phase = isOther ? interval.phase : state.phase
    const begun = state.begun + (isOther ? 1 : 0)
    const chosen = this.#by === 'guild' ? (this.#plan.phases[phase]?.targetGuilds ?? []) : []
    const { watch: guilds, samples: ofGuilds } = watchGuilds(
      state.guilds,
      { nowMs: elapsedMs, begun, chosen },
      processes,
    )
    const apart = 'green' in database ? database : undefined
    const hour = addToHour(
      state.hour,
      elapsedMs,
      { processes, database: apart === undefined ? (database as DatabaseCounts) : {}, satisfaction },
      this.#plan.triggers,
    )
    const timed = this.#by === 'guild' ? addTimes(state.timed, processes) : state.timed
    const errors = errorMetricOf(this.#by)
    const samples: NamedSample[] = [
      ...(this.#by === 'user' ? processes.map(timesOf) : []),
      ...(ofGuilds === undefined ? [] : [['latency', relativeLatencies(state.speeds, timed)] as const]),
      ...rareEvents(elapsedMs, interval, apart, hour),
    ]
    const ofWhole = ofGuilds === undefined ? samples : [...samples, [errors, ofGuilds.whole] as const]
    const ofPhase = ofGuilds === undefined ? samples : [...samples, [errors, ofGuilds.sincePhase] as const]
    const speeds = ofGuilds === undefined ? state.speeds : adjustSpeeds(state.speeds, timed)
    const catastrophe = findCatastrophe({ ...failingGuilds(guilds), restarts: amount(restarts), storage })
    const green = isOther ? noCalls : state.green
    const isWithBlue = this.#plan.phases[phase]?.percentage !== 100
    return {
      format: 1,
      elapsedMs,
      phase,
      begun,
      whole: this.#observe(state.whole, ofWhole),
      sincePhase: this.#observe(isOther ? (this.#whole?.start() ?? {}) : state.sincePhase, ofPhase),
      memory: this.#observeMemory(state.memory, memory),
      hour,
      guilds,
      speeds: this.#by === 'guild' ? learnSpeeds(speeds, processes) : speeds,
      timed: ofGuilds === undefined ? timed : {},
      green: {
        calls: green.calls + total(processes, 'green', 'calls'),
        failures: green.failures + total(processes, 'green', 'failures'),
        worst: addToWorst(green.worst, processes),
      },
      blue: isWithBlue
        ? {
            calls: state.blue.calls + total(processes, 'blue', 'calls'),
            failures: state.blue.failures + total(processes, 'blue', 'failures'),
          }
        : state.blue,
      compared: this.#countCompared(isOther ? {} : state.compared, ofPhase),
      catastrophe: catastrophe?.replace(/\.$/, '') ?? null,
    }
  }

  /**
   * Says what is known, at any time and as often as you like.
   *
   * @param state - what is known
   * @param acknowledged - causes that a person has seen and let pass: it pauses for others only
   */
  judge(state: RolloutJudgeState, acknowledged: readonly string[] = []): RolloutJudgement {
    const whole = this.#whole?.judge(state.whole)
    const sincePhase = this.#judgeOfPhase(state)?.judge(state.sincePhase)
    const evidence = Math.min(whole?.evidence ?? 1, Number.MAX_VALUE)
    if (state.catastrophe !== null) return { action: 'ROLLBACK', why: state.catastrophe, evidence }
    if (whole?.verdict === 'HARMFUL') return { action: 'ROLLBACK', why: whole.message, evidence }
    if (sincePhase?.verdict === 'HARMFUL') {
      return { action: 'ROLLBACK', why: `since the phase began, ${sincePhase.message}`, evidence }
    }
    const isNew = (cause: string): boolean => !acknowledged.includes(cause)
    const limits = findPassedLimits(state.hour, this.#plan.triggers, this.#by)
    const limit = limits.find(({ action, cause }) => action === 'ROLLBACK' || isNew(cause))
    if (limit !== undefined) return { ...limit, evidence }
    const reports: Assessment | undefined = whole?.metrics['reports']
    if (reports?.isEffectReached === true && isNew('reports')) {
      const why = `more than ${String(this.#plan.triggers.userReports)} users complained within two hours (${reports.message})`
      return { action: 'PAUSE', why, evidence, cause: 'reports' }
    }
    const memory = state.memory === null ? undefined : this.#memory?.assess(state.memory, 'memory')
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
    const inForce = this.#plan.phases[phase]
    if (this.#whole === undefined) return { action: 'advance', why: 'the time is over, and nothing is compared' }
    if (inForce?.percentage === 0 && inForce.targetGuilds.length === 0) {
      return { action: 'advance', why: 'the time is over, and nobody has it on yet' }
    }
    if (state.green.calls === 0) return { action: 'hold', why: 'nobody has called the new path in this phase' }
    return this.#endAlone(state, inForce) ?? this.#endCompared(state)
  }

  /** Phases of which the paths cannot be compared. */
  #endAlone(state: RolloutJudgeState, phase: RolloutPhase | undefined): PhaseJudgement | undefined {
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
    if (!this.#names.includes(errorMetricOf(this.#by)))
      return { action: 'advance', why: `the time is over, and ${alone}` }
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

  #endCompared(state: RolloutJudgeState): PhaseJudgement {
    const judged = this.#judgeOfPhase(state)?.judge(state.sincePhase)
    const metrics = Object.entries<Assessment>(judged?.metrics ?? {})
    const isRare = failsRarely(state.green)
    const isCompared = (name: string): boolean => (state.compared[name] ?? 0) > 0
    const errors = errorMetricOf(this.#by)
    if (this.#names.includes(errors) && !isRare && !isCompared(errors)) {
      return { action: 'hold', why: 'the paths have not been compared in this phase yet' }
    }
    if (!isRare && !this.#names.some(isCompared))
      return { action: 'hold', why: 'nothing could be compared in this phase' }
    // What could not be measured at all holds nothing: waiting would not change that.
    const open = metrics.filter(
      ([name, { holdsPhase }]) => holdsPhase && isCompared(name) && !(isRare && name === errors),
    )
    if (open.length > 0) {
      const reasons = open.map(([, each]) => each.message).join('; ')
      return { action: 'hold', why: `a harm of three times is not ruled out yet: ${reasons}` }
    }
    const found = metrics.filter(([, { ruledOut }]) => ruledOut !== undefined).map(([, { message }]) => message)
    const unmeasured = [
      ...this.#names.filter((name) => !isCompared(name) && !(isRare && name === errors)),
      ...(this.#memory !== undefined && state.memory === null ? ['memory'] : []),
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
   * Says before a rollout what its evidence will show in the time of each phase: a phase that is too short for its traffic
   * is held when its time is over, until there is enough evidence or a person lets it go on.
   *
   * @param traffic - of the flag
   * @throws RangeError when a figure is out of its range
   */
  power({ callsPerMinute, errorRatio, guilds }: RolloutTraffic): string {
    if (!this.#names.includes(errorMetricOf(this.#by))) return 'The plan does not compare errors.'
    if (this.#by === 'guild' && guilds === undefined) {
      throw new RangeError('guilds is missing: how many guilds make a call within ten minutes?')
    }
    // A guild counts once in ten minutes; of users it is taken that each makes few calls in that time.
    const [perMinute, ratio] =
      this.#by === 'user' || guilds === undefined
        ? [callsPerMinute, errorRatio]
        : [guilds / 10, 1 - (1 - errorRatio) ** ((callsPerMinute * 10) / Math.max(guilds, 1))]
    const phases = this.#plan.phases.map(({ name, percentage, durationMs }) => {
      const { powers } = powerReport({
        greenPerMinute: (perMinute * percentage) / 100,
        bluePerMinute: (perMinute * (100 - percentage)) / 100,
        errorRatio: ratio,
        metrics: this.#names.length,
        falseAlarmRatio: this.#falseAlarmRatio,
      })
      const found = powers.find(({ minutes }) => minutes !== undefined && minutes * 60_000 <= durationMs)
      const within = `${JSON.stringify(name)} (${percentage} %, ${formatDuration(durationMs)})`
      if (found === undefined) return `${within}: not even 5 times the errors, so it will hold`
      return `${within}: ${found.ratio} times the errors, in about ${formatDuration((found.minutes ?? 0) * 60_000)}`
    })
    return `What each phase can find by itself: ${phases.join('; ')}.`
  }

  /** Each phase that begins has a smaller share of what the phases may be wrong. */
  #judgeOfPhase({ begun }: RolloutJudgeState): Judge<Metrics> | undefined {
    if (this.#whole === undefined) return undefined
    return new Judge({ metrics: this.#metrics, falseAlarmRatio: this.#falseAlarmRatio / (begun * (begun + 1)) })
  }

  #observe(state: JudgeState<Metrics>, samples: readonly NamedSample[]): JudgeState<Metrics> {
    let next = state
    if (this.#whole === undefined) return next
    for (const [name, sample] of samples) {
      if (this.#names.includes(name)) next = this.#whole.observe(next, name, sample)
    }
    return next
  }

  #countCompared(
    compared: RolloutJudgeState['compared'],
    samples: readonly NamedSample[],
  ): RolloutJudgeState['compared'] {
    const next = { ...compared }
    for (const [name, sample] of samples) {
      if (this.#names.includes(name) && hasBoth(sample)) next[name] = (next[name] ?? 0) + 1
    }
    return next
  }

  #observeMemory(state: MemoryState | null, samples: readonly MemorySample[]): MemoryState | null {
    const metric = this.#memory
    if (metric === undefined || samples.length === 0) return state
    return samples.reduce((before, sample) => metric.observe(before, sample), state ?? metric.start())
  }
}

/** By user, calls of one process's interval are compared: those of different users are independent. */
function timesOf({ latencies: { green, blue } }: TallyDifference): NamedSample {
  return ['latency', { green: green.map(([ms]) => ms), blue: blue.map(([ms]) => ms) }]
}

/** Whether a sample has something of both paths to compare. */
function hasBoth(sample: object): boolean {
  const sides = sample as Partial<Both<readonly number[] | { readonly expected?: number; readonly users?: number }>>
  return [sides.green, sides.blue].every((side) => {
    const weight = Array.isArray(side)
      ? side.length
      : ((side as { expected?: number; users?: number }).expected ?? (side as { users?: number }).users)
    return (weight ?? 0) > 0
  })
}

/** What is too rare to be counted by guild: reports, and failures of the database beside the calls of each path. */
function rareEvents(
  atMs: number,
  { processes, users }: RolloutInterval,
  database: Both<DatabaseCounts> | undefined,
  hour: RecentHour,
): NamedSample[] {
  const calls: Sides<number> = {
    green: hour.reduce((sum, slot) => sum + slot.calls, 0),
    blue: hour.reduce((sum, slot) => sum + slot.blueCalls, 0),
  }
  const sample = (green: number, blue: number, of: Sides<number>): object => {
    return { atMs, green: { reports: green, users: of.green }, blue: { reports: blue, users: of.blue } }
  }
  const reports = sample(total(processes, 'green', 'reports'), total(processes, 'blue', 'reports'), users ?? calls)
  if (database === undefined) return [['reports', reports]]
  const { green, blue } = database
  return [
    ['reports', reports],
    ['connection failures', sample(amount(green.connectionFailures), amount(blue.connectionFailures), calls)],
    ['query timeouts', sample(amount(green.queryTimeouts), amount(blue.queryTimeouts), calls)],
  ]
}

function total(
  processes: readonly TallyDifference[],
  side: 'green' | 'blue',
  field: 'calls' | 'failures' | 'reports',
): number {
  return processes.reduce((sum, each) => sum + amount(each[side][field]), 0)
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
