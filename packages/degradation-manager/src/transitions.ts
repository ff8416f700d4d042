import { isWorse, stepBetter, type Mode } from './mode.js'
import type { ComponentRule, PressureRule, Rule } from './options.js'
import type { ComponentReport } from './ports.js'

/** What does not change while the manager lives. */
export interface Plan {
  readonly rules: readonly Rule[]
  readonly minDwellMs: number
}

/** All that decides the mode. Instants are monotonic milliseconds. */
export interface ModeState {
  /** Whether the inputs of the rules are being read. While they are not, the rules stand still. */
  readonly watching: boolean
  /** Where the rules have led; the mode in force, unless someone set one by hand. */
  readonly ruled: Mode
  /** For each rule of the plan why it is active, or undefined. */
  readonly reasons: readonly (string | undefined)[]
  /** Since when no rule asks for a mode as bad as `ruled`; undefined while one does. */
  readonly calmSinceMs: number | undefined
  /** A mode set by hand. It wins over the rules, which go on in the background. */
  readonly override: { readonly mode: Mode; readonly why: string; readonly untilMs: number | undefined } | undefined
}

/** What can move the mode. `time` is a timer that fell due. */
export type Input =
  | { readonly type: 'start' | 'stop' | 'time' | 'clearMode' }
  | ({ readonly type: 'component'; readonly name: string } & ComponentReport)
  | { readonly type: 'pressure'; readonly name: string; readonly value: number }
  | { readonly type: 'setMode'; readonly mode: Mode; readonly why: string; readonly forMs: number | undefined }

export function initialState(plan: Plan): ModeState {
  return {
    watching: false,
    ruled: 'FULL',
    reasons: plan.rules.map(() => undefined),
    calmSinceMs: undefined,
    override: undefined,
  }
}

/**
 * The state after one input. Worse is followed at once; better by one step, each time that nothing has asked for the
 * present mode for `minDwellMs`.
 */
export function transition(plan: Plan, state: ModeState, input: Input, nowMs: number): ModeState {
  return settle(plan, expire(take(plan, state, input, nowMs), nowMs), nowMs)
}

/** The mode in force. */
export function modeOf(state: ModeState): Mode {
  return state.override?.mode ?? state.ruled
}

/** The worst mode that an active rule asks for. */
export function wantedMode(plan: Plan, state: ModeState): Mode {
  return plan.rules.reduce<Mode>(
    (worst, rule, index) => (state.reasons[index] !== undefined && isWorse(rule.mode, worst) ? rule.mode : worst),
    'FULL',
  )
}

/** When the state will change though nothing comes in; undefined: never. */
export function nextDueMs(plan: Plan, state: ModeState): number | undefined {
  const stepMs = state.calmSinceMs === undefined ? Infinity : state.calmSinceMs + plan.minDwellMs
  const dueMs = Math.min(stepMs, state.override?.untilMs ?? Infinity)
  return dueMs === Infinity ? undefined : dueMs
}

/**
 * How long at least until a mode can return in which `serves` holds: the rest of a mode set by hand, and one dwell per
 * step that the rules have yet to climb. Undefined when time alone will not bring it.
 */
export function earliestReturnMs(
  plan: Plan,
  state: ModeState,
  serves: (mode: Mode) => boolean,
  nowMs: number,
): number | undefined {
  if (state.override !== undefined && state.override.untilMs === undefined) return undefined
  const byHandMs = state.override?.untilMs === undefined ? 0 : Math.max(0, state.override.untilMs - nowMs)
  const calmForMs = state.calmSinceMs === undefined ? 0 : nowMs - state.calmSinceMs
  let byRulesMs = 0
  let stepMs = Math.max(0, plan.minDwellMs - calmForMs)
  for (let mode = state.ruled; !serves(mode); mode = stepBetter(mode)) {
    if (mode === 'FULL' || !state.watching) return undefined
    byRulesMs += stepMs
    stepMs = plan.minDwellMs
  }
  return Math.max(byHandMs, byRulesMs)
}

function take(plan: Plan, state: ModeState, input: Input, nowMs: number): ModeState {
  switch (input.type) {
    case 'start':
      return { ...state, watching: true }
    case 'stop':
      return { ...state, watching: false }
    case 'time':
      return state
    case 'setMode': {
      const untilMs = input.forMs === undefined ? undefined : nowMs + input.forMs
      return { ...state, override: { mode: input.mode, why: input.why, untilMs } }
    }
    case 'clearMode':
      return { ...state, override: undefined }
    case 'component':
      return withReasons(plan, state, (rule, before) =>
        rule.component === input.name ? componentReason(rule, input, before) : before,
      )
    case 'pressure':
      return withReasons(plan, state, (rule, before) =>
        rule.pressure === input.name ? pressureReason(rule, input.value, before) : before,
      )
  }
}

function withReasons(
  plan: Plan,
  state: ModeState,
  reason: (rule: Rule, before: string | undefined) => string | undefined,
): ModeState {
  return { ...state, reasons: plan.rules.map((rule, index) => reason(rule, state.reasons[index])) }
}

function componentReason(rule: ComponentRule, report: ComponentReport, before: string | undefined): string | undefined {
  if (report.status === 'unknown') return before
  const applies = report.status === 'down' || report.status === rule.is
  if (!applies) return undefined
  return `component "${rule.component}" is ${report.status}${report.reason === '' ? '' : `: ${report.reason}`}`
}

/** Between the two thresholds (hysteresis) a rule stays what it was. */
function pressureReason(rule: PressureRule, value: number, before: string | undefined): string | undefined {
  const active = before === undefined ? value >= rule.enter : value > rule.leave
  if (!active) return undefined
  return `pressure "${rule.pressure}" is ${Number(value.toFixed(3))} (enters at ${rule.enter}, leaves at ${rule.leave})`
}

function expire(state: ModeState, nowMs: number): ModeState {
  const untilMs = state.override?.untilMs
  return untilMs !== undefined && nowMs >= untilMs ? { ...state, override: undefined } : state
}

function settle(plan: Plan, state: ModeState, nowMs: number): ModeState {
  // Time that nobody watched is no evidence of calm.
  if (!state.watching) return { ...state, calmSinceMs: undefined }
  const wanted = wantedMode(plan, state)
  if (!isWorse(state.ruled, wanted)) return { ...state, ruled: wanted, calmSinceMs: undefined }
  const calmSinceMs = state.calmSinceMs ?? nowMs
  // The same sum as in nextDueMs: a timer that fires when due must find it due, whatever floating point does.
  if (nowMs < calmSinceMs + plan.minDwellMs) return { ...state, calmSinceMs }
  const ruled = stepBetter(state.ruled)
  return { ...state, ruled, calmSinceMs: isWorse(ruled, wanted) ? nowMs : undefined }
}
