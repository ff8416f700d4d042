/*
 * An e-process: a number that a bettor against "no worse" would have made of 1. If the new version is no worse, it
 * reaches 100 with a chance of 1 in 100 at most, however often, and whenever, one looks (Ville's inequality).
 *
 * Of the events of an interval, the new version's share is `w` when it is no worse, and `w r / (w r + 1 - w)` when it is
 * `r` times as bad. So the total may go up and down for both, and the split of traffic may change, and neither counts as
 * evidence. See Ramdas, Grünwald, Vovk, Shafer, "Game-theoretic statistics and safe anytime-valid inference" (2023).
 */

/** How much worse the new version may be: the bets on these are averaged, so none need be chosen beforehand. */
const HARMS = [1.4, 2, 4] as const
const LOG_HARMS = HARMS.map(Math.log)

/** How much worse it may be ruled out to be. */
export const BOUNDS = [1.2, 1.5, 2, 3] as const
const LOG_BOUNDS = BOUNDS.map(Math.log)

/** A ratio that can be ruled out. */
export type Bound = (typeof BOUNDS)[number]

/** What is known of a split of events between the two versions. Plain numbers: keep it as JSON. */
export interface Evidence {
  /** For each of the harms that are bet on, the logarithm of what the bet came to. */
  readonly harm: readonly number[]
  /** For each of the bounds, the logarithm of what a bet against "at least that bad" came to. */
  readonly safe: readonly number[]
  /** Events of the new version. */
  readonly green: number
  /** Events of the old version. */
  readonly blue: number
  /** Events of the new version, weighted for the estimate. */
  readonly greenWeighted: number
  /** Events of the old version, weighted for the estimate. */
  readonly blueWeighted: number
}

/** Nothing is known yet. */
export const noEvidence: Evidence = {
  harm: HARMS.map(() => 0),
  safe: BOUNDS.map(() => 0),
  green: 0,
  blue: 0,
  greenWeighted: 0,
  blueWeighted: 0,
}

/**
 * Adds what happened in an interval.
 *
 * @param green - events of the new version
 * @param blue - events of the old version
 * @param share - the new version's share of the events if it is no worse, between 0 and 1, both excluded
 */
export function addEvents(evidence: Evidence, green: number, blue: number, share: number): Evidence {
  const { harm, safe } = evidence
  const all = green + blue
  const rest = 1 - share
  return {
    harm: [
      (harm[0] as number) + bet(green, all, LOG_HARMS[0] as number, share * HARMS[0] + rest),
      (harm[1] as number) + bet(green, all, LOG_HARMS[1] as number, share * HARMS[1] + rest),
      (harm[2] as number) + bet(green, all, LOG_HARMS[2] as number, share * HARMS[2] + rest),
    ],
    safe: [
      (safe[0] as number) - bet(green, all, LOG_BOUNDS[0] as number, share * BOUNDS[0] + rest),
      (safe[1] as number) - bet(green, all, LOG_BOUNDS[1] as number, share * BOUNDS[1] + rest),
      (safe[2] as number) - bet(green, all, LOG_BOUNDS[2] as number, share * BOUNDS[2] + rest),
      (safe[3] as number) - bet(green, all, LOG_BOUNDS[3] as number, share * BOUNDS[3] + rest),
    ],
    green: evidence.green + green,
    blue: evidence.blue + blue,
    greenWeighted: evidence.greenWeighted + green * rest,
    blueWeighted: evidence.blueWeighted + blue * share,
  }
}

/** The logarithm of how much likelier the split is when the new version is so much worse than when it is no worse. */
function bet(green: number, all: number, logRatio: number, scale: number): number {
  return green * logRatio - all * Math.log(scale)
}

/** The e-value against "no worse". At 100, to be wrong has a chance of 1 in 100 at most. */
export function harmEvidence({ harm }: Evidence): number {
  return harm.reduce((sum, log) => sum + Math.exp(log), 0) / harm.length
}

/** The e-value against "at least so many times as bad". */
export function safetyEvidence({ safe }: Evidence, bound: Bound): number {
  return Math.exp(safe[BOUNDS.indexOf(bound)] as number)
}

/**
 * How many times as bad the new version seems, however its share of the traffic changed: Mantel and Haenszel's estimate
 * (1959). `undefined` while neither version had an event; `Infinity` while only the new one had.
 */
export function estimateRatio({ greenWeighted, blueWeighted }: Evidence): number | undefined {
  return greenWeighted + blueWeighted === 0 ? undefined : greenWeighted / blueWeighted
}
