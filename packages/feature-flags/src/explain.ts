import { EVERYONE, NOBODY, placeOf, thresholdOf } from './bucketing.js'
import type { Subject } from './context.js'
import { overrideFor, ruleFor, splitFor } from './decide.js'
import type { JsonValue } from './definitions.js'
import { told } from './news.js'
import type { CompiledRule } from './rules.js'
import type { FlagSpec, VariantSpec } from './specification.js'
import { count, percentageOf, type Cause, type CompiledFlag, type FlagRecord, type Table } from './table.js'
import type { Split } from './variants.js'

/** Which rule answered, in the order in which rules are asked. */
export type Reason =
  | 'all-off'
  | 'disabled'
  | 'fallen-back'
  | 'required'
  | 'environment'
  | 'user-override'
  | 'guild-override'
  | 'target-guild'
  | 'rule'
  | 'percentage'
  | 'split'
  | 'default'

/** An answer and which rule gave it. */
export interface Evaluation<V = JsonValue> {
  /** The answer: what `isEnabled` or `variant` returns for the same context at the same moment. */
  readonly value: V
  /** The name of the answer: that of the variant, or `on` and `off`. */
  readonly variant: string
  /** The rule that answered. */
  readonly reason: Reason
  /** The flag whose rule it was: this one, or the required flag that is off. */
  readonly decidedBy: string
}

/** An answer and how it came about. */
export interface Explanation<V = JsonValue> extends Evaluation<V> {
  /** The flag that was asked for. */
  readonly flag: string
  /** The whole of it as a sentence. */
  readonly why: string
  /** The share of ids that get this rule's answer, 0 to 100, where a percentage or weights decided. */
  readonly percentage?: number
  /** Where the id stands, 0 to 100, where a percentage or weights decided. */
  readonly place?: number
}

/** A rule's answer: on or off, or the index of a variant. */
interface Verdict extends Pick<Explanation, 'reason' | 'percentage' | 'place'> {
  readonly answer: boolean | number
  /** Another flag whose rule it was. */
  readonly decidedBy?: string
  /** The sentence, made only for whoever reads it. */
  readonly why: () => string
}

/**
 * Asks rule by rule what the compiled table answers at once, and says so.
 *
 * @param ignoresFallback - answers as if the flag itself had not fallen back
 */
export function explain(record: FlagRecord, table: Table, subject: Subject, ignoresFallback = false): Explanation {
  const { spec } = record
  const { answer, why, ...verdict } = verdictOf(record, table, subject, ignoresFallback)
  const facts = { flag: spec.name, decidedBy: spec.name, value: valueOf(spec, answer), variant: nameOf(spec, answer) }
  return { ...facts, ...verdict, why: why() }
}

/** The same without the sentence, counted as an answer. */
export function evaluate(flag: CompiledFlag, table: Table, subject: Subject): Evaluation {
  const { spec } = flag.record
  const { answer, reason, decidedBy = spec.name } = verdictOf(flag.record, table, subject, false)
  count(flag, Number(answer))
  return { value: valueOf(spec, answer), variant: nameOf(spec, answer), reason, decidedBy }
}

function verdictOf(record: FlagRecord, table: Table, subject: Subject, ignoresFallback: boolean): Verdict {
  return (
    (table.killed === undefined ? undefined : allOff(record.spec, table.killed)) ??
    heldOff(record, ignoresFallback) ??
    requirementOff(record, table, subject) ??
    ownRules(record, subject)
  )
}

/** What an answer is. */
export function valueOf(spec: FlagSpec, answer: boolean | number): JsonValue {
  return spec.kind === 'variant' ? (spec.variants.values[Number(answer)] as JsonValue) : answer === true
}

/** What an answer is called. */
function nameOf(spec: FlagSpec, answer: boolean | number): string {
  if (spec.kind === 'variant') return spec.variants.names[Number(answer)] as string
  return answer === true ? 'on' : 'off'
}

