import {
  stamp,
  told,
  type AllFlagsChange,
  type DeclarationChange,
  type FeedChange,
  type FlagChange,
  type OverrideChange,
  type PercentageChange,
  type StateChange,
  type TargetChange,
} from './news.js'
import { isSameData } from './same-data.js'
import { percentageOf, type Cause, type CompiledFlag, type FlagRecord, type FlagState, type Table } from './table.js'

/** What is the same for all news of one change. */
export interface Occasion {
  /** Why it happened, where the flag itself does not know better. */
  readonly cause: Cause
  readonly epoch: number
}

/** A flag before and after. */
interface Pair {
  readonly old: FlagRecord
  readonly flag: CompiledFlag
}

/**
 * What is different between two tables. Dependents go down before what they require and come back after it, so that at
 * no piece of news a flag is said to work while one that it requires is said not to.
 */
export function changesBetween(
  before: Table,
  after: Table,
  killChange: Cause | undefined,
  occasion: Occasion,
): FlagChange[] {
  const down: StateChange[] = []
  const up: StateChange[] = []
  const others: FlagChange[] = []
  const sources = new Map<string, Pair>()
  for (const [name, flag] of after.flags) {
    const old = before.flags.get(name)
    if (old === undefined || (old.record === flag.record && old.state === flag.state)) continue
    if (old.record !== flag.record) addRecordChanges(others, old.record, flag.record, occasion)
    const { state: from } = old
    const { state: to } = flag
    if (from === to) continue
    const source = sourceOf(old, flag, sources)
    sources.set(name, source)
    const change = stateChange(flag, from, source, occasion)
    if (from === 'active') down.push(change)
    else up.push(change)
  }
  const isOff = after.killed !== undefined
  if (isOff !== (before.killed !== undefined)) {
    others.unshift(allFlagsChange(isOff, after.killed ?? killChange ?? occasion.cause, occasion))
  }
  return [...others, ...down.reverse(), ...up]
}

/** The flag that a change of state comes from: itself, or one that it requires. */
function sourceOf(old: CompiledFlag, flag: CompiledFlag, sources: ReadonlyMap<string, Pair>): Pair {
  const { disabled, fallenBack } = flag.record
  const isOwn =
    (disabled === undefined) !== (old.record.disabled === undefined) ||
    (fallenBack === undefined) !== (old.record.fallenBack === undefined)
  const own = { old: old.record, flag }
  if (isOwn) return own
  for (const { name } of flag.record.spec.requires) {
    const source = sources.get(name)
    if (source !== undefined) return source
  }
  return own
}

function stateChange(flag: CompiledFlag, from: FlagState, source: Pair, occasion: Occasion): StateChange {
  const { state: to } = flag
  const { name } = flag.record.spec
  const { disabled, fallenBack } = source.flag.record
  const cause = disabled ?? fallenBack ?? causeOf(source.old, source.flag.record, occasion)
  const message = stateMessage(name, to, source.flag) + told(cause)
  const severity = to === 'active' ? 'INFO' : 'WARNING'
  return { what: name, aspect: 'state', from, to, ...stamp(cause), severity, message, epoch: occasion.epoch }
}

/** Who did it, and why: the flag's own last change, if that is new. */
function causeOf(old: FlagRecord, record: FlagRecord, { cause }: Occasion): Cause {
  if (record.tripped !== old.tripped) return record.tripped?.changed ?? cause
  if (record.runtime !== old.runtime) return record.runtime?.changed ?? cause
  return cause
}

function stateMessage(name: string, to: FlagState, source: CompiledFlag): string {
  const flag = JSON.stringify(name)
  const other = source.record.spec.name
  if (name !== other) {
    const otherFlag = JSON.stringify(other)
    if (to === 'active') return `${flag} is back, because ${otherFlag}, which it requires, is back`
    return `${flag} is off, because it requires ${otherFlag}, which ${source.state === 'disabled' ? 'is disabled' : 'has fallen back'}`
  }
  if (to === 'active') return `${flag} is back`
  if (to === 'disabled') return `${flag} is disabled`
  if (to === 'fallen-back') return `${flag} has fallen back to the old path`
  return `${flag} is let go, but stays off because a flag that it requires is off`
}

function addRecordChanges(changes: FlagChange[], old: FlagRecord, record: FlagRecord, occasion: Occasion): void {
  const declaration = old.spec === record.spec ? undefined : declarationChange(old, record, occasion)
  if (declaration !== undefined) changes.push(declaration)
  if (ownPercentage(old) !== ownPercentage(record)) changes.push(percentageChange(old, record, occasion))
  const targets = targetChange(old, record, occasion)
  if (targets !== undefined) changes.push(targets)
}

/** The percentage without what the environment says; a flag without one counts as 0 or 100 by its default. */
function ownPercentage(record: FlagRecord): number {
  const { spec, runtime } = record
  return percentageOf({ spec, runtime, pin: undefined }) ?? (spec.default === true ? 100 : 0)
}

