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
import { learnSpeeds, relativeLatencies, type GuildSpeeds } from './guild-speeds.js'
import { failingGuilds, noGuilds, watchGuilds, type GuildWatch } from './guild-watch.js'
import type { RolloutPlan } from './plan.js'
import { addToHour, amount, findPassedLimit, type DatabaseCounts, type RecentHour } from './recent-hour.js'
import type { Both, TallyDifference } from './tally.js'
import { metricsOf } from './triggers.js'

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
  /** The furthest phase that has begun. */
  readonly phase: number
  /** The evidence of the whole rollout. */
  readonly whole: JudgeState<Metrics>
  /** The evidence since the furthest phase began, for a harm that more traffic brings to light. */
  readonly sincePhase: JudgeState<Metrics>
  /** What memory was used; `null` when nobody said. */
  readonly memory: MemoryState | null
  /** The last hour, for absolute limits. */
  readonly hour: RecentHour
  /** Guilds, and what is usual for each. */
  readonly guilds: GuildWatch
  /** How fast each guild is. */
  readonly speeds: GuildSpeeds
  /** Calls of the new path, and those that failed. */
  readonly green: {
    /** How many there were. */
    readonly calls: number
    /** How many of them failed. */
    readonly failures: number
  }
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

/** A path of which fewer calls fail is well, even if there is nothing to compare it with. */
const RARE = 0.001

/**
 * Judges a rollout by the triggers of its plan. It remembers nothing: each method takes a state, and `observe` gives the
 * next one.
 *
 * Half of the chance of a false alarm is for the evidence of the whole rollout, and half is shared out among the phases
 * for the evidence of each: a harm that first shows at a larger share is not outweighed by the good days before it.
 */
export class RolloutJudge {
  readonly #plan: RolloutPlan
  readonly #by: BucketBy
  readonly #names: readonly string[]
  readonly #whole: Judge<Metrics> | undefined
  readonly #sincePhase: Judge<Metrics> | undefined
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
    this.#names = Object.keys(metrics)
    this.#memory = memoryIncrease === undefined ? undefined : memoryGrowth({ maxIncrease: memoryIncrease })
    this.#falseAlarmRatio = falseAlarmRatio / 2
    if (this.#names.length === 0) return
    this.#whole = new Judge({ metrics, falseAlarmRatio: falseAlarmRatio / 2 })
    this.#sincePhase = new Judge({ metrics, falseAlarmRatio: falseAlarmRatio / 2 / plan.phases.length })
  }

