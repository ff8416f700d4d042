import { inspect } from 'node:util'
import { checkNames } from '../options.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'

/** What every pressure can be told. */
export interface PressureOptions {
  /** Over how long it is averaged, in ms, more than 0: the longer, the calmer and the later. */
  readonly windowMs?: number | undefined
  /** Time, for tests; the system's unless given. */
  readonly clock?: Clock | undefined
}

/** @throws TypeError or RangeError naming the option and its value */
export function checkedPressure<Numbers extends Record<string, number>>(
  what: string,
  options: PressureOptions & { readonly [Name in keyof Numbers]?: number | undefined } & { readonly root?: unknown },
  defaults: Numbers,
  others: readonly string[] = [],
): Numbers & { readonly clock: Clock } {
  checkNames(`The options of ${what}`, options, [...Object.keys(defaults), 'clock', ...others])
  const checked: Record<string, number> = { ...defaults }
  for (const name of Object.keys(defaults)) {
    const value: unknown = options[name] ?? defaults[name]
    if (typeof value !== 'number' || !(value > 0 && value < Infinity)) {
      throw new RangeError(`${name} of ${what} is ${inspect(value)}; give milliseconds, more than 0`)
    }
    checked[name] = value
  }
  return { ...(checked as Numbers), clock: options.clock ?? systemClock }
}

/** @throws TypeError when it is no path */
export function checkedRoot(what: string, root: unknown = '/'): string {
  if (typeof root !== 'string') throw new TypeError(`root of ${what} is ${inspect(root)}; give a path`)
  return root
}

/** Whatever was measured, as a pressure: never below 0 nor above 1. What is no number stays none. */
export function clipped(value: number): number {
  return Math.min(1, Math.max(0, value))
}
