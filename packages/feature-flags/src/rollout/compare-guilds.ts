import { GuildHistory, type GuildWindow } from '@evenkeel/canary-judge'
import { FairGuilds } from './fair-guilds.js'
import { countFirstFailures, type Active, type GuildSamples, type Strangers } from './strangers.js'

/** Of each guild, or user: windows seen, and of these with failures, in tenths. */
export type Histories = Readonly<Record<string, readonly [seen: number, affected: number]>>

/** What guilds are compared by. */
export interface Compared {
  /** What is usual for each of which something is known. */
  readonly history: Histories
  /** The others: who of them has been seen, and who has failed. */
  readonly strangers: Strangers
}

/** So many guilds, or users, are remembered. */
export const MOST_GUILDS = 10_000
/** One that was seen in so many windows can be compared with itself. With more, fewer doubled errors are found. */
const KNOWN_WINDOWS = 3

/**
 * What a window comes to. Guilds of which something is known are compared with themselves, the others by who fails first.
 * Both would need those on the old path as witnesses, and nobody may be heard twice: so the larger part of those on the
 * new path is compared, and the smaller waits for another window.
 *
 * @param begun - how many phases have begun
 * @param chosen - guilds that are on the new path by choice, not by chance: without a history they compare with nobody
 */
export function compareGuilds(
  before: Compared,
  begun: number,
  chosen: readonly string[],
  active: readonly Active[],
): Compared & { readonly samples: GuildSamples } {
  const isFull = Object.keys(before.history).length >= MOST_GUILDS
  const isByChoice = new Set(chosen)
  const isKnown = new Set(active.map(({ id }) => id).filter((id) => historyOf(before.history, id)[0] >= KNOWN_WINDOWS))
  // Of very many, those that are remembered stand for all.
  const counted = active.filter(({ id }) => !isFull || Object.hasOwn(before.history, id))
  const fresh = counted.filter(({ id, isGreen }) => !isGreen || !(isKnown.has(id) || isByChoice.has(id)))
  const ofFresh = fresh.filter(({ isGreen }) => isGreen).length
  const ofKnown = counted.filter(({ id, isGreen }) => isGreen && isKnown.has(id)).length
  const history = new GuildHistory(before.history)
  // What it does on the old path is what is usual for it, also while others are on the new one.
  const learns = ({ id, isGreen }: Active): boolean => !isGreen && !isKnown.has(id)
  const known = history.sample(
    counted.filter((each) => !learns(each)).map(windowOf),
    isIn(counted.filter(({ isGreen }) => isGreen)),
    (id) => isKnown.has(id),
  )
  history.add(active.filter(learns).map(windowOf))
  const next = new FairGuilds(MOST_GUILDS, Object.entries(history.toJSON())).toJSON()
  if (ofFresh <= ofKnown) {
    return { history: next, strangers: before.strangers, samples: { whole: known, sincePhase: known } }
  }
  return { history: next, ...countFirstFailures(before.strangers, begun, fresh) }
}

/** What is known of a guild. */
export function historyOf(history: Histories, guildId: string): readonly [seen: number, affected: number] {
  return (Object.hasOwn(history, guildId) ? history[guildId] : undefined) ?? [0, 0]
}

function windowOf({ id, isAffected }: Active): GuildWindow {
  return [id, isAffected]
}

function isIn(guilds: readonly Active[]): (id: string) => boolean {
  const ids = new Set(guilds.map(({ id }) => id))
  return (id) => ids.has(id)
}
