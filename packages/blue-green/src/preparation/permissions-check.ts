import { checkBy, CheckFailedError, found, type PreparationCheck } from './check.js'

/**
 * Looks whether the bot was granted what the new version needs.
 *
 * @param missing - says which are missing, by name; with discord.js
 *   `() => client.guilds.cache.get(guildId)?.members.me?.permissions.missing(needed)`. `undefined` and `null` stand for "not a
 *   member there".
 * @throws TypeError when it is no function
 *
 * @example
 * ```ts
 * import { permissionsCheck } from '@evenkeel/blue-green/preparation'
 *
 * const check = permissionsCheck(() => ['EmbedLinks'])
 * await check({ signal: AbortSignal.timeout(1_000) }).catch(({ message }) => console.log(message))
 * // => not granted: EmbedLinks
 * ```
 */
export function permissionsCheck(missing: (signal: AbortSignal) => Missing | Promise<Missing>): PreparationCheck {
  if (typeof missing !== 'function') throw new TypeError('permissionsCheck: give a function that says what is missing')
  return checkBy(async (signal) => {
    const names = await missing(signal)
    if (names === undefined || names === null) throw new CheckFailedError('the bot is not a member there')
    if (!Array.isArray(names))
      throw new CheckFailedError(`a list of what is missing was expected, not ${String(names)}`)
    if (names.length > 0) throw new CheckFailedError(`not granted: ${names.join(', ')}`)
    return found('everything is granted that is needed')
  })
}

/** The names of what is not granted; `undefined` or `null` where the bot is not a member. */
export type Missing = readonly string[] | undefined | null
