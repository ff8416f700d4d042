import { checkBy, CheckFailedError, found, type PreparationCheck } from './check.js'

/** What a check of `@evenkeel/health-monitor` may return. */
export type HealthOutcome =
  | void
  | boolean
  | {
      /** How what it looked at is. */
      readonly status: 'up' | 'degraded' | 'down'
      /** Why, for people. */
      readonly reason?: string
    }

/**
 * Makes a check before a deployment of one of `@evenkeel/health-monitor`, such as those of its `preflight`.
 *
 * Anything but up is in the way: a deployment begins in good health.
 *
 * @param check - takes a signal, and returns how it is
 * @throws TypeError when it is no function
 *
 * @example
 * ```ts
 * import { fromHealthCheck } from '@evenkeel/blue-green/preparation'
 *
 * const check = fromHealthCheck(() => ({ status: 'degraded', reason: 'the disk is slow' }))
 * await check({ signal: AbortSignal.timeout(1_000) }).catch(({ message }) => console.log(message))
 * // => degraded: the disk is slow
 * ```
 */
export function fromHealthCheck(
  check: (signal: AbortSignal) => HealthOutcome | Promise<HealthOutcome>,
): PreparationCheck {
  if (typeof check !== 'function') throw new TypeError('fromHealthCheck: give a check, which is a function')
  return checkBy(async (signal) => {
    const outcome = await check(signal)
    if (outcome === undefined || outcome === true) return found('up')
    const { status, reason } = Object(outcome) as { status?: unknown; reason?: unknown }
    const why = typeof reason === 'string' && reason !== '' ? reason : undefined
    if (status === 'up') return found(why ?? 'up')
    if (outcome === false) throw new CheckFailedError('it returned false')
    throw new CheckFailedError(`${String(status)}: ${why ?? 'it does not say why'}`)
  })
}
