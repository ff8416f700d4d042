import type { AlertMessage, AlertNotice } from './alert.js'
import type { Digest } from './digest.js'

/** What happened, in a few words: `CRITICAL database down`, `RESOLVED database down (after 5 min)`. */
export function headline(notice: AlertNotice): string {
  const { kind, severity, name, count, at, since } = notice
  switch (kind) {
    case 'firing':
      return `${severity} ${name}${count > 1 ? ` (×${count})` : ''}`
    case 'resolved':
      return `RESOLVED ${name} (after ${duration(at - since)})`
    case 'repeated':
      return `${severity} ${name} (${count} more)`
    case 'reminder':
      return `${severity} ${name} (for ${duration(at - since)} now)`
    case 'flapping':
      return `${severity} ${name} is flapping: quiet until it stays as it is`
  }
}

/** What a whole message is about. */
export function subjectOf(message: AlertMessage, digest: Digest): string {
  const [first] = message.notices
  if (message.notices.length === 1 && first !== undefined) return headline(first)
  const alerts = digest.lines.length + digest.moreAlerts
  return `${message.severity} ${message.notices.length} notices of ${alerts} ${alerts === 1 ? 'alert' : 'alerts'}`
}

/** Roughly how long, for people. */
function duration(ms: number): string {
  const units: readonly [string, number][] = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1_000],
  ]
  for (const [unit, unitMs] of units) if (ms >= unitMs) return `${Math.floor(ms / unitMs)} ${unit}`
  return `${Math.max(0, Math.round(ms))} ms`
}
