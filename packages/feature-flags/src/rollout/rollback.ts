import type { FlagShare } from './rollout-ports.js'

/** How a gradual rollback goes. */
export interface BatchSettings {
  /** How many guilds leave at once, at least. */
  readonly batchGuilds: number
  /** How long between two batches, in milliseconds. */
  readonly batchDelayMs: number
  /** How long the whole may take, in milliseconds. */
  readonly maxRollbackMs: number
}

/** How many batches there are when nobody says which guilds there are. */
const BATCHES_WITHOUT_GUILDS = 10

/** A guild, and where it stands in the flag's order. */
export interface PlacedGuild {
  readonly id: string
  /** 0 to 100; it is in for a percentage above its place. `undefined` where something else than the percentage decides. */
  readonly place: number | undefined
}

/** How many more batches fit, this one included. At least one. */
export function batchesLeft(elapsedMs: number, { batchDelayMs, maxRollbackMs }: BatchSettings): number {
  return Math.max(0, Math.floor((maxRollbackMs - elapsedMs) / batchDelayMs)) + 1
}

/**
 * What stays in after the next batch of a gradual rollback: those who came last leave first. Pure, and a function of the
 * share alone, so whoever takes over goes on where the last batch ended.
 *
 * @param guilds - those that the bot serves; `undefined` when nobody says
 * @param done - how many batches were taken, and how long that took
 */
export function nextShare(
  share: Pick<FlagShare, 'percentage' | 'targetGuilds'>,
  guilds: readonly PlacedGuild[] | undefined,
  done: { readonly batches: number; readonly elapsedMs: number },
  settings: BatchSettings,
): Pick<FlagShare, 'percentage' | 'targetGuilds'> {
  const fit = batchesLeft(done.elapsedMs, settings)
  // Without a place for any guild, as with a flag that counts users, the percentage is all there is to go by.
  if (guilds === undefined || guilds.every(({ place }) => place === undefined)) {
    return byPercentage(share, Math.max(1, Math.min(BATCHES_WITHOUT_GUILDS - done.batches, fit)))
  }
  const { percentage, targetGuilds } = share
  const targets = new Set(targetGuilds)
  const places = new Map(guilds.map(({ id, place }) => [id, place]))
  for (const id of targets) if (!places.has(id)) places.set(id, undefined)
  const inside = [...places]
    // A target guild without a place came by its name alone.
    .map(([id, place = targets.has(id) ? 100 : undefined]) => ({ id, place }))
    .filter((guild): guild is { id: string; place: number } => {
      return guild.place !== undefined && (targets.has(guild.id) || guild.place < percentage)
    })
    .sort((a, b) => b.place - a.place || (a.id < b.id ? -1 : 1))
  const count = Math.max(settings.batchGuilds, Math.ceil(inside.length / fit))
  if (inside.length <= count) return { percentage: 0, targetGuilds: [] }
  const leaving = inside.slice(0, count)
  const gone = new Set(leaving.map(({ id }) => id))
  // Each batch ends at a place of its own: whoever stands below it stays.
  const lowest = leaving.at(-1)?.place ?? 0
  return {
    percentage: Math.min(percentage, lowest),
    targetGuilds: targetGuilds.filter((id) => !gone.has(id)),
  }
}

/** Equal steps down to nothing, of which `left` remain. */
function byPercentage(
  { percentage, targetGuilds }: Pick<FlagShare, 'percentage' | 'targetGuilds'>,
  left: number,
): Pick<FlagShare, 'percentage' | 'targetGuilds'> {
  const stay = (left - 1) / left
  return {
    percentage: percentage * stay,
    targetGuilds: targetGuilds.slice(0, Math.floor(targetGuilds.length * stay)),
  }
}
