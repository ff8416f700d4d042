import type { AffectedGuilds, Sides } from '@evenkeel/canary-judge'

/** What is kept of guilds, or users, that were on the new path before anything was known of them. Kept as JSON. */
export interface Strangers {
  /** By stranger: in which phase it was on the new path first. Phases are numbered as they begin, from 1. */
  readonly greenSince: Readonly<Record<string, number>>
  /** The phase of `failed`. */
  readonly phase: number
  /** Who failed in that phase, on either path. */
  readonly failed: readonly string[]
}

/** There were none. */
export const noStrangers: Strangers = { greenSince: {}, phase: 0, failed: [] }

/** What a window came to. */
export interface GuildSamples {
  /** For the evidence of the whole rollout. */
  readonly whole: Sides<AffectedGuilds>
  /** For the evidence of the phase. */
  readonly sincePhase: Sides<AffectedGuilds>
}

/** One that was active in a window. */
export interface Active {
  readonly id: string
  readonly isGreen: boolean
  readonly isAffected: boolean
}

/**
 * Counts who failed for the first time in a phase, beside how many could have done so.
 *
 * Nobody can tell of one that always fails whether it did so before; but it fails for the first time only once. Which path
 * somebody comes to is a matter of chance, and has nothing to do with how often he fails. So of those who fail for the
 * first time as many are on the new path as its part is of all who have not failed yet: that holds whatever anybody does
 * otherwise, however often, and at the same time as whom. It is the log-rank test (Mantel, 1966) by a bet.
 *
 * For the whole rollout only those count that came to the new path in this phase: those from before have been drawn once,
 * and would tell the same thing again.
 */
export function countFirstFailures(
  strangers: Strangers,
  phase: number,
  active: readonly Active[],
): { readonly samples: GuildSamples; readonly strangers: Strangers } {
  const [whole, sincePhase] = [emptySides(), emptySides()]
  const failed = new Set(strangers.phase === phase ? strangers.failed : [])
  const greenSince: Record<string, number> = { ...strangers.greenSince }
  for (const { id, isGreen, isAffected } of active) {
    if (isGreen && !Object.hasOwn(greenSince, id)) greenSince[id] = phase
    if (failed.has(id)) continue
    count(sincePhase, isGreen, isAffected)
    if (!isGreen || greenSince[id] === phase) count(whole, isGreen, isAffected)
    if (isAffected) failed.add(id)
  }
  return { samples: { whole, sincePhase }, strangers: { greenSince, phase, failed: [...failed] } }
}

interface Count {
  affected: number
  expected: number
}

function emptySides(): Record<'green' | 'blue', Count> {
  return { green: { affected: 0, expected: 0 }, blue: { affected: 0, expected: 0 } }
}

function count(sides: ReturnType<typeof emptySides>, isGreen: boolean, isAffected: boolean): void {
  const side = sides[isGreen ? 'green' : 'blue']
  side.expected++
  if (isAffected) side.affected++
}
