import { randomUUID } from 'node:crypto'
import type { HealthCheck } from '../check-result.js'
import { requireKnown, requireMilliseconds } from '../options.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'

/** What {@link metricsFlowCheck} tries. */
export interface MetricsFlow {
  /** The counter's name as it stands on the page, such as `smoke_tests_total`. */
  readonly metric: string
  /** Raises it by one, as the bot does. */
  raise(): unknown
  /** The text of the page, as Prometheus would get it; pass the signal on. */
  read(signal: AbortSignal): string | Promise<string>
}

/**
 * Looks whether metrics flow: a counter that is raised is seen to have risen, on the page that is served.
 *
 * @param flow - how to raise it, and how to read the page
 * @returns the check
 *
 * @example
 * ```ts
 * import { Metrics, MetricsPage } from '@evenkeel/health-monitor/metrics'
 * import { metricsFlowCheck, runSteps } from '@evenkeel/health-monitor/preflight'
 *
 * const metrics = new Metrics()
 * const counter = metrics.counter('smoke_tests', { help: 'Smoke tests that were run.' })
 * const page = new MetricsPage(metrics)
 * const { status } = await runSteps({
 *   metrics: metricsFlowCheck({
 *     metric: 'smoke_tests_total',
 *     raise: () => counter.add(),
 *     read: () => page.render().text, // better: fetch it from where it is served
 *   }),
 * })
 * console.log(status) // => up
 * ```
 */
export function metricsFlowCheck(flow: MetricsFlow): HealthCheck {
  return async (signal) => {
    const { metric } = flow
    const before = valueOf(metric, await flow.read(signal)) ?? 0
    await flow.raise()
    const after = valueOf(metric, await flow.read(signal))
    if (after === undefined) return { status: 'down', reason: `${metric} is not on the page` }
    if (after > before) return { status: 'up', reason: `${metric} rose from ${before} to ${after}` }
    return { status: 'down', reason: `${metric} was raised, but stands at ${after} as before` }
  }
}

/** What {@link alertArrivesCheck} tries. */
export interface AlertRoute {
  /** Sends an alert with this text, as the bot does. */
  send(text: string, signal: AbortSignal): unknown
  /** Whether it has arrived: the newest messages of the channel, say. Asked until it has, or time is up. */
  hasArrived(text: string, signal: AbortSignal): boolean | Promise<boolean>
}

/** How {@link alertArrivesCheck} looks. */
export interface AlertArrivesOptions {
  /**
   * Milliseconds from one look to the next, from 1.
   *
   * @defaultValue 200
   */
  readonly everyMs?: number
  /** The clock to wait by; the machine's unless a test brings another. */
  readonly clock?: Clock
}

/** What {@link alertArrivesCheck} uses when its options leave it open. */
export const alertArrivesDefaults: Required<Pick<AlertArrivesOptions, 'everyMs'>> = { everyMs: 200 }

/**
 * Looks whether an alert arrives where people look. The step's deadline is how long it may take.
 *
 * @param route - how to send one, and how to see that it is there
 * @param options - how often to look
 * @returns the check
 * @throws TypeError or RangeError when an option is none
 *
 * @example
 * ```ts
 * import { alertArrivesCheck, runSteps } from '@evenkeel/health-monitor/preflight'
 *
 * const channel: string[] = []
 * const { status } = await runSteps({
 *   alerts: alertArrivesCheck({ send: (text) => channel.push(text), hasArrived: (text) => channel.includes(text) }),
 * })
 * console.log(status) // => up
 * ```
 */
export function alertArrivesCheck(route: AlertRoute, options: AlertArrivesOptions = {}): HealthCheck {
  requireKnown('alertArrivesCheck', options, ['everyMs', 'clock'])
  const { everyMs = alertArrivesDefaults.everyMs, clock = systemClock } = options
  requireMilliseconds('alertArrivesCheck: everyMs', everyMs, 1)
  return async (signal) => {
    const text = `Self-test of the monitoring ${randomUUID()}`
    await route.send(text, signal)
    while (!(await route.hasArrived(text, signal))) {
      signal.throwIfAborted()
      await new Promise<void>((resolve) => void clock.after(everyMs, resolve))
    }
    return { status: 'up', reason: 'an alert was sent and has arrived' }
  }
}

/** The sum over all labels; `undefined` when the metric is not there. */
function valueOf(metric: string, page: string): number | undefined {
  let sum: number | undefined
  for (const line of page.split('\n')) {
    const rest = line.startsWith(metric) ? line.slice(metric.length) : undefined
    if (rest === undefined || !/^[{ ]/.test(rest)) continue
    const value = Number(/ (\S+)(?: \d+)?$/.exec(rest.trimEnd())?.[1])
    if (!Number.isNaN(value)) sum = (sum ?? 0) + value
  }
  return sum
}
