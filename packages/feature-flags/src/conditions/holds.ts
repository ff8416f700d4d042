import { types } from 'node:util'
import type { Check, CompiledConditions } from './checks.js'
import { isoInstant } from './instant.js'
import { isWithin } from './version-range.js'

/** What an attribute can be once it counts as there. */
type Present = string | number | boolean | bigint | Date

/**
 * Whether all conditions hold. Never throws, whatever the attributes are.
 *
 * Makes no object, array or function: it runs whenever a flag with rules is asked. Only a BigInt that is compared with
 * values is turned into a text.
 */
export function holds(
  compiled: CompiledConditions,
  guildId: string | undefined,
  userId: string | undefined,
  attributes: Readonly<Record<string, unknown>> | undefined,
): boolean {
  const { checks } = compiled
  let value: Present | undefined
  for (let i = 0; i < checks.length; i++) {
    const check = checks[i] as Check
    if (check.reads) {
      if (check.source === 'attributes') value = attributeOf(attributes, check.attribute)
      else value = check.source === 'guildId' ? guildId : userId
    }
    if (value === undefined ? check.operator !== 'absent' : !passes(check, value)) return false
  }
  return true
}

const plain = Object.prototype as unknown as Readonly<Record<string, unknown>>

/** Of a plain object it is seen from the value, which is quicker: there is nobody to inherit another one from. */
function isOwn(attributes: Readonly<Record<string, unknown>>, name: string, value: unknown): boolean {
  if (Object.getPrototypeOf(attributes) === plain && plain[name] !== value) return true
  return Object.hasOwn(attributes, name)
}

/** Inherited values are missing, or every object would have a `constructor`. */
function attributeOf(attributes: Readonly<Record<string, unknown>> | undefined, name: string): Present | undefined {
  if (attributes === undefined) return undefined
  try {
    const value = attributes[name]
    return value !== undefined && isOwn(attributes, name, value) ? presentOf(value) : undefined
  } catch {
    // A getter or a proxy threw, or there are no attributes at all.
    return undefined
  }
}

// What most rules ask comes first, and what is rarer stands apart: the compiler then takes the whole way into the
// function that asks.

function presentOf(value: unknown): Present | undefined {
  return typeof value === 'string' ? value : presentOther(value)
}

function presentOther(value: unknown): Present | undefined {
  if (typeof value === 'boolean' || typeof value === 'bigint') return value
  if (typeof value === 'number') return Number.isNaN(value) ? undefined : value
  // Not by `instanceof`: a date of another realm is one too.
  return types.isDate(value) && !Number.isNaN(timeOf(value)) ? value : undefined
}

function passes(check: Check, value: Present): boolean {
  return check.operator === 'in' && typeof value === 'string' ? check.values.has(value) : passesOther(check, value)
}

function passesOther(check: Check, value: Present): boolean {
  switch (check.operator) {
    case 'in':
      return isAmong(check.values, value)
    case 'notIn':
      return !isAmong(check.values, value)
    case 'startsWith':
      return typeof value === 'string' && startsWithAny(check.texts, value)
    case 'endsWith':
      return typeof value === 'string' && endsWithAny(check.texts, value)
    case 'contains':
      return typeof value === 'string' && containsAny(check.texts, value)
    case 'moreThan':
      return isNumeric(value) && value > check.bound
    case 'atLeast':
      return isNumeric(value) && value >= check.bound
    case 'lessThan':
      return isNumeric(value) && value < check.bound
    case 'atMost':
      return isNumeric(value) && value <= check.bound
    case 'after':
      return instantOf(value) > check.bound
    case 'before':
      return instantOf(value) < check.bound
    case 'version':
      return typeof value === 'string' && check.range !== undefined && isWithin(check.range, value)
    case 'matches':
      return typeof value === 'string' && check.pattern !== undefined && check.pattern.isIn(value)
    case 'exists':
      return true
    case 'absent':
      return false
    case 'not':
      return !passesAll(check.parts, value)
  }
}

function passesAll(checks: readonly Check[], value: Present): boolean {
  for (let i = 0; i < checks.length; i++) if (!passes(checks[i] as Check, value)) return false
  return true
}

/** The values hold no whole number that a double cannot tell from its neighbour, so rounding a BigInt finds no false one. */
function isAmong(values: ReadonlySet<unknown>, value: Present): boolean {
  if (typeof value === 'bigint') return values.has(String(value)) || values.has(Number(value))
  return values.has(value)
}

function startsWithAny(texts: readonly string[], value: string): boolean {
  for (let i = 0; i < texts.length; i++) if (value.startsWith(texts[i] as string)) return true
  return false
}

function endsWithAny(texts: readonly string[], value: string): boolean {
  for (let i = 0; i < texts.length; i++) if (value.endsWith(texts[i] as string)) return true
  return false
}

function containsAny(texts: readonly string[], value: string): boolean {
  for (let i = 0; i < texts.length; i++) if (value.includes(texts[i] as string)) return true
  return false
}

function isNumeric(value: Present): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

/** Epoch ms; NaN, which no comparison passes, for what is no instant. */
function instantOf(value: Present): number {
  if (typeof value === 'number') return value
  if (typeof value === 'string') return isoInstant(value)
  return typeof value === 'object' ? timeOf(value) : NaN
}

/** A date's own method may have been replaced. */
function timeOf(date: Date): number {
  return Date.prototype.getTime.call(date)
}
