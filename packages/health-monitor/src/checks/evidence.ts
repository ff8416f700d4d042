/** Calls, and how many of them were of the kind that is counted: failed, or slow. */
export interface Tally {
  readonly calls: number
  readonly hits: number
}

/**
 * A change is told when chance would bring it about once in a million looks at most. A week has 10,080 minutes, and
 * there is one verdict a minute: so chance tells a change in one week of a hundred at most.
 */
export const ENOUGH: number = Math.log(1e6)

/** That it is over is told sooner: in one of fifty looks, chance says so while it goes on. */
const ENOUGH_TO_END = Math.log(50)

/**
 * How much speaks against "the share of hits is no larger now than before", as the negative logarithm of the chance.
 *
 * If nothing has changed, each of all the hits fell into the present with the same chance, which is the present's share of
 * the calls. That as many fell into it has a chance of `exp(-hits * divergence)` at most, however few they are.
 *
 * @see Chernoff, "A measure of asymptotic efficiency for tests of a hypothesis" (1952), and Hoeffding, "Probability
 * inequalities for sums of bounded random variables" (1963), theorem 1 and section 6: it holds for draws without
 * replacement, too. A past whose older hits weigh less than 1 wobbles less than its weight, so it holds for that as well.
 */
export function evidenceOfIncrease(now: Tally, before: Tally): number {
  const hits = now.hits + before.hits
  const calls = now.calls + before.calls
  if (hits === 0 || calls === 0) return 0
  return hits * divergence(now.hits / hits, now.calls / calls)
}

/** Whether the share of hits is above a limit beyond reasonable doubt. */
export function isSurelyAbove({ hits, calls }: Tally, limit: number): boolean {
  return calls > 0 && calls * divergence(hits / calls, limit) >= ENOUGH
}

/** Whether what is seen may well be what is usual: chance brings it about in one of twenty looks, or more often. */
export function mayBeUsual(now: Tally, before: Tally): boolean {
  return evidenceOfIncrease(now, before) < Math.log(20)
}

/** Whether the share of hits is no longer what it was. */
export function isSurelyBelow({ hits, calls }: Tally, share: number): boolean {
  return calls > 0 && calls * divergence(1 - hits / calls, 1 - share) >= ENOUGH_TO_END
}

/** The share of hits; 0 of nothing. */
export function shareOf({ hits, calls }: Tally): number {
  return calls > 0 ? hits / calls : 0
}

/** Kullback and Leibler's divergence of a coin that shows `seen` from one that should show `expected`; 0 when it is less. */
function divergence(seen: number, expected: number): number {
  if (!(seen > expected)) return 0
  const rest = seen < 1 ? (1 - seen) * Math.log((1 - seen) / (1 - expected)) : 0
  return seen * Math.log(seen / expected) + rest
}

/** A block wobbles so many times as much as chance at most, or one outage would make the check blind to the next. */
const MOST = 100

/** So much of what chance does is taken for granted. */
const GRANTED = 5

/**
 * How much more the share of hits wobbles than it would by independent calls: 1 if it does not. Errors that come in
 * bunches are less evidence than as many that do not.
 *
 * @see Wedderburn, "Quasi-likelihood functions, generalized linear models, and the Gauss-Newton method" (1974)
 */
export class Dispersion {
  #wobble = 0
  #chance = 0

  /** @param fade - by how much earlier blocks have faded since the last, 0 to 1 */
  add({ calls, hits }: Tally, expectedShare: number, fade: number): void {
    const expected = calls * expectedShare
    const chance = expected * (1 - expectedShare)
    this.#wobble = this.#wobble * fade + Math.min((hits - expected) ** 2, MOST * chance)
    this.#chance = this.#chance * fade + chance
  }

  get factor(): number {
    return Math.max(1, (this.#wobble + GRANTED) / (this.#chance + GRANTED))
  }
}
