import type { HealthCheck, HealthStatus } from '../check-result.js'
import type { ComponentHealth } from '../events.js'
import { HealthMonitor } from '../health-monitor.js'
import { type CheckOptions, requireKnown, requireMilliseconds } from '../options.js'
import type { Clock } from '../ports.js'

/** One step: what to look at, or that with options of its own. */
export type Step<Name extends string = string> =
  HealthCheck | Pick<CheckOptions<Name>, 'check' | 'critical' | 'timeoutMs' | 'dependsOn'>

/** How {@link runSteps} runs. */
export interface RunStepsOptions {
  /**
   * Milliseconds that a step may take which says nothing else.
   *
   * @defaultValue 10_000
   */
  readonly timeoutMs?: number
  /** Ends the run early: what has no result by then is unknown. */
  readonly signal?: AbortSignal
  /** The clock to wait by; the machine's unless a test brings another. */
  readonly clock?: Clock
}

/** What {@link runSteps} uses when its options leave it open. */
export const runStepsDefaults: Required<Pick<RunStepsOptions, 'timeoutMs'>> = { timeoutMs: 10_000 }

/** What a step saw counts until the last one has ended. */
const FOR_GOOD_MS = Number.MAX_SAFE_INTEGER

/** How it went: what `healthReport` writes, and `exitCodeOf` judges by its status. */
export interface StepsReport<Name extends string = string> {
  /** `up` when every step succeeded, `down` when a critical one failed, `degraded` when another did. */
  readonly status: HealthStatus
  /** Every step by name. */
  readonly components: ReadonlyMap<Name, ComponentHealth>
}

/**
 * Runs steps once, all at the same time, each with a deadline: a preflight before the start, smoke tests after a
 * deployment, a self-test of the monitoring.
 *
 * @remarks
 * A step is a check as a `HealthMonitor` takes it, so every ready-made check is one, and it succeeds and fails alike.
 * A step that depends on one that failed is `unknown`, and names it. Whatever a step does, the run does not reject.
 *
 * @param steps - by name
 * @param options - the deadline
 * @returns how it went
 * @throws TypeError or RangeError when a step or an option is none
 *
 * @example
 * ```ts
 * import { exitCodeOf, healthReport } from '@evenkeel/health-monitor'
 * import { environmentCheck, runSteps, writableCheck } from '@evenkeel/health-monitor/preflight'
 *
 * const report = await runSteps({
 *   environment: environmentCheck({ PATH: true }),
 *   data: writableCheck('data'),
 *   translate: { check: () => fetch('http://127.0.0.1:9/').then(() => true), critical: false },
 * })
 * console.log(healthReport(report))
 * console.log(exitCodeOf(report.status)) // => 1
 * ```
 */
export async function runSteps<Name extends string>(
  steps: Readonly<Record<Name, Step<NoInfer<Name>>>>,
  options: RunStepsOptions = {},
): Promise<StepsReport<Name>> {
  requireKnown('runSteps', options, ['timeoutMs', 'signal', 'clock'])
  const { timeoutMs = runStepsDefaults.timeoutMs, signal, clock } = options
  requireMilliseconds('runSteps: timeoutMs', timeoutMs, 1)
  requireKnown('runSteps: steps', steps, Object.keys(steps ?? {}))
  const named = (Object.entries(steps) as [Name, Step<Name>][]).map(([name, step]) => {
    const own = typeof step === 'function' ? { check: step } : step
    return [name, { timeoutMs, maxAgeMs: FOR_GOOD_MS, ...own }] as const
  })
  const checks = Object.fromEntries(named) as Record<Name, CheckOptions<Name>>
  const monitor = new HealthMonitor<Name>({ checks, loop: false, ...(clock === undefined ? {} : { clock }) })
  const end = (): void => void monitor.stop()
  signal?.addEventListener('abort', end)
  if (signal?.aborted !== true) await monitor.checkNow()
  signal?.removeEventListener('abort', end)
  const { status, components } = monitor
  return { status, components }
}
