import type { Sides } from '@evenkeel/canary-judge'
import { MOST_GUILDS } from './compare-guilds.js'
import { FairGuilds } from './fair-guilds.js'
import type { TallyDifference, TimedCall } from './tally.js'

/** How fast each guild was on the old path, by its first calls that were measured. A plain value: kept as JSON. */
export type GuildSpeeds = Readonly<Record<string, readonly [calls: number, meanLog: number]>>

/** So many calls of a guild tell how fast it is. Later ones do not, or a platform that slows down would hide in them. */
const MOST_CALLS = 20
/** So many calls of a guild are enough to compare it with itself: with fewer, what one of them took by chance would stay. */
const KNOWN_CALLS = 20
/** So many guilds on the new path are the least that tell anything: each is compared again and again. */
const LEAST_GUILDS = 5
/** So many guilds on the new path are a fair mixture, even if nothing is known of them. */
const MIXED_GUILDS = 20
/** What an ordinary call counts as, for a percentile that is seen as a ratio only. */
const ORDINARY_MS = 100
/** So much a call changes what is known of a guild, on either path: what was measured wrong at first wears off. */
const LATER_WEIGHT = 0.02

/** How long the first call of each guild in a window took, by the path it was on. A plain value: kept as JSON. */
export type TimedGuilds = Sides<Readonly<Record<string, number>>>

/** No call was measured. */
export const noTimes: TimedGuilds = { green: {}, blue: {} }

/** Adds the guilds of which a call was measured. One that was on both paths belongs to the new one. */
export function addTimes(timed: TimedGuilds, processes: readonly TallyDifference[]): TimedGuilds {
  const kept = {
    green: new FairGuilds(MOST_GUILDS, Object.entries(timed.green)),
    blue: new FairGuilds(MOST_GUILDS, Object.entries(timed.blue)),
  }
  for (const { latencies } of processes) {
    for (const side of ['green', 'blue'] as const) {
      for (const [tookMs, guildId] of onePerGuild(latencies[side])) {
        if (kept[side].get(guildId) === undefined) kept[side].set(guildId, Number(tookMs.toPrecision(4)))
      }
    }
  }
  const green = kept.green.toJSON()
  const blue = Object.entries(kept.blue.toJSON()).filter(([guildId]) => !Object.hasOwn(green, guildId))
  return { green, blue: Object.fromEntries(blue) }
}

/**
 * Latencies of a window, to be compared. A guild stays on one path, and a large one is slow on either: so each guild
 * counts once in a window, beside its own speed on the old path.
 */
export function relativeLatencies(speeds: GuildSpeeds, timed: TimedGuilds): Sides<readonly number[]> {
  const all = Object.values(speeds)
  const meanLog = all.length === 0 ? undefined : all.reduce((sum, [, log]) => sum + log, 0) / all.length
  const isMixed = Object.keys(timed.green).length >= MIXED_GUILDS
  const relative = (times: Readonly<Record<string, number>>): number[] =>
    Object.entries(times).flatMap(([guildId, tookMs]) => {
      const [calls, log] = speedOf(speeds, guildId)
      const expected = calls >= KNOWN_CALLS ? log : isMixed ? meanLog : undefined
      return expected === undefined ? [] : [(ORDINARY_MS * Math.max(tookMs, 0.01)) / Math.exp(expected)]
    })
  const sides = { green: relative(timed.green), blue: relative(timed.blue) }
  return sides.green.length >= LEAST_GUILDS ? sides : { green: [], blue: [] }
}

/** What is known of each guild after a window, of both paths alike. */
export function adjustSpeeds(speeds: GuildSpeeds, { green, blue }: TimedGuilds): GuildSpeeds {
  const timed = { ...blue, ...green }
  const known = Object.entries(speeds).map(([guildId, [calls, log]]): [string, readonly [number, number]] => {
    const tookMs = Object.hasOwn(timed, guildId) ? timed[guildId] : undefined
    if (tookMs === undefined || calls < KNOWN_CALLS) return [guildId, [calls, log]]
    return [guildId, [calls, rounded(log + LATER_WEIGHT * (Math.log(Math.max(tookMs, 0.01)) - log))]]
  })
  return Object.fromEntries(known)
}

/** Adds what was measured on the old path. */
export function learnSpeeds(speeds: GuildSpeeds, processes: readonly TallyDifference[]): GuildSpeeds {
  const learnt = new Map<string, readonly [number, number]>()
  for (const { latencies } of processes) {
    for (const [tookMs, guildId] of onePerGuild(latencies.blue)) {
      const [calls, meanLog] = learnt.get(guildId) ?? speedOf(speeds, guildId)
      if (calls >= MOST_CALLS) continue
      const log = Math.log(Math.max(tookMs, 0.01))
      learnt.set(guildId, [calls + 1, rounded(meanLog + (log - meanLog) / (calls + 1))])
    }
  }
  if (learnt.size === 0) return speeds
  const kept = new FairGuilds(MOST_GUILDS, Object.entries(speeds))
  for (const [guildId, speed] of learnt) kept.set(guildId, speed)
  return kept.toJSON()
}

/** To a tenth of a percent of the speed: there may be ten thousand. */
function rounded(log: number): number {
  return Math.round(log * 1_000) / 1_000
}

function speedOf(speeds: GuildSpeeds, guildId: string): readonly [calls: number, meanLog: number] {
  return (Object.hasOwn(speeds, guildId) ? speeds[guildId] : undefined) ?? [0, 0]
}

/** The first of each guild. Calls outside of guilds have no history, and are left out. */
function onePerGuild(calls: readonly TimedCall[]): (readonly [tookMs: number, guildId: string])[] {
  const first = new Map<string, number>()
  for (const [tookMs, guildId] of calls) {
    if (guildId !== null && isAmount(tookMs) && !first.has(guildId)) first.set(guildId, tookMs)
  }
  return Array.from(first, ([guildId, tookMs]) => [tookMs, guildId] as const)
}

function isAmount(value: number): boolean {
  return Number.isFinite(value) && value >= 0
}
