import type { Impact } from './prove.js'

/** From, most likely, to. */
export interface Range {
  /** The least. */
  readonly low: number
  /** The most likely. */
  readonly likely: number
  /** The most. */
  readonly high: number
}

/** What a migration would do to the whole of which a sample was copied. */
export interface Estimate {
  /** Rows that were copied. */
  readonly sampleRows: number
  /** Rows that there are. */
  readonly rows: number
  /** Rows that would change: 95 % confidence (Wilson), as if each row was drawn for itself. */
  readonly changedRows: Range
  /** Elapsed ms of `up`: the fastest run in proportion, the median, the slowest as n log n. */
  readonly wallMs: Range
  /** What these numbers do not know. */
  readonly note: string
}

/** How much there is. */
export interface Whole {
  /** How many rows there are. */
  readonly rows: number
  /** How many of them were copied. */
  readonly copied: number
}

/** For 95 %. */
const z = 1.96

export function estimate(impact: Impact, whole: Whole): Estimate {
  const { rows, copied } = whole
  const touched = Object.values(impact.collections).reduce((sum, { changed, removed }) => sum + changed + removed, 0)
  const scale = rows / Math.max(1, copied)
  // A tree of n rows is log n deep; below two rows there is no tree.
  const deeper = Math.max(1, Math.log2(Math.max(2, rows)) / Math.log2(Math.max(2, copied)))
  const { runsMs, cost } = impact
  return {
    sampleRows: copied,
    rows,
    changedRows: wilson(touched, copied, rows),
    wallMs: {
      low: (runsMs[0] ?? 0) * scale,
      likely: cost.wallMs * scale,
      high: (runsMs.at(-1) ?? 0) * scale * deeper,
    },
    note:
      'It holds for work in proportion to the rows. Caches that no longer fit, locks and a busy disk take more; a sample drawn by ' +
      'groups, such as guilds, is less certain than these ranges say.',
  }
}

/** @see E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927) */
function wilson(hits: number, of: number, whole: number): Range {
  if (of === 0) return { low: 0, likely: 0, high: whole }
  const share = Math.min(1, hits / of)
  const middle = (share + z ** 2 / (2 * of)) / (1 + z ** 2 / of)
  const half = (z * Math.sqrt((share * (1 - share)) / of + z ** 2 / (4 * of ** 2))) / (1 + z ** 2 / of)
  const at = (value: number): number => Math.round(Math.min(1, Math.max(0, value)) * whole)
  return { low: at(middle - half), likely: at(share), high: at(middle + half) }
}
