import { EVERYONE, NOBODY, thresholdOf } from './bucketing.js'
import {
  compileConditions,
  conditionAttributes,
  describeConditions,
  holds,
  type CompiledConditions,
} from './conditions/compile-conditions.js'
import { didYouMean } from './nearest.js'
import { isSameData } from './same-data.js'
import { at, isRecord, literal, quote, SettingProblem } from './setting-problem.js'
import { checkPercentage, type Surroundings } from './specification.js'
import { checkVariant, checkWeights, type Split, type Variants } from './variants.js'

/** A segment, ready to be asked: whoever meets one of several sets of conditions. */
export type CompiledSegment = readonly CompiledConditions[]

/** What rules are specified with. */
export interface RuleScope extends Surroundings {
  readonly compiled: ReadonlyMap<string, CompiledSegment>
}

/** The rules of the last time, in the same surroundings, and what they were made of. */
export interface RulesBefore {
  readonly rules: readonly CompiledRule[]
  readonly settings: unknown
}

/** A rule, ready to be asked. */
export interface CompiledRule {
  readonly conditions: CompiledConditions | undefined
  readonly segment: CompiledSegment | undefined
  /** Of a boolean flag: below it lie the buckets for which it is on. */
  readonly threshold: number
  /** The same for a context without an id; `undefined` leaves it to the flag's default. */
  readonly withoutId: boolean | undefined
  readonly percentage: number | undefined
  /** Of a flag with variants: the one that answers, unless there is a split. */
  readonly variant: number
  readonly split: Split | undefined
  /** Which rule, and whom it matches, for people. */
  readonly label: string
}

/** What conditions may ask for beside attributes. */
const ids = ['guildId', 'userId']
const about = ['when', 'segment', 'description']
const booleanProperties = ['when', 'segment', 'value', 'description', 'percentage']
const variantProperties = ['when', 'segment', 'value', 'description', 'weights']

/** Whether a rule is about a context. Nothing is allocated. */
export function matches(
  rule: CompiledRule,
  guildId: string | undefined,
  userId: string | undefined,
  attributes: Readonly<Record<string, unknown>> | undefined,
): boolean {
  if (rule.conditions !== undefined && !holds(rule.conditions, guildId, userId, attributes)) return false
  if (rule.segment === undefined) return true
  return anyHolds(rule.segment, guildId, userId, attributes)
}

function anyHolds(
  segment: CompiledSegment,
  guildId: string | undefined,
  userId: string | undefined,
  attributes: Readonly<Record<string, unknown>> | undefined,
): boolean {
  for (const conditions of segment) if (holds(conditions, guildId, userId, attributes)) return true
  return false
}

/** @throws SettingProblem, its path beginning with the name of the segment */
export function compileSegments(segments: unknown, surroundings: Surroundings): ReadonlyMap<string, CompiledSegment> {
  if (!isRecord(segments)) throw new SettingProblem(`\`segments\` must be conditions by name, not ${literal(segments)}`)
  const compiled = new Map<string, CompiledSegment>()
  for (const [name, segment] of Object.entries(segments)) {
    const several: readonly unknown[] = Array.isArray(segment) ? segment : [segment]
    if (several.length === 0) throw new SettingProblem(`segment ${quote(name)} is empty, so nobody is in it`, [name])
    const path = (i: number): (string | number)[] => (Array.isArray(segment) ? [name, i] : [name])
    compiled.set(
      name,
      several.map((conditions, i) => at(path(i), () => compile(conditions, surroundings))),
    )
  }
  return compiled
}

/** @param variants - those of the flag, if it has any @throws SettingProblem, its path beginning with `rules` */
export function specifyRules(
  rules: unknown,
  scope: RuleScope,
  variants: Variants | undefined,
  before?: RulesBefore,
): readonly CompiledRule[] {
  if (rules === undefined) return []
  if (!Array.isArray(rules)) throw new SettingProblem(`\`rules\` must be a list, not ${literal(rules)}`, ['rules'])
  return rules.map((rule, i) =>
    at(['rules', i], () => specifyRule(rule, i, scope, variants, matchBefore(rule, i, before))),
  )
}

function specifyRule(
  rule: unknown,
  index: number,
  scope: RuleScope,
  variants: Variants | undefined,
  before: Match | undefined,
): CompiledRule {
  if (!isRecord(rule)) throw new SettingProblem(`a rule must be an object such as { when: { plan: 'pro' } }`)
  const known = variants === undefined ? booleanProperties : variantProperties
  for (const property of Object.keys(rule)) {
    if (known.includes(property) || rule[property] === undefined) continue
    const hint = didYouMean(property, known) || `; it may have ${known.join(', ')}`
    throw new SettingProblem(`a rule has no property ${quote(property)}${hint}`, [property])
  }
  const match = before ?? matchOf(rule, index, scope)
  return variants === undefined ? booleanRule(rule, match) : variantRule(rule, match, variants)
}

