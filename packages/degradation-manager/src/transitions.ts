import { bestMode, isWorse, stepBetter } from './mode.js'
import type { AnyRule, ComponentRule, FlagRule, HealthRule, PressureRule } from './options.js'
import type { ComponentReport } from './ports.js'

/** After a step that had to be taken back, the next takes twice as long; never more than so many times the usual. */
const maxPatience = 8

/** What does not change while the manager lives. */
export interface Plan {
  /** Best first. */
  readonly modes: readonly string[]
  readonly rules: readonly AnyRule[]
  readonly minDwellMs: number
}

/** What another process asks for, by a rule that is shared. */
export interface Ask {
  readonly mode: string
  readonly why: string
}

/** A mode that was set by hand. Instants are monotonic milliseconds. */
export interface ByHand {
  readonly mode: string
  readonly why: string
  readonly by: string | undefined
  readonly untilMs: number | undefined
}

/** All that decides the mode. Instants are monotonic milliseconds. */
export interface ModeState {
  /** Whether the inputs of the rules are being read. While they are not, the rules stand still. */
  readonly watching: boolean
  /** Where the rules have led; the mode in force, unless someone set one by hand. */
  readonly ruled: string
  /** For each rule of the plan why it is active, or undefined. */
  readonly reasons: readonly (string | undefined)[]
  /** What other processes ask for. */
  readonly asks: readonly Ask[]
  /** Since when no rule asks for a mode as bad as `ruled`; undefined while one does. */
  readonly calmSinceMs: number | undefined
  /** When the rules last led to a better mode; undefined when they never did. */
  readonly improvedAtMs: number | undefined
  /** How often it has got worse since then. */
  readonly relapses: number
  /** For how long nothing must have asked for `ruled` before it gets better. */
  readonly dwellMs: number
  /** A mode set by hand. It wins over the rules, which go on in the background. */
  readonly override: ByHand | undefined
}

/** What can move the mode. `time` is a timer that fell due. */
export type Input =
  | { readonly type: 'start' | 'stop' | 'time' | 'clearMode' }
  | ({ readonly type: 'component'; readonly name: string } & ComponentReport)
  | ({ readonly type: 'health' } & ComponentReport)
  | { readonly type: 'pressure'; readonly name: string; readonly value: number }
  | { readonly type: 'flag'; readonly name: string; readonly isOn: boolean }
  | { readonly type: 'asks'; readonly asks: readonly Ask[] }
  | {
      readonly type: 'setMode'
      readonly mode: string
      readonly why: string
      readonly by: string | undefined
      readonly forMs: number | undefined
    }

export function initialState(plan: Plan): ModeState {
  return {
    watching: false,
    ruled: bestMode,
    reasons: plan.rules.map(() => undefined),
    asks: [],
    calmSinceMs: undefined,
    improvedAtMs: undefined,
    relapses: 0,
    dwellMs: plan.minDwellMs,
    override: undefined,
  }
}

/**
 * The state after one input. Worse is followed at once; better by one step, each time that nothing has asked for the
 * present mode for `dwellMs`.
 */
export function transition(plan: Plan, state: ModeState, input: Input, nowMs: number): ModeState {
  return settle(plan, expire(take(plan, state, input, nowMs), nowMs), nowMs)
}

/** The mode that is decided: by hand, or else by the rules. */
export function modeOf(state: ModeState): string {
  return state.override?.mode ?? state.ruled
}

/** What is asked for at present: by the rules that are active, and by other processes. */
export function asksOf(plan: Plan, state: ModeState): Ask[] {
  const own = plan.rules.flatMap(({ mode }, index) => {
    const why = state.reasons[index]
    return why === undefined ? [] : [{ mode, why }]
  })
  return [...own, ...state.asks]
}

/** The worst mode that is asked for. */
export function wantedMode(plan: Plan, state: ModeState): string {
  return asksOf(plan, state).reduce(
    (worst, { mode }) => (isWorse(plan.modes, mode, worst) ? mode : worst),
    bestMode as string,
  )
}

/** When the state will change though nothing comes in; undefined: never. */
export function nextDueMs(state: ModeState): number | undefined {
  const stepMs = state.calmSinceMs === undefined ? Infinity : state.calmSinceMs + state.dwellMs
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
  serves: (mode: string) => boolean,
  nowMs: number,
): number | undefined {
  if (state.override !== undefined && state.override.untilMs === undefined) return undefined
  const byHandMs = state.override?.untilMs === undefined ? 0 : Math.max(0, state.override.untilMs - nowMs)
  const calmForMs = state.calmSinceMs === undefined ? 0 : nowMs - state.calmSinceMs
  let byRulesMs = 0
  let stepMs = Math.max(0, state.dwellMs - calmForMs)
  for (let mode = state.ruled; !serves(mode); mode = stepBetter(plan.modes, mode)) {
    if (mode === bestMode || !state.watching) return undefined
    byRulesMs += stepMs
    stepMs = state.dwellMs
  }
  return Math.max(byHandMs, byRulesMs)
}

