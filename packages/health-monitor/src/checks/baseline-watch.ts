import type { Clock } from '../ports.js'
import { Dispersion, ENOUGH, evidenceOfIncrease, isSurelyBelow, mayBeUsual, shareOf, type Tally } from './evidence.js'
import { count, duration } from './figures.js'
import { OwnBaseline } from './own-baseline.js'
import type { Verdict } from './verdict.js'

/** A window has so many verdicts; between them the last one stands, however often one looks. */
const VERDICTS_PER_WINDOW = 60

/** What has been told for so many half-lives is how things are now. */
const HALF_LIVES_TO_ACCEPT = 2

/** What was told is told until it is half as sure, and the change half as large: who stands on the edge must not flap. */
const HALF = 0.5

/** The present and the past, ready to be compared. */
export interface Comparison {
  readonly now: Tally
  readonly before: Tally
  readonly counts: { readonly now: Float64Array; readonly latest: Float64Array; readonly before: Float64Array }
  /** Why the present cannot be compared with the past; `undefined` when it can. */
  readonly tooEarly: string | undefined
  /** Whether the present is worse than the past beyond the doubt that chance leaves. */
  readonly isEvident: boolean
  /** How many times the usual is too much. */
  readonly maxTimes: number
}

interface Watched {
  readonly windowMs: number
  readonly halfLifeMs: number
  readonly minCalls: number
  readonly degradedIncrease: number
  readonly clock: Clock
  /** What the counters show. */
  readonly read: () => readonly number[]
  /** How many calls these counts are, and how many of them are hits, seen from the past. */
  readonly tally: (counts: Float64Array, baseline: Float64Array) => Tally
  readonly judge: (comparison: Comparison) => Verdict
}

/** A check that compares the present with its own past. */
export function watchBaseline(watched: Watched): () => Verdict {
  const { windowMs, halfLifeMs, minCalls, degradedIncrease, clock, read, tally, judge } = watched
  let verdict: Verdict | undefined
  const dispersion = new Dispersion()
  const history = new OwnBaseline(windowMs, halfLifeMs, ({ counts, baseline, fade }) => {
    // What is known to be a change is no wobble.
    if (verdict?.status === 'up') dispersion.add(tally(counts, baseline), shareOf(tally(baseline, baseline)), fade)
  })
  let judgedMs = -Infinity
  let toldSinceMs: number | undefined
  return () => {
    const nowMs = clock.monotonic()
    history.take(nowMs, read())
    if (verdict !== undefined && nowMs - judgedMs < windowMs / VERDICTS_PER_WINDOW) return verdict
    judgedMs = nowMs
    const before = verdict?.status
    const isTold = before === 'degraded'
    if (isTold && isOver()) history.forget(2)
    verdict = judge(compare(isTold))
    learn(nowMs, before, verdict.status)
    return verdict
  }

  /** What went wrong is not what is usual, or the next time it would pass for it; unless it stays. */
  function learn(nowMs: number, before: Verdict['status'] | undefined, now: Verdict['status']): void {
    if (now === 'up') {
      // Of what was down, half of the latest calls may have failed.
      if (toldSinceMs !== undefined) history.forget(before === 'down' ? 0 : 2)
      toldSinceMs = undefined
    } else if (toldSinceMs === undefined) {
      toldSinceMs = nowMs
      history.hold()
    } else if (nowMs - toldSinceMs >= HALF_LIVES_TO_ACCEPT * halfLifeMs) {
      history.accept()
    }
  }

  function isOver(): boolean {
    const usual = history.baseline()
    const latest = tally(history.latest(), usual)
    const isBetter = isSurelyBelow(latest, shareOf(tally(history.recent(), usual)))
    return isBetter && mayBeUsual(latest, tally(usual, usual))
  }

  function compare(isTold: boolean): Comparison {
    const counts = { now: history.recent(), latest: history.latest(), before: history.baseline() }
    const [now, before] = [tally(counts.now, counts.before), tally(counts.before, counts.before)]
    const tooEarly = whyTooEarly(now.calls, before.calls, history.learnedMs)
    const slack = isTold ? HALF : 1
    const isEvident = evidenceOfIncrease(now, before) / dispersion.factor >= ENOUGH * slack
    const maxTimes = 1 + degradedIncrease * slack
    return { now, before, counts, tooEarly, isEvident, maxTimes }
  }

  function whyTooEarly(nowCalls: number, beforeCalls: number, learnedMs: number): string | undefined {
    const window = duration(windowMs)
    if (nowCalls < minCalls)
      return `${count(nowCalls)} calls within ${window} are too few to judge by, below ${count(minCalls)}`
    if (learnedMs < windowMs || beforeCalls < minCalls) {
      return `what is usual is not known yet: it takes ${window} and ${count(minCalls)} calls before the last ${window}`
    }
    return undefined
  }
}
