import { isAtLeast, type Labels, type NoticeKind, type Severity, worse } from './alert.js'

/*
 * What becomes of one alert: pure, (state, what happened, now) -> (state, what to tell). Times are milliseconds of one
 * steady time, never the wall's.
 */

/** What an alert is, and what people know of it. */
export interface AlertState {
  readonly name: string
  readonly labels: Labels
  /** The channel that it is about, which is never told of it. */
  readonly about: string | undefined
  /** Whether it ends only when somebody says so; otherwise it is something that happens, and ends by itself. */
  readonly isLasting: boolean
  readonly status: 'firing' | 'resolved'
  /** The worst since it began. */
  readonly severity: Severity
  readonly message: string
  /** When it began. */
  readonly sinceMs: number
  /** How often it has happened since it began. */
  readonly count: number
  /** When it last happened. */
  readonly lastMs: number
  /** How often it has happened since people were last told. */
  readonly untold: number
  /** How often people were told since it began. */
  readonly tellings: number
  readonly toldMs: number
  /** Whether people take it for going on, or for flapping: also when they could not be told that it had ended. */
  readonly isKnown: boolean
  /** What people are to hear when it may be told again: somebody wanted quiet when it began, became worse or ended. */
  readonly owed: 'firing' | 'resolved' | undefined
  readonly isFlapping: boolean
  /** When it last began and ended, as far as that matters. */
  readonly changes: readonly number[]
}

/** When people are told, in milliseconds and counts. */
export interface TellingRules {
  readonly digestMs: number
  readonly repeatMs: number
  readonly flapChanges: number
  readonly flapWindowMs: number
}

/** One thing that happened. */
export interface Occurrence {
  readonly name: string
  readonly labels: Labels
  readonly about: string | undefined
  readonly isLasting: boolean
  readonly severity: Severity
  readonly message: string
}

/** What follows. */
export interface Step {
  readonly state: AlertState
  /** What to tell people; nothing when the alert is merged into what they know. */
  readonly tell: NoticeKind | undefined
}

/** It happened. */
export function occur(before: AlertState | undefined, seen: Occurrence, nowMs: number, rules: TellingRules): Step {
  const { severity, message, isLasting } = seen
  const isKnown = before?.status === 'firing' && !isForgotten(before, nowMs, rules)
  if (isKnown) {
    const isWorse = !isAtLeast(before.severity, severity)
    // Field by field, since a copy by `...` takes ten times as long, and a storm goes through here.
    const state: AlertState = {
      name: before.name,
      labels: before.labels,
      about: before.about,
      isLasting: before.isLasting || isLasting,
      severity: worse(before.severity, severity),
      message,
      status: 'firing',
      sinceMs: before.sinceMs,
      count: before.count + 1,
      lastMs: nowMs,
      untold: before.untold + 1,
      tellings: before.tellings,
      toldMs: before.toldMs,
      isKnown: before.isKnown,
      owed: before.owed,
      isFlapping: before.isFlapping,
      changes: before.changes,
    }
    return { state, tell: isWorse && !before.isFlapping ? 'firing' : undefined }
  }
  const changes = [...recentChanges(before, nowMs, rules), nowMs]
  const isFlapping = isLasting && changes.length >= rules.flapChanges
  const state: AlertState = {
    name: seen.name,
    labels: seen.labels,
    about: seen.about,
    isLasting,
    severity,
    message,
    status: 'firing',
    sinceMs: nowMs,
    count: 1,
    lastMs: nowMs,
    untold: 1,
    tellings: 0,
    toldMs: nowMs,
    isKnown: before?.status === 'resolved' && before.isKnown,
    owed: undefined,
    isFlapping,
    // No more is needed to know, and one that flaps for hours must not grow.
    changes: changes.slice(-rules.flapChanges),
  }
  if (!isFlapping) return { state, tell: 'firing' }
  return { state, tell: before?.isFlapping === true ? undefined : 'flapping' }
}

