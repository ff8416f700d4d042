import { describeError } from './outcome.js'
import type { Cause, FlagRecord, FlagState, Table } from './table.js'

/** Why something is changed, and who changes it. */
export interface ChangeReason {
  /** For the people who will read it in an event, in a log or from {@link FeatureFlags.explain}. */
  readonly why: string
  /** Who does it: a name, a user's id. */
  readonly by?: string
}

/** What a flag is like at present, whoever asks. */
export interface FlagStatus {
  /** The flag's name. */
  readonly name: string
  /** Whether it decides by its own rules, or what holds it off; `all-off` while all flags are. */
  readonly state: FlagState | 'all-off'
  /** The percentage that counts, 0 to 100; `undefined` where there is none. */
  readonly percentage: number | undefined
  /** How many guilds have an override. */
  readonly guildOverrides: number
  /** How many users have an override. */
  readonly userOverrides: number
  /** While `state` is `fallen-back`: from when on a call may try it again, in epoch ms. */
  readonly retryAt: number | undefined
  /** The last change since the flags were made: what, when, why and by whom. */
  readonly lastChange: FlagChange | undefined
}

/** How much a piece of news matters to whoever runs the bot. */
export type Severity = 'INFO' | 'WARNING' | 'CRITICAL'

/** What every piece of news says. */
export interface FlagNews {
  /** The flag's name. */
  readonly what: string
  /** When, in epoch ms. */
  readonly at: number
  /** The reason that was given or found. */
  readonly why: string
  /** Who did it, if that was said. */
  readonly by?: string
  /** How much it matters. */
  readonly severity: Severity
  /** All of it as a sentence. */
  readonly message: string
}

/** A flag was held off or let go: by hand, by falling back or recovering, or because of a flag that it requires. */
export interface StateChange extends FlagNews {
  /** What of the flag changed. */
  readonly aspect: 'state'
  /** Before. */
  readonly from: FlagState
  /** After. */
  readonly to: FlagState
}

/** A percentage was set while running. */
export interface PercentageChange extends FlagNews {
  /** What of the flag changed. */
  readonly aspect: 'percentage'
  /** Before, 0 to 100. A flag without a percentage counts as 0 or 100 by its default. */
  readonly from: number
  /** After, 0 to 100. */
  readonly to: number
}

/** An override was set or removed. */
export interface OverrideChange extends FlagNews {
  /** What of the flag changed. */
  readonly aspect: 'override'
  /** Before; `undefined` where there was none. */
  readonly from: boolean | string | undefined
  /** After; `undefined` where it was removed. */
  readonly to: boolean | string | undefined
  /** The guild that it is for, if it is for a guild. */
  readonly guildId?: string
  /** The user that it is for, if it is for a user. */
  readonly userId?: string
}

/** All flags were switched off at once, or given back to their own rules. */
export interface AllFlagsChange extends FlagNews {
  /** Every flag at once. */
  readonly what: '*'
  /** What changed. */
  readonly aspect: 'all'
  /** Before. */
  readonly from: 'on' | 'off'
  /** After. */
  readonly to: 'on' | 'off'
}

/** Something about flags changed. `aspect` tells which of the four kinds it is. */
export type FlagChange = StateChange | PercentageChange | OverrideChange | AllFlagsChange

/** The new path of {@link FeatureFlags.run} failed once. */
export interface FlagFailure extends FlagNews {
  /** The path that failed. */
  readonly from: 'on'
  /** What the caller gets instead: the answer of the old path, or the error, where the new path may have taken effect. */
  readonly to: 'off' | 'error'
  /** What the new path threw. */
  readonly error: unknown
}

/** The events of {@link FeatureFlags}. */
export interface FlagEvents {
  /** Something changed, and is in force. */
  change: [change: FlagChange]
  /** A call of a new path failed. Whether that makes the flag fall back is a `change` of its own. */
  failed: [failure: FlagFailure]
}

/**
 * What happened to each flag's state. Dependents go down before what they require and come back after it, so that at
 * no piece of news a flag is said to work while one that it requires is said not to.
 */
