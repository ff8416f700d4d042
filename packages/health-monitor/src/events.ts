import type { HealthStatus } from './check-result.js'
import type { LoopNews } from './loop-watch.js'
import type { TriggerNews } from './triggers/trigger-news.js'

/** What is known about one component. */
export interface ComponentHealth {
  /** Its confirmed status. */
  readonly status: HealthStatus
  /** What the last result with this status said, in one line. */
  readonly reason: string
  /** Since when it has this status, epoch ms. */
  readonly since: number
  /** When it was last looked at or reported, epoch ms; `undefined` before the first time. */
  readonly observedAt: number | undefined
  /** How long the last run of its check took, in ms; `undefined` before the first has ended. */
  readonly tookMs: number | undefined
  /** Whether the bot is of no use without it. */
  readonly critical: boolean
}

/** A component, or the whole, changed its status. */
export interface HealthChange<Name extends string = string> {
  /** The component's name, or `health` for the whole. */
  readonly what: Name | 'health'
  /** The status before. */
  readonly from: HealthStatus
  /** The status now. */
  readonly to: HealthStatus
  /** When, epoch ms. */
  readonly at: number
  /** The reason, in one line. */
  readonly why: string
  /** `INFO` for up; `CRITICAL` when the whole or a critical component is down; `WARNING` otherwise. */
  readonly severity: 'INFO' | 'WARNING' | 'CRITICAL'
  /** All of it in one sentence, for people. */
  readonly message: string
}

/** The events of a {@link HealthMonitor}. */
export interface HealthMonitorEvents<Name extends string = string> {
  /** A component, or the whole, changed its status. The getters already show it. */
  change: [change: HealthChange<Name>]
  /** The event loop was blocked, or runs again. */
  blocked: [news: LoopNews]
  /** A trigger's action ran, failed, was given up or was undone; see {@link HealthMonitor.when}. */
  trigger: [news: TriggerNews]
}

/** The name under which the whole appears in events. */
export const WHOLE = 'health'

/** The news that something went from one status to another. */
export function changeOf<Name extends string>(
  what: Name | 'health',
  critical: boolean,
  from: HealthStatus,
  to: HealthStatus,
  why: string,
  at: number,
): HealthChange<Name> {
  const severity = to === 'up' ? 'INFO' : to === 'down' && critical ? 'CRITICAL' : 'WARNING'
  const subject = what === WHOLE ? 'Health' : what
  return { what, from, to, at, why, severity, message: sentence(`${subject} went from ${from} to ${to}: ${why}`) }
}

/** With a full stop, unless it ends otherwise. */
export function sentence(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`
}