/** Told as changes of their own. */
const toldApart = ['enabled', 'percentage']

type Settings = Readonly<Record<string, unknown>>

function isOther(field: string, before: Settings, after: Settings): boolean {
  return !toldApart.includes(field) && !isSameData(before[field], after[field])
}

function declarationChange(
  old: FlagRecord,
  record: FlagRecord,
  { cause, epoch }: Occasion,
): DeclarationChange | undefined {
  const before = old.spec.source.settings
  const after = record.spec.source.settings
  const fields = Object.keys(before).filter((field) => isOther(field, before, after))
  for (const field of Object.keys(after)) {
    if (!Object.hasOwn(before, field) && isOther(field, before, after)) fields.push(field)
  }
  if (fields.length === 0) return undefined
  const pick = (settings: Settings): Record<string, unknown> =>
    Object.fromEntries(fields.map((field) => [field, settings[field]]))
  const { name } = record.spec
  const what = fields.map((field) => `\`${field}\``).join(', ')
  const message = `${JSON.stringify(name)} has ${fields.length === 1 ? 'another' : 'other'} ${what}${told(cause)}`
  return {
    what: name,
    aspect: 'declaration',
    from: pick(before),
    to: pick(after),
    ...stamp(cause),
    severity: 'INFO',
    message,
    epoch,
  }
}

function percentageChange(old: FlagRecord, record: FlagRecord, occasion: Occasion): PercentageChange {
  const from = ownPercentage(old)
  const to = ownPercentage(record)
  const { name, by } = record.spec
  const cause = causeOf(old, record, occasion)
  const message = `${JSON.stringify(name)} goes from ${from} % to ${to} % of ${by}s${butPinned(record)}${told(cause)}`
  return {
    what: name,
    aspect: 'percentage',
    from,
    to,
    ...stamp(cause),
    severity: 'INFO',
    message,
    epoch: occasion.epoch,
  }
}

const nobody: readonly string[] = []

function targetChange(old: FlagRecord, record: FlagRecord, occasion: Occasion): TargetChange | undefined {
  const from = old.runtime?.share?.targetGuilds ?? nobody
  const to = record.runtime?.share?.targetGuilds ?? nobody
  if (isSameData(from, to)) return undefined
  const cause = causeOf(old, record, occasion)
  const { name } = record.spec
  const message = `${JSON.stringify(name)} goes from ${from.length} to ${to.length} target guilds${told(cause)}`
  return {
    what: name,
    aspect: 'targets',
    from,
    to,
    ...stamp(cause),
    severity: 'INFO',
    message,
    epoch: occasion.epoch,
  }
}

/** An override was set or removed; where the environment decides, the sentence says that too. */
export function overrideChange(
  record: FlagRecord,
  target: { readonly guildId: string } | { readonly userId: string },
  from: boolean | string | undefined,
  to: boolean | string | undefined,
  { cause, epoch }: Occasion,
): OverrideChange {
  const whom = 'guildId' in target ? `guild ${target.guildId}` : `user ${target.userId}`
  const flag = JSON.stringify(record.spec.name)
  const done =
    to === undefined ? `The override of ${flag} for ${whom} is removed` : `${flag} is ${show(to)} for ${whom}`
  const message = done + butPinned(record) + told(cause)
  const facts = { what: record.spec.name, aspect: 'override', from, to, ...target } as const
  return { ...facts, ...stamp(cause), severity: 'INFO', message, epoch }
}

function allFlagsChange(isOff: boolean, cause: Cause, { epoch }: Occasion): AllFlagsChange {
  const [from, to] = isOff ? (['on', 'off'] as const) : (['off', 'on'] as const)
  const message = (isOff ? 'All flags are off' : 'All flags follow their own rules again') + told(cause)
  const severity = isOff ? 'CRITICAL' : 'INFO'
  return { what: '*', aspect: 'all', from, to, ...stamp(cause), severity, message, epoch }
}

/** What others change is not seen any more, or again. */
export function feedChange(isLive: boolean, { cause, epoch }: Occasion): FeedChange {
  const [from, to] = isLive ? (['stale', 'live'] as const) : (['live', 'stale'] as const)
  const message = isLive
    ? `The flags see again what other processes change${told(cause)}`
    : `The flags answer from what was seen last, for their store cannot be reached${told(cause)}`
  const severity = isLive ? 'INFO' : 'WARNING'
  return { what: '*', aspect: 'feed', from, to, ...stamp(cause), severity, message, epoch }
}

function show(value: boolean | string): string {
  if (typeof value === 'string') return JSON.stringify(value)
  return value ? 'on' : 'off'
}

function butPinned({ pin }: FlagRecord): string {
  return pin === undefined ? '' : ` (without effect while ${pin.variable} is set)`
}
