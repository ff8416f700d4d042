import { type AlertNotice, isAtLeast, SEVERITIES, type Severity } from './alert.js'

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

/** Quiet, as somebody asks for it. */
export interface SilenceInput {
  /** Which alerts are not told; at least one label. `name` and `severity` count as labels. */
  readonly matching: Matching
  /** For how long, in milliseconds above 0. */
  readonly forMs: number
  /** Why, for whoever wonders. */
  readonly why: string
  /** Who asks for it. */
  readonly by: string
}

/**
 * @throws TypeError when something is missing
 * @throws RangeError when `forMs` is not above 0 and finite
 */
export function requireSilence(input: unknown): SilenceInput {
  const { matching, forMs, why, by } = (input as Partial<SilenceInput> | null | undefined) ?? {}
  requireMatching('Alerts.silence', matching)
  if (Object.keys(matching).length === 0) {
    throw new TypeError("Alerts.silence: matching must name a label, such as { component: 'database' }")
  }
  if (typeof why !== 'string' || why === '') throw new TypeError('Alerts.silence: say why')
  if (typeof by !== 'string' || by === '') throw new TypeError('Alerts.silence: say by whom')
  if (typeof forMs !== 'number' || !(forMs > 0 && forMs < Infinity)) {
    throw new RangeError('Alerts.silence: forMs must be above 0 and finite')
  }
  return { matching, forMs, why, by }
}

/** @throws TypeError when a value is neither a string nor a list of strings */
function requireMatching(where: string, matching: unknown): asserts matching is Matching {
  if (typeof matching !== 'object' || matching === null || Array.isArray(matching)) {
    throw new TypeError(`${where}: matching must be an object, such as { component: 'database' }`)
  }
  for (const [label, wanted] of Object.entries(matching)) {
    const words: readonly unknown[] = Array.isArray(wanted) ? wanted : [wanted]
    if (words.every((word) => typeof word === 'string')) continue
    throw new TypeError(`${where}: matching[${JSON.stringify(label)}] must be a string or a list of strings`)
  }
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

/** @throws TypeError when a filter or a route cannot be honoured */
export function requireSelection(where: string, { severity, matching }: Selection): void {
  if (severity !== undefined && !SEVERITIES.includes(severity)) {
    throw new TypeError(`${where}: severity must be one of ${SEVERITIES.join(', ')}`)
  }
  if (matching !== undefined) requireMatching(where, matching)
}
