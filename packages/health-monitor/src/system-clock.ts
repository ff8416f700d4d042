import type { Clock } from './ports.js'

/** Node runs a longer timer at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, run) {
    const restMs = delayMs - MAX_TIMER_MS
    const next = restMs > 0 ? (): void => void (cancel = systemClock.after(restMs, run)) : run
    const timer = setTimeout(next, Math.max(0, Math.min(delayMs, MAX_TIMER_MS))).unref()
    let cancel = (): void => clearTimeout(timer)
    return () => cancel()
  },
}

/** Keeps the process alive until the returned function is called. */
export function holdProcess(): () => void {
  const timer = setInterval(() => {}, MAX_TIMER_MS)
  return () => clearInterval(timer)
}
