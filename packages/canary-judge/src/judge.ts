import type { Assessment, Metric } from './metric.js'
import type { Defaults } from './options.js'

/** Metrics by name. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- each has samples and a state of its own
export type Metrics = Readonly<Record<string, Metric<any, any>>>

/** What a rollout is judged by. */
export interface JudgeOptions<M extends Metrics> {
  /** By name. They share one error budget. */
  readonly metrics: M
  /**
   * The chance, over the whole rollout and all of its metrics, to find a version guilty that is no worse. Above 0, below 1.
   *
   * @defaultValue 0.01
   */
  readonly falseAlarmRatio?: number | undefined
}

/** The defaults of a {@link Judge}. */
export const judgeDefaults: Defaults<Omit<JudgeOptions<Metrics>, 'metrics'>> = { falseAlarmRatio: 0.01 }

/** What a metric is given. */
export type SampleOf<T> = T extends Metric<infer Sample, infer _> ? Sample : never
/** What a metric remembers. */
export type StateOf<T> = T extends Metric<infer _, infer State> ? State : never

/** What is known of a rollout. Plain numbers: keep it as JSON, and go on from there after a crash. */
export type JudgeState<M extends Metrics> = { readonly [Name in keyof M]: StateOf<M[Name]> }

/**
 * `HARMFUL`: the new version is worse, and by so much that it is cared about. `SAFE`: what is cared about is ruled out, in
 * every metric. `UNKNOWN`: neither, yet.
 */
export type Verdict = 'SAFE' | 'HARMFUL' | 'UNKNOWN'

/** A verdict, and what it rests on. */
export interface Judgement<M extends Metrics = Metrics> {
  /** Whether the new version is worse. */
  readonly verdict: Verdict
  /** The e-value of the whole rollout: the verdict is HARMFUL at `1 / falseAlarmRatio`. */
  readonly evidence: number
  /** Why, as a sentence. */
  readonly message: string
  /** What each metric says. */
  readonly metrics: { readonly [Name in keyof M]: Assessment }
}

/** What to do when a phase of a rollout ends. */
export interface PhaseEnd {
  /** `advance`, `roll back`, or `hold`: wait for more evidence, or ask a person. */
  readonly action: 'advance' | 'hold' | 'roll back'
  /** Why, as a sentence. */
  readonly message: string
}

/**
 * Judges a rollout by several metrics, with one error budget for all of them and for all of its phases.
 *
 * It remembers nothing itself: {@link Judge.start} gives a state, {@link Judge.observe} the next one.
 *
 * @typeParam M - the metrics
 *
 * @example
 * ```ts
 * import { errorRate, Judge, latency } from '@evenkeel/canary-judge'
 *
 * const judge = new Judge({ metrics: { errors: errorRate(), latency: latency() } })
 * let state = judge.start()
 * for (let minute = 1; minute <= 10; minute++) {
 *   state = judge.observe(state, 'errors', { green: { requests: 200, errors: 8 }, blue: { requests: 1_800, errors: 18 } })
 * }
 * console.log(judge.judge(state).verdict) // => HARMFUL
 * ```
 */
export class Judge<M extends Metrics> {
  readonly #metrics: M
  readonly #falseAlarmRatio: number

  /**
   * @param options - the metrics, and how often to be wrong
   * @throws RangeError when there are no metrics or `falseAlarmRatio` is out of its range
   */
  constructor({ metrics, falseAlarmRatio = judgeDefaults.falseAlarmRatio }: JudgeOptions<M>) {
    if (Object.keys(metrics).length === 0) throw new RangeError('metrics is empty; name at least one')
    if (!(falseAlarmRatio > 0 && falseAlarmRatio < 1)) {
      throw new RangeError(`falseAlarmRatio must be above 0 and below 1, such as 0.01, not ${falseAlarmRatio}`)
    }
    this.#metrics = metrics
    this.#falseAlarmRatio = falseAlarmRatio
  }

  /** Before the first sample. Once for each rollout: evidence is never reset by a phase. */
  start(): JudgeState<M> {
    return this.#map((metric) => metric.start() as unknown) as JudgeState<M>
  }

  /**
   * Takes in a sample.
   *
   * @param state - from before
   * @param name - of which metric
   * @param sample - what was measured
   * @returns the state from now on
   * @throws RangeError when there is no such metric
   */
  observe<Name extends keyof M & string>(state: JudgeState<M>, name: Name, sample: SampleOf<M[Name]>): JudgeState<M> {
    const metric = Object.hasOwn(this.#metrics, name) ? this.#metrics[name] : undefined
    if (metric === undefined) {
      const known = Object.keys(this.#metrics).join(', ')
      throw new RangeError(`There is no metric ${JSON.stringify(name)}; there are ${known}`)
    }
    // To copy and then set is faster than one literal that does both.
    const next: { -readonly [Each in keyof M]: StateOf<M[Each]> } = { ...state }
    next[name] = metric.observe(state[name], sample) as StateOf<M[Name]>
    return next
  }

  /** Says what is known, at any time and as often as you like. */
  judge(state: JudgeState<M>): Judgement<M> {
    const metrics = this.#map((metric, name) => metric.assess(state[name], name))
    const all = Object.values<Assessment>(metrics)
    // The mean of e-values is an e-value, and to count a smaller one for some of them keeps it one.
    const harmful = all.filter(({ isEffectReached }) => isEffectReached)
    const evidence = all.reduce((sum, each) => sum + each.evidence, 0) / all.length
    const isHarmful = harmful.reduce((sum, each) => sum + each.evidence, 0) / all.length >= 1 / this.#falseAlarmRatio
    if (isHarmful) {
      const [worst] = harmful.toSorted((a, b) => b.evidence - a.evidence)
      return { verdict: 'HARMFUL', evidence, message: worst?.message ?? '', metrics }
    }
    const message = all.map((each) => each.message).join('; ')
    return { verdict: all.every(({ isSafe }) => isSafe) ? 'SAFE' : 'UNKNOWN', evidence, message, metrics }
  }

  /**
   * Says what to do at the end of a phase. `UNKNOWN` advances if a harm of three times is ruled out, in every metric that
   * has enough events for that: of reports and of memory only what is seen counts.
   */
  endPhase(state: JudgeState<M>): PhaseEnd {
    const { verdict, message, metrics } = this.judge(state)
    if (verdict === 'HARMFUL') return { action: 'roll back', message }
    if (verdict === 'SAFE') return { action: 'advance', message: `What is cared about is ruled out: ${message}` }
    const open = Object.values<Assessment>(metrics).filter(({ holdsPhase }) => holdsPhase)
    if (open.length === 0) return { action: 'advance', message: `A harm of three times is ruled out: ${message}` }
    const why = open.map((each) => each.message).join('; ')
    return { action: 'hold', message: `A harm of three times is not ruled out yet: ${why}` }
  }

  #map<T>(each: (metric: M[string], name: string) => T): { readonly [Name in keyof M]: T } {
    const entries = Object.entries(this.#metrics).map(([name, metric]) => [name, each(metric as M[string], name)])
    return Object.fromEntries(entries) as { readonly [Name in keyof M]: T }
  }
}
