import type { HealthCheck } from '../check-result.js'

/** Flags as {@link flagCheck} needs them; `FeatureFlags` of `@evenkeel/feature-flags` is one. */
export interface CheckableFlags {
  /** The names of all flags. */
  readonly names: readonly string[]
  /** Whether the store that they follow is within reach. */
  readonly feed: 'none' | 'live' | 'stale'
  /** What a flag is like at present. */
  status(name: string): {
    /** Whether it decides by its own rules, or what holds it off. */
    readonly state: string
  }
}

const MAX_NAMED_FLAGS = 5

/**
 * Looks whether flags do as they were told: `degraded` when a flag has fallen back to its old path because the new one
 * kept failing, when all flags are off, or when the store is out of reach and flags answer from what was seen last.
 *
 * @remarks
 * A flag that somebody switched off is as it should be, and so is one that waits for another flag.
 *
 * @param flags - anything with `names`, `feed` and `status` of this shape
 * @returns the check
 * @throws TypeError when it has another shape
 *
 * @example
 * ```ts
 * import { flagCheck, HealthMonitor } from '@evenkeel/health-monitor'
 *
 * // With @evenkeel/feature-flags: const flags = new FeatureFlags({ ... })
 * const flags = { names: ['search'], feed: 'live' as const, status: () => ({ state: 'fallen-back' }) }
 * const health = new HealthMonitor({ checks: { flags: { check: flagCheck(flags), critical: false } } })
 * console.log((await health.check('flags')).reason) // => 1 of 1 flags has fallen back: search
 * ```
 */
export function flagCheck(flags: CheckableFlags): HealthCheck {
  const given = flags as Partial<CheckableFlags> | undefined
  if (!Array.isArray(given?.names) || typeof given.status !== 'function') {
    throw new TypeError('flagCheck: give flags with names, feed and status()')
  }
  return () => {
    const { names: all, feed } = flags
    const states = all.map((name) => ({ name, state: flags.status(name).state }))
    const fallen = states.filter(({ state }) => state === 'fallen-back').map(({ name }) => name)
    const reasons: string[] = []
    if (states.some(({ state }) => state === 'all-off')) reasons.push('all flags are off')
    if (fallen.length > 0) {
      const named = fallen.slice(0, MAX_NAMED_FLAGS).join(', ')
      const more = fallen.length > MAX_NAMED_FLAGS ? `, and ${fallen.length - MAX_NAMED_FLAGS} more` : ''
      const have = fallen.length === 1 ? 'has' : 'have'
      reasons.push(`${fallen.length} of ${all.length} flags ${have} fallen back: ${named}${more}`)
    }
    if (feed === 'stale')
      reasons.push('the store of the flags is out of reach, and they answer from what was seen last')
    if (reasons.length > 0) return { status: 'degraded', reason: reasons.join('; ') }
    return { status: 'up', reason: `all flags (${all.length}) do as they were told` }
  }
}
