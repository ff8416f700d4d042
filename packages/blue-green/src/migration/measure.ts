import { systemClock } from '../system-clock.js'

/** What a piece of work took. */
export interface Cost {
  /** Elapsed ms. */
  readonly wallMs: number
  /** CPU time of the whole process, in ms. */
  readonly cpuMs: number
  /** The longest that the event loop stood still, in ms: a bot answers nobody meanwhile. Known to about 2 ms. */
  readonly maxPauseMs: number
}

/** How often the event loop is looked at. */
const lookMs = 2

/** Measures by the real clocks: what a migration takes is not for a test to decide. */
export async function measure(run: () => Promise<unknown>): Promise<Cost> {
  const beganMs = systemClock.monotonic()
  const cpu = process.cpuUsage()
  let [lastMs, maxPauseMs] = [beganMs, 0]
  const look = (): void => {
    const nowMs = systemClock.monotonic()
    maxPauseMs = Math.max(maxPauseMs, nowMs - lastMs - lookMs)
    lastMs = nowMs
  }
  const again = (): (() => void) =>
    systemClock.after(lookMs, () => {
      look()
      cancel = again()
    })
  let cancel = again()
  try {
    await run()
  } finally {
    cancel()
    look()
  }
  const { user, system } = process.cpuUsage(cpu)
  return { wallMs: systemClock.monotonic() - beganMs, cpuMs: (user + system) / 1_000, maxPauseMs }
}
