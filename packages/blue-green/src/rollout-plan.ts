import type { DeployOptions } from './deploy-options.js'
import type { JudgeOptions } from './judgement/judge-options.js'

/** A plan as `parsePlan`, `readPlan` and `checkPlan` of `@evenkeel/feature-flags/rollout` give it. */
export interface RolloutPlan {
  /** In order. The percentage never falls. */
  readonly phases: readonly {
    /** For messages. */
    readonly name: string
    /** Green's share, 0 to 100. */
    readonly percentage: number
    /** Guilds that have green whatever the percentage: those of this phase and of all before it. */
    readonly targetGuilds: readonly string[]
    /** How long it takes at least, in ms. */
    readonly durationMs: number
  }[]
  /** What takes it back. What is left out is not judged. */
  readonly triggers: Pick<
    JudgeOptions,
    | 'errorRateIncrease'
    | 'responseTimeIncrease'
    | 'userReports'
    | 'connectionFailures'
    | 'queryTimeouts'
    | 'memoryIncrease'
  >
}

/** What {@link fromRolloutPlan} makes of a plan. */
export interface DeploymentPlan {
  /** For the constructor of `BlueGreen`; `undefined` where the plan names no trigger, and goes by time. */
  readonly judge: JudgeOptions | undefined
  /** For `deploy`. */
  readonly deploy: DeployOptions
}

/**
 * Makes the options of a deployment of a rollout plan, so that one file in YAML drives flags and deployments: each phase is a step
 * with its own time, its target guilds are `first`, and its triggers are what `judge` goes by.
 *
 * @remarks
 * *Gotchas*: phases of the same percentage become one step, of the sum of their times. A trigger that the plan leaves out is not
 * judged, where `judge` by itself would judge errors and latency. The absolute limits of a rollout (`max_error_rate` and its like)
 * are passed on, and `new BlueGreen` refuses them; `deploy` refuses a plan that does not end at 100 %.
 *
 * @param plan - what `parsePlan` gave
 * @throws RangeError when a later phase adds target guilds: a deployment gives them green from its first step on
 *
 * @example
 * ```ts
 * import { fromRolloutPlan } from '@evenkeel/blue-green'
 *
 * const hour = 3_600_000
 * const { judge, deploy } = fromRolloutPlan({
 *   phases: [
 *     { name: 'canary', percentage: 5, targetGuilds: ['81384788765712384'], durationMs: 24 * hour },
 *     { name: 'all', percentage: 100, targetGuilds: ['81384788765712384'], durationMs: 2 * hour },
 *   ],
 *   triggers: { errorRateIncrease: 0.2 },
 * })
 * console.log(deploy.percentages, deploy.stepMs, deploy.first) // => [ 5, 100 ] [ 86400000, 7200000 ] [ '81384788765712384' ]
 * console.log(judge?.errorRateIncrease, judge?.responseTimeIncrease) // => 0.2 false
 * ```
 */
export function fromRolloutPlan({ phases, triggers }: RolloutPlan): DeploymentPlan {
  const first = phases[0]?.targetGuilds ?? []
  const steps = new Map<number, number>()
  for (const { name, percentage, targetGuilds, durationMs } of phases) {
    const added = targetGuilds.find((guildId) => !first.includes(guildId))
    if (added !== undefined) {
      const instead = 'name it in the first phase, which a deployment gives it from'
      throw new RangeError(`Phase ${JSON.stringify(name)} adds the target guild ${JSON.stringify(added)}; ${instead}`)
    }
    steps.set(percentage, (steps.get(percentage) ?? 0) + durationMs)
  }
  // What a plan does not name is not judged; the rest is not judged anyway.
  const named = Object.entries(triggers).filter(([, value]) => value !== undefined)
  return {
    judge:
      named.length === 0
        ? undefined
        : { errorRateIncrease: false, responseTimeIncrease: false, ...Object.fromEntries(named) },
    deploy: { percentages: [...steps.keys()], stepMs: [...steps.values()], first },
  }
}
