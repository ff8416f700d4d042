import {
  addEvents,
  BOUNDS,
  estimateRatio,
  harmEvidence,
  noEvidence,
  safetyEvidence,
  type Evidence,
} from './evidence.js'
import type { Assessment } from './metric.js'

/** What a metric remembers whose events are split between the two versions. Plain numbers: keep it as JSON. */
export interface SplitState {
  /** What the events tell. */
  readonly evidence: Evidence
  /** How many samples made no sense. */
  readonly ignored: number
}

/** Before the first sample. */
export const noSplit: SplitState = { evidence: noEvidence, ignored: 0 }

/** At this e-value a ratio counts as ruled out: that is wrong once in twenty times at most. */
const RULED_OUT = 20

/**
 * Takes in the events of an interval, which may be none.
 *
 * @param expectedGreen - what the new version's part of the events is proportional to, if it is no worse
 * @param expectedBlue - the same of the old version
 */
export function observeSplit<S extends SplitState>(
  state: S,
  green: number,
  blue: number,
  expectedGreen: number,
  expectedBlue: number,
): S {
  if (!(isAmount(green) && isAmount(blue) && isAmount(expectedGreen) && isAmount(expectedBlue))) return ignore(state)
  // Without one of the two there is nothing to compare.
  if (expectedGreen === 0 || expectedBlue === 0) return state
  const share = expectedGreen / (expectedGreen + expectedBlue)
  // To copy and then set is faster than one literal that does both: this is done for every interval of every metric.
  const next: { -readonly [Field in keyof S]: S[Field] } = { ...state }
  next.evidence = addEvents(state.evidence, green, blue, share)
  return next
}

/** Counts a sample that makes no sense. */
export function ignore<S extends { readonly ignored: number }>(state: S): S {
  return { ...state, ignored: state.ignored + 1 }
}

/** Whether it is a number of something. */
export function isAmount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

/** How the size of an effect is found, where that is not how many more events there are. */
interface Effect {
  readonly ratio: number | undefined
  readonly isReached: boolean
  /** Events that are so few that nothing can be ruled out hold no phase, unless the effect is there. */
  readonly isRare?: boolean
}

/** A harm of so many times must have been ruled out when a phase of a rollout ends. */
const PHASE_RATIO = 3

/**
 * Says what the events tell.
 *
 * @param maxRatio - so many times as many are cared about
 * @param effect - the size of the effect; by default as the events have it
 */
export function assessSplit(
  name: string,
  { evidence, ignored }: SplitState,
  maxRatio: number,
  effect: Effect = effectOf(evidence, maxRatio),
): Assessment {
  const { ratio, isReached: isEffectReached, isRare = false } = effect
  const harm = harmEvidence(evidence)
  const ruledOut = BOUNDS.find((bound) => safetyEvidence(evidence, bound) >= RULED_OUT)
  const message = sentence(name, harm, ratio, ruledOut, ignored)
  const isSafe = ruledOut !== undefined && ruledOut <= Math.max(maxRatio, BOUNDS[0])
  const isOpen = ruledOut === undefined || ruledOut > PHASE_RATIO
  const holdsPhase = isRare ? isEffectReached : isOpen
  return { evidence: harm, ratio, isEffectReached, isSafe, holdsPhase, ruledOut, ignored, message }
}

function effectOf(evidence: Evidence, maxRatio: number): Effect {
  const ratio = estimateRatio(evidence)
  return { ratio, isReached: ratio !== undefined && ratio >= maxRatio }
}

function sentence(
  name: string,
  evidence: number,
  ratio: number | undefined,
  ruledOut: number | undefined,
  ignored: number,
): string {
  const unused = ignored === 0 ? '' : `; ${ignored} samples could not be used`
  if (ratio === undefined) return `${name}: nothing has been seen of either version${unused}`
  const seems = ratio === Infinity ? 'only the new version has any' : `the new version has ${times(ratio)} as much`
  const odds = evidence >= 2 ? `, evidence ${evidence >= 1e6 ? 'over a million' : Math.round(evidence)} to 1` : ''
  const bound = ruledOut === undefined ? '' : `; ${times(ruledOut)} as much is ruled out`
  return `${name}: ${seems}${odds}${bound}${unused}`
}

function times(ratio: number): string {
  return `${ratio.toFixed(ratio < 10 ? 2 : 0)} times`
}
