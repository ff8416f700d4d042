import { type AlertNotice, isAtLeast, type Severity } from './alert.js'

/** Which alerts are meant: all of these labels, each with this value or one of these. `name` and `severity`
 * stand for the alert's own. */
export type Matching = Readonly<Record<string, string | readonly string[]>>

/** What a route, a silence or a filter can look at. */
export type Matchable = Pick<AlertNotice, 'name' | 'labels' | 'severity'>

/** Quiet that somebody asked for. */
export interface Silence {
  /** Ends it: {@link Alerts.unsilence}. */
  readonly id: string
  /** Which alerts are not told. */
  readonly matching: Matching
  /** Until when, epoch ms. */
  readonly until: number
  /** Why, for whoever wonders. */
  readonly why: string
  /** Who asked for it. */
  readonly by: string
}

/** Whether an alert is meant. Hostile names are data: `__proto__` is a label like any other. */
export function matches(matching: Matching, { name, severity, labels }: Matchable): boolean {
  return Object.entries(matching).every(([label, wanted]) => {
    if (label === 'name') return isAmong(wanted, name)
    if (label === 'severity') return isAmong(wanted, severity)
    return Object.hasOwn(labels, label) && isAmong(wanted, labels[label])
  })
}

function isAmong(wanted: string | readonly string[], value: string | undefined): boolean {
  return value !== undefined && (typeof wanted === 'string' ? value === wanted : wanted.includes(value))
}

/** Which alerts a route or a channel takes. */
export interface Selection {
  /** This urgent, or more. */
  readonly severity?: Severity
  /** With these labels. */
  readonly matching?: Matching
}

/** Whether an alert is among those that are meant. */
export function selects({ severity, matching }: Selection, alert: Matchable): boolean {
  if (severity !== undefined && !isAtLeast(alert.severity, severity)) return false
  return matching === undefined || matches(matching, alert)
}
