import type { DeploymentResult, Outcome } from '../deployment.js'
import type { VersionCounters } from '../lane.js'
import type { BackupMade, Migrated, Plan, ProbeResult } from '../plan.js'
import type { LogEntry } from '../record.js'
import type { DeploymentState } from '../transitions.js'

/** What became of a deployment, as plain JSON. */
export interface DeploymentReport {
  /** Of this shape. */
  readonly format: 1
  /** The deployment. */
  readonly deploymentId: string
  /** Which one it is of this bot, from 1; 0 for one that had nothing to do. */
  readonly number: number
  /** The version that served when it began (blue). */
  readonly from: string
  /** The version that is to serve, or was to (green). */
  readonly to: string
  /** How it ended; `RUNNING` while it has not. */
  readonly outcome: Outcome | 'RUNNING'
  /** The cause, as a clause. */
  readonly why: string
  /** What did not pass on the old version after a rollback. */
  readonly failures: readonly string[]
  /** Its first transition, in epoch ms; `null` when it is not known. */
  readonly startedAt: number | null
  /** Its last one, in epoch ms; `null` while it runs. */
  readonly endedAt: number | null
  /** Its transitions, in order; where they are many, the first and the last. */
  readonly log: readonly LogEntry[]
  /** How it was to go; `null` for one that had nothing to do. */
  readonly plan: Plan | null
  /** The backup that was made, if any. */
  readonly backup: BackupMade | null
  /** How far the migration is; `NO` without one. */
  readonly migrated: Migrated
  /** The last result of each check, synthetic call and validation. */
  readonly results: readonly ProbeResult[]
  /** What the evidence says; `null` where nothing is judged. */
  readonly evidence: string | null
  /** The calls of both versions, since this process began. */
  readonly versions: Readonly<Record<string, VersionCounters>>
}

/** What a report is made of. */
export interface ReportParts {
  readonly deployment: DeploymentState
  readonly log: readonly LogEntry[]
  readonly why: string
  readonly result: DeploymentResult | undefined
  readonly evidence: string | null
  readonly versions: ReadonlyMap<string, VersionCounters>
}

/** What is known of a deployment now. Pure. */
export function makeReport({ deployment, log, why, result, evidence, versions }: ReportParts): DeploymentReport {
  const { id, number, from, to, backedUp, migrated, results } = deployment
  const counters = [...versions].filter(([version]) => version === from || version === to)
  return {
    format: 1,
    deploymentId: id,
    number,
    from,
    to,
    outcome: result?.outcome ?? 'RUNNING',
    why: result?.why ?? why,
    failures: result?.failures ?? [],
    startedAt: log[0]?.at ?? null,
    endedAt: result === undefined ? null : (log.at(-1)?.at ?? null),
    log,
    plan: planOf(deployment),
    backup: backedUp,
    migrated,
    results,
    evidence,
    versions: Object.fromEntries(counters),
  }
}

/** The plan alone, of a state that has it among its fields. */
function planOf(deployment: DeploymentState): Plan {
  const { percentages, stepMs, bakeMs, maxHoldMs, first, advance, minEvents, backup, migration } = deployment
  const { rollbackBatches } = deployment
  const { checks, smokeTests, canaryTests, acceptanceTests, validations } = deployment
  const probes = { checks, smokeTests, canaryTests, acceptanceTests, validations }
  const steps = { percentages, stepMs, bakeMs, maxHoldMs, first, advance, minEvents, rollbackBatches }
  return { ...steps, backup, migration, ...probes }
}

/** Of a deployment that had nothing to do. */
export function emptyReport(deploymentId: string, version: string, result: DeploymentResult): DeploymentReport {
  return {
    format: 1,
    deploymentId,
    number: 0,
    from: version,
    to: version,
    ...result,
    failures: [],
    startedAt: null,
    endedAt: null,
    log: [],
    plan: null,
    backup: null,
    migrated: 'NO',
    results: [],
    evidence: null,
    versions: {},
  }
}

/**
 * A report to read, as Markdown.
 *
 * @throws TypeError when it is given something else than a report
 *
 * @example
 * ```ts
 * import { BlueGreen, memoryState, reportMarkdown } from '@evenkeel/blue-green'
 *
 * const blueGreen = new BlueGreen({
 *   versions: { v1: () => 1, v2: () => 2 },
 *   initial: 'v1',
 *   context: () => ({ eventId: null }),
 *   store: memoryState(),
 * })
 * const deployment = await blueGreen.deploy('v2', { percentages: [100], stepMs: 600_000 })
 * await deployment.rollback({ why: 'users complain' })
 * console.log(reportMarkdown(deployment.report()).split('\n')[0]) // => # Deployment 1: v1 to v2, ROLLED_BACK
 * await blueGreen.stop()
 * ```
 */
export function reportMarkdown(report: DeploymentReport): string {
  if ((report as DeploymentReport | undefined)?.format !== 1) {
    throw new TypeError(
      'reportMarkdown takes a report of format 1, as deployment.report() and blueGreen.history() give it',
    )
  }
  const { number, from, to, outcome, why, failures, log, results, backup, migrated, plan, evidence, versions } = report
  const lines = [`# Deployment ${number}: ${plain(from)} to ${plain(to)}, ${outcome}`, '', `${sentence(why)}`, '']
  if (failures.length > 0)
    lines.push('## Not right after the rollback', '', ...failures.map((each) => `- ${plain(each)}`), '')
  if (log.length > 0) {
    const rows = log.map(({ at, phase, percentage, why: cause }) => [time(at), phase, `${percentage} %`, cause])
    lines.push('## What happened', '', ...table(['when', 'phase', 'share', 'why'], rows), '')
  }
  if (backup !== null) {
    const size = backup.bytes === null ? '' : `, ${backup.bytes} bytes`
    lines.push(`Backup: ${plain(backup.id)} of ${time(backup.at)}${size}.`, '')
  }
  if (plan?.migration != null) lines.push(`Migration: ${plain(plan.migration.name)}, ${migrated}.`, '')
  if (results.length > 0) {
    const rows = results.map(({ kind, name, isPassed, why: cause, tookMs }) => {
      return [kind, name, isPassed ? 'passed' : `failed: ${cause}`, `${tookMs} ms`]
    })
    lines.push('## Checks and calls', '', ...table(['of', 'name', 'result', 'took'], rows), '')
  }
  if (evidence !== null) lines.push('## Evidence', '', sentence(evidence), '')
  const counted = Object.entries(versions)
  if (counted.length > 0) {
    const rows = counted.map(([version, { started, succeeded, failed, userErrors, running }]) => {
      return [version, ...[started, succeeded, failed, userErrors, running].map(String)]
    })
    const head = ['version', 'calls', 'succeeded', 'failed', 'user errors', 'running']
    lines.push('## Calls since the process began', '', ...table(head, rows), '')
  }
  return lines.join('\n')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.map(plain).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)]
}

/** Names and reasons are data: they end no cell, begin no line, and are no markup. */
function plain(text: string): string {
  return text.replace(/[\r\n]+/g, ' ').replace(/[|<>`*_[\]\\]/g, (mark) => `\\${mark}`)
}

function sentence(clause: string): string {
  return `${plain(clause).replace(/\.$/, '')}.`
}

function time(at: number): string {
  return Number.isFinite(at) && Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : String(at)
}
