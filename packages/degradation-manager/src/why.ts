import type { ModeChange, OverrideChange, Severity } from './events.js'
import { isWorse, type Mode } from './mode.js'
import { modeOf, wantedMode, type ModeState, type Plan } from './transitions.js'

/** Why the mode in force is what it is. */
export function whyMode(plan: Plan, state: ModeState): string {
  if (state.override !== undefined) return `set by hand: ${state.override.why}`
  if (!state.watching) {
    return state.ruled === 'FULL'
      ? 'nothing has asked for less, and the rules are not being watched'
      : 'the rules had led there when they were last watched'
  }
  if (isWorse(state.ruled, wantedMode(plan, state))) {
    return `recovering by one step after each ${plan.minDwellMs} ms in which nothing asks for ${state.ruled}`
  }
  return state.ruled === 'FULL' ? 'no rule asks for less' : activeReasons(plan, state)
}

/**
 * What to tell after a transition; undefined when there is nothing.
 *
 * @param releasedWhy - the operator's reason, when the mode was handed back by hand
 */
export function changeBetween(
  plan: Plan,
  before: ModeState,
  after: ModeState,
  at: number,
  releasedWhy: string | undefined,
): ModeChange | OverrideChange | undefined {
  const from = modeOf(before)
  const to = modeOf(after)
  if (from === to && before.override === after.override) return undefined
  const why = whyChange(plan, before, after, releasedWhy)
  if (from === to) {
    const by = { from: before.override?.mode ?? 'none', to: after.override?.mode ?? 'none' } as const
    return { what: 'override', ...by, at, why, severity: 'INFO', message: sentence(`The mode stays ${to}: ${why}`) }
  }
  const message = sentence(`The mode went from ${from} to ${to}: ${why}`)
  return { what: 'mode', from, to, at, why, severity: severityOf(from, to, after), message }
}

/** Ends a text as a sentence, unless it ends so already. */
export function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}

function whyChange(plan: Plan, before: ModeState, after: ModeState, releasedWhy: string | undefined): string {
  if (after.override !== undefined && after.override !== before.override) return whyMode(plan, after)
  if (before.override !== undefined && after.override === undefined) {
    const end =
      releasedWhy === undefined ? 'the mode set by hand has expired' : `handed back to the rules: ${releasedWhy}`
    return after.ruled === 'FULL' ? end : `${end}; ${whyMode(plan, after)}`
  }
  if (isWorse(after.ruled, before.ruled)) return activeReasons(plan, after)
  return `nothing has asked for ${before.ruled} for ${plan.minDwellMs} ms`
}

/** The reasons of the rules that ask for the mode which the rules have led to. */
function activeReasons(plan: Plan, state: ModeState): string {
  return plan.rules.flatMap((rule, index) => (rule.mode === state.ruled ? (state.reasons[index] ?? []) : [])).join('; ')
}

/** A mode that a person chose is no emergency. */
function severityOf(from: Mode, to: Mode, after: ModeState): Severity {
  if (isWorse(from, to)) return 'INFO'
  return to === 'MAINTENANCE' && after.override === undefined ? 'CRITICAL' : 'WARNING'
}
