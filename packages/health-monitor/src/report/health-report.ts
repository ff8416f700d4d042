import type { HealthStatus } from '../check-result.js'
import { requireKnown } from '../options.js'
import { systemClock } from '../system-clock.js'
import { markdownText, plainText } from './plain-text.js'

/** How a report is written. */
export type ReportFormat = 'text' | 'json' | 'markdown'

/** One component, as far as a report needs it. */
export interface ReportedComponent {
  /** How it is. */
  readonly status: HealthStatus
  /** Why. */
  readonly reason: string
  /** Since when, epoch ms. */
  readonly since?: number | undefined
  /** When it was last looked at, epoch ms. */
  readonly observedAt?: number | undefined
  /** How long that took, in ms. */
  readonly tookMs?: number | undefined
  /** Whether the bot is of no use without it. */
  readonly critical?: boolean | undefined
}

/** What can be reported: a `HealthMonitor`, a snapshot of its watch, the result of a preflight. */
export interface ReportedHealth {
  /** How the whole is. */
  readonly status: HealthStatus
  /** How its components are, by name. */
  readonly components: ReadonlyMap<string, ReportedComponent>
}

/** How {@link healthReport} writes. */
export interface ReportOptions {
  /**
   * `text` for a terminal, `json` for programs, `markdown` for a chat or a job summary.
   *
   * @defaultValue `'text'`
   */
  readonly format?: ReportFormat
  /** When, epoch ms; now unless you say otherwise. */
  readonly at?: number
}

/** What {@link healthReport} uses when its options leave it open. */
export const reportDefaults: Required<Omit<ReportOptions, 'at'>> = { format: 'text' }

/** The formats that there are. */
export const REPORT_FORMATS: readonly ReportFormat[] = ['text', 'json', 'markdown']

/**
 * Writes down how everything is.
 *
 * @remarks
 * Names and reasons come from outside: in text they are one line without control characters, in Markdown they are no
 * markup, link or mention. Worst comes first.
 *
 * @param health - a monitor, a snapshot of its watch, or the result of a preflight
 * @param options - the format
 * @returns the report, ending with a line break
 * @throws TypeError when there is no such format or option
 *
 * @example
 * ```ts
 * import { HealthMonitor, healthReport } from '@evenkeel/health-monitor'
 *
 * const health = new HealthMonitor({ checks: { disk: { check: () => true } } })
 * await health.checkNow()
 * console.log(healthReport(health)) // such as: up        disk  ok  (since 2026-11-28T12:00:00.000Z, took 0 ms)
 * ```
 */
export function healthReport(health: ReportedHealth, options: ReportOptions = {}): string {
  requireKnown('healthReport', options, ['format', 'at'])
  const { format = reportDefaults.format, at = systemClock.now() } = options
  if (!REPORT_FORMATS.includes(format)) {
    throw new TypeError(`healthReport: format must be one of ${REPORT_FORMATS.join(', ')}`)
  }
  const { status } = health
  const components = [...health.components]
  if (format === 'json') return asJson(status, components, at)
  const worstFirst = components.sort(([, one], [, other]) => urgency(other.status) - urgency(one.status))
  return format === 'text' ? asText(status, worstFirst, at) : asMarkdown(status, worstFirst, at)
}

type Named = readonly [name: string, component: ReportedComponent]

function urgency(status: HealthStatus): number {
  return ['up', 'unknown', 'degraded', 'down'].indexOf(status)
}

function asText(status: HealthStatus, components: readonly Named[], at: number): string {
  const names = components.map(([name]) => plainText(name))
  const width = Math.max(0, ...names.map(({ length }) => length))
  const lines = components.map(([, component], index) => {
    const notes = notesOf(component).join(', ')
    const line = `${component.status.padEnd(8)}  ${names[index]?.padEnd(width)}  ${plainText(component.reason)}`
    return notes === '' ? line : `${line}  (${notes})`
  })
  return [`health is ${status} at ${iso(at)}`, ...lines, ''].join('\n')
}

function asMarkdown(status: HealthStatus, components: readonly Named[], at: number): string {
  const rows = components.map(([name, component]) => {
    const cells = [component.status, markdownText(name), markdownText(component.reason), notesOf(component).join(', ')]
    return `| ${cells.join(' | ')} |`
  })
  const head = ['| status | component | reason | notes |', '| --- | --- | --- | --- |']
  return [`**health is ${status}** at ${iso(at)}`, '', ...head, ...rows, ''].join('\n')
}

function asJson(status: HealthStatus, components: readonly Named[], at: number): string {
  const shown = components.map(([name, component]) => {
    const { status, reason, since, observedAt, tookMs, critical } = component
    return [name, { status, reason, since, observedAt, tookMs, critical }] as const
  })
  // Entries and not assignments: a component may be called __proto__.
  return `${JSON.stringify({ status, at, components: Object.fromEntries(shown) }, undefined, 2)}\n`
}

function notesOf({ since, tookMs, critical }: ReportedComponent): string[] {
  const notes = []
  if (since !== undefined) notes.push(`since ${iso(since)}`)
  if (tookMs !== undefined) notes.push(`took ${Math.round(tookMs)} ms`)
  if (critical === false) notes.push('not critical')
  return notes
}

/** A time that no calendar has must not keep anybody from reading the rest. */
function iso(at: number): string {
  const date = new Date(at)
  return Number.isNaN(date.getTime()) ? 'an unknown time' : date.toISOString()
}
