import { countTimes, quantile, slowerThan } from './path-times.js'
import { isAbove } from './recent-hour.js'
import type { OldPath, Traffic } from './traffic.js'
import type { CheckResult } from './validation.js'

/** The names of the checks that a rollout makes by itself once everybody is on the old path again. */
export const ERROR_CHECK = 'errors of the old path'
/** See {@link ERROR_CHECK}. */
export const LATENCY_CHECK = 'latency of the old path'

/**
 * Compares what the old path does after a rollback, when it serves everybody, with what it did before: does the harm last?
 *
 * Both times are samples. A share is above the one before when it is above the highest that could have given what was seen
 * before, each beyond a chance of one in a million (Chernoff's bound, see {@link isAbove}). Where even every second call going
 * wrong would not be seen in that way, there are not enough calls to tell, which is said and is no fault.
 */
export function compareOldPath({ before, after }: Traffic): CheckResult[] {
  return [compareErrors(before, after), compareLatencies(before, after)]
}

function compareErrors(before: OldPath, after: OldPath | null): CheckResult {
  const [events, all] = [after?.failures ?? 0, after?.calls ?? 0]
  const was = `${before.failures} of ${before.calls} before`
  const found = compare([before.failures, before.calls], [events, all])
  return result(ERROR_CHECK, found, `${events} of ${all} calls failed`, was)
}

function compareLatencies(before: OldPath, after: OldPath | null): CheckResult {
  // The 95th percentile of before: one in twenty was slower.
  const limitMs = quantile(before.times, 0.95)
  const [then, now] = [countTimes(before.times), countTimes(after?.times ?? {})]
  const slowThen = limitMs === undefined ? 0 : slowerThan(before.times, limitMs)
  const slowNow = limitMs === undefined ? 0 : slowerThan(after?.times ?? {}, limitMs)
  const found = compare([slowThen, then], [slowNow, now])
  const longer = limitMs === undefined ? '' : ` took longer than ${Number(limitMs.toPrecision(2))} ms`
  return result(LATENCY_CHECK, found, `${slowNow} of ${now} calls${longer}`, `${slowThen} of ${then} before`)
}

type Share = readonly [events: number, all: number]
type Found = 'as before' | 'more than before' | 'not enough calls to tell'

function compare(before: Share, [events, all]: Share): Found {
  const limit = highestShare(before)
  if (isAbove(events, all, limit)) return 'more than before'
  return isAbove(all / 2, all, limit) ? 'as before' : 'not enough calls to tell'
}

/** The highest share that so many events out of so many do not rule out. */
function highestShare([events, all]: Share): number {
  let [low, high] = [all === 0 ? 1 : events / all, 1]
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2
    // As certainly above a share of what went well, it is below the share of what did not.
    if (isAbove(all - events, all, 1 - middle)) high = middle
    else low = middle
  }
  return high
}

function result(name: string, found: Found, now: string, was: string): CheckResult {
  const why = `${found}: ${now}, ${was}`
  if (found === 'not enough calls to tell') return { name, isPassed: true, isUntold: true, why }
  return { name, isPassed: found === 'as before', why }
}
