import type { Clock } from './ports.js'

/** The longest delay that setTimeout takes; a longer one would fire at once. */
export const maxDelayMs: number = 2 ** 31 - 1

/** Real time, with timers that do not keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.max(0, Math.min(delayMs, maxDelayMs)))
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** Keeps the process alive until the result is called: for what somebody awaits, and what ends by a deadline. */
export function holdProcess(): () => void {
  const timer = setInterval(() => {}, maxDelayMs)
  return () => clearInterval(timer)
}

/** Chance that needs to be different each time, not secret. */
export const systemRandom = (): number => Math.random()
