import { inspect, types } from 'node:util'
import { FlagDocumentError } from '../document-error.js'
import type { CheckFields } from './checks.js'
import type { ConditionOperators, Scalar } from './conditions.js'
import { isoInstant } from './instant.js'
import { Pattern } from './pattern.js'
import { parseVersionRange } from './version-range.js'

/** Where an operand stands, for what is said of it. */
export interface Place {
  readonly attribute: string
  readonly path: readonly (string | number)[]
  /** The operator in backticks, or what else the value is called. */
  readonly subject: string
}

/** An operator that compares: all but those that are put together from others. */
export type Comparison = Exclude<keyof ConditionOperators, 'exists' | 'not'>

/** Checks the operand of an operator. */
type Reader = (operand: unknown, place: Place, patterns: boolean) => CheckFields

/** The readers of all operators that compare. */
export const readers: Readonly<Record<Comparison, Reader>> = {
  in: (operand, place) => readValues('in', operand, place),
  notIn: (operand, place) => readValues('notIn', operand, place),
  startsWith: (operand, place) => readTexts('startsWith', 'starts with', operand, place),
  endsWith: (operand, place) => readTexts('endsWith', 'ends with', operand, place),
  contains: (operand, place) => readTexts('contains', 'contains', operand, place),
  moreThan: (operand, place) => readNumber('moreThan', 'is more than', operand, place),
  atLeast: (operand, place) => readNumber('atLeast', 'is at least', operand, place),
  lessThan: (operand, place) => readNumber('lessThan', 'is less than', operand, place),
  atMost: (operand, place) => readNumber('atMost', 'is at most', operand, place),
  after: (operand, place) => readInstant('after', operand, place),
  before: (operand, place) => readInstant('before', operand, place),
  version: readRange,
  matches: readPattern,
}

const comparing: ReadonlySet<string> = new Set(['in', 'notIn', 'startsWith', 'endsWith', 'contains', 'matches'])

/** Whether an operator can ever hold for the id of a guild or a user, which is a text. */
export function fitsId(operator: Comparison): boolean {
  return comparing.has(operator)
}

/** @throws FlagDocumentError, always */
export function refuse(place: Place, reason: string, cause?: unknown): never {
  throw new FlagDocumentError(`Condition ${shown(place.attribute)}: ${reason}`, { path: place.path, cause })
}

/** A hostile value as it was written, in a bounded length. */
export function shown(value: unknown): string {
  if (typeof value === 'string') {
    return value.length <= 100 ? JSON.stringify(value) : `${JSON.stringify(value.slice(0, 97))}...`
  }
  return inspect(value, {
    depth: 1,
    maxArrayLength: 3,
    maxStringLength: 40,
    breakLength: Infinity,
    customInspect: false,
  })
}

/** A value alone, or a list of values. Ids become texts. */
export function readValues(operator: 'in' | 'notIn', operand: unknown, place: Place): CheckFields {
  if (!Array.isArray(operand)) {
    refuse(place, `${place.subject} must be a list such as ["gold", "platinum"], not ${shown(operand)}`)
  }
  const list: readonly unknown[] = operand
  if (list.length === 0) refuse(place, `${place.subject} is an empty list; name at least one value, or leave it out`)
  const values = new Set<unknown>()
  for (let i = 0; i < list.length; i++) addValue(values, list[i], inside(place, i))
  return { operator, values, phrase: valuesPhrase(operator === 'in', place.attribute, list) }
}

/** One value, as if it were a list of one. */
export function readValue(operand: unknown, place: Place): CheckFields {
  const values = new Set<unknown>()
  addValue(values, operand, place)
  return { operator: 'in', values, phrase: valuesPhrase(true, place.attribute, [operand]) }
}

function addValue(values: Set<unknown>, value: unknown, place: Place): void {
  if (value === null) refuse(place, 'null is no value; for an attribute that is missing write { exists: false }')
  if (types.isDate(value)) refuse(place, 'a Date is no value to be equal to; write { after: ... } or { before: ... }')
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) refuse(place, `${value} equals no attribute; write a number`)
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      refuse(place, `the number ${value} has lost digits; write it in quotes, as a text`)
    }
  }
  const isId = place.attribute === 'guildId' || place.attribute === 'userId'
  if (isId) {
    if (value === '' || (typeof value === 'number' && !Number.isInteger(value)) || typeof value === 'boolean') {
      refuse(place, `${shown(value)} is no id; write its digits in quotes`)
    }
    values.add(typeof value === 'string' ? value : String(checkScalar(value, place)))
    return
  }
  values.add(checkScalar(value, place))
  if (typeof value !== 'bigint') return
  values.add(String(value))
  if (Number.isSafeInteger(Number(value))) values.add(Number(value))
}

