import type { Clock } from '../ports.js'

/** How often somebody who watches hears of the commits of other processes, in milliseconds. */
const POLL_MS = 30

/**
 * Wakes those who watch: at once after a commit of this process, and soon after one of another. SQLite tells nobody of
 * commits, but keeps a number that changes with those of other connections; it is read only while somebody watches.
 */
export class SqliteHints {
  readonly #clock: Clock
  readonly #readDataVersion: () => number | undefined
  readonly #wakes = new Set<() => void>()
  #seen: number | undefined
  #stopPolling: (() => void) | undefined

  /** @param readDataVersion - gives `undefined` while the database is not open */
  constructor(clock: Clock, readDataVersion: () => number | undefined) {
    this.#clock = clock
    this.#readDataVersion = readDataVersion
  }

  /** @returns ends it */
  add(wake: () => void): () => void {
    // Another function for each caller, as the same one may be given twice.
    const own = (): void => wake()
    this.#wakes.add(own)
    if (this.#stopPolling === undefined) {
      this.#seen = this.#readDataVersion()
      this.#poll()
    }
    return () => {
      this.#wakes.delete(own)
      if (this.#wakes.size > 0) return
      this.#stopPolling?.()
      this.#stopPolling = undefined
    }
  }

  wakeAll(): void {
    for (const wake of this.#wakes) wake()
  }

  #poll(): void {
    this.#stopPolling = this.#clock.after(POLL_MS, () => {
      this.#poll()
      const version = this.#readDataVersion()
      if (version === this.#seen) return
      this.#seen = version
      this.wakeAll()
    })
  }
}
