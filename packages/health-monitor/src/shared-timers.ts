import type { Clock } from './ports.js'

/**
 * Timers of which those that fall due together wake the process once. To wake up costs more than most of what there is to
 * do then.
 */
export class SharedTimers {
  readonly #clock: Clock
  readonly #groups = new Map<number, { readonly runs: Set<() => void>; readonly cancel: () => void }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * @param dueMs - monotonic ms; only equal ones are shared, so round it
   * @returns cancels it
   */
  at(dueMs: number, run: () => void): () => void {
    let group = this.#groups.get(dueMs)
    if (group === undefined) {
      group = { runs: new Set(), cancel: this.#clock.after(dueMs - this.#clock.monotonic(), () => this.#ring(dueMs)) }
      this.#groups.set(dueMs, group)
    }
    const { runs, cancel } = group
    // The same function may be given twice.
    const mine = (): void => run()
    runs.add(mine)
    return () => {
      if (!runs.delete(mine) || runs.size > 0 || this.#groups.get(dueMs)?.runs !== runs) return
      cancel()
      this.#groups.delete(dueMs)
    }
  }

  #ring(dueMs: number): void {
    const group = this.#groups.get(dueMs)
    this.#groups.delete(dueMs)
    // One of them may cancel another; a Set leaves that out.
    for (const run of group?.runs ?? []) run()
  }
}
