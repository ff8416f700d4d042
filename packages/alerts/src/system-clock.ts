import type { Clock } from './ports.js'

/** Node runs a longer timer at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.max(0, Math.min(delayMs, MAX_TIMER_MS))).unref()
    return () => clearTimeout(timer)
  },
}

/** Keeps the process alive until the returned function is called. */
export function holdProcess(): () => void {
  const timer = setInterval(() => {}, MAX_TIMER_MS)
  return () => clearInterval(timer)
}
