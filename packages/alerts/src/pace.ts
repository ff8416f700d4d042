const MINUTE_MS = 60_000

/** How fast a channel may be written to. Pure: the times of the last messages in, the time of the next one out. */
export function paceReadyMs(sentMs: readonly number[], maxPerMinute: number, minGapMs: number): number {
  const last = sentMs.at(-1)
  if (last === undefined) return -Infinity
  const oldest = sentMs.length < maxPerMinute ? undefined : sentMs[sentMs.length - Math.ceil(maxPerMinute)]
  return Math.max(last + minGapMs, oldest === undefined ? -Infinity : oldest + MINUTE_MS)
}

/** The times that still matter. */
export function paceNote(sentMs: readonly number[], nowMs: number): number[] {
  return [...sentMs.filter((atMs) => nowMs - atMs < MINUTE_MS), nowMs]
}

/** The first wait after a failure. */
const FIRST_RETRY_MS = 1_000
/** No receiver is asked less often, so that the first alert after an outage is not late. */
const MAX_RETRY_MS = 60_000
/** A channel that refuses us is not there again in a second; somebody has to repair it. */
const FIRST_BROKEN_MS = 30_000
const MAX_BROKEN_MS = 900_000
/** A receiver that asks for more is asked again all the same: it may have been a slip. */
export const MAX_RETRY_AFTER_MS = 3_600_000

/**
 * How long to wait after failures in a row: twice as long each time, of which a random half, so that many processes do
 * not come back together ("Exponential Backoff And Jitter", AWS Architecture Blog).
 */
export function retryDelayMs(failures: number, isBroken: boolean, random: () => number): number {
  const [first, most] = isBroken ? [FIRST_BROKEN_MS, MAX_BROKEN_MS] : [FIRST_RETRY_MS, MAX_RETRY_MS]
  const fullMs = Math.min(most, first * 2 ** Math.min(30, Math.max(0, failures - 1)))
  return fullMs * (0.5 + random() / 2)
}
