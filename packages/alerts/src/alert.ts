/** How urgent an alert is. */
export type Severity = 'INFO' | 'WARNING' | 'CRITICAL'

/** From the least urgent to the most. */
export const SEVERITIES: readonly Severity[] = ['INFO', 'WARNING', 'CRITICAL']

/** Whether `severity` is as urgent as `least`, or more. */
export function isAtLeast(severity: Severity, least: Severity): boolean {
  return SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(least)
}

/** The more urgent of two. */
export function worse(one: Severity, other: Severity): Severity {
  return isAtLeast(one, other) ? one : other
}

/** What an alert is about, by name: `{ component: 'database', shard: '3' }`. */
export type Labels = Readonly<Record<string, string>>

/**
 * Why people are told of an alert.
 *
 * - `firing`: it began, or became more urgent
 * - `resolved`: it ended
 * - `repeated`: it happened again, as often as `count` says, since people were last told
 * - `reminder`: it has not ended yet
 * - `flapping`: it begins and ends again and again; no more is told of it until it stays as it is
 */
export type NoticeKind = 'firing' | 'resolved' | 'repeated' | 'reminder' | 'flapping'

/** One thing to tell people about one alert. */
export interface AlertNotice {
  /** Its own, never used twice: what is told twice after a crash has the same one. */
  readonly id: string
  /** The same for all that is told of one alert: made from its name and labels. */
  readonly fingerprint: string
  /** Why people are told. */
  readonly kind: NoticeKind
  /** The alert's name. */
  readonly name: string
  /** How urgent it is. */
  readonly severity: Severity
  /** What happened, for people; one line or several. */
  readonly message: string
  /** What it is about. */
  readonly labels: Labels
  /** When this was to be told, epoch ms. */
  readonly at: number
  /** When the alert began, epoch ms. */
  readonly since: number
  /** How often it has happened; of `repeated`, how often since people were last told. */
  readonly count: number
}

/** What a channel sends in one go. */
export interface AlertMessage {
  /** The idempotency key: a message that is sent again, after a crash too, has the same one. */
  readonly id: string
  /** When it was put together, epoch ms. */
  readonly at: number
  /** The most urgent of its notices. */
  readonly severity: Severity
  /** Whether there are more notices than the channel shows one by one. */
  readonly isDigest: boolean
  /** What to tell, oldest first. */
  readonly notices: readonly AlertNotice[]
}