function shown(spec: FlagSpec, answer: boolean | number): string {
  const name = nameOf(spec, answer)
  return spec.kind === 'variant' ? JSON.stringify(name) : name
}

function allOff(spec: FlagSpec, cause: Cause): Verdict {
  return { answer: off(spec), reason: 'all-off', why: () => `All flags are off${told(cause)}` }
}

function heldOff({ spec, disabled, fallenBack }: FlagRecord, ignoresFallback: boolean): Verdict | undefined {
  if (disabled !== undefined) {
    return { answer: off(spec), reason: 'disabled', why: () => `${quote(spec)} is disabled${told(disabled)}` }
  }
  if (fallenBack === undefined || ignoresFallback) return undefined
  return { answer: off(spec), reason: 'fallen-back', why: () => `${quote(spec)} has fallen back${told(fallenBack)}` }
}

/**
 * The flag at the root of it: the first, from the bottom, that is off though all that it requires is on. Looks at each
 * required flag once, however many ways lead to it, and without recursion, however deep they lie.
 */
function requirementOff(record: FlagRecord, table: Table, subject: Subject): Verdict | undefined {
  if (record.spec.requires.length === 0) return undefined
  const seen = new Set<FlagSpec>()
  const path = [{ spec: record.spec, looked: 0 }]
  for (let step = path.at(-1); step !== undefined; step = path.at(-1)) {
    const next = step.spec.requires[step.looked++]
    if (next !== undefined) {
      if (!seen.has(next)) path.push({ spec: next, looked: 0 })
      seen.add(next)
      continue
    }
    path.pop()
    if (path.length === 0) return undefined
    const { spec } = step
    const required = table.flags.get(spec.name)?.record as FlagRecord
    const verdict = heldOff(required, false) ?? ownRules(required, subject)
    if (verdict.answer !== false) continue
    const why = (): string => `${quote(record.spec)} requires ${quote(spec)}, which is off: ${verdict.why()}`
    return { ...verdict, answer: off(record.spec), reason: 'required', why, decidedBy: spec.name }
  }
  return undefined
}

/** The rules that look at nothing but the flag itself. */
function ownRules(record: FlagRecord, subject: Subject): Verdict {
  return (
    pinned(record) ??
    overridden(record, subject) ??
    targeted(record, subject) ??
    ruled(record, subject) ??
    shared(record, subject) ??
    byDefault(record)
  )
}

function pinned({ spec, pin }: FlagRecord): Verdict | undefined {
  if (pin?.value === undefined) return undefined
  const why = (): string => `${pin.variable} sets ${quote(spec)} to ${shown(spec, pin.value)}`
  return { answer: pin.value, reason: 'environment', why }
}

function overridden(record: FlagRecord, subject: Subject): Verdict | undefined {
  const answer = overrideFor(record, subject.guildId, subject.userId)
  if (answer === undefined) return undefined
  const ofUser = subject.userId !== undefined && record.users.has(subject.userId)
  const whom = ofUser ? `user ${subject.userId}` : `guild ${subject.guildId}`
  const why = (): string => `${quote(record.spec)} is overridden to ${shown(record.spec, answer)} for ${whom}`
  return { answer, reason: ofUser ? 'user-override' : 'guild-override', why }
}

function targeted({ spec, targetGuilds }: FlagRecord, { guildId }: Subject): Verdict | undefined {
  if (spec.kind === 'variant' || guildId === undefined || targetGuilds?.has(guildId) !== true) return undefined
  return { answer: true, reason: 'target-guild', why: () => `${quote(spec)} is rolled out to guild ${guildId} by name` }
}