  /** Before the first interval. Once for each rollout, and again when the code that is rolled out is another one. */
  start(): RolloutJudgeState {
    return {
      format: 1,
      elapsedMs: 0,
      phase: 0,
      whole: this.#whole?.start() ?? {},
      sincePhase: this.#sincePhase?.start() ?? {},
      memory: null,
      hour: [],
      guilds: noGuilds,
      speeds: {},
      green: { calls: 0, failures: 0 },
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
    const isLater = interval.phase > state.phase
    const { watch: guilds, sample } = watchGuilds(state.guilds, elapsedMs, processes)
    const apart = 'green' in database ? database : undefined
    const hour = addToHour(
      state.hour,
      elapsedMs,
      { processes, database: apart === undefined ? (database as DatabaseCounts) : {}, satisfaction },
      this.#plan.triggers,
    )
    const samples = [
      ...processes.flatMap((each) => this.#samplesOf(each, state.speeds)),
      ...(sample === undefined ? [] : [['guilds with errors', sample] as const]),
      ...rareEvents(elapsedMs, interval, apart, hour),
    ]
    const catastrophe = findCatastrophe({ ...failingGuilds(guilds), restarts: amount(restarts), storage })
    return {
      format: 1,
      elapsedMs,
      phase: isLater ? interval.phase : state.phase,
      whole: this.#observe(this.#whole, state.whole, samples),
      sincePhase: this.#observe(this.#sincePhase, isLater ? this.#sincePhase?.start() : state.sincePhase, samples),
      memory: this.#observeMemory(state.memory, memory),
      hour,
      guilds,
      speeds: this.#by === 'guild' ? learnSpeeds(state.speeds, processes) : state.speeds,
      green: {
        calls: state.green.calls + total(processes, 'green', 'calls'),
        failures: state.green.failures + total(processes, 'green', 'failures'),
      },
      catastrophe: catastrophe?.replace(/\.$/, '') ?? null,
    }
  }

  /** Says what is known, at any time and as often as you like. */
  judge(state: RolloutJudgeState): RolloutJudgement {
    const whole = this.#whole?.judge(state.whole)
    const sincePhase = this.#sincePhase?.judge(state.sincePhase)
    const evidence = Math.min(whole?.evidence ?? 1, Number.MAX_VALUE)
    if (state.catastrophe !== null) return { action: 'ROLLBACK', why: state.catastrophe, evidence }
    if (whole?.verdict === 'HARMFUL') return { action: 'ROLLBACK', why: whole.message, evidence }
    if (sincePhase?.verdict === 'HARMFUL') {
      return { action: 'ROLLBACK', why: `since the phase began, ${sincePhase.message}`, evidence }
    }
    const limit = findPassedLimit(state.hour, this.#plan.triggers, this.#by)
    if (limit !== undefined) return { ...limit, evidence }
    const memory = state.memory === null ? undefined : this.#memory?.assess(state.memory, 'memory')
    if (memory?.isEffectReached === true) return { action: 'PAUSE', why: memory.message, evidence }
    return { action: 'CONTINUE', why: whole?.message ?? 'the plan names no trigger to compare by', evidence }
  }

  /**
   * Says what to do when the time of a phase is over. It goes on when a harm of three times is ruled out, or when the new
   * path fails less than once in a thousand calls; without enough evidence it holds.
   */
  endPhase(state: RolloutJudgeState): PhaseJudgement {
    const { action, why } = this.judge(state)
    if (action === 'ROLLBACK') return { action: 'roll back', why }
    if (action === 'PAUSE') return { action: 'hold', why }
    if (this.#whole === undefined) return { action: 'advance', why: 'the time is over, and nothing is compared' }
    const phase = this.#plan.phases[state.phase]
    if (phase !== undefined && phase.percentage === 0 && phase.targetGuilds.length === 0) {
      return { action: 'advance', why: 'the time is over, and nobody has it on yet' }
    }
    const { verdict, message, metrics } = this.#whole.judge(state.whole)
    if (verdict === 'SAFE') return { action: 'advance', why: `what is cared about is ruled out: ${message}` }
    const isRare = failsRarely(state.green)
    const open = Object.entries<Assessment>(metrics).filter(([name, { holdsPhase }]) => {
      return holdsPhase && !(isRare && name.endsWith('errors'))
    })
    if (open.length > 0) {
      const reasons = open.map(([, each]) => each.message).join('; ')
      return { action: 'hold', why: `a harm of three times is not ruled out yet: ${reasons}` }
    }
    if (!isRare) return { action: 'advance', why: `a harm of three times is ruled out: ${message}` }
    const { calls, failures } = state.green
    return { action: 'advance', why: `of ${calls} calls of the new path ${failures} failed: ${message}` }
  }

  /**
   * Says before a rollout what its evidence will show in the time of each phase: a plan whose phases are too short for
   * their traffic is a plan by time alone.
   *
   * @param traffic - of the flag
   * @throws RangeError when a figure is out of its range
   */
  power({ callsPerMinute, errorRatio, guilds }: RolloutTraffic): string {
    if (!this.#names.some((name) => name.endsWith('errors'))) return 'The plan does not compare errors.'
    if (this.#by === 'guild' && guilds === undefined) {
      throw new RangeError('guilds is missing: how many guilds make a call within ten minutes?')
    }
    // By guild, a guild counts once in ten minutes.
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
      if (found === undefined) return `${within}: not even 5 times the errors; it goes by time alone`
      return `${within}: ${found.ratio} times the errors, in about ${formatDuration((found.minutes ?? 0) * 60_000)}`
    })
    return `What each phase can find by itself: ${phases.join('; ')}.`
  }

  #samplesOf(each: TallyDifference, speeds: GuildSpeeds): (readonly [name: string, sample: unknown])[] {
    const { green, blue, latencies } = each
    if (this.#by === 'guild') return [['latency', relativeLatencies(speeds, each)]]
    const errors = {
      green: { requests: green.calls, errors: green.failures },
      blue: { requests: blue.calls, errors: blue.failures },
    }
    const times = { green: latencies.green.map(([ms]) => ms), blue: latencies.blue.map(([ms]) => ms) }
    return [
      ['errors', errors],
      ['latency', times],
    ]
  }

  #observe(
    judge: Judge<Metrics> | undefined,
    state: JudgeState<Metrics> | undefined,
    samples: readonly (readonly [name: string, sample: unknown])[],
  ): JudgeState<Metrics> {
    let next = state ?? {}
    if (judge === undefined) return next
    for (const [name, sample] of samples) if (this.#names.includes(name)) next = judge.observe(next, name, sample)
    return next
  }

  #observeMemory(state: MemoryState | null, samples: readonly MemorySample[]): MemoryState | null {
    const metric = this.#memory
    if (metric === undefined || samples.length === 0) return state
    return samples.reduce((before, sample) => metric.observe(before, sample), state ?? metric.start())
  }
}

/** What is too rare to be counted by guild: reports, and failures of the database beside the calls of each path. */
function rareEvents(
  atMs: number,
  { processes, users }: RolloutInterval,
  database: Both<DatabaseCounts> | undefined,
  hour: RecentHour,
): (readonly [name: string, sample: unknown])[] {
  const calls: Sides<number> = {
    green: hour.reduce((sum, slot) => sum + slot.calls, 0),
    blue: hour.reduce((sum, slot) => sum + slot.blueCalls, 0),
  }
  const sample = (green: number, blue: number, of: Sides<number>): unknown => {
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
function failsRarely({ calls, failures }: RolloutJudgeState['green']): boolean {
  const little = RARE / 10
  const log = failures * Math.log(little / RARE) + (calls - failures) * Math.log((1 - little) / (1 - RARE))
  return log >= Math.log(20)
}
