import { requireKnown } from '../checked-options.js'
import type { Estimate } from '../migration/estimate.js'
import type { Impact } from '../migration/prove.js'
import type { Reads } from './reads.js'

/** What a migration may take. Each is a limit of its own; one that is left out is none. */
export interface RehearsalLimits {
  /** How long `up` may take, in ms, in the median of the runs; of a sample, the highest that is estimated for the whole. */
  readonly maxUpMs?: number | undefined
  /** How long `down` may take, in ms. */
  readonly maxDownMs?: number | undefined
  /** How long the event loop may stand still while `up` runs, in ms. */
  readonly maxPauseMs?: number | undefined
  /** How long a read of the bot may take while `up` runs, in ms: the 99th of 100. */
  readonly maxReadMs?: number | undefined
  /** How much larger the data may become, as bytes after by bytes before. */
  readonly maxGrowthRatio?: number | undefined
}

/** What became of a limit. */
export interface LimitReport {
  /** Which. */
  readonly name: keyof RehearsalLimits
  /** At most this. */
  readonly limit: number
  /** What was found; `undefined` where it could not be measured, which is not met. */
  readonly found: number | undefined
  /** Whether it is met. */
  readonly isMet: boolean
}

const names = ['maxUpMs', 'maxDownMs', 'maxPauseMs', 'maxReadMs', 'maxGrowthRatio'] as const

/** @throws TypeError or RangeError that names the limit */
export function readLimits(limits: RehearsalLimits = {}): RehearsalLimits {
  requireKnown('limits', limits, names)
  for (const name of names) {
    const limit = limits[name]
    if (limit === undefined || (typeof limit === 'number' && limit > 0 && limit < Infinity)) continue
    throw new RangeError(`limits.${name} must be a number above 0, not ${String(limit)}`)
  }
  return limits
}

/** What was measured. */
export interface Measured {
  readonly impact: Impact
  readonly estimate: Estimate | undefined
  readonly reads: Reads | undefined
}

/** Each limit that is given, beside what was found. */
export function judgeLimits(limits: RehearsalLimits, { impact, estimate, reads }: Measured): LimitReport[] {
  const { cost, downCost, bytesBefore, bytesAfter } = impact
  const found: Record<keyof RehearsalLimits, number | undefined> = {
    maxUpMs: estimate === undefined ? cost.wallMs : estimate.wallMs.high,
    maxDownMs: downCost?.wallMs,
    maxPauseMs: cost.maxPauseMs,
    maxReadMs: reads?.p99Ms,
    maxGrowthRatio: bytesBefore === 0 ? undefined : bytesAfter / bytesBefore,
  }
  return names.flatMap((name) => {
    const limit = limits[name]
    if (limit === undefined) return []
    const value = found[name]
    return [{ name, limit, found: value, isMet: value !== undefined && value <= limit }]
  })
}
