import { GuildHistory, type AffectedGuilds, type GuildWindow, type Sides } from '@evenkeel/canary-judge'
import { FairGuilds } from './fair-guilds.js'
import type { TallyDifference } from './tally.js'

/** What a guild did in the window: calls and failures of each path, and how many calls of each failed on end. */
export type GuildRow = readonly [
  calls: number,
  failures: number,
  blueCalls: number,
  blueFailures: number,
  failedOnEnd: number,
  blueFailedOnEnd: number,
]

/** What is known of each guild. A plain value: kept as JSON. */
export interface GuildWatch {
  /** When the window began. */
  readonly startedMs: number
  /** The guilds that were active in it, or are failing since before. */
  readonly window: Readonly<Record<string, GuildRow>>
  /** How many were active in the window before. */
  readonly activeBefore: Sides<number>
  /** Of each guild: windows seen, and of these with failures. Changes once in ten minutes. */
  readonly history: Readonly<Record<string, readonly [seen: number, affected: number]>>
  /** In how many windows a guild counted that was on the new path before anything was known of it. */
  readonly strangers: Readonly<Record<string, number>>
}

const WINDOW_MS = 600_000
const MOST_GUILDS = 10_000
/** A guild that was seen in so many windows on the old path can be compared with itself. */
const KNOWN_WINDOWS = 3
/** Any other counts in so many windows only: if it always fails, nobody can tell that it did so before. */
const STRANGER_WINDOWS = 2

/** Before anything was seen. */
export const noGuilds: GuildWatch = {
  startedMs: 0,
  window: {},
  activeBefore: { green: 0, blue: 0 },
  history: {},
  strangers: {},
}

/**
 * Adds what happened until `nowMs`.
 *
 * @returns what is known from now on, and what a window came to if one has ended
 */
export function watchGuilds(
  watch: GuildWatch,
  nowMs: number,
  processes: readonly TallyDifference[],
): { readonly watch: GuildWatch; readonly sample: Sides<AffectedGuilds> | undefined } {
  const rows = new FairGuilds<GuildRow>(MOST_GUILDS, Object.entries(watch.window))
  for (const { guilds } of processes) {
    for (const [guildId, counts] of Object.entries(guilds)) {
      const [calls, failures, blueCalls, blueFailures] = counts
      const row = rows.get(guildId) ?? [0, 0, 0, 0, 0, 0]
      rows.set(guildId, [
        row[0] + calls,
        row[1] + failures,
        row[2] + blueCalls,
        row[3] + blueFailures,
        onEnd(row[4], calls, failures),
        onEnd(row[5], blueCalls, blueFailures),
      ])
    }
  }
  if (nowMs - watch.startedMs < WINDOW_MS) return { watch: { ...watch, window: rows.toJSON() }, sample: undefined }
  return closeWindow(watch, nowMs, rows)
}

function onEnd(before: number, calls: number, failures: number): number {
  if (calls === 0) return before
  return failures >= calls ? before + calls : 0
}

function closeWindow(
  watch: GuildWatch,
  nowMs: number,
  rows: FairGuilds<GuildRow>,
): { readonly watch: GuildWatch; readonly sample: Sides<AffectedGuilds> } {
  const green = new Set<string>()
  const sampled: GuildWindow[] = []
  const unsampled: GuildWindow[] = []
  const strangers = new FairGuilds(MOST_GUILDS, Object.entries(watch.strangers))
  const isFull = Object.keys(watch.history).length >= MOST_GUILDS
  for (const [guildId, [calls, failures, blueCalls, blueFailures]] of rows.entries) {
    // One that was on both paths belongs to neither.
    if (calls > 0 === blueCalls > 0) continue
    if (calls > 0) {
      green.add(guildId)
      if (seenOf(watch.history, guildId) < KNOWN_WINDOWS) {
        const times = strangers.get(guildId) ?? 0
        if (times >= STRANGER_WINDOWS) continue
        strangers.set(guildId, times + 1)
      }
    }
    const isKnown = !isFull || Object.hasOwn(watch.history, guildId)
    if (isKnown) sampled.push([guildId, failures + blueFailures > 0])
    else if (blueCalls > 0) unsampled.push([guildId, blueFailures > 0])
  }
  const history = new GuildHistory(watch.history)
  const sample = history.sample(sampled, (guildId) => green.has(guildId))
  history.add(unsampled)
  const failing = Array.from(rows.entries).flatMap(([guildId, row]): [string, GuildRow][] => {
    const [ofGreen, ofBlue] = [row[0] > 0 ? row[4] : 0, row[2] > 0 ? row[5] : 0]
    return ofGreen + ofBlue > 0 ? [[guildId, [0, 0, 0, 0, ofGreen, ofBlue]]] : []
  })
  return {
    sample,
    watch: {
      startedMs: nowMs,
      window: Object.fromEntries(failing),
      activeBefore: countActive(rows.entries),
      history: new FairGuilds(MOST_GUILDS, Object.entries(history.toJSON())).toJSON(),
      strangers: strangers.toJSON(),
    },
  }
}

function seenOf(history: GuildWatch['history'], guildId: string): number {
  return (Object.hasOwn(history, guildId) ? history[guildId]?.[0] : undefined) ?? 0
}

function countActive(rows: Iterable<readonly [string, GuildRow]>): Sides<number> {
  let green = 0
  let blue = 0
  for (const [, row] of rows) {
    if (row[0] >= TRIES) green++
    if (row[2] >= TRIES) blue++
  }
  return { green, blue }
}

/** A call that fails is an accident; so many on end are not, in a guild where it worked before. */
const TRIES = 3
/** The old path is given less rope: when it begins to fail too, it is the platform. */
const BLUE_TRIES = 2
/** So large a part of the guilds must fail: chance finds three among ten thousand. */
const PLAIN_SHARE = 0.1
/** In a guild where something failed in a fifth of all windows, that is nothing new. */
const USUAL = 0.2

/** Guilds in which nothing works any more, for `findCatastrophe`. */
export function failingGuilds({ window, activeBefore, history }: GuildWatch): {
  readonly greenFailing: readonly string[]
  readonly blueFailing: readonly string[]
  readonly blueActive: number
} {
  const rows = Object.entries(window)
  const now = countActive(rows)
  const unusual = rows.filter(([guildId]) => {
    const [seen, affected] = (Object.hasOwn(history, guildId) ? history[guildId] : undefined) ?? [0, 0]
    return seen < TRIES || affected / seen < USUAL
  })
  const greenFailing = unusual.flatMap(([guildId, row]) => (row[4] >= TRIES ? [guildId] : []))
  const blueFailing = unusual.flatMap(([guildId, row]) => (row[5] >= BLUE_TRIES ? [guildId] : []))
  const greenActive = Math.max(now.green, activeBefore.green, greenFailing.length)
  const isPlain = greenFailing.length >= PLAIN_SHARE * greenActive
  return {
    greenFailing: isPlain ? greenFailing : [],
    blueFailing,
    blueActive: Math.max(now.blue, activeBefore.blue),
  }
}
