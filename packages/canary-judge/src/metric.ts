/** What happened to each version in one interval. */
export interface Sides<T> {
  /** The new version. */
  readonly green: T
  /** The old version, at the same time. */
  readonly blue: T
}

/** What a metric says of the new version. */
export interface Assessment {
  /**
   * The e-value against "the new version is no worse": 1 is nothing, and 100 is reached by chance once in a hundred
   * rollouts at most.
   */
  readonly evidence: number
  /** How many times as bad the new version seems; `undefined` while nothing is known. */
  readonly ratio: number | undefined
  /** Whether that is bad enough to care. */
  readonly isEffectReached: boolean
  /** It is not so many times as bad, or more: the least such ratio with an e-value of 20; `undefined` for none. */
  readonly ruledOut: number | undefined
  /** Whether what would be cared about is ruled out. */
  readonly isSafe: boolean
  /** Whether a phase of the rollout should not end yet: a harm of three times might have been overlooked. */
  readonly holdsPhase: boolean
  /** How many samples could not be used. */
  readonly ignored: number
  /** All of that as a sentence. */
  readonly message: string
}

/**
 * A metric by which two versions are compared. Make one with {@link errorRate} and its like, or write your own: three
 * pure functions.
 *
 * @typeParam Sample - what is measured in an interval
 * @typeParam State - what is remembered, which must survive JSON
 */
export interface Metric<Sample, State> {
  /** Before the first sample. */
  start(): State
  /** Takes in a sample. One that makes no sense changes no evidence, and is counted. */
  observe(state: State, sample: Sample): State
  /** Says what is known. */
  assess(state: State, name: string): Assessment
}
