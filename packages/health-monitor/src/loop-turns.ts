import { onDemand } from './checks/on-demand.js'
import { systemClock } from './system-clock.js'

/** The event loop, as far as it can be felt from inside. */
export interface LoopTurns {
  /** Elapsed ms that never goes back. */
  monotonic(): number
  /** For how many ms it has worked so far, instead of waiting for something to do. */
  activeMs(): number
  /** Calls back at the end of every turn; returns cancel. */
  onTurn(run: () => void): () => void
}

/**
 * The event loop of this thread.
 *
 * An immediate that does not hold the process is run at the end of a turn, but makes none: a loop that sleeps goes on
 * sleeping, where a timer would wake it ten times a second.
 */
export const systemLoop: LoopTurns = {
  monotonic: () => systemClock.monotonic(),
  activeMs: () => onDemand('node:perf_hooks').performance.eventLoopUtilization().active,
  onTurn(run) {
    const turn = (): void => {
      next = setImmediate(turn).unref()
      run()
    }
    let next = setImmediate(turn).unref()
    return () => clearImmediate(next)
  },
}
