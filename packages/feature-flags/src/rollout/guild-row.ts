/** What a guild, or a user, did in the window. */
export interface GuildRow {
  /** Calls of the new path. */
  readonly calls: number
  /** Those that failed. */
  readonly failures: number
  /** Calls of the old path. */
  readonly blueCalls: number
  /** Those that failed. */
  readonly blueFailures: number
  /** How many calls of the new path failed on end. */
  readonly failedOnEnd: number
  /** How many calls of the old path failed on end. */
  readonly blueFailedOnEnd: number
  /** Whether no call has ever succeeded. */
  readonly hasNeverWorked: boolean
  /** How many calls of the old path had succeeded anywhere when the new one began to fail. */
  readonly servedBefore: number
  /** Whether it failed again after the old path had served. */
  readonly hasWitness: boolean
}

/**
 * A row as it is kept: there may be ten thousand. The numbers that are least often 0 come first, and zeros at the end are
 * left out: `[4]` are four calls of the old path in a guild where all is well, and `[0, 4]` of the new one.
 */
export type KeptRow = readonly number[]

/** A guild that did nothing. */
export const noRow: GuildRow = readRow([0, 0, 0, 0, 1])

/** A row, from how it is kept. */
export function readRow(kept: KeptRow): GuildRow {
  const [blueCalls = 0, calls = 0, blueFailures = 0, failures = 0, neverWorked = 0] = kept
  const [blueFailedOnEnd = 0, failedOnEnd = 0, servedBefore = 0, witness = 0] = kept.slice(5)
  return {
    calls,
    failures,
    blueCalls,
    blueFailures,
    failedOnEnd,
    blueFailedOnEnd,
    hasNeverWorked: neverWorked === 1,
    servedBefore,
    hasWitness: witness === 1,
  }
}

/** A row as it is kept. */
export function keepRow(row: GuildRow): KeptRow {
  const kept = [
    row.blueCalls,
    row.calls,
    row.blueFailures,
    row.failures,
    row.hasNeverWorked ? 1 : 0,
    row.blueFailedOnEnd,
    row.failedOnEnd,
    row.servedBefore,
    row.hasWitness ? 1 : 0,
  ]
  return kept.slice(0, kept.findLastIndex((each) => each !== 0) + 1)
}
