import type { Clock } from '../ports.js'

/** What the checks have in common that compare the present with its own past. */
export interface BaselineOptions {
  /**
   * Milliseconds that are the present.
   *
   * @defaultValue 3_600_000
   */
  readonly windowMs?: number
  /**
   * Milliseconds after which what was counted in the past counts half.
   *
   * @defaultValue 43_200_000
   */
  readonly halfLifeMs?: number
  /**
   * How many calls, from 0, the present and the past must each have had for a verdict.
   *
   * @defaultValue 100
   */
  readonly minCalls?: number
  /** The clock to measure with; the machine's unless a test brings another. */
  readonly clock?: Clock
}

/** What {@link BaselineOptions} are when they are left open. */
export const baselineDefaults: Required<Omit<BaselineOptions, 'clock'>> = {
  windowMs: 3_600_000,
  halfLifeMs: 43_200_000,
  minCalls: 100,
}
