import { FlagDocumentError } from '../document-error.js'
import { didYouMean } from '../nearest.js'
import { makeCheck, type Check, type CheckFields, type CompiledConditions } from './checks.js'
import {
  fitsId,
  readers,
  readValue,
  readValues,
  refuse,
  shown,
  shownName,
  type Comparison,
  type Place,
} from './operands.js'

export { conditionAttributes, describeConditions, type CompiledConditions } from './checks.js'
export { holds } from './holds.js'

/** How conditions are checked. */
export interface ConditionOptions {
  /** Whether `matches` is allowed. */
  readonly patterns: boolean
}

const operators = [...Object.keys(readers), 'exists', 'not']

/**
 * Checks conditions, wherever they come from, and makes them ready to be asked.
 *
 * @param conditions - what a document or the code says; see {@link Conditions}
 * @throws FlagDocumentError whose path begins at the conditions
 */
export function compileConditions(conditions: unknown, options: ConditionOptions): CompiledConditions {
  if (!isPlain(conditions)) {
    throw new FlagDocumentError(`Conditions must be an object such as { plan: "pro" }, not ${shown(conditions)}`)
  }
  const entries = Object.entries(conditions)
  if (entries.length === 0) {
    throw new FlagDocumentError(
      'Conditions without any attribute would hold for everyone; name one, such as { plan: "pro" }, or leave them out',
    )
  }
  return { checks: entries.flatMap(([attribute, condition]) => compileOne(attribute, condition, options)) }
}

function compileOne(attribute: string, condition: unknown, options: ConditionOptions): Check[] {
  const fields = readCondition(condition, { attribute, path: [attribute], subject: 'the value' }, options, false)
  return fields.map((field, index) => makeCheck(attribute, index === 0, field))
}

function readCondition(condition: unknown, place: Place, options: ConditionOptions, isNegated: boolean): CheckFields[] {
  if (Array.isArray(condition)) return [readValues('in', condition, { ...place, subject: 'the list' })]
  if (!isPlain(condition)) return [readValue(condition, place)]
  const entries = Object.entries(condition)
  if (entries.length === 0) refuse(place, `{} says nothing; write a value, or an operator such as { in: ["gold"] }`)
  return entries.map(([operator, operand]) => {
    const at = { ...place, path: [...place.path, operator], subject: `\`${operator}\`` }
    return readOperator(operator, operand, at, options, isNegated)
  })
}

function readOperator(
  operator: string,
  operand: unknown,
  place: Place,
  options: ConditionOptions,
  isNegated: boolean,
): CheckFields {
  if (operator === 'exists' || operator === 'not') {
    if (isNegated) refuse(place, `\`${operator}\` cannot stand within \`not\`; write what is meant beside it`)
    return operator === 'exists' ? readExists(operand, place) : readNot(operand, place, options)
  }
  if (!isComparison(operator)) {
    const known = didYouMean(operator, operators) || `; the operators are ${operators.join(', ')}`
    refuse(place, `there is no operator ${shown(operator)}${known}`)
  }
  if (!fitsId(operator) && (place.attribute === 'guildId' || place.attribute === 'userId')) {
    refuse(place, `${place.subject} never holds for an id, which is a text; use in, notIn or startsWith`)
  }
  return readers[operator](operand, place, options.patterns)
}

function readExists(operand: unknown, place: Place): CheckFields {
  if (typeof operand !== 'boolean') refuse(place, `\`exists\` must be true or false, not ${shown(operand)}`)
  const name = shownName(place.attribute)
  return operand
    ? { operator: 'exists', phrase: `${name} is there` }
    : { operator: 'absent', phrase: `${name} is missing` }
}

function readNot(operand: unknown, place: Place, options: ConditionOptions): CheckFields {
  const fields = readCondition(operand, place, options, true)
  return {
    operator: 'not',
    parts: fields.map((field) => makeCheck(place.attribute, false, field)),
    phrase: `not (${fields.map((field) => field.phrase).join(' and ')})`,
  }
}

function isComparison(operator: string): operator is Comparison {
  return Object.hasOwn(readers, operator)
}

/** Whether it is an object of data: no list, no Map, and nothing that hides its properties in a prototype. */
function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  // Of another realm, too, what all objects inherit from inherits from nothing.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
