import type { HealthCheck } from '../check-result.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { requireClock, resolveOptions } from './check-options.js'
import { count, duration, size } from './figures.js'
import { LogReader } from './log-reader.js'
import { above, type Verdict } from './verdict.js'

/** How {@link logCheck} judges. */
export interface LogCheckOptions {
  /**
   * What makes a line count. It sees the first 10,000 characters of a line.
   *
   * @defaultValue `/\b(?:error|fatal|critical)\b/i`
   */
  readonly pattern?: RegExp
  /**
   * Milliseconds for which a line counts after it was read.
   *
   * @defaultValue 300_000
   */
  readonly windowMs?: number
  /**
   * How many such lines, from 0, there may be in a window before it is `degraded`.
   *
   * @defaultValue 5
   */
  readonly degradedLines?: number
  /**
   * How many such lines, from 0, there may be in a window before it is `down`; `Infinity` for never.
   *
   * @defaultValue 100
   */
  readonly downLines?: number
  /** The clock to measure with; the machine's unless a test brings another. */
  readonly clock?: Clock
}

/** What {@link logCheck} uses when its options leave it open. */
export const logCheckDefaults: Required<Omit<LogCheckOptions, 'clock'>> = {
  pattern: /\b(?:error|fatal|critical)\b/i,
  windowMs: 300_000,
  degradedLines: 5,
  downLines: 100,
}

/**
 * Counts the lines of a log file that tell of errors.
 *
 * @remarks
 * The first look begins at the end of the file: what stood there before is no news. Each further look reads what was
 * added. A file that is renamed and begun anew is read to its end first, as long as it stays in its directory under a
 * name that begins the same; a file that is emptied, or replaced, is read from its beginning. A line counts once it is complete. Of a
 * huge backlog the last 4 MiB are read, and the reason says what was skipped. A file that is missing is degraded: nobody
 * can tell.
 *
 * *Gotchas*: what was written between the last look and the moment when a file was emptied, or compressed, is not read;
 * so look often. What a line says is not
 * repeated in the reason: it may be secret.
 *
 * @param path - the file
 * @param options - what to count, and the limits
 * @returns the check
 * @throws TypeError when there is no path, or an option does not exist or is of another type
 * @throws RangeError when a number is out of range
 *
 * @example
 * ```ts
 * import { appendFileSync, mkdirSync } from 'node:fs'
 * import { HealthMonitor, logCheck } from '@evenkeel/health-monitor'
 *
 * mkdirSync('data', { recursive: true })
 * appendFileSync('data/bot.log', 'the bot has started\n')
 * const health = new HealthMonitor({ checks: { log: { check: logCheck('data/bot.log', { degradedLines: 0 }) } } })
 * await health.checkNow()
 * appendFileSync('data/bot.log', 'error: no answer from the translator\n')
 * console.log((await health.check('log')).reason) // => 1 line matches within 5 min, above 0
 * ```
 */
export function logCheck(path: string, options: LogCheckOptions = {}): HealthCheck {
  if (typeof path !== 'string' || path === '') throw new TypeError('logCheck: give the path of a log file')
  const resolved = resolveOptions('logCheck', options, logCheckDefaults, ['clock'])
  const { pattern, windowMs, degradedLines, downLines, clock = systemClock } = resolved
  requireClock('logCheck', clock)
  if (Object.prototype.toString.call(pattern) !== '[object RegExp]') {
    throw new TypeError('logCheck: pattern must be a regular expression')
  }
  // With "g" or "y" it would remember where the last line matched.
  const counted = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ''))
  const reader = new LogReader(path)
  const limits = { degraded: degradedLines, down: downLines }
  let matches: { readonly atMs: number; readonly lines: number }[] = []
  let running: Promise<Verdict> | undefined

  async function look(): Promise<Verdict> {
    const { isMissing, isFirst, lines, skippedBytes } = await reader.read()
    const nowMs = clock.monotonic()
    const matching = lines.filter((line) => counted.test(line)).length
    matches = matches.filter(({ atMs }) => atMs > nowMs - windowMs)
    if (matching > 0) matches.push({ atMs: nowMs, lines: matching })
    const sum = matches.reduce((total, match) => total + match.lines, 0)
    const match = sum === 1 ? '1 line matches' : `${sum === 0 ? 'no' : count(sum)} lines match`
    const verdict = above(sum, limits, `${match} within ${duration(windowMs)}`, count)
    if (isMissing && verdict.status !== 'down') return { status: 'degraded', reason: `there is no file ${path}` }
    if (isFirst) return { status: 'up', reason: 'reading begins here, at the end of the file' }
    if (skippedBytes === 0) return verdict
    const skipped = `${size(skippedBytes)} of a backlog were skipped`
    return { status: verdict.status, reason: `${verdict.reason}; ${skipped}` }
  }

  // Two monitors may look at once, and what the one has read the other cannot read again.
  return () => (running ??= look().finally(() => (running = undefined)))
}
