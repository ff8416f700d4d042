import { isVersion } from '../conditions/version.js'
import type { FlagContext } from '../context.js'
import { didYouMean } from '../nearest.js'
import type { DeprecatedUse } from './news.js'

/** A function of any type. */
export type AnyFunction = (...args: never[]) => unknown

/** What is deprecated, and what whoever uses it should know. */
export interface Deprecation {
  /** What it is called in warnings and reports: `'search.find'`. */
  readonly name: string
  /** Why it is deprecated, for whoever reads the warning. */
  readonly reason: string
  /** The version in which it is gone: `'3.0.0'`. */
  readonly removedIn: string
  /** What to use in its place: `'search.query'`. */
  readonly instead?: string | undefined
  /** Called at every use, before the function. */
  readonly onUse?: ((use: DeprecatedUse) => void) | undefined
}

/** A replacement that serves where a flag is on. */
export interface FlagSwitch<F extends AnyFunction = AnyFunction> {
  /** The name of the flag. */
  readonly flag: string
  /** What serves in place of the old function. */
  readonly fn: F
  /** For whom the flag is asked, by the arguments of the call. Without it, the flag is asked for nobody in particular. */
  readonly context?: ((...args: Parameters<F>) => FlagContext) | undefined
}

const known = ['name', 'reason', 'removedIn', 'instead', 'onUse']

/** @throws TypeError naming what is wrong and what to write instead */
export function checkDeprecation(deprecation: Deprecation, others: readonly string[]): Deprecation {
  if (typeof deprecation !== 'object' || deprecation === null) {
    throw new TypeError('Say what is deprecated and why: { name, reason, removedIn }')
  }
  for (const property of Object.keys(deprecation)) {
    if (known.includes(property) || others.includes(property)) continue
    throw new TypeError(
      `A deprecation has no ${JSON.stringify(property)}${didYouMean(property, [...known, ...others])}`,
    )
  }
  const { name, reason, removedIn, instead, onUse } = deprecation
  for (const [property, text] of Object.entries({ name, reason })) {
    if (typeof text !== 'string' || text.trim() === '') {
      throw new TypeError(`A deprecation needs a \`${property}\`: { name: 'search.find', reason: 'it is slow', ... }`)
    }
  }
  if (typeof removedIn !== 'string' || !isVersion(removedIn)) {
    throw new TypeError(`${name}: removedIn must be a whole version such as '3.0.0', not ${JSON.stringify(removedIn)}`)
  }
  if (instead !== undefined && typeof instead !== 'string') throw new TypeError(`${name}: instead must be a string`)
  if (onUse !== undefined && typeof onUse !== 'function') throw new TypeError(`${name}: onUse must be a function`)
  return { name, reason, removedIn, instead, onUse }
}
