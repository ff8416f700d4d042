import type { HealthCheck } from '../check-result.js'

/** What an environment variable must be: there and not empty, of a pattern, or what its options say. */
export type VariableRule = true | RegExp | VariableOptions

/** What an environment variable must be, at length. */
export interface VariableOptions {
  /** What its value must match, if it has one. */
  readonly pattern?: RegExp
  /** Whether it may be missing or empty. */
  readonly optional: boolean
}

/**
 * Looks whether the environment has what the bot needs. Names are told, values never: they are secrets.
 *
 * @remarks
 * A pattern must match the whole value only if it says so, with `^` and `$`.
 *
 * @param variables - by name: `true` for there and not empty, a pattern, or `{ optional: true, pattern }`
 * @param environment - where to look; `process.env` unless you say otherwise
 * @returns the check
 * @throws TypeError when a rule is none
 *
 * @example
 * ```ts
 * import { environmentCheck, runSteps } from '@evenkeel/health-monitor/preflight'
 *
 * const environment = { DISCORD_TOKEN: 'hunter2', LOG_LEVEL: 'debug' }
 * const report = await runSteps({
 *   environment: environmentCheck({ DISCORD_TOKEN: /^[\w.-]{50,}$/, DATABASE_URL: true }, environment),
 * })
 * console.log(report.components.get('environment')?.reason)
 * // => DISCORD_TOKEN does not look as it should; DATABASE_URL is missing
 * ```
 */
export function environmentCheck(
  variables: Readonly<Record<string, VariableRule>>,
  environment?: Readonly<Record<string, string | undefined>>,
): HealthCheck {
  const rules = Object.entries(variables).map(([name, rule]) => [name, resolve(name, rule)] as const)
  return () => {
    const values = environment ?? process.env
    const problems = rules.flatMap(([name, { pattern, optional }]) => {
      const value = Object.hasOwn(values, name) ? values[name] : undefined
      if (value === undefined || value === '')
        return optional ? [] : [`${name} is ${value === '' ? 'empty' : 'missing'}`]
      // A pattern with a flag such as g would remember where it was.
      const isFine = pattern === undefined || new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, '')).test(value)
      return isFine ? [] : [`${name} does not look as it should`]
    })
    if (problems.length > 0) return { status: 'down', reason: problems.join('; ') }
    return { status: 'up', reason: `${rules.length} variables are as they should be` }
  }
}

function resolve(name: string, rule: VariableRule): { pattern: RegExp | undefined; optional: boolean } {
  if (rule === true) return { pattern: undefined, optional: false }
  if (rule instanceof RegExp) return { pattern: rule, optional: false }
  const { pattern, optional } = (rule ?? {}) as { pattern?: unknown; optional?: unknown }
  if (typeof optional === 'boolean' && (pattern === undefined || pattern instanceof RegExp))
    return { pattern, optional }
  throw new TypeError(`environmentCheck: ${name} must be true, a pattern, or { optional, pattern }`)
}