function checkScalar(value: unknown, place: Place): Scalar {
  if (typeof value === 'string' || typeof value === 'number') return value
  if (typeof value === 'boolean' || typeof value === 'bigint') return value
  return refuse(place, `${shown(value)} is no value; write a text, a number, true or false`)
}

function valuesPhrase(isIn: boolean, attribute: string, list: readonly unknown[]): string {
  const named = list
    .slice(0, 5)
    .map((value) => (typeof value === 'bigint' ? String(value) : shown(value)))
    .join(', ')
  const verb = `${shownName(attribute)} is ${isIn ? '' : 'not '}`
  if (list.length === 1) return verb + named
  return `${verb}one of ${named}${list.length > 5 ? ` and ${list.length - 5} more` : ''}`
}

function readTexts(operator: Comparison, verb: string, operand: unknown, place: Place): CheckFields {
  const list: readonly unknown[] = Array.isArray(operand) ? operand : [operand]
  if (list.length === 0) refuse(place, `${place.subject} is an empty list; name at least one text, or leave it out`)
  const texts: string[] = []
  for (let i = 0; i < list.length; i++) {
    const text = list[i]
    const where = Array.isArray(operand) ? inside(place, i) : place
    if (typeof text !== 'string')
      refuse(where, `${place.subject} must be a text or a list of texts, not ${shown(text)}`)
    if (text === '')
      refuse(where, `${place.subject} is an empty text, which every text ${verb}; write what is looked for`)
    texts.push(text)
  }
  const named = texts.slice(0, 5).map(shown)
  const more = texts.length > 5 ? ` and ${texts.length - 5} more` : ''
  const phrase = `${shownName(place.attribute)} ${verb} ${texts.length > 1 ? 'one of ' : ''}${named.join(', ')}${more}`
  return { operator, texts, phrase }
}

function readNumber(operator: Comparison, verb: string, operand: unknown, place: Place): CheckFields {
  if (typeof operand !== 'number' || !Number.isFinite(operand)) {
    const remedy = typeof operand === 'string' ? '; leave out the quotes' : ''
    refuse(place, `${place.subject} must be a number, not ${shown(operand)}${remedy}`)
  }
  return { operator, bound: operand, phrase: `${shownName(place.attribute)} ${verb} ${operand}` }
}

function readInstant(operator: 'after' | 'before', operand: unknown, place: Place): CheckFields {
  const bound = epochMs(operand)
  // A Date holds no instant beyond 8.64e15 ms from its epoch.
  if (!(Math.abs(bound) <= 8.64e15)) {
    refuse(
      place,
      `${place.subject} must be an ISO 8601 instant such as "2026-11-28" or "2026-11-28T08:30:00Z" (a time needs its offset), ` +
        `or epoch ms, not ${shown(operand)}`,
    )
  }
  return { operator, bound, phrase: `${shownName(place.attribute)} is ${operator} ${new Date(bound).toISOString()}` }
}

function epochMs(operand: unknown): number {
  if (typeof operand === 'number') return operand
  if (typeof operand === 'string') return isoInstant(operand)
  return types.isDate(operand) ? Date.prototype.getTime.call(operand) : NaN
}

function readRange(operand: unknown, place: Place): CheckFields {
  if (typeof operand !== 'string') {
    const remedy = typeof operand === 'number' ? '; put it in quotes' : ''
    refuse(place, `${place.subject} must be a range such as ">=1.4.0 <2.0.0", not ${shown(operand)}${remedy}`)
  }
  const range = explained(place, operand, () => parseVersionRange(operand))
  return { operator: 'version', range, phrase: `${shownName(place.attribute)} is a version in ${shown(operand)}` }
}

function readPattern(operand: unknown, place: Place, patterns: boolean): CheckFields {
  if (!patterns) {
    refuse(place, `${place.subject} is not allowed here; use startsWith, endsWith or contains, or allow \`patterns\``)
  }
  if (typeof operand !== 'string') {
    const remedy = types.isRegExp(operand) ? '; write its source, as a text' : ''
    refuse(place, `${place.subject} must be a regular expression as a text, not ${shown(operand)}${remedy}`)
  }
  const pattern = explained(place, operand, () => new Pattern(operand))
  return { operator: 'matches', pattern, phrase: `${shownName(place.attribute)} matches ${shown(operand)}` }
}

/** Says where it is that a text cannot be read. */
function explained<T>(place: Place, text: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return refuse(place, `${place.subject} is ${shown(text)}: ${error.message}`, error)
  }
}

/** A plain name as it is, any other in quotes. */
export function shownName(attribute: string): string {
  return /^[\w.-]{1,60}$/.test(attribute) ? attribute : shown(attribute)
}

function inside(place: Place, index: number): Place {
  return { ...place, path: [...place.path, index] }
}
