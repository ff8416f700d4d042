/** What was seen of one guild: windows, and of these how many with failures. */
export interface Seen {
  readonly seen: number
  readonly affected: number
}

/** How often guilds fail is taken to be one of these, each with twice the odds of the one before, about the mean. */
const LEAST_POWER = -6
/** To be sure of a guild is never right. */
const MOST_LIKELY = 0.9975
/** After so many steps the shares hardly move. */
const STEPS = 20

/**
 * Learns from all guilds how often guilds fail, and says what that makes of one of them.
 *
 * One that failed in one of three windows mostly had bad luck where all fail alike, and mostly does so again where some
 * always fail. Which of the two it is, all of them together tell: the share of each kind of guild that makes what was seen
 * most likely (Kiefer and Wolfowitz, 1956; by the EM algorithm), and of each guild the mean over the kinds it may be of.
 *
 * @param all - what was seen of each
 * @returns how likely a guild of which that was seen is to fail in a window
 */
export function learnUsual(all: Iterable<Seen>): (seen: Seen) => number {
  const groups = groupAlike(all)
  // Not 0, and not 1.
  const affected = groups.reduce((sum, each) => sum + each.affected * each.count, 1)
  const seen = groups.reduce((sum, each) => sum + each.seen * each.count, 2)
  const odds = affected / (seen - affected)
  const kinds: number[] = []
  for (let here = odds * 2 ** LEAST_POWER; kinds.at(-1) !== MOST_LIKELY; here *= 2) {
    kinds.push(Math.min(here / (1 + here), MOST_LIKELY))
  }
  const logs = kinds.map((p) => [Math.log(p), Math.log1p(-p)] as const)
  const likelihoods = (one: Seen): number[] => {
    const each = logs.map(([yes, no]) => one.affected * yes + (one.seen - one.affected) * no)
    const most = Math.max(...each)
    return each.map((log) => Math.exp(log - most))
  }
  const known = groups.map((group) => ({ count: group.count, likely: likelihoods(group) }))
  let shares = kinds.map(() => 1 / kinds.length)
  for (let step = 0; step < STEPS && known.length > 0; step++) {
    const next = kinds.map(() => 0)
    for (const { count, likely } of known) {
      const scale = count / sumOf(likely, shares)
      for (let i = 0; i < next.length; i++) next[i]! += scale * likely[i]! * shares[i]!
    }
    const total = next.reduce((sum, each) => sum + each, 0)
    shares = next.map((each) => each / total)
  }
  const answers = new Map<number, number>()
  return (one) => {
    const key = keyOf(one)
    let answer = answers.get(key)
    if (answer === undefined) {
      const mixed = likelihoods(one).map((each, i) => each * shares[i]!)
      answer = sumOf(mixed, kinds) / mixed.reduce((sum, each) => sum + each, 0)
      answers.set(key, answer)
    }
    return answer
  }
}

/** Guilds of which the same was seen, in an order that does not depend on theirs. */
function groupAlike(all: Iterable<Seen>): readonly (Seen & { readonly count: number })[] {
  const groups = new Map<number, Seen & { count: number }>()
  for (const one of all) {
    const key = keyOf(one)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { seen: one.seen, affected: one.affected, count: 1 })
    else group.count++
  }
  return Array.from(groups)
    .sort(([a], [b]) => a - b)
    .map(([, group]) => group)
}

/** Windows are counted in tenths. */
function keyOf({ seen, affected }: Seen): number {
  return Math.round(seen * 10) * 1e7 + Math.round(affected * 10)
}

function sumOf(values: readonly number[], weights: readonly number[]): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]! * weights[i]!
  return sum
}
