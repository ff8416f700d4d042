import type { DeliveryFailure } from './errors.js'
import { oneLine, shorten } from './text.js'

/** How a channel is, or the spool. */
export type AlertsStatus = 'up' | 'degraded' | 'down' | 'unknown'

/** What is known about one channel, or the spool. */
export interface AlertsComponent {
  /** How it is; `unknown` until something was sent. */
  readonly status: AlertsStatus
  /** Why, in one line, without secrets. */
  readonly reason: string
  /** Since when, epoch ms. */
  readonly since: number
}

/** How a channel is, and how it came to that. */
export interface Condition extends AlertsComponent {
  /** How often sending has failed in a row. */
  readonly failures: number
  /** The fingerprints of the alerts that it refused since it last took a message, as far as they matter. */
  readonly refused: readonly string[]
}

/** What became of one try. */
export interface Failure extends Required<Pick<DeliveryFailure, 'retryable' | 'scope'>> {
  readonly reason: string
  readonly retryAfterMs: number | undefined
}

/** So many failures in a row mean that a channel is down; a single one may be anything. */
const FAILURES_TO_DOWN = 3
/** A single alert may be a bad one. A channel that refuses so many, and takes none between them, refuses whatever it is sent. */
const REFUSED_TO_DOWN = 3

/** Nothing was sent yet. */
export function untried(now: number): Condition {
  return { status: 'unknown', reason: 'nothing was sent yet', since: now, failures: 0, refused: [] }
}

/** A message was taken. */
export function afterDelivery(before: Condition, trouble: string | undefined, now: number): Condition {
  const status = trouble === undefined ? 'up' : 'degraded'
  return {
    status,
    reason: trouble ?? 'ok',
    since: status === before.status ? before.since : now,
    failures: 0,
    refused: [],
  }
}

/** A message was not taken. One that is refused for what it is says nothing bad of the channel by itself. */
export function afterFailure(before: Condition, failure: Failure, now: number): Condition {
  const { reason, scope, retryable, retryAfterMs } = failure
  if (scope === 'message' && !retryable) return { ...before, failures: 0 }
  // Who asks for a pause is there, and answers.
  const failures = retryAfterMs === undefined ? before.failures + 1 : before.failures
  const isDown = !retryable || failures >= FAILURES_TO_DOWN || (before.status === 'down' && retryAfterMs === undefined)
  const status = isDown ? 'down' : 'degraded'
  return { status, reason, since: status === before.status ? before.since : now, failures, refused: before.refused }
}

/** An alert was refused alone, for what it is. */
export function afterRefusal(before: Condition, fingerprint: string, reason: string, now: number): Condition {
  const refused = [...new Set([...before.refused, fingerprint])].slice(-REFUSED_TO_DOWN)
  if (refused.length < REFUSED_TO_DOWN || before.status === 'down') return { ...before, refused }
  return { ...before, status: 'down', reason, since: now, refused }
}

/** Reads whatever a channel threw; a channel of one's own may throw anything. */
export function readFailure(thrown: unknown, redact: (text: string) => string): Failure {
  const { retryable, scope, retryAfterMs, message, code } = fieldsOf(thrown)
  const isFinal = retryable === false
  const text = typeof message === 'string' && message !== '' ? message : typeof code === 'string' ? code : 'it failed'
  return {
    retryable: !isFinal,
    scope: isFinal && scope === 'message' ? 'message' : 'channel',
    reason: shorten(oneLine(redact(text)), 300),
    retryAfterMs: typeof retryAfterMs === 'number' && retryAfterMs >= 0 ? retryAfterMs : undefined,
  }
}

/** The status of several as one: any that is not well makes the whole degraded, and only if none works is it down. */
export function whole(statuses: readonly AlertsStatus[]): AlertsStatus {
  if (statuses.every((status) => status === 'unknown')) return 'unknown'
  if (statuses.every((status) => status === 'down')) return 'down'
  return statuses.some((status) => status === 'down' || status === 'degraded') ? 'degraded' : 'up'
}

function fieldsOf(thrown: unknown): Record<string, unknown> {
  if (typeof thrown === 'string') return { message: thrown }
  if (typeof thrown !== 'object' || thrown === null) return {}
  const fields: Record<string, unknown> = {}
  for (const name of ['retryable', 'scope', 'retryAfterMs', 'message', 'code']) {
    try {
      fields[name] = (thrown as Record<string, unknown>)[name]
    } catch {
      // A getter that throws says nothing.
    }
  }
  return fields
}
