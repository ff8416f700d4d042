import type { Sides } from '@evenkeel/canary-judge'
import { FairGuilds } from './fair-guilds.js'
import type { TallyDifference, TimedCall } from './tally.js'

/** How fast each guild was on the old path, by its first calls that were measured. A plain value: kept as JSON. */
export type GuildSpeeds = Readonly<Record<string, readonly [calls: number, meanLog: number]>>

const MOST_GUILDS = 10_000
/** So many calls of a guild tell how fast it is. Later ones do not, or a platform that slows down would hide in them. */
const MOST_CALLS = 20
/** So many calls of a guild are enough to compare it with itself. */
const KNOWN_CALLS = 5
/** So many guilds on the new path are a fair mixture, even if nothing is known of them. */
const MIXED_GUILDS = 20
/** What an ordinary call counts as, for a percentile that is seen as a ratio only. */
const ORDINARY_MS = 100

/**
 * Latencies of one process's interval, to be compared. A guild stays on one path, and a large one is slow on either: so
 * each guild counts once in an interval, beside its own speed on the old path.
 */
export function relativeLatencies(speeds: GuildSpeeds, { latencies }: TallyDifference): Sides<readonly number[]> {
  const [green, blue] = [onePerGuild(latencies.green), onePerGuild(latencies.blue)]
  const all = Object.values(speeds)
  const meanLog = all.length === 0 ? undefined : all.reduce((sum, [, log]) => sum + log, 0) / all.length
  const isMixed = green.length >= MIXED_GUILDS
  const relative = ([tookMs, guildId]: TimedCall): number[] => {
    const [calls, log] = speedOf(speeds, guildId)
    const expected = calls >= KNOWN_CALLS ? log : isMixed ? meanLog : undefined
    return expected === undefined ? [] : [(ORDINARY_MS * Math.max(tookMs, 0.01)) / Math.exp(expected)]
  }
  return { green: green.flatMap(relative), blue: blue.flatMap(relative) }
}

/** Adds what was measured on the old path. */
export function learnSpeeds(speeds: GuildSpeeds, processes: readonly TallyDifference[]): GuildSpeeds {
  const learnt = new Map<string, readonly [number, number]>()
  for (const { latencies } of processes) {
    for (const [tookMs, guildId] of onePerGuild(latencies.blue)) {
      const [calls, meanLog] = learnt.get(guildId ?? '') ?? speedOf(speeds, guildId)
      if (guildId === null || calls >= MOST_CALLS) continue
      learnt.set(guildId, [calls + 1, meanLog + (Math.log(Math.max(tookMs, 0.01)) - meanLog) / (calls + 1)])
    }
  }
  if (learnt.size === 0) return speeds
  const kept = new FairGuilds(MOST_GUILDS, Object.entries(speeds))
  for (const [guildId, speed] of learnt) kept.set(guildId, speed)
  return kept.toJSON()
}

function speedOf(speeds: GuildSpeeds, guildId: string | null): readonly [calls: number, meanLog: number] {
  return (guildId !== null && Object.hasOwn(speeds, guildId) ? speeds[guildId] : undefined) ?? [0, 0]
}

/** The first of each guild. Calls outside of guilds have no history, and are left out. */
function onePerGuild(calls: readonly TimedCall[]): TimedCall[] {
  const seen = new Set<string>()
  return calls.filter(([, guildId]) => {
    if (guildId === null || seen.has(guildId)) return false
    seen.add(guildId)
    return true
  })
}