function take(plan: Plan, state: ModeState, input: Input, nowMs: number): ModeState {
  switch (input.type) {
    case 'start':
      return { ...state, watching: true }
    case 'stop':
      // What others ask is not heard any more; what was heard last stays in force as everything else does.
      return { ...state, watching: false }
    case 'time':
      return state
    case 'setMode': {
      const { mode, why, by, forMs } = input
      return { ...state, override: { mode, why, by, untilMs: forMs === undefined ? undefined : nowMs + forMs } }
    }
    case 'clearMode':
      return { ...state, override: undefined }
    case 'asks':
      return { ...state, asks: input.asks }
    case 'component':
      return withReasons(plan, state, (rule, before) =>
        rule.component === input.name ? healthReason(`component "${rule.component}"`, rule, input, before) : before,
      )
    case 'health':
      return withReasons(plan, state, (rule, before) =>
        rule.health === undefined ? before : healthReason('the bot as a whole', rule, input, before),
      )
    case 'pressure':
      return withReasons(plan, state, (rule, before) =>
        rule.pressure === input.name ? pressureReason(rule, input.value, before) : before,
      )
    case 'flag':
      return withReasons(plan, state, (rule, before) =>
        rule.flag === input.name ? flagReason(rule, input.isOn) : before,
      )
  }
}

function withReasons(
  plan: Plan,
  state: ModeState,
  reason: (rule: AnyRule, before: string | undefined) => string | undefined,
): ModeState {
  return { ...state, reasons: plan.rules.map((rule, index) => reason(rule, state.reasons[index])) }
}

function healthReason(
  what: string,
  { is }: ComponentRule<string, string> | HealthRule<string>,
  { status, reason }: ComponentReport,
  before: string | undefined,
): string | undefined {
  if (status === 'unknown') return before
  const applies = status === 'down' || status === is
  if (!applies) return undefined
  return `${what} is ${status}${reason === '' ? '' : `: ${reason}`}`
}

/** Between the two thresholds (hysteresis) a rule stays what it was. */
function pressureReason(
  rule: PressureRule<string, string>,
  value: number,
  before: string | undefined,
): string | undefined {
  const active = before === undefined ? value >= rule.enter : value > rule.leave
  if (!active) return undefined
  return `pressure "${rule.pressure}" is ${Number(value.toFixed(3))} (enters at ${rule.enter}, leaves at ${rule.leave})`
}

function flagReason({ flag, is = 'on' }: FlagRule<string, string>, isOn: boolean): string | undefined {
  return isOn === (is === 'on') ? `flag "${flag}" is ${is}` : undefined
}

function expire(state: ModeState, nowMs: number): ModeState {
  const untilMs = state.override?.untilMs
  return untilMs !== undefined && nowMs >= untilMs ? { ...state, override: undefined } : state
}

function settle(plan: Plan, state: ModeState, nowMs: number): ModeState {
  // Time that nobody watched is no evidence of calm.
  if (!state.watching) return { ...state, calmSinceMs: undefined }
  const wanted = wantedMode(plan, state)
  if (isWorse(plan.modes, wanted, state.ruled)) {
    const relapses = state.relapses + 1
    const dwellMs = dwellAfterRelapse(plan, { ...state, relapses }, nowMs)
    return { ...state, ruled: wanted, relapses, calmSinceMs: undefined, dwellMs }
  }
  if (wanted === state.ruled) return { ...state, calmSinceMs: undefined }
  const calmSinceMs = state.calmSinceMs ?? nowMs
  // The same sum as in nextDueMs: a timer that fires when due must find it due, whatever floating point does.
  if (nowMs < calmSinceMs + state.dwellMs) return { ...state, calmSinceMs }
  const ruled = stepBetter(plan.modes, state.ruled)
  return {
    ...state,
    ruled,
    calmSinceMs: isWorse(plan.modes, ruled, wanted) ? nowMs : undefined,
    improvedAtMs: nowMs,
    relapses: 0,
  }
}

/**
 * Worse must be followed at once, so a load that swings as slowly as the dwell would flip the mode twice a dwell. A step
 * that did not last as long as it had been waited for came too soon: the next is waited for twice as long. One that is
 * taken back by several changes must have lasted so long for each.
 */
function dwellAfterRelapse({ minDwellMs }: Plan, state: ModeState, nowMs: number): number {
  const { improvedAtMs, relapses, dwellMs } = state
  const cameTooSoon = improvedAtMs !== undefined && nowMs - improvedAtMs < relapses * dwellMs
  return cameTooSoon ? Math.min(2 * dwellMs, maxPatience * minDwellMs) : minDwellMs
}
