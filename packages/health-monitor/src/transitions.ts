import type { CheckResult, HealthStatus } from './check-result.js'

/** A moment on both clocks: `at` for people (epoch ms), `ms` for durations (monotonic). */
export interface Moment {
  readonly at: number
  readonly ms: number
}

/** What is known about one component. */
export interface ComponentState {
  readonly status: HealthStatus
  readonly reason: string
  /** Since when it has this status, epoch ms. */
  readonly since: number
  /** When it was last looked at or reported, monotonic ms. */
  readonly observedMs: number
  /** The same on the wall, epoch ms; `undefined` before the first time. */
  readonly observedAt: number | undefined
  /** Results in a row that contradict the status, not yet enough to change it. */
  readonly suspicion: Suspicion | undefined
}

interface Suspicion {
  /** All of them say: better than the status, or all: worse. */
  readonly direction: 'better' | 'worse'
  readonly count: number
  /** What all of them agree on: of several, the one nearest to the present status. */
  readonly result: Observation
}

/** A result that says something. */
interface Observation extends CheckResult {
  readonly status: 'up' | 'degraded' | 'down'
}

/** How many results in a row change a status. */
export interface Thresholds {
  readonly failuresToDown: number
  readonly successesToUp: number
}

const BADNESS = { up: 0, degraded: 1, down: 2 } as const

/** Before the first look. */
export function unobserved(now: Moment): ComponentState {
  return {
    status: 'unknown',
    reason: 'not checked yet',
    since: now.at,
    observedMs: now.ms,
    observedAt: undefined,
    suspicion: undefined,
  }
}

/** Takes in what a check saw. A single result changes nothing (hysteresis), unless nothing was known before. */
export function observe(state: ComponentState, seen: Observation, thresholds: Thresholds, now: Moment): ComponentState {
  if (state.status === 'unknown' || seen.status === state.status) return believe(state, seen, now)
  const direction = BADNESS[seen.status] > BADNESS[state.status] ? 'worse' : 'better'
  const suspicion = suspect(state.suspicion, direction, seen)
  const needed = direction === 'worse' ? thresholds.failuresToDown : thresholds.successesToUp
  if (suspicion.count < needed) return { ...state, observedMs: now.ms, observedAt: now.at, suspicion }
  return believe(state, suspicion.result, now)
}

/** Takes in a status that needs no confirmation. */
export function believe(state: ComponentState, { status, reason }: CheckResult, now: Moment): ComponentState {
  const since = status === state.status ? state.since : now.at
  return { status, reason, since, observedMs: now.ms, observedAt: now.at, suspicion: undefined }
}

/** Forgets what is older than `maxAgeMs`: a status that nobody has confirmed for so long is unknown. */
export function expire(state: ComponentState, maxAgeMs: number, now: Moment): ComponentState {
  const overdueMs = now.ms - state.observedMs - maxAgeMs
  if (state.status === 'unknown' || overdueMs < 0) return state
  const reason = `no result for ${maxAgeMs} ms; the last one said ${state.status}: ${state.reason}`
  return { ...state, status: 'unknown', reason, since: now.at - overdueMs, suspicion: undefined }
}

/**
 * When to look again: soon while a change waits to be confirmed or nothing is known, later and later the more results
 * it takes, and never later than usual.
 */
export function nextLookMs(
  { status, suspicion }: ComponentState,
  { intervalMs, recheckMs }: { intervalMs: number; recheckMs: number },
): number {
  if (suspicion !== undefined) return Math.min(intervalMs, recheckMs * 2 ** (suspicion.count - 1))
  return status === 'unknown' ? Math.min(intervalMs, recheckMs) : intervalMs
}

/**
 * The status of the whole. A critical component that is down takes it down; one that is unknown makes it unknown, for
 * nobody can say that the bot works; anything else that is not up degrades it.
 */
export function aggregate(components: Iterable<{ status: HealthStatus; critical: boolean }>): HealthStatus {
  let isCriticalUnknown = false
  let isAnyKnown = false
  let isAnyAiling = false
  for (const { status, critical } of components) {
    if (critical && status === 'down') return 'down'
    isCriticalUnknown ||= critical && status === 'unknown'
    isAnyKnown ||= status !== 'unknown'
    isAnyAiling ||= status !== 'up'
  }
  if (isCriticalUnknown || !isAnyKnown) return 'unknown'
  return isAnyAiling ? 'degraded' : 'up'
}

function suspect(before: Suspicion | undefined, direction: Suspicion['direction'], seen: Observation): Suspicion {
  if (before?.direction !== direction) return { direction, count: 1, result: seen }
  const further = BADNESS[seen.status] - BADNESS[before.result.status]
  const isFurther = direction === 'worse' ? further > 0 : further < 0
  return { direction, count: before.count + 1, result: isFurther ? before.result : seen }
}

/** Whether the first status is worse news than the second; anything but up is, when nothing was known. */
export function isWorse(status: HealthStatus, than: HealthStatus): boolean {
  if (status === 'unknown') return false
  return BADNESS[status] > (than === 'unknown' ? 0 : BADNESS[than])
}
