import type { Clock } from './ports.js'

/** The longest delay that setTimeout takes; a longer one would fire at once. */
const maxDelayMs = 2 ** 31 - 1

/** The clock of this process, with timers that do not keep it alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.max(0, Math.min(delayMs, maxDelayMs)))
    timer.unref()
    return () => clearTimeout(timer)
  },
}
