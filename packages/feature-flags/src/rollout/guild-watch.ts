import type { Sides } from '@evenkeel/canary-judge'
import { compareGuilds, historyOf, MOST_GUILDS, type Compared } from './compare-guilds.js'
import { FairGuilds } from './fair-guilds.js'
import { keepRow, noRow, readRow, type GuildRow, type KeptRow } from './guild-row.js'
import { noStrangers, type Active, type GuildSamples } from './strangers.js'
import type { GuildCounts, TallyDifference } from './tally.js'

/** What is known of each guild, or of each user while the flag is by user. A plain value: kept as JSON. */
export interface GuildWatch extends Compared {
  /** When the window began. */
  readonly startedMs: number
  /** The guilds that were active in it, or are failing since before. */
  readonly window: Readonly<Record<string, KeptRow>>
  /** How many calls of the old path have succeeded. */
  readonly served: number
  /** How many were active in the window before. */
  readonly activeBefore: Sides<number>
}

const WINDOW_MS = 600_000
/** Before anything was seen. */
export const noGuilds: GuildWatch = {
  startedMs: 0,
  window: {},
  served: 0,
  activeBefore: { green: 0, blue: 0 },
  history: {},
  strangers: noStrangers,
}

/** When it is, and in which phase. */
export interface WatchedPhase {
  readonly nowMs: number
  /** How many phases have begun. */
  readonly begun: number
  /** Guilds that are on the new path by choice, not by chance: without a history they are compared with nobody. */
  readonly chosen: readonly string[]
}

/**
 * Adds what happened until now.
 *
 * @returns what is known from now on, and what a window came to if one has ended
 */
export function watchGuilds(
  watch: GuildWatch,
  phase: WatchedPhase,
  processes: readonly TallyDifference[],
): { readonly watch: GuildWatch; readonly samples: GuildSamples | undefined } {
  const rows = new FairGuilds<KeptRow>(MOST_GUILDS, Object.entries(watch.window))
  const ofBlue = { served: 0, failed: 0 }
  for (const { guilds } of processes) {
    for (const [, , blueCalls, blueFailures] of Object.values(guilds)) {
      ofBlue.served += Math.max(0, blueCalls - blueFailures) || 0
      ofBlue.failed += blueFailures || 0
    }
  }
  const served = watch.served + ofBlue.served
  for (const { guilds } of processes) {
    for (const [guildId, counts] of Object.entries(guilds)) {
      const kept = rows.get(guildId)
      const row = kept === undefined ? noRow : readRow(kept)
      rows.set(guildId, keepRow(addCounts(row, counts, watch.served, ofBlue)))
    }
  }
  const next = { ...watch, served }
  if (phase.nowMs - watch.startedMs < WINDOW_MS) {
    return { watch: { ...next, window: rows.toJSON() }, samples: undefined }
  }
  return closeWindow(next, phase, rows)
}

function addCounts(
  row: GuildRow,
  [calls, failures, blueCalls, blueFailures]: GuildCounts,
  servedBefore: number,
  ofBlue: { readonly served: number; readonly failed: number },
): GuildRow {
  const wasFailing = row.failedOnEnd > 0
  const failedOnEnd = onEnd(row.failedOnEnd, calls, failures)
  const isFailing = failedOnEnd > 0
  const failsOn = wasFailing && failedOnEnd > row.failedOnEnd
  // The old path served in between, and serves now: neither is so when an outage of the platform begins or ends.
  const isWitnessed = failsOn && servedBefore - row.servedBefore >= SERVED && ofBlue.served > ofBlue.failed
  return {
    calls: row.calls + calls,
    failures: row.failures + failures,
    blueCalls: row.blueCalls + blueCalls,
    blueFailures: row.blueFailures + blueFailures,
    failedOnEnd,
    blueFailedOnEnd: onEnd(row.blueFailedOnEnd, blueCalls, blueFailures),
    hasNeverWorked: row.hasNeverWorked && failures >= calls && blueFailures >= blueCalls,
    servedBefore: !isFailing ? 0 : wasFailing ? row.servedBefore : servedBefore + ofBlue.served,
    hasWitness: isFailing && (isWitnessed || row.hasWitness),
  }
}

function onEnd(before: number, calls: number, failures: number): number {
  if (calls === 0) return before
  return failures >= calls ? before + calls : 0
}

function closeWindow(
  watch: GuildWatch,
  { nowMs, begun, chosen }: WatchedPhase,
  kept: FairGuilds<KeptRow>,
): { readonly watch: GuildWatch; readonly samples: GuildSamples } {
  const rows = Array.from(kept.entries, ([id, row]) => [id, readRow(row)] as const)
  const active: Active[] = []
  for (const [id, { calls, failures, blueCalls, blueFailures }] of rows) {
    if (calls === 0 && blueCalls === 0) continue
    // One that was on both paths is judged by the new one: when that fails, the flag falls back to the old one.
    active.push({ id, isGreen: calls > 0, isAffected: (calls > 0 ? failures : blueFailures) > 0 })
  }
  const { samples, history, strangers } = compareGuilds(watch, begun, chosen, active)
  const failing = rows.flatMap(([id, row]) => {
    const failedOnEnd = row.calls > 0 ? row.failedOnEnd : 0
    const blueFailedOnEnd = row.blueCalls > 0 ? row.blueFailedOnEnd : 0
    if (failedOnEnd + blueFailedOnEnd === 0) return []
    const counts = { calls: 0, failures: 0, blueCalls: 0, blueFailures: 0, failedOnEnd, blueFailedOnEnd }
    return [[id, keepRow({ ...row, ...counts })] as const]
  })
  return {
    samples,
    watch: {
      startedMs: nowMs,
      served: watch.served,
      window: Object.fromEntries(failing),
      activeBefore: countActive(rows),
      history,
      strangers,
    },
  }
}

function countActive(rows: Iterable<readonly [string, GuildRow]>): Sides<number> {
  let green = 0
  let blue = 0
  for (const [, row] of rows) {
    if (row.calls >= TRIES) green++
    if (row.blueCalls >= TRIES) blue++
  }
  return { green, blue }
}

/** A call that fails is an accident; so many on end are not, in a guild where it worked before. */
const TRIES = 3
/** The old path is given less rope: when it begins to fail too, it is the platform. */
const BLUE_TRIES = 2
/** So many calls of the old path must succeed after a guild began to fail on the new one, and before it fails again. */
const SERVED = 3
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
  const rows = Object.entries(window).map(([id, row]) => [id, readRow(row)] as const)
  const now = countActive(rows)
  const unusual = rows.filter(([guildId]) => {
    const [seen, affected] = historyOf(history, guildId)
    return seen < TRIES || affected / seen < USUAL
  })
  const greenFailing = unusual.flatMap(([guildId, row]) => {
    const [seen, affected] = historyOf(history, guildId)
    // If nothing ever worked in it, nobody can tell that it is the new path.
    const hasWorked = !row.hasNeverWorked || affected < seen
    return row.failedOnEnd >= TRIES && hasWorked && row.hasWitness ? [guildId] : []
  })
  const blueFailing = unusual.flatMap(([guildId, row]) => (row.blueFailedOnEnd >= BLUE_TRIES ? [guildId] : []))
  const greenActive = Math.max(now.green, activeBefore.green, greenFailing.length)
  const isPlain = greenFailing.length >= PLAIN_SHARE * greenActive
  return {
    greenFailing: isPlain ? greenFailing : [],
    blueFailing,
    blueActive: Math.max(now.blue, activeBefore.blue),
  }
}
