import type { EventLoopUtilization } from 'node:perf_hooks'
import type { HealthCheck } from '../check-result.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { requireClock, resolveOptions } from './check-options.js'
import { duration, percent } from './figures.js'
import { LoopDelay } from './loop-delay.js'
import { onDemand } from './on-demand.js'
import { Readings } from './readings.js'
import { above, together } from './verdict.js'

/** How {@link loopCheck} judges. */
export interface LoopCheckOptions {
  /**
   * Milliseconds over which is looked.
   *
   * @defaultValue 60_000
   */
  readonly windowMs?: number
  /**
   * How late the event loop may be in 99 of 100 cases, in milliseconds; above it, it is `degraded`.
   *
   * @defaultValue 250
   */
  readonly degradedDelayMs?: number
  /**
   * How late the event loop may be in 99 of 100 cases, in milliseconds; above it, it is `down`. Discord waits 3 s for an
   * answer.
   *
   * @defaultValue 1_000
   */
  readonly downDelayMs?: number
  /**
   * The share of time, 0 to 1, in which the loop is not idle, above which it is `degraded`.
   *
   * @defaultValue 0.9
   */
  readonly degradedRatio?: number
  /**
   * The share of time, 0 to 1, in which the loop is not idle, above which it is `down`; 1 for never.
   *
   * @defaultValue 0.98
   */
  readonly downRatio?: number
  /** The clock to measure with; the machine's unless a test brings another. */
  readonly clock?: Clock
}

/** What {@link loopCheck} uses when its options leave it open. */
export const loopCheckDefaults: Required<Omit<LoopCheckOptions, 'clock'>> = {
  windowMs: 60_000,
  degradedDelayMs: 250,
  downDelayMs: 1_000,
  degradedRatio: 0.9,
  downRatio: 0.98,
}

/**
 * Looks how late the event loop is, and how much of its time it is busy: whether the bot gets round to its work.
 *
 * @remarks
 * The delay is what an event would have met that came at any moment of the window, 99 of 100 times: a block of a second
 * counts for every moment that it lasted, and one short block a minute is nothing. Five times a second something is
 * timed, from the first look on, and until nobody has looked for three windows.
 *
 * *Gotchas*: it tells afterwards; while the loop is blocked, no check runs. What stops the whole process for longer than
 * a window (`SIGSTOP`, a laptop that sleeps) is no fault of the loop, and begins a new window.
 *
 * @param options - the window and the limits
 * @returns the check; until it has seen a whole window it is up, and says so
 * @throws TypeError when an option does not exist, or is of another type
 * @throws RangeError when a limit or the window is out of range
 *
 * @example
 * ```ts
 * import { HealthMonitor, loopCheck } from '@evenkeel/health-monitor'
 *
 * const health = new HealthMonitor({ checks: { loop: { check: loopCheck({ degradedDelayMs: 100 }) } } })
 * console.log((await health.check('loop')).reason) // => 0 ms of the first 60 s have been seen
 * ```
 */
export function loopCheck(options: LoopCheckOptions = {}): HealthCheck {
  const resolved = resolveOptions('loopCheck', options, loopCheckDefaults, ['clock'])
  const { windowMs, degradedDelayMs, downDelayMs, degradedRatio, downRatio, clock = systemClock } = resolved
  requireClock('loopCheck', clock)
  const delay = new LoopDelay(clock, windowMs)
  let readings = new Readings<EventLoopUtilization>(windowMs)
  return () => {
    const nowMs = clock.monotonic()
    if (delay.look()) readings = new Readings(windowMs)
    const { performance: loopTime } = onDemand('node:perf_hooks')
    const now = loopTime.eventLoopUtilization()
    const base = readings.take(nowMs, now)
    if (base === undefined) {
      const seen = duration(readings.coveredMs(nowMs))
      return { status: 'up', reason: `${seen} of the first ${duration(windowMs)} have been seen` }
    }
    const { utilization } = loopTime.eventLoopUtilization(now, base.value)
    const over = `over ${duration(nowMs - base.takenMs)}`
    const p99Ms = delay.percentile(99)
    return together([
      above(
        p99Ms,
        { degraded: degradedDelayMs, down: downDelayMs },
        `1 event in 100 waits ${duration(p99Ms)} or longer for the event loop ${over}`,
        duration,
      ),
      above(
        utilization,
        { degraded: degradedRatio, down: downRatio },
        `the event loop is busy ${percent(utilization)} of the time ${over}`,
        percent,
      ),
    ])
  }
}
