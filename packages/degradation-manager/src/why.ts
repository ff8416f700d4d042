import type { ModeChange, OverrideChange, Severity } from './events.js'
import { bestMode, isWorse, worstMode } from './mode.js'
import type { SetModeOptions } from './options.js'
import { asksOf, modeOf, wantedMode, type ByHand, type ModeState, type Plan } from './transitions.js'

/** How an operator hands back to the rules. */
export type Released = Pick<SetModeOptions, 'why' | 'by'>

/** Why the mode that is decided is what it is. */
export function whyMode(plan: Plan, state: ModeState): string {
  if (state.override !== undefined) return byHand(state.override)
  if (!state.watching) {
    return state.ruled === bestMode
      ? 'nothing has asked for less, and the rules are not being watched'
      : 'the rules had led there when they were last watched'
  }
  if (isWorse(plan.modes, state.ruled, wantedMode(plan, state))) {
    return `recovering by one step after each ${state.dwellMs} ms in which nothing asks for ${state.ruled}`
  }
  return state.ruled === bestMode ? 'no rule asks for less' : activeReasons(plan, state)
}

/**
 * What to tell after a transition; undefined when there is nothing.
 *
 * @param released - why and by whom, when the mode was handed back by hand
 */
export function changeBetween(
  plan: Plan & { readonly dryRun: boolean },
  before: ModeState,
  after: ModeState,
  at: number,
  released: Released | undefined,
): ModeChange<string> | OverrideChange<string> | undefined {
  const from = modeOf(before)
  const to = modeOf(after)
  if (from === to && before.override === after.override) return undefined
  const { dryRun } = plan
  const why = whyChange(plan, before, after, released)
  if (from === to) {
    const by = { from: before.override?.mode ?? 'none', to: after.override?.mode ?? 'none' }
    const stays = dryRun ? `Dry run: the mode would stay ${to}` : `The mode stays ${to}`
    return { what: 'override', ...by, dryRun, at, why, severity: 'INFO', message: sentence(`${stays}: ${why}`) }
  }
  const went = dryRun ? 'Dry run: the mode would have gone' : 'The mode went'
  const message = sentence(`${went} from ${from} to ${to}: ${why}`)
  const severity = dryRun ? 'INFO' : severityOf(plan, from, to, after)
  return { what: 'mode', from, to, dryRun, at, why, severity, message }
}

/** Ends a text as a sentence, unless it ends so already. */
export function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}

function byHand(override: ByHand): string {
  return `set by hand${whoAndWhy(override)}`
}

function whoAndWhy({ by, why }: Released): string {
  return `${by === undefined ? '' : ` by ${by}`}: ${why}`
}

function whyChange(plan: Plan, before: ModeState, after: ModeState, released: Released | undefined): string {
  if (after.override !== undefined && after.override !== before.override) return byHand(after.override)
  if (before.override !== undefined && after.override === undefined) {
    const end =
      released === undefined ? 'the mode set by hand has expired' : `handed back to the rules${whoAndWhy(released)}`
    return after.ruled === bestMode ? end : `${end}; ${whyMode(plan, after)}`
  }
  if (isWorse(plan.modes, after.ruled, before.ruled)) return activeReasons(plan, after)
  return `nothing has asked for ${before.ruled} for ${before.dwellMs} ms`
}

/** The reasons of whatever asks for the mode which the rules have led to. */
function activeReasons(plan: Plan, state: ModeState): string {
  return asksOf(plan, state)
    .flatMap(({ mode, why }) => (mode === state.ruled ? [why] : []))
    .join('; ')
}

/** A mode that a person chose is no emergency. */
function severityOf({ modes }: Plan, from: string, to: string, after: ModeState): Severity {
  if (isWorse(modes, from, to)) return 'INFO'
  return to === worstMode && after.override === undefined ? 'CRITICAL' : 'WARNING'
}
