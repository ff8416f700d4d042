import { parseArgs } from 'node:util'
import { describeFailure, type CheckResult } from '../check-result.js'
import type { HealthSnapshot, WatchOptions } from '../watch.js'
import { exitCodeOf, type HealthExitCode } from './exit-code.js'
import { healthReport, REPORT_FORMATS, type ReportedHealth, type ReportFormat } from './health-report.js'
import { plainText } from './plain-text.js'

/** What {@link healthCommand} commands: a `HealthMonitor` fits. */
export interface CommandedHealth extends ReportedHealth {
  /** Whether it looks by itself. */
  readonly isRunning: boolean
  /** Runs one check now. */
  check(name: string): Promise<CheckResult>
  /** Runs every check now. */
  checkNow(): Promise<unknown>
  /** Begins to look. */
  start(): Promise<void>
  /** Ceases to look. */
  stop(): Promise<void>
  /** Follows what comes. */
  watch(options: WatchOptions): AsyncIterable<HealthSnapshot>
}

/** Where {@link healthCommand} writes, and what ends it. */
export interface CommandOptions {
  /** Takes the output, line breaks included; `process.stdout.write` unless you say otherwise. */
  readonly write?: (text: string) => unknown
  /** Ends a watch. */
  readonly signal?: AbortSignal
}

const USAGE = `Usage:
  check [name] [--format text|json|markdown]   look now, at everything or at one component
  report [--format text|json|markdown]         what is known; looks first if nothing is
  watch [--every 30s] [--for 1h] [--grace 0s]  look up every so often, and end when it is down
  --help                                       this

Ends with 0 for up, 1 for degraded, 2 for down, 3 for unknown or a wrong argument.
`

/** A wrong argument: a line for whoever typed it. */
class UsageError extends Error {}

/**
 * A command line for a monitor: `check [name]`, `report`, `watch`. Give your bot a script of three lines, and cron, a
 * deployment or a person can ask it.
 *
 * @remarks
 * Nothing is thrown for a wrong argument: it is one line, and the exit code 3.
 *
 * @param health - the monitor; it need not have been started
 * @param argv - the arguments, `process.argv.slice(2)`
 * @param options - where to write
 * @returns what the process should end with
 *
 * @example
 * ```ts
 * import { healthCommand, HealthMonitor } from '@evenkeel/health-monitor'
 *
 * const health = new HealthMonitor({ checks: { disk: { check: () => true } } })
 * process.exitCode = await healthCommand(health, ['check', 'disk']) // writes "disk is up: ok"
 * ```
 */
export async function healthCommand(
  health: CommandedHealth,
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<HealthExitCode> {
  const write = options.write ?? ((text: string) => process.stdout.write(text))
  try {
    const { values, positionals } = parse(argv)
    if (values.help === true) {
      write(USAGE)
      return 0
    }
    const [command, ...names] = positionals
    if (command === 'check') return await check(health, names, formatOf(values.format), write)
    if (names.length > 0) throw new UsageError(`${command} takes no name, but was given ${JSON.stringify(names[0])}`)
    if (command === 'report') return await report(health, formatOf(values.format), write)
    if (command === 'watch') return await watch(health, values, options.signal, write)
    throw new UsageError(command === undefined ? 'Say what to do' : `There is no command ${JSON.stringify(command)}`)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    write(`${plainText(error.message)}; --help tells what there is\n`)
    return 3
  }
}

function parse(argv: readonly string[]) {
  const text = { type: 'string' } as const
  const options = { help: { type: 'boolean' }, format: text, every: text, for: text, grace: text } as const
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(describeFailure(error))
  }
}

async function check(
  health: CommandedHealth,
  [name, ...more]: readonly string[],
  format: ReportFormat,
  write: (text: string) => unknown,
): Promise<HealthExitCode> {
  if (more.length > 0) throw new UsageError(`check takes one name, but was given ${JSON.stringify(more[0])} as well`)
  if (name === undefined) {
    await health.checkNow()
    write(healthReport(health, { format }))
    return exitCodeOf(health.status)
  }
  if (!health.components.has(name)) {
    const known = [...health.components.keys()].join(', ') || 'none'
    throw new UsageError(`There is no check ${JSON.stringify(name)}; there are: ${known}`)
  }
  const seen = await health.check(name)
  const one = { status: seen.status, components: new Map([[name, seen]]) }
  write(
    format === 'text'
      ? `${plainText(name)} is ${seen.status}: ${plainText(seen.reason)}\n`
      : healthReport(one, { format }),
  )
  return exitCodeOf(seen.status)
}

async function report(
  health: CommandedHealth,
  format: ReportFormat,
  write: (text: string) => unknown,
): Promise<HealthExitCode> {
  const isNew = [...health.components.values()].every(({ observedAt }) => observedAt === undefined)
  if (isNew) await health.checkNow()
  write(healthReport(health, { format }))
  return exitCodeOf(health.status)
}

async function watch(
  health: CommandedHealth,
  values: { every?: string; for?: string; grace?: string; format?: string },
  signal: AbortSignal | undefined,
  write: (text: string) => unknown,
): Promise<HealthExitCode> {
  if (values.format !== undefined) throw new UsageError('watch writes a line a time, and takes no --format')
  const options = {
    everyMs: durationOf('--every', values.every ?? '30s', 10),
    forMs: durationOf('--for', values.for ?? '1h', 0),
    graceMs: durationOf('--grace', values.grace ?? '0s', 0),
    ...(signal === undefined ? {} : { signal }),
  }
  const wasRunning = health.isRunning
  await health.start()
  // So that the first line says something.
  await health.checkNow()
  let { status } = health
  try {
    for await (const snapshot of health.watch(options)) {
      status = snapshot.status
      write(`${lineOf(snapshot)}\n`)
    }
  } finally {
    if (!wasRunning) await health.stop()
  }
  return exitCodeOf(status)
}

function lineOf({ status, components, at, leftMs, isFailure }: HealthSnapshot): string {
  const ailing = [...components].filter(([, component]) => component.status !== 'up')
  const why = ailing.map(([name, component]) => `${name} is ${component.status} (${component.reason})`).join('; ')
  const left = isFailure ? 'this ends the watch' : `${Math.round(leftMs / 1_000)} s left`
  return `${new Date(at).toISOString()}  ${status.padEnd(8)}  ${left}${why === '' ? '' : `  ${plainText(why)}`}`
}

function formatOf(given = 'text'): ReportFormat {
  const format = REPORT_FORMATS.find((known) => known === given)
  if (format !== undefined) return format
  throw new UsageError(`There is no format ${JSON.stringify(given)}; there are: ${REPORT_FORMATS.join(', ')}`)
}

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const

function durationOf(option: string, text: string, leastMs: number): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? []
  const ms = Number(amount) * UNITS[unit as keyof typeof UNITS]
  if (ms >= leastMs && ms <= 1e10) return ms
  throw new UsageError(`${option} takes a time such as 500ms, 30s, 5m or 1h, not ${JSON.stringify(text)}`)
}
