import type { Sides } from '@evenkeel/canary-judge'

/** What was counted of one path. */
export interface PathCounts {
  /** Calls. */
  readonly calls: number
  /** Calls of which the path failed. */
  readonly failures: number
  /** Complaints of users. */
  readonly reports: number
}

/** What the calls of a guild, or of a user, came to: of the new path, and of the old one. */
export type GuildCounts = readonly [calls: number, failures: number, blueCalls: number, blueFailures: number]

/** How long a call took in milliseconds, and in which guild, or by which user, if there was one. */
export type TimedCall = readonly [tookMs: number, guildId: string | null]

/** What happened in an interval, in one process: green is the new path, and blue the old one at the same time. */
export interface TallyDifference extends Sides<PathCounts> {
  /** By guild, or by user while the flag is by user. Of very many, some that stand for all. */
  readonly guilds: Readonly<Record<string, GuildCounts>>
  /** How long calls took: a fair sample of each path. */
  readonly latencies: Sides<readonly TimedCall[]>
}

/**
 * What a process has counted since it began: a plain value, to be kept where whoever judges can read it. Only the
 * latencies are those since the tally before it.
 */
export interface Tally extends TallyDifference {
  /** The version of this format. */
  readonly format: 1
  /** Which life of which process: never the same again. */
  readonly instance: string
  /** Which one of that life, from 1. */
  readonly sequence: number
}

/** Nothing happened. */
export const noDifference: TallyDifference = {
  green: { calls: 0, failures: 0, reports: 0 },
  blue: { calls: 0, failures: 0, reports: 0 },
  guilds: {},
  latencies: { green: [], blue: [] },
}

/**
 * What happened between two tallies of one process. It is never negative, and whichever tallies were read in between,
 * the differences add up to the same.
 *
 * @param earlier - the tally up to which everything is counted; `undefined` or another life of the process: nothing is
 * @param later - what was read now
 */
export function difference(earlier: Tally | undefined, later: Tally): TallyDifference {
  const before = earlier?.instance === later.instance ? earlier : undefined
  if (before !== undefined && later.sequence <= before.sequence) return noDifference
  const guilds: [string, GuildCounts][] = []
  for (const [guildId, now] of Object.entries(later.guilds)) {
    const then = before !== undefined && Object.hasOwn(before.guilds, guildId) ? before.guilds[guildId] : undefined
    const counts = now.map((count, i) => minus(count, then?.[i])) as unknown as GuildCounts
    if (counts[0] + counts[2] > 0) guilds.push([guildId, counts])
  }
  return {
    green: countsBetween(before?.green, later.green),
    blue: countsBetween(before?.blue, later.blue),
    guilds: Object.fromEntries(guilds),
    latencies: later.latencies,
  }
}

function countsBetween(then: PathCounts | undefined, now: PathCounts): PathCounts {
  return {
    calls: minus(now.calls, then?.calls),
    failures: minus(now.failures, then?.failures),
    reports: minus(now.reports, then?.reports),
  }
}

function minus(now: number, then = 0): number {
  return Math.max(0, now - then) || 0
}

/**
 * Up to where each process has been counted, by the life of the process. A number is the last tally of one that was not
 * there: should it come back, it is counted from then on. A plain value: keep it in one commit with what was judged.
 */
export type Counted = Readonly<Record<string, Tally | number>>

/** So many processes that are gone are remembered. */
const MOST_GONE = 1_000

/**
 * Counts what all processes have done since the last time. A process that ends or restarts loses what it had not handed
 * in, and nothing is counted twice: not a tally that is read twice, late or out of order, nor a process that was away.
 *
 * @param counted - what this gave the last time; `{}` at first
 * @param read - the tallies that are there now, in any order; what is no tally of this format is passed over
 * @param isWhole - whether all were read: a process of which nothing was read is gone then, and else as it was
 */
export function countTallies(
  counted: Counted,
  read: Iterable<unknown>,
  isWhole = true,
): { readonly counted: Counted; readonly differences: readonly TallyDifference[] } {
  const next = new Map<string, Tally | number>()
  const differences: TallyDifference[] = []
  for (const tally of read) {
    if (!isTally(tally)) continue
    const known =
      next.get(tally.instance) ?? (Object.hasOwn(counted, tally.instance) ? counted[tally.instance] : undefined)
    if (typeof known === 'object') {
      const isNewer = tally.sequence > known.sequence
      if (isNewer) differences.push(difference(known, tally))
      next.set(tally.instance, isNewer ? withoutLatencies(tally) : known)
    } else if (known === undefined) {
      differences.push(difference(undefined, tally))
      next.set(tally.instance, withoutLatencies(tally))
    } else {
      next.set(tally.instance, tally.sequence >= known ? withoutLatencies(tally) : known)
    }
  }
  const absent = Object.entries(counted).filter(([instance]) => !next.has(instance))
  for (const [instance, known] of absent.slice(-MOST_GONE)) {
    next.set(instance, isWhole && typeof known === 'object' ? known.sequence : known)
  }
  return { counted: Object.fromEntries(next), differences }
}

/** They are used once: no need to keep them. */
function withoutLatencies(tally: Tally): Tally {
  return { ...tally, latencies: noDifference.latencies }
}

/** Whether it is a tally that this version of the package can read. */
export function isTally(value: unknown): value is Tally {
  if (typeof value !== 'object' || value === null) return false
  const { format, instance, sequence, green, blue, guilds, latencies } = value as Partial<Tally>
  return (
    format === 1 &&
    typeof instance === 'string' &&
    typeof sequence === 'number' &&
    [green, blue].every((counts) => typeof counts === 'object' && counts !== null) &&
    typeof guilds === 'object' &&
    guilds !== null &&
    Object.values(guilds).every((counts) => Array.isArray(counts) && counts.length === 4) &&
    Array.isArray(latencies?.green) &&
    Array.isArray(latencies.blue)
  )
}
