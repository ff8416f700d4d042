import type { Clock } from './ports.js'

/** The longest delay that Node's timers take; a longer one would fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.max(0, Math.min(delayMs, MAX_DELAY_MS))).unref()
    return () => clearTimeout(timer)
  },
}

/**
 * Keeps the process alive until it is let go: while somebody awaits a read or a write that waits for a timer, Node must
 * not take the program for finished.
 *
 * @returns lets go
 */
export function holdProcess(): () => void {
  const timer = setInterval(() => undefined, MAX_DELAY_MS)
  return () => clearInterval(timer)
}
