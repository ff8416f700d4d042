import type { HealthCheck } from '../check-result.js'

/** What the bot may do somewhere: `guild.members.me.permissions` of discord.js, or anything with this method. */
export interface Permissions<Permission> {
  /** Those of the given ones that are not granted, by name. */
  missing(permissions: readonly Permission[]): readonly string[]
}

/**
 * Looks whether the bot may do what it does, before the first user finds out that it may not.
 *
 * @param permissions - asked each time: they arrive with the guild, and change
 * @param needed - which it needs
 * @returns the check
 * @throws TypeError when there is nothing to ask, or nothing is needed
 *
 * @example
 * ```ts
 * import { permissionsCheck, runSteps } from '@evenkeel/health-monitor/preflight'
 *
 * // With discord.js: () => client.guilds.cache.get(guildId)?.members.me?.permissions
 * const granted = () => ({ missing: (needed: readonly string[]) => needed.filter((each) => each !== 'SendMessages') })
 * const report = await runSteps({ permissions: permissionsCheck(granted, ['SendMessages', 'EmbedLinks']) })
 * console.log(report.components.get('permissions')?.reason) // => these are not granted: EmbedLinks
 * ```
 */
export function permissionsCheck<Permission>(
  permissions: () => Permissions<Permission> | null | undefined,
  needed: readonly Permission[],
): HealthCheck {
  if (typeof permissions !== 'function') throw new TypeError('permissionsCheck: give a function that asks for them')
  if (!Array.isArray(needed) || needed.length === 0) throw new TypeError('permissionsCheck: say what is needed')
  return () => {
    const granted = permissions()
    if (granted === undefined || granted === null) return { status: 'down', reason: 'the bot is not a member there' }
    const missing = granted.missing(needed)
    if (missing.length === 0) return { status: 'up', reason: 'everything is granted that is needed' }
    return { status: 'down', reason: `these are not granted: ${missing.join(', ')}` }
  }
}
