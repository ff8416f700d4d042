import { addTimes, type PathTimes } from './path-times.js'
import type { TallyDifference } from './tally.js'

/** What was seen of the old path. */
export interface OldPath {
  readonly calls: number
  readonly failures: number
  /** How long a sample of them took. */
  readonly times: PathTimes
}

/** What was seen of a flag's calls, by which a rollback is validated, and the power of a rollout is told. Plain JSON. */
export interface Traffic {
  /** How long it was looked at, in milliseconds. */
  readonly forMs: number
  /** Calls of both paths in that time. */
  readonly calls: number
  /** How many guilds made a call in the busiest ten minutes; 0 while that is not known. */
  readonly guilds: number
  /** The old path before a rollback. */
  readonly before: OldPath
  /** The old path after it; `null` until it is looked at. */
  readonly after: OldPath | null
}

const noPath: OldPath = { calls: 0, failures: 0, times: {} }

/** Nothing was seen. */
export const noTraffic: Traffic = { forMs: 0, calls: 0, guilds: 0, before: noPath, after: null }

/** Adds what happened on the way up. */
export function addTraffic(traffic: Traffic, tookMs: number, processes: readonly TallyDifference[]): Traffic {
  return {
    ...traffic,
    forMs: Math.round(traffic.forMs + tookMs),
    calls: processes.reduce((sum, { green, blue }) => sum + green.calls + blue.calls, traffic.calls),
    before: processes.reduce(addPath, traffic.before),
    after: null,
  }
}

/**
 * Adds what happened after a rollback. What is read first belongs to neither time, since part of it was before: it only
 * says from where to count.
 */
export function addAfterwards(traffic: Traffic, processes: readonly TallyDifference[]): Traffic {
  return { ...traffic, after: traffic.after === null ? noPath : processes.reduce(addPath, traffic.after) }
}

function addPath({ calls, failures, times }: OldPath, { blue, latencies }: TallyDifference): OldPath {
  return {
    calls: calls + blue.calls,
    failures: failures + blue.failures,
    times: addTimes(
      times,
      latencies.blue.map(([tookMs]) => tookMs),
    ),
  }
}

/** How long a guild has to make a call to be counted. */
const WINDOW_MS = 600_000

/** Counts the guilds that make a call within ten minutes. */
export class ActiveGuilds {
  readonly #seen = new Set<string>()
  #elapsedMs = 0

  /** @returns what is known of the traffic then */
  add(traffic: Traffic, tookMs: number, processes: readonly TallyDifference[]): Traffic {
    for (const { guilds } of processes) for (const guild of Object.keys(guilds)) this.#seen.add(guild)
    this.#elapsedMs += tookMs
    if (this.#elapsedMs < WINDOW_MS) return traffic
    const guilds = Math.max(traffic.guilds, this.#seen.size)
    this.#seen.clear()
    this.#elapsedMs = 0
    return { ...traffic, guilds }
  }
}