/** Whom a rule matches, if it said the same the last time: most often it is the share that is new. */
function matchBefore(rule: unknown, index: number, before: RulesBefore | undefined): Match | undefined {
  const settings: unknown = Array.isArray(before?.settings) ? before.settings[index] : undefined
  if (!isRecord(settings) || !isRecord(rule)) return undefined
  return about.every((property) => isSameData(settings[property], rule[property])) ? before?.rules[index] : undefined
}

function matchOf(rule: Readonly<Record<string, unknown>>, index: number, scope: RuleScope): Match {
  const { when, segment, description } = rule
  if (when === undefined && segment === undefined) {
    throw new SettingProblem('a rule needs `when` or `segment`; for everyone there are `percentage` and `default`')
  }
  if (description !== undefined && typeof description !== 'string') {
    throw new SettingProblem(`\`description\` must be a string, not ${literal(description)}`, ['description'])
  }
  const conditions = when === undefined ? undefined : at(['when'], () => compile(when, scope))
  const named = segment === undefined ? undefined : at(['segment'], () => findSegment(segment, scope))
  const phrases = [
    ...(segment === undefined ? [] : [`in segment ${literal(segment)}`]),
    ...(conditions === undefined ? [] : [describeConditions(conditions)]),
  ]
  const label = `rule ${index + 1} (${description ?? phrases.join(' and ')})`
  return { conditions, segment: named, label }
}

type Match = Pick<CompiledRule, 'conditions' | 'segment' | 'label'>

function booleanRule({ value, percentage }: Readonly<Record<string, unknown>>, match: Match): CompiledRule {
  if (percentage !== undefined) {
    if (value !== undefined) {
      throw new SettingProblem('a rule has either `value` or `percentage`; on for a share means off for the rest')
    }
    const share = at(['percentage'], () => checkPercentage(percentage))
    const threshold = thresholdOf(share)
    const withoutId = threshold === EVERYONE ? true : threshold === NOBODY ? false : undefined
    return booleanAnswer(match, threshold, withoutId, share)
  }
  if (value !== undefined && typeof value !== 'boolean') {
    throw new SettingProblem(`\`value\` must be true or false, not ${literal(value)}`, ['value'])
  }
  const isOn = value ?? true
  return booleanAnswer(match, isOn ? EVERYONE : NOBODY, isOn, undefined)
}

function booleanAnswer(
  { conditions, segment, label }: Match,
  threshold: number,
  withoutId: boolean | undefined,
  percentage: number | undefined,
): CompiledRule {
  return { conditions, segment, threshold, withoutId, percentage, variant: -1, split: undefined, label }
}

function variantRule(
  { value, weights }: Readonly<Record<string, unknown>>,
  match: Match,
  variants: Variants,
): CompiledRule {
  if ((value === undefined) === (weights === undefined)) {
    throw new SettingProblem('a rule of a flag with variants has either `value` or `weights`')
  }
  const split = weights === undefined ? undefined : at(['weights'], () => checkWeights(variants, weights))
  const variant = value === undefined ? -1 : at(['value'], () => checkVariant(variants, value, '`value`'))
  const { conditions, segment, label } = match
  return { conditions, segment, threshold: EVERYONE, withoutId: true, percentage: undefined, variant, split, label }
}

function findSegment(name: unknown, { compiled }: RuleScope): CompiledSegment {
  const segment = typeof name === 'string' ? compiled.get(name) : undefined
  if (segment !== undefined) return segment
  const hint = typeof name === 'string' ? didYouMean(name, compiled.keys()) : ''
  throw new SettingProblem(`there is no segment ${literal(name)}${hint || '; declare it in `segments`'}`)
}

function compile(conditions: unknown, { patterns, attributes }: Surroundings): CompiledConditions {
  const compiled = compileConditions(conditions, { patterns })
  if (attributes === undefined) return compiled
  for (const attribute of conditionAttributes(compiled)) {
    if (ids.includes(attribute) || attributes.includes(attribute)) continue
    const hint = didYouMean(attribute, [...attributes, ...ids]) || '; declare it in `attributes`'
    throw new SettingProblem(`there is no attribute ${quote(attribute)}${hint}`, [attribute])
  }
  return compiled
}
