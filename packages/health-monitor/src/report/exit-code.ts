import type { HealthStatus } from '../check-result.js'

/** Of {@link exitCodeOf}. */
export type HealthExitCode = 0 | 1 | 2 | 3

const CODES = { up: 0, degraded: 1, down: 2, unknown: 3 } as const satisfies Record<HealthStatus, HealthExitCode>

/**
 * What a program should end with, as monitoring plugins do: 0 for up, 1 for degraded, 2 for down, 3 for unknown.
 *
 * @param status - how it is
 * @returns the code; anything that is no status is unknown too
 * @see https://nagios-plugins.org/doc/guidelines.html#AEN78
 *
 * @example
 * ```ts
 * import { exitCodeOf } from '@evenkeel/health-monitor'
 *
 * console.log(exitCodeOf('degraded')) // => 1
 * ```
 */
export function exitCodeOf(status: HealthStatus): HealthExitCode {
  return Object.hasOwn(CODES, status) ? CODES[status] : 3
}