function ruled({ spec }: FlagRecord, subject: Subject): Verdict | undefined {
  const rule = ruleFor(spec.rules, subject.guildId, subject.userId, subject.attributes)
  if (rule === undefined) return undefined
  if (spec.kind === 'variant') return ruledVariant(spec, rule, subject)
  if (rule.percentage === undefined) {
    const answer = rule.withoutId === true
    return { answer, reason: 'rule', why: () => `${quote(spec)} is ${shown(spec, answer)} by its ${rule.label}` }
  }
  const share = (): string => `${quote(spec)} is on for ${rule.percentage} % of ${spec.by}s by its ${rule.label}`
  return (
    placed(spec, 'rule', rule.percentage, share, subject) ??
    byDefault({ spec }, `, since its ${rule.label} has nobody to count`)
  )
}

function ruledVariant(spec: VariantSpec, rule: CompiledRule, subject: Subject): Verdict {
  if (rule.split === undefined) {
    const why = (): string => `${quote(spec)} is ${shown(spec, rule.variant)} by its ${rule.label}`
    return { answer: rule.variant, reason: 'rule', why }
  }
  const split = splitVerdict(spec, rule.split, subject)
  if (split !== undefined) return { ...split, reason: 'rule', why: () => `${split.why()}, by its ${rule.label}` }
  return byDefault({ spec }, `, since its ${rule.label} has nobody to count`)
}

function shared(record: FlagRecord, subject: Subject): Verdict | undefined {
  const { spec, pin } = record
  if (spec.kind === 'variant') return splitVerdict(spec, spec.split, subject)
  const percentage = percentageOf(record)
  if (percentage === undefined) return undefined
  const setBy = pin === undefined ? '' : `, set by ${pin.variable}`
  return placed(
    spec,
    'percentage',
    percentage,
    () => `${quote(spec)} is on for ${percentage} % of ${spec.by}s${setBy}`,
    subject,
  )
}

/** Whether an id stands within a percentage; `undefined` if that takes an id and there is none. */
function placed(
  spec: FlagSpec,
  reason: Reason,
  percentage: number,
  share: () => string,
  subject: Subject,
): Verdict | undefined {
  const threshold = thresholdOf(percentage)
  const bucket = subject.bucket(spec.by, spec.saltHash)
  if (bucket === undefined) {
    if (threshold !== EVERYONE && threshold !== NOBODY) return undefined
    return { answer: threshold === EVERYONE, reason, why: share, percentage }
  }
  const place = placeOf(bucket)
  const why = (): string => `${share()}; ${whose(spec, subject)} stands at ${place.toFixed(2)} of 100`
  return { answer: bucket < threshold, reason, why, percentage, place }
}

function splitVerdict(spec: VariantSpec, weights: Split | undefined, subject: Subject): Verdict | undefined {
  const split = splitFor(weights, spec, subject)
  if (split === undefined) return undefined
  const { index, percentage } = split
  const why = (): string =>
    `${shown(spec, index)} goes to ${Number(percentage.toFixed(2))} % of ${spec.by}s, ${whose(spec, subject)} among them`
  return { answer: index, reason: 'split', why, percentage, place: placeOf(split.bucket) }
}

function byDefault(record: Pick<FlagRecord, 'spec'> & Partial<FlagRecord>, because?: string): Verdict {
  const { spec } = record
  const isShared = spec.kind === 'variant' ? spec.split !== undefined : percentageOf(record as FlagRecord) !== undefined
  const nobody = isShared ? `, since there is no ${spec.by === 'user' ? 'user' : 'guild or user'} to count` : ''
  const why = (): string => `${quote(spec)} is ${shown(spec, spec.default)} by default${because ?? nobody}`
  return { answer: spec.default, reason: 'default', why }
}

function off(spec: FlagSpec): boolean | number {
  return spec.kind === 'variant' ? spec.default : false
}

function whose(spec: FlagSpec, subject: Subject): string {
  return spec.by === 'guild' && subject.guildId !== undefined ? `guild ${subject.guildId}` : `user ${subject.userId}`
}

function quote(spec: FlagSpec): string {
  return JSON.stringify(spec.name)
}
