import { EVERYONE, NOBODY, placeOf, thresholdOf } from './bucketing.js'
import type { Subject } from './context.js'
import { overrideFor, splitFor } from './decide.js'
import { show, told } from './news.js'
import type { FlagSpec, VariantSpec } from './specification.js'
import { percentageOf, type Cause, type FlagRecord, type Table } from './table.js'

/** Which rule answered, in the order in which rules are asked. */
export type Reason =
  | 'all-off'
  | 'disabled'
  | 'fallen-back'
  | 'required'
  | 'environment'
  | 'user-override'
  | 'guild-override'
  | 'percentage'
  | 'split'
  | 'default'

/** An answer and how it came about. */
export interface Explanation<V extends boolean | string = boolean | string> {
  /** The flag that was asked for. */
  readonly flag: string
  /** The answer: what `isEnabled` or `variant` returns for the same context at the same moment. */
  readonly value: V
  /** The rule that answered. */
  readonly reason: Reason
  /** The flag whose rule it was: this one, or the required flag that is off. */
  readonly decidedBy: string
  /** The whole of it as a sentence. */
  readonly why: string
  /** The share of ids that get this rule's answer, 0 to 100, where a percentage or the weights decided. */
  readonly percentage?: number
  /** Where the id stands, 0 to 100, where a percentage or the weights decided. */
  readonly place?: number
}

type Verdict = Pick<Explanation, 'value' | 'reason' | 'why' | 'percentage' | 'place'>

/**
 * Asks rule by rule what the compiled table answers at once, and says so.
 *
 * @param ignoresFallback - answers as if the flag itself had not fallen back
 */
export function explain(record: FlagRecord, table: Table, subject: Subject, ignoresFallback = false): Explanation {
  const { spec } = record
  const verdict =
    (table.killed === undefined ? undefined : allOff(spec, table.killed)) ??
    heldOff(record, ignoresFallback) ??
    requirementOff(record, table, subject) ??
    ownRules(record, subject)
  return { flag: spec.name, decidedBy: spec.name, ...verdict }
}

function allOff(spec: FlagSpec, cause: Cause): Verdict {
  return { value: off(spec), reason: 'all-off', why: `All flags are off${told(cause)}` }
}

function heldOff({ spec, disabled, fallenBack }: FlagRecord, ignoresFallback: boolean): Verdict | undefined {
  if (disabled !== undefined) {
    return { value: off(spec), reason: 'disabled', why: `${quote(spec)} is disabled${told(disabled)}` }
  }
  if (fallenBack === undefined || ignoresFallback) return undefined
  return { value: off(spec), reason: 'fallen-back', why: `${quote(spec)} has fallen back${told(fallenBack)}` }
}

/** The flag at the root of it: the first, from the bottom, that is off though all that it requires is on. */
function requirementOff(
  record: FlagRecord,
  table: Table,
  subject: Subject,
): (Verdict & { decidedBy: string }) | undefined {
  for (const spec of allRequired(record.spec, table)) {
    const required = table.flags.get(spec.name)?.record as FlagRecord
    const verdict = heldOff(required, false) ?? ownRules(required, subject)
    if (verdict.value !== false) continue
    const why = `${quote(record.spec)} requires ${quote(spec)}, which is off: ${verdict.why}`
    return { ...verdict, value: off(record.spec), reason: 'required', why, decidedBy: spec.name }
  }
  return undefined
}

/** All that a flag requires, at any depth, each after what it requires itself. */
function allRequired(spec: FlagSpec, table: Table): FlagSpec[] {
  const required = new Set(spec.requires)
  for (const other of required) for (const further of other.requires) required.add(further)
  // The table is in that order.
  return required.size === 0
    ? []
    : [...table.flags.values()].map(({ record }) => record.spec).filter((s) => required.has(s))
}

/** The rules that look at nothing but the flag itself. */
function ownRules(record: FlagRecord, subject: Subject): Verdict {
  return pinned(record) ?? overridden(record, subject) ?? shared(record, subject) ?? byDefault(record)
}

function pinned({ spec, pin }: FlagRecord): Verdict | undefined {
  if (pin?.value === undefined) return undefined
  return { value: pin.value, reason: 'environment', why: `${pin.variable} sets ${quote(spec)} to ${show(pin.value)}` }
}

function overridden(record: FlagRecord, subject: Subject): Verdict | undefined {
  const value = overrideFor(record, subject.guildId, subject.userId)
  if (value === undefined) return undefined
  const ofUser = subject.userId !== undefined && record.users.has(subject.userId)
  const whom = ofUser ? `user ${subject.userId}` : `guild ${subject.guildId}`
  const why = `${quote(record.spec)} is overridden to ${show(value)} for ${whom}`
  return { value, reason: ofUser ? 'user-override' : 'guild-override', why }
}

function shared(record: FlagRecord, subject: Subject): Verdict | undefined {
  const { spec } = record
  if (spec.kind === 'variant') return splitVerdict(spec, subject)
  const percentage = percentageOf(record)
  if (percentage === undefined) return undefined
  const setBy = record.pin === undefined ? '' : `, set by ${record.pin.variable}`
  const share = `${quote(spec)} is on for ${percentage} % of ${spec.by}s${setBy}`
  const bucket = subject.bucket(spec.by, spec.saltHash)
  if (bucket === undefined) {
    const threshold = thresholdOf(percentage)
    if (threshold !== EVERYONE && threshold !== NOBODY) return undefined
    return { value: threshold === EVERYONE, reason: 'percentage', why: share, percentage }
  }
  const place = placeOf(bucket)
  const why = `${share}; ${whose(spec, subject)} stands at ${place.toFixed(2)} of 100`
  return { value: bucket < thresholdOf(percentage), reason: 'percentage', why, percentage, place }
}

function splitVerdict(spec: VariantSpec, subject: Subject): Verdict | undefined {
  const split = splitFor(spec, subject)
  if (split === undefined) return undefined
  const { variant, percentage } = split
  const why = `${show(variant)} goes to ${Number(percentage.toFixed(2))} % of ${spec.by}s, ${whose(spec, subject)} among them`
  return { value: variant, reason: 'split', why, percentage, place: placeOf(split.bucket) }
}

function byDefault(record: FlagRecord): Verdict {
  const { spec } = record
  const isShared = spec.kind === 'variant' ? spec.split !== undefined : percentageOf(record) !== undefined
  const cause = isShared ? `, since there is no ${spec.by === 'user' ? 'user' : 'guild or user'} to count` : ''
  return { value: spec.default, reason: 'default', why: `${quote(spec)} is ${show(spec.default)} by default${cause}` }
}

function off(spec: FlagSpec): boolean | string {
  return spec.kind === 'variant' ? spec.default : false
}

function whose(spec: FlagSpec, subject: Subject): string {
  return spec.by === 'guild' && subject.guildId !== undefined ? `guild ${subject.guildId}` : `user ${subject.userId}`
}

function quote(spec: FlagSpec): string {
  return JSON.stringify(spec.name)
}
