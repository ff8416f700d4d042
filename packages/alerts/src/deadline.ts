import type { Clock } from './ports.js'

/** A deadline is walked in this many steps, so that a pause of the event loop costs nobody more than one of them. */
const STEPS = 4

/** A timer that is later than this says that the event loop was blocked, or the process suspended. */
const BLOCKED_MS = 100

/**
 * Calls back once the event loop has been running for `delayMs`; time in which it was blocked does not count. After a
 * pause Node runs timers before it reads sockets, so an answer that has long arrived would lose against its deadline.
 *
 * @returns cancels it
 */
export function afterRunning(clock: Pick<Clock, 'monotonic' | 'after'>, delayMs: number, run: () => void): () => void {
  const stepMs = delayMs / STEPS
  let stepsLeft = STEPS
  let startedMs = clock.monotonic()
  const step = (): void => {
    const lateMs = clock.monotonic() - startedMs - stepMs
    if (lateMs <= BLOCKED_MS) stepsLeft--
    if (stepsLeft === 0) return run()
    startedMs = clock.monotonic()
    cancel = clock.after(stepMs, step)
  }
  let cancel = clock.after(stepMs, step)
  return () => cancel()
}
