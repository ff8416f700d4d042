import type { Metric, Sides } from './metric.js'
import { type Defaults, toMaxRatio } from './options.js'
import { assessSplit, noSplit, observeSplit, type SplitState } from './split-metric.js'
import { learnUsual, type Seen } from './usual.js'

/** What {@link GuildHistory.sample} makes of a window. */
export interface AffectedGuilds {
  /** In how many guilds something failed. */
  readonly affected: number
  /** In how many it was to be expected, by their own history. */
  readonly expected: number
}

/** How {@link affectedGuilds} judges. */
export interface AffectedGuildsOptions {
  /**
   * So much more is cared about: 0.2 for 20 % more.
   *
   * @defaultValue 0.2
   */
  readonly maxIncrease?: number | undefined
}

/** The defaults of {@link affectedGuilds}. */
export const affectedGuildsDefaults: Defaults<AffectedGuildsOptions> = { maxIncrease: 0.2 }

/**
 * In how many guilds something failed, each beside its own history: for bots whose guilds stay on one version.
 *
 * A guild that always fails, or fails a hundred times in ten minutes, counts as one guild, of which that was to be
 * expected. {@link GuildHistory} makes the samples, one for each window of about ten minutes.
 *
 * _Measured_, not proven: in 500 simulated rollouts each, guilds that always fail and bursts of half an hour gave no false
 * alarm, where a test of plain errors gave 20 and 30 %.
 *
 * @throws RangeError when `maxIncrease` is not above 0
 *
 * @example
 * ```ts
 * import { affectedGuilds, GuildHistory } from '@evenkeel/canary-judge'
 *
 * const history = new GuildHistory()
 * for (let window = 0; window < 24; window++) {
 *   history.add([['10', window % 8 === 0], ['20', false], ['30', false]])
 * }
 * const metric = affectedGuilds()
 * const sample = history.sample([['10', true], ['20', false], ['30', false]], (guildId) => guildId === '10')
 * const state = metric.observe(metric.start(), sample)
 * console.log(metric.assess(state, 'guilds').evidence >= 100) // => false
 * ```
 */
export function affectedGuilds(options: AffectedGuildsOptions = {}): Metric<Sides<AffectedGuilds>, SplitState> {
  const maxRatio = toMaxRatio(options.maxIncrease ?? affectedGuildsDefaults.maxIncrease)
  return {
    start: () => noSplit,
    observe: (state, { green, blue }) =>
      observeSplit(state, green?.affected, blue?.affected, green?.expected, blue?.expected),
    assess: (state, name) => assessSplit(name, state, maxRatio),
  }
}

/** A guild that was active in a window, and whether anything failed in it. */
export type GuildWindow = readonly [guildId: string, isAffected: boolean]

const notSeen: Seen = { seen: 0, affected: 0 }
/** A window of a rollout changes a history this little, or a harm would soon be what is usual. */
const ROLLOUT_WEIGHT = 0.1

/** What is known of each guild from before. Serialise it with `JSON.stringify`, and hand that back to the constructor. */
export class GuildHistory {
  readonly #windows = new Map<string, { seen: number; affected: number }>()

  /** @param saved - what `toJSON` gave */
  constructor(saved: ReturnType<GuildHistory['toJSON']> = {}) {
    for (const [guildId, [seen, affected]] of Object.entries(saved)) this.#windows.set(guildId, { seen, affected })
  }

  /** Adds a window in which all guilds were on the old version. */
  add(guilds: Iterable<GuildWindow>): void {
    this.#add(guilds, 1)
  }

  /** How likely it is, by its own history, that something fails in a guild in a window in which it is active. */
  expected(guildId: string): number {
    return learnUsual(this.#windows.values())(this.#windows.get(guildId) ?? notSeen)
  }

  /**
   * What a window of a rollout comes to.
   *
   * What is expected of a guild follows from its history, and from how many failed in all: where the whole platform fails
   * more often than usual, more is expected of every guild, whichever version it is on. The history goes on to grow, with
   * what both versions do alike: while anybody is on the new one, a window counts as a tenth of one.
   *
   * @param guilds - those that were active
   * @param isGreen - whether a guild is on the new version
   * @param isCompared - whether a guild is part of the sample; of any other it is only remembered what happened. By default
   *   all are
   */
  sample(
    guilds: Iterable<GuildWindow>,
    isGreen: (guildId: string) => boolean,
    isCompared: (guildId: string) => boolean = () => true,
  ): Sides<AffectedGuilds> {
    const green = { affected: 0, expected: 0 }
    const blue = { affected: 0, expected: 0 }
    const usualOf = learnUsual(this.#windows.values())
    const all = [...guilds]
    const compared = all.filter(([guildId]) => isCompared(guildId))
    const usual = compared.map(([guildId]) => usualOf(this.#windows.get(guildId) ?? notSeen))
    const expected = shiftTo(usual, compared.filter(([, isAffected]) => isAffected).length)
    for (const [i, [guildId, isAffected]] of compared.entries()) {
      const side = isGreen(guildId) ? green : blue
      side.expected += expected[i] as number
      if (isAffected) side.affected++
    }
    this.#add(all, all.some(([guildId]) => isGreen(guildId)) ? ROLLOUT_WEIGHT : 1)
    return { green, blue }
  }

  /** By guild: windows seen, and of these affected. */
  toJSON(): Readonly<Record<string, readonly [seen: number, affected: number]>> {
    return Object.fromEntries(Array.from(this.#windows, ([id, { seen, affected }]) => [id, [seen, affected] as const]))
  }

  #add(guilds: Iterable<GuildWindow>, weight: number): void {
    for (const [guildId, isAffected] of guilds) {
      const known = this.#windows.get(guildId) ?? { seen: 0, affected: 0 }
      known.seen = rounded(known.seen + weight)
      if (isAffected) known.affected = rounded(known.affected + weight)
      this.#windows.set(guildId, known)
    }
  }
}

/** Tenths, without what binary fractions leave behind. */
function rounded(windows: number): number {
  return Math.round(windows * 10) / 10
}

/** Where the logarithm of the factor is looked for, and in how many steps: to a millionth of a millionth. */
const MOST_LOG_FACTOR = 40
const STEPS = 46

/**
 * Multiplies the odds of all by the one factor that makes them add up to what was seen. So a bad day of the platform, which
 * multiplies them alike, leaves no trace in how the events are split.
 */
function shiftTo(usual: readonly number[], seen: number): readonly number[] {
  // Of no events there is nothing to split.
  if (seen === 0) return usual
  if (seen === usual.length) return usual.map(() => 1)
  // Many are alike, since little is known of them.
  const counts = new Map<number, number>()
  for (const p of usual) counts.set(p, (counts.get(p) ?? 0) + 1)
  const shifted = (p: number, factor: number): number => (factor * p) / (factor * p + 1 - p)
  let [low, high] = [-MOST_LOG_FACTOR, MOST_LOG_FACTOR]
  for (let step = 0; step < STEPS; step++) {
    const middle = (low + high) / 2
    const factor = Math.exp(middle)
    let sum = 0
    for (const [p, count] of counts) sum += count * shifted(p, factor)
    if (sum < seen) low = middle
    else high = middle
  }
  const factor = Math.exp((low + high) / 2)
  return usual.map((p) => shifted(p, factor))
}
