import type { Sides } from '@evenkeel/canary-judge'
import type { UnitWindow } from './window.js'

/** How fast a guild is on the old version: calls that told it, and the mean of their logarithms. */
export type Speed = readonly [calls: number, meanLog: number]

/** So many calls of a guild tell how fast it is. Later ones do not, or a platform that slows down would hide in them. */
const knownCalls = 20
/** So many guilds on the new version are a fair mixture, even where nothing is known of each. */
const mixedGuilds = 20
/** What an ordinary call counts as, for a percentile that is seen as a ratio only. */
const ordinaryMs = 100
/** Faster than the clock can tell. */
const leastMs = 0.01

/**
 * Latencies of a window, to be compared. A guild stays on one version, and a large one is slow on either: so each counts once in
 * a window, beside its own speed on the old version.
 */
export function relativeLatencies(
  speeds: { get(id: string): Speed | undefined; values(): Iterable<Speed> },
  units: ReadonlyMap<string, UnitWindow>,
  isCompared: (id: string) => boolean,
): Sides<readonly number[]> {
  let [sum, known, onGreen] = [0, 0, 0]
  for (const [, log] of speeds.values()) [sum, known] = [sum + log, known + 1]
  for (const unit of units.values()) if (unit.green) onGreen += 1
  const mean = known === 0 || onGreen < mixedGuilds ? undefined : sum / known
  const sides = { green: [] as number[], blue: [] as number[] }
  for (const [id, { green, greenMs, blueMs }] of units) {
    if (!isCompared(id)) continue
    // One that was on both belongs to the new one.
    const tookMs = green ? greenMs : blueMs
    const [calls, log] = speeds.get(id) ?? [0, 0]
    const expected = calls >= knownCalls ? log : mean
    if (tookMs === undefined || expected === undefined) continue
    sides[green ? 'green' : 'blue'].push((ordinaryMs * Math.max(tookMs, leastMs)) / Math.exp(expected))
  }
  return sides
}

/** What one more call on the old version tells of a guild. */
export function learnSpeed([calls, meanLog]: Speed, tookMs: number): Speed {
  if (calls >= knownCalls) return [calls, meanLog]
  const log = Math.log(Math.max(tookMs, leastMs))
  // To a thousandth: there may be ten thousand of them in the record.
  return [calls + 1, Math.round((meanLog + (log - meanLog) / (calls + 1)) * 1_000) / 1_000]
}