/** It ended. Nothing follows when it had not begun. */
export function resolve(before: AlertState | undefined, nowMs: number, rules: TellingRules): Step | undefined {
  if (before?.status !== 'firing') return undefined
  const changes = [...recentChanges(before, nowMs, rules), nowMs].slice(-rules.flapChanges)
  const state: AlertState = { ...before, status: 'resolved', lastMs: nowMs, owed: undefined, changes }
  // Nobody is told of the end of what nobody was told of.
  return { state, tell: before.isFlapping || !before.isKnown ? undefined : 'resolved' }
}

/**
 * Time has passed.
 *
 * @param isSilenced - whether somebody wants quiet about it now
 * @returns `undefined` when the alert is to be forgotten
 */
export function pass(state: AlertState, nowMs: number, rules: TellingRules, isSilenced: boolean): Step | undefined {
  if (state.isFlapping) {
    if (nowMs - lastChange(state) < rules.flapWindowMs) return { state, tell: undefined }
    if (state.status === 'resolved' && !state.isKnown) return undefined
    const steady: AlertState = { ...state, isFlapping: false, changes: [] }
    return { state: steady, tell: state.status === 'firing' ? 'firing' : 'resolved' }
  }
  if (owesEnd(state)) return { state, tell: isSilenced ? undefined : 'resolved' }
  if (state.status === 'resolved') {
    return recentChanges(state, nowMs, rules).length === 0 ? undefined : { state, tell: undefined }
  }
  if (isForgotten(state, nowMs, rules)) return undefined
  if (state.owed !== undefined) return { state, tell: isSilenced ? undefined : 'firing' }
  const quietMs = nowMs - state.toldMs
  if (state.untold > 0 && quietMs >= (state.tellings <= 1 ? rules.digestMs : rules.repeatMs)) {
    return { state, tell: 'repeated' }
  }
  if (state.isLasting && state.severity !== 'INFO' && quietMs >= rules.repeatMs) return { state, tell: 'reminder' }
  return { state, tell: undefined }
}

/** When {@link pass} may next have something to say; `undefined` when never. */
export function nextDueMs(state: AlertState, rules: TellingRules): number | undefined {
  if (state.isFlapping) return lastChange(state) + rules.flapWindowMs
  // The end of a silence is due by itself.
  if (owesEnd(state)) return undefined
  if (state.status === 'resolved') return lastChange(state) + rules.flapWindowMs
  const isPassing = !state.isLasting || state.severity === 'INFO'
  if (state.untold === 0 && isPassing) return forgottenAtMs(state, rules)
  if (state.owed !== undefined) return undefined
  return state.toldMs + (state.untold > 0 && state.tellings <= 1 ? rules.digestMs : rules.repeatMs)
}

/** People were told, or will be for certain. */
export function told(state: AlertState, nowMs: number): AlertState {
  const isKnown = state.status === 'firing' || state.isFlapping
  return { ...state, untold: 0, tellings: state.tellings + 1, toldMs: nowMs, isKnown, owed: undefined }
}

/** People would have been told this, but somebody wanted quiet. */
export function suppressed(state: AlertState, kind: NoticeKind, nowMs: number): AlertState {
  const owed = kind === 'firing' || kind === 'resolved' ? kind : state.owed
  return { ...state, untold: 0, toldMs: nowMs, owed }
}

/** What merely happens is over when it has not happened for a while; so is a lasting one that is for information. */
function isForgotten(state: AlertState, nowMs: number, rules: TellingRules): boolean {
  if (state.isLasting && state.severity !== 'INFO') return false
  return state.untold === 0 && nowMs >= forgottenAtMs(state, rules)
}

function forgottenAtMs(state: AlertState, rules: TellingRules): number {
  return Math.max(state.lastMs, state.toldMs) + rules.repeatMs
}

/** People take it for going on, because somebody wanted quiet when it ended. */
function owesEnd(state: AlertState): boolean {
  return state.status === 'resolved' && state.owed !== undefined
}

function recentChanges(state: AlertState | undefined, nowMs: number, rules: TellingRules): readonly number[] {
  return state?.changes.filter((atMs) => nowMs - atMs < rules.flapWindowMs) ?? []
}

function lastChange(state: AlertState): number {
  return state.changes.at(-1) ?? state.lastMs
}
