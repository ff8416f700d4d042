import {
  Judge,
  memoryGrowth,
  type JudgeState,
  type MemorySample,
  type MemoryState,
  type Metrics,
} from '@evenkeel/canary-judge'
import type { BucketBy } from '../context.js'
import type { RolloutPlan } from './plan.js'
import { errorMetricOf, metricsOf, type ErrorMetric } from './triggers.js'

/** A sample of a metric. */
export type NamedSample = readonly [name: string, sample: object]

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

/** What the triggers of a plan are judged by. */
export class PlanMetrics {
  readonly plan: RolloutPlan
  readonly by: BucketBy
  /** The metric of errors, whether or not the plan has it. */
  readonly errors: ErrorMetric
  /** The metrics that the plan has. */
  readonly names: readonly string[]
  /** What the evidence of the whole rollout is judged by; `undefined` when the plan compares nothing. */
  readonly whole: Judge<Metrics> | undefined
  readonly memory: ReturnType<typeof memoryGrowth> | undefined
  /** The half of the chance of a false alarm that is for the whole rollout; the phases have as much. */
  readonly falseAlarmRatio: number
  readonly #metrics: Metrics

  /** @throws RangeError when a trigger or `falseAlarmRatio` is out of its range */
  constructor({ plan, by, random, falseAlarmRatio = 0.01 }: RolloutJudgeOptions) {
    const { memoryIncrease } = plan.triggers
    this.plan = plan
    this.by = by
    this.errors = errorMetricOf(by)
    this.#metrics = metricsOf(plan.triggers, by, random) as Metrics
    this.names = Object.keys(this.#metrics)
    this.memory = memoryIncrease === undefined ? undefined : memoryGrowth({ maxIncrease: memoryIncrease })
    this.falseAlarmRatio = falseAlarmRatio / 2
    if (this.names.length === 0) return
    this.whole = new Judge({ metrics: this.#metrics, falseAlarmRatio: this.falseAlarmRatio })
  }

  /**
   * What the evidence of a phase is judged by. Each phase that begins has a smaller share of what the phases may be wrong.
   *
   * @param begun - which one it is of those that have begun, from 1
   */
  ofPhase(begun: number): Judge<Metrics> | undefined {
    if (this.whole === undefined) return undefined
    return new Judge({ metrics: this.#metrics, falseAlarmRatio: this.falseAlarmRatio / (begun * (begun + 1)) })
  }

  /** No evidence. */
  start(): JudgeState<Metrics> {
    return this.whole?.start() ?? {}
  }

  /** Adds samples; those of a metric that the plan does not have are passed over. */
  observe(state: JudgeState<Metrics>, samples: readonly NamedSample[]): JudgeState<Metrics> {
    const { whole } = this
    if (whole === undefined) return state
    return samples
      .filter(([name]) => this.names.includes(name))
      .reduce((next, [name, sample]) => whole.observe(next, name, sample), state)
  }

  /** Adds samples of memory. */
  observeMemory(state: MemoryState | null, samples: readonly MemorySample[]): MemoryState | null {
    const { memory } = this
    if (memory === undefined || samples.length === 0) return state
    return samples.reduce((before, sample) => memory.observe(before, sample), state ?? memory.start())
  }
}
