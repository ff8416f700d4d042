import type { Clock } from '../ports.js'

/** How often somebody who watches hears of the commits of other processes where no file system tells, in milliseconds. */
const POLL_MS = 30

/**
 * After the log was written to, the number is read this many milliseconds later, again and again: the write comes before the
 * commit, and a disk that syncs comes between the two.
 */
const LOOKS_MS: readonly number[] = [1, 1, 2, 4, 8]

/** Tells when the write-ahead log may have been written to, until the returned function is called. */
export type WatchLog = (onWrite: () => void) => () => void

/**
 * Wakes those who watch: at once after a commit of this process, and soon after one of another. SQLite tells nobody of
 * commits, but keeps a number that changes with those of other connections; it is read only while somebody watches.
 */
export class SqliteHints {
  readonly #clock: Clock
  readonly #readDataVersion: () => number | undefined
  readonly #watchLog: WatchLog
  readonly #wakes = new Set<() => void>()
  #seen: number | undefined
  #end: (() => void) | undefined
  #stopPolling: () => void = () => undefined
  #stopLooking: () => void = () => undefined
  /** How often it was looked since the log was last written to. */
  #looks = LOOKS_MS.length

  /** @param readDataVersion - gives `undefined` while the database is not open */
  constructor(clock: Clock, readDataVersion: () => number | undefined, watchLog: WatchLog = () => () => undefined) {
    this.#clock = clock
    this.#readDataVersion = readDataVersion
    this.#watchLog = watchLog
  }

  /** @returns ends it */
  add(wake: () => void): () => void {
    // Another function for each caller, as the same one may be given twice.
    const own = (): void => wake()
    this.#wakes.add(own)
    if (this.#end === undefined) {
      this.#seen = this.#readDataVersion()
      this.#end = this.#watchLog(() => this.#written())
      this.#poll()
    }
    return () => {
      this.#wakes.delete(own)
      if (this.#wakes.size > 0) return
      this.#end?.()
      this.#end = undefined
      this.#stopPolling()
      this.#stopLooking()
      this.#looks = LOOKS_MS.length
    }
  }

  wakeAll(): void {
    for (const wake of this.#wakes) wake()
  }

  #poll(): void {
    this.#stopPolling = this.#clock.after(POLL_MS, () => {
      this.#poll()
      this.#check()
    })
  }

  #written(): void {
    const isLooking = this.#looks < LOOKS_MS.length
    this.#looks = 0
    if (!isLooking) this.#lookSoon()
  }

  #lookSoon(): void {
    const delayMs = LOOKS_MS[this.#looks]
    if (delayMs === undefined) return
    this.#looks += 1
    this.#stopLooking = this.#clock.after(delayMs, () => {
      this.#check()
      this.#lookSoon()
    })
  }

  #check(): void {
    const version = this.#readDataVersion()
    if (version === this.#seen) return
    this.#seen = version
    this.wakeAll()
  }
}
