import type { FlagSpec } from './specification.js'
import { didYouMean } from './nearest.js'
import { checkPercentage } from './specification.js'
import { SettingProblem } from './setting-problem.js'
import { listed } from './variants.js'

/** What an environment variable says of a flag: the answer itself, as an index of a variant, or its percentage. */
export type Pin =
  | { readonly variable: string; readonly value: boolean | number; readonly percentage?: undefined }
  | { readonly variable: string; readonly value?: undefined; readonly percentage: number }

/** All that the environment says. */
export interface EnvironmentReading {
  /** Whether `EVENKEEL_FLAGS=off` switches every flag off. */
  readonly isOff: boolean
  /** What the flags' own variables say, by flag. */
  readonly pins: ReadonlyMap<string, Pin>
}

/** The variable that switches every flag off. */
export const killVariable = 'EVENKEEL_FLAGS'

const prefix = 'EVENKEEL_FLAG_'

/** `newSearch`, `new-search` and `new_search` are all `EVENKEEL_FLAG_NEW_SEARCH`. */
export function variableOf(flag: string): string {
  // Most names, and quicker than looking for words of any script.
  if (/^[A-Za-z\d]+$/.test(flag)) {
    const words = /[A-Z]/.test(flag) ? flag.replace(/[a-z\d](?=[A-Z])|[A-Z](?=[A-Z][a-z])/g, '$&_') : flag
    return prefix + words.toUpperCase()
  }
  const words = flag
    .replace(/(\p{Ll}|\p{N})(\p{Lu})/gu, '$1_$2')
    .replace(/(\p{Lu})(\p{Lu}\p{Ll})/gu, '$1_$2')
    .replace(/[^\p{L}\p{N}]+/gu, '_')
  return prefix + words.toUpperCase()
}

/** Our variables as they are now, by name, without those that are empty: these count as not set. */
export function ownVariables(environment: Readonly<Record<string, string | undefined>>): ReadonlyMap<string, string> {
  const variables = new Map<string, string>()
  for (const [variable, text] of Object.entries(environment)) {
    if (variable !== killVariable && !variable.startsWith(prefix)) continue
    const trimmed = text?.trim() ?? ''
    if (trimmed !== '') variables.set(variable, trimmed)
  }
  return variables
}

/**
 * Reads the variables of flags.
 *
 * @param isOpen - whether it is not yet known what a flag can answer: then a value that does not fit sets nothing
 * @throws TypeError, RangeError when a variable has a value that it cannot have, or sets two flags
 */
export function readEnvironment(
  variables: ReadonlyMap<string, string>,
  specs: Iterable<FlagSpec>,
  isOpen: (spec: FlagSpec) => boolean = () => false,
): EnvironmentReading {
  const isOff = readKill(variables.get(killVariable) ?? '')
  const pins = new Map<string, Pin>()
  if (!setsFlags(variables)) return { isOff, pins }
  const flags = new Map<string, FlagSpec>()
  for (const spec of specs) {
    const variable = variableOf(spec.name)
    const text = variables.get(variable)
    const other = flags.get(variable)
    flags.set(variable, spec)
    if (text === undefined) continue
    if (other !== undefined) {
      throw new TypeError(
        `Flags ${JSON.stringify(other.name)} and ${JSON.stringify(spec.name)} are both set by ${variable}; rename one`,
      )
    }
    if (isOpen(spec) && !canBe(variable, text, spec)) continue
    pins.set(spec.name, readPin(variable, text, spec))
  }
  return { isOff, pins }
}

/** Mostly nothing is set, and then ten thousand names need not be spelt as variables. */
function setsFlags(variables: ReadonlyMap<string, string>): boolean {
  return variables.size > (variables.has(killVariable) ? 1 : 0)
}

function canBe(variable: string, text: string, spec: FlagSpec): boolean {
  try {
    readPin(variable, text, spec)
    return true
  } catch {
    return false
  }
}

function readPin(variable: string, text: string, spec: FlagSpec): Pin {
  if (spec.kind === 'variant') {
    const index = spec.variants.indexes.get(text)
    if (index !== undefined) return { variable, value: index }
    throw new TypeError(`${variable} must be one of ${listed(spec.variants)}, not ${JSON.stringify(text)}`)
  }
  if (/^on$/i.test(text)) return { variable, value: true }
  if (/^off$/i.test(text)) return { variable, value: false }
  // Other ways to write a number, such as 0x10 or 1e1, are more likely to be mistakes.
  if (/^\d+(\.\d+)?$/.test(text)) return { variable, percentage: percentageIn(variable, Number(text)) }
  throw new TypeError(`${variable} must be on, off or a percentage from 0 to 100, not ${JSON.stringify(text)}`)
}

function percentageIn(variable: string, percentage: number): number {
  try {
    return checkPercentage(percentage)
  } catch (error) {
    throw error instanceof SettingProblem ? new RangeError(`${variable}: ${error.message}`) : error
  }
}

function readKill(text: string): boolean {
  if (text === '' || /^on$/i.test(text)) return false
  if (/^off$/i.test(text)) return true
  throw new TypeError(`${killVariable} must be off, on or not set, not ${JSON.stringify(text)}`)
}

/**
 * Warns of variables that look like those of a flag, and are none. One that resembles none of ours may well belong to
 * someone else's flags.
 *
 * @param flags - the names of all flags
 * @param warned - the variables that were warned of; it is added to
 */
export function warnOfMisspelt(
  variables: ReadonlyMap<string, string>,
  flags: Iterable<string>,
  warned: Set<string>,
): void {
  if (!setsFlags(variables)) return
  const known = new Set([...flags].map((flag) => variableOf(flag)))
  let names: string[] | undefined
  for (const variable of variables.keys()) {
    if (variable === killVariable || known.has(variable) || warned.has(variable)) continue
    names ??= [...known].map((each) => each.slice(prefix.length))
    const hint = didYouMean(variable.slice(prefix.length), names)
    if (hint === '') continue
    warned.add(variable)
    process.emitWarning(`${variable} sets no flag${hint}`, {
      type: 'EvenkeelWarning',
      code: 'EVENKEEL_FLAG_VARIABLE',
    })
  }
}
