import type { ConditionOperators } from './conditions.js'
import type { Pattern } from './pattern.js'
import type { VersionRange } from './version-range.js'

/** What a check does: an operator, where `exists: false` is an operator of its own. */
export type CheckOperator = keyof ConditionOperators | 'absent'

/** Where a check finds what it looks at. */
export type CheckSource = 'guildId' | 'userId' | 'attributes'

/** One operator with what it compares. All have one shape, so that the engine reads each in the same way. */
export interface Check {
  readonly operator: CheckOperator
  readonly source: CheckSource
  /** The name that the conditions use. */
  readonly attribute: string
  /** Whether it is the first check of its attribute: an attribute is read once, or it could change in between. */
  readonly reads: boolean
  /** Of `in` and `notIn`. */
  readonly values: ReadonlySet<unknown>
  /** Of `startsWith`, `endsWith` and `contains`. */
  readonly texts: readonly string[]
  /** Of what compares numbers or instants. */
  readonly bound: number
  readonly range: VersionRange | undefined
  readonly pattern: Pattern | undefined
  /** Of `not`. */
  readonly parts: readonly Check[]
  /** The check in words. */
  readonly phrase: string
}

/** Conditions, checked and made ready to be asked by {@link holds}. */
export interface CompiledConditions {
  /** All must hold. The checks of one attribute follow one another. */
  readonly checks: readonly Check[]
}

/** What differs between checks; the rest is filled in. */
export type CheckFields = Pick<Check, 'operator' | 'phrase'> &
  Partial<Pick<Check, 'values' | 'texts' | 'bound' | 'range' | 'pattern' | 'parts'>>

const noValues: ReadonlySet<unknown> = new Set()
const noTexts: readonly string[] = []
const noParts: readonly Check[] = []

/** A check of the one shape. */
export function makeCheck(attribute: string, reads: boolean, fields: CheckFields): Check {
  return {
    operator: fields.operator,
    source: attribute === 'guildId' || attribute === 'userId' ? attribute : 'attributes',
    attribute,
    reads,
    values: fields.values ?? noValues,
    texts: fields.texts ?? noTexts,
    bound: fields.bound ?? NaN,
    range: fields.range,
    pattern: fields.pattern,
    parts: fields.parts ?? noParts,
    phrase: fields.phrase,
  }
}

/** The attributes that conditions look at, `guildId` and `userId` among them, in their order. */
export function conditionAttributes(compiled: CompiledConditions): readonly string[] {
  return compiled.checks.filter((check) => check.reads).map((check) => check.attribute)
}

/** The conditions as a phrase for people: `plan is one of "gold", "platinum" and level is at least 5`. */
export function describeConditions(compiled: CompiledConditions): string {
  return compiled.checks.map((check) => check.phrase).join(' and ')
}
