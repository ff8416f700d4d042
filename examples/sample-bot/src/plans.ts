import { join } from 'node:path'
import { readPlan, type RolloutPlan } from '@evenkeel/feature-flags/rollout'

/** The flags that are rolled out by a plan. */
export const rolledOut = ['soonestFirst', 'keepNames'] as const

/** A plan for each flag that is rolled out. */
export type Plans = Readonly<Record<(typeof rolledOut)[number], RolloutPlan>>

/** The same plan, faster or slower: how many calls it takes to judge a phase stays as it is. */
export function paced({ phases, triggers }: RolloutPlan, factor: number): RolloutPlan {
  return { triggers, phases: phases.map((phase) => ({ ...phase, durationMs: Math.ceil(phase.durationMs * factor) })) }
}

/** Reads `<flag>.yaml` of each flag that is rolled out. */
export async function readPlans(directory: string): Promise<Plans> {
  const [soonestFirst, keepNames] = await Promise.all(
    rolledOut.map((flag) => readPlan(join(directory, `${flag}.yaml`))),
  )
  return { soonestFirst, keepNames } as Plans
}
