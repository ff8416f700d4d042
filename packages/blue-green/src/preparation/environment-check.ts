import { checkBy, CheckFailedError, found, type PreparationCheck } from './check.js'

/**
 * Looks whether the environment has what the new version needs. Names are told, values never: they are secrets.
 *
 * @param variables - by name: `true` for there and not empty, or a pattern that some part of the value must match
 * @param environment - where to look; `process.env` unless you say otherwise
 * @throws TypeError when a rule is none
 *
 * @example
 * ```ts
 * import { environmentCheck } from '@evenkeel/blue-green/preparation'
 *
 * const check = environmentCheck({ DISCORD_TOKEN: /^[\w.-]{50,}$/, REGION: true }, { REGION: 'eu' })
 * await check({ signal: AbortSignal.timeout(1_000) }).catch(({ message }) => console.log(message))
 * // => DISCORD_TOKEN is missing
 * ```
 */
export function environmentCheck(
  variables: Readonly<Record<string, true | RegExp>>,
  environment?: Readonly<Record<string, string | undefined>>,
): PreparationCheck {
  const rules = Object.entries(variables)
  if (rules.length === 0) throw new TypeError('environmentCheck: name at least one variable')
  for (const [name, rule] of rules) {
    if (rule === true || rule instanceof RegExp) continue
    // Not what it is: whoever mistakes a rule for the value gives a secret.
    throw new TypeError(`environmentCheck: ${name} must be true or a pattern, not a ${typeof rule}`)
  }
  return checkBy(async () => {
    const values = environment ?? process.env
    const faults = rules.flatMap(([name, rule]) => {
      const value = Object.hasOwn(values, name) ? values[name] : undefined
      if (value === undefined || value === '') return [`${name} is ${value === '' ? 'empty' : 'missing'}`]
      // search() pays no heed to where a pattern with a flag such as g was.
      return rule === true || value.search(rule) !== -1 ? [] : [`${name} does not look as it should`]
    })
    if (faults.length > 0) throw new CheckFailedError(faults.join('; '))
    return found(`${rules.length} variables are as they should be`)
  })
}
