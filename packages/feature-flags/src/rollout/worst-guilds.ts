import type { TallyDifference } from './tally.js'

/** The guilds, or users, in which the new path failed most often: its calls, and those that failed. */
export type WorstGuilds = Readonly<Record<string, readonly [calls: number, failures: number]>>

/** As with catastrophes: two guilds may have broken their own settings. */
const WORST = 2
/** So many are kept, so that the worst of an hour are among those of its parts. */
const MOST = 20

/** Adds what happened in an interval. */
export function addToWorst(worst: WorstGuilds, processes: readonly TallyDifference[]): WorstGuilds {
  const all = new Map(Object.entries(worst))
  for (const { guilds } of processes) {
    for (const [id, [calls, failures]] of Object.entries(guilds)) {
      const before = all.get(id)
      if (before === undefined && !(failures > 0)) continue
      all.set(id, [(before?.[0] ?? 0) + calls, (before?.[1] ?? 0) + Math.min(failures, calls)])
    }
  }
  return keepWorst(all)
}

/** The worst of several parts. */
export function joinWorst(parts: readonly WorstGuilds[]): WorstGuilds {
  const all = new Map<string, readonly [number, number]>()
  for (const [id, [calls, failures]] of parts.flatMap((part) => Object.entries(part))) {
    const before = all.get(id) ?? [0, 0]
    all.set(id, [before[0] + calls, before[1] + failures])
  }
  return keepWorst(all)
}

/** What is left of calls and failures without the two worst. */
export function withoutWorst(
  calls: number,
  failures: number,
  worst: WorstGuilds,
): readonly [calls: number, failures: number] {
  const out = sorted(Object.entries(worst)).slice(0, WORST)
  const sum = (at: 0 | 1): number => out.reduce((total, [, counts]) => total + counts[at], 0)
  return [Math.max(0, calls - sum(0)), Math.max(0, failures - sum(1))]
}

function keepWorst(all: ReadonlyMap<string, readonly [number, number]>): WorstGuilds {
  return Object.fromEntries(all.size <= MOST ? all : sorted([...all]).slice(0, MOST))
}

function sorted(entries: readonly (readonly [string, readonly [number, number]])[]): typeof entries {
  return entries.toSorted(([, a], [, b]) => b[1] - a[1])
}