export function stateChanges(before: Table, after: Table, changed: string, cause: Cause): StateChange[] {
  const down: StateChange[] = []
  const up: StateChange[] = []
  for (const [name, { state: to }] of after.flags) {
    const from = before.flags.get(name)?.state ?? to
    if (from === to) continue
    const message = stateMessage(name, to, changed, after) + told(cause)
    const severity = to === 'active' ? 'INFO' : 'WARNING'
    const change: StateChange = { what: name, aspect: 'state', from, to, ...stamp(cause), severity, message }
    if (from === 'active') down.push(change)
    else up.push(change)
  }
  return [...down.reverse(), ...up]
}

function stateMessage(name: string, to: FlagState, changed: string, after: Table): string {
  const flag = JSON.stringify(name)
  const source = JSON.stringify(changed)
  if (name !== changed) {
    const sourceState = after.flags.get(changed)?.state
    if (to === 'active') return `${flag} is back, because ${source}, which it requires, is back`
    return `${flag} is off, because it requires ${source}, which ${sourceState === 'disabled' ? 'is disabled' : 'has fallen back'}`
  }
  if (to === 'active') return `${flag} is back`
  if (to === 'disabled') return `${flag} is disabled`
  if (to === 'fallen-back') return `${flag} has fallen back to the old path`
  return `${flag} is let go, but stays off because a flag that it requires is off`
}

/** A percentage was set; where the environment decides, the sentence says that too. */
export function percentageChange(record: FlagRecord, from: number, to: number, cause: Cause): PercentageChange {
  const { name, by } = record.spec
  const message = `${JSON.stringify(name)} goes from ${from} % to ${to} % of ${by}s${butPinned(record)}${told(cause)}`
  return { what: name, aspect: 'percentage', from, to, ...stamp(cause), severity: 'INFO', message }
}

/** An override was set or removed; where the environment decides, the sentence says that too. */
export function overrideChange(
  record: FlagRecord,
  target: { guildId: string } | { userId: string },
  from: boolean | string | undefined,
  to: boolean | string | undefined,
  cause: Cause,
): OverrideChange {
  const whom = 'guildId' in target ? `guild ${target.guildId}` : `user ${target.userId}`
  const flag = JSON.stringify(record.spec.name)
  const done =
    to === undefined ? `The override of ${flag} for ${whom} is removed` : `${flag} is ${show(to)} for ${whom}`
  const message = done + butPinned(record) + told(cause)
  return { what: record.spec.name, aspect: 'override', from, to, ...target, ...stamp(cause), severity: 'INFO', message }
}

/** All flags were switched. */
export function allFlagsChange(isOff: boolean, cause: Cause): AllFlagsChange {
  const [from, to] = isOff ? (['on', 'off'] as const) : (['off', 'on'] as const)
  const message = (isOff ? 'All flags are off' : 'All flags follow their own rules again') + told(cause)
  return { what: '*', aspect: 'all', from, to, ...stamp(cause), severity: isOff ? 'CRITICAL' : 'INFO', message }
}

/** A new path failed. */
export function flagFailure(
  name: string,
  { isTrial, isServed }: { isTrial: boolean; isServed: boolean },
  error: unknown,
  at: number,
): FlagFailure {
  const why = describeError(error)
  const outcome = isServed
    ? 'the old path serves the call'
    : 'the caller gets the error, since the new path may have taken effect'
  const message = `The new path of ${JSON.stringify(name)} failed${isTrial ? ' its trial' : ''}, and ${outcome}: ${why}`
  return { what: name, from: 'on', to: isServed ? 'off' : 'error', at, why, severity: 'WARNING', message, error }
}

/** Who and why, at the end of a sentence. */
export function told({ why, by }: Pick<Cause, 'why' | 'by'>): string {
  return `${by === undefined ? '' : ` by ${by}`}: ${why}`
}

/** An answer in words. */
export function show(value: boolean | string): string {
  if (typeof value === 'string') return JSON.stringify(value)
  return value ? 'on' : 'off'
}

function butPinned({ pin }: FlagRecord): string {
  return pin === undefined ? '' : ` (without effect while ${pin.variable} is set)`
}

function stamp({ why, by, at }: Cause): Pick<FlagNews, 'at' | 'why' | 'by'> {
  return by === undefined ? { at, why } : { at, why, by }
}
