import { requireKnown } from '../options.js'

/** The options of a check as it uses them: complete. */
type Resolved<Options, Defaults> = Defaults & Omit<Options, keyof Defaults>

/**
 * The options of a ready-made check, complete and valid. What a number may be follows from its name, as everywhere in
 * this package: `...Ms` is above 0, `...Ratio` from 0 to 1, and all others are 0 or more. Limits come in pairs, and
 * `degraded...` must be met before `down...`: below it, or above it where what is left is limited (`...Free...`).
 *
 * @param others - names of the options that have no default
 * @throws TypeError when an option does not exist, or is no number
 * @throws RangeError when a number is out of its range, or a limit of `down...` comes before the one of `degraded...`
 */
export function resolveOptions<Options extends object, Defaults extends object>(
  where: string,
  options: Options,
  defaults: Defaults,
  others: readonly string[] = [],
): Resolved<Options, Defaults> {
  requireKnown(where, options, [...Object.keys(defaults), ...others])
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const merged: Record<string, unknown> = { ...defaults, ...given }
  for (const [option, standard] of Object.entries(defaults)) {
    if (typeof standard === 'number') requireInRange(`${where}: ${option}`, option, merged[option])
  }
  for (const option of Object.keys(defaults).filter((name) => name.startsWith('degraded'))) {
    requireOrder(where, option, `down${option.slice('degraded'.length)}`, merged)
  }
  return merged as Resolved<Options, Defaults>
}

/** @throws TypeError when there is a clock that is none */
export function requireClock(where: string, clock: unknown): void {
  const { now, monotonic } = (clock ?? {}) as Record<string, unknown>
  if (typeof now !== 'function' || typeof monotonic !== 'function') {
    throw new TypeError(`${where}: clock must have now(), monotonic() and after()`)
  }
}

function requireInRange(where: string, option: string, value: unknown): void {
  const isLimit = /^(?:degraded|down)/.test(option)
  const [what, isIn] = option.endsWith('Ratio')
    ? ['a share from 0 to 1', (x: number) => x >= 0 && x <= 1]
    : option.endsWith('Ms')
      ? ['milliseconds above 0', (x: number) => x > 0 && (isLimit || x < Infinity)]
      : ['a number from 0', (x: number) => x >= 0 && (isLimit || x < Infinity)]
  const refusal = `${where} must be ${what}, not ${typeof value === 'number' ? value : `a ${typeof value}`}`
  if (typeof value !== 'number') throw new TypeError(refusal)
  if (!isIn(value)) throw new RangeError(refusal)
}

function requireOrder(where: string, degraded: string, down: string, options: Record<string, unknown>): void {
  const [first, second] = [options[degraded], options[down]]
  if (typeof first !== 'number' || typeof second !== 'number') return
  const isFree = degraded.includes('Free')
  if (isFree ? second <= first : second >= first) return
  throw new RangeError(`${where}: ${down} (${second}) must not be ${isFree ? 'above' : 'below'} ${degraded} (${first})`)
}
