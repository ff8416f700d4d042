import { GuildLedger } from './failing-guilds.js'
import { warn } from './warn.js'
import type { Settings } from './options.js'

/** How a call has ended. */
export type CallEnd = 'succeeded' | 'failed' | 'userError'

/**
 * What became of the events that were routed to one version, also of those that another one served because it was down. `started` is
 * the sum of the others.
 */
export interface VersionCounters {
  /** Calls that began. */
  readonly started: number
  /** Calls whose promise resolved. */
  readonly succeeded: number
  /** Calls that threw or rejected, user errors apart. */
  readonly failed: number
  /** Calls that threw or rejected with what `isUserError` takes for the user's own fault. */
  readonly userErrors: number
  /** Calls that have not settled. */
  readonly running: number
}

/** One version at work: its running calls, and how it fares. */
export class Lane {
  readonly guilds: GuildLedger
  readonly #isUserError: (error: unknown) => boolean
  readonly #running = new Set<Promise<unknown>>()
  #started = 0
  #succeeded = 0
  #failed = 0
  #userErrors = 0
  #hasWarned = false

  constructor({ isUserError, clock, failuresPerGuild }: Settings) {
    this.#isUserError = isUserError
    this.guilds = new GuildLedger(clock, failuresPerGuild)
  }

  get counters(): VersionCounters {
    return {
      started: this.#started,
      succeeded: this.#succeeded,
      failed: this.#failed,
      userErrors: this.#userErrors,
      running: this.#running.size,
    }
  }

  /** The calls that run now, as promises that may reject. */
  get running(): readonly Promise<unknown>[] {
    return [...this.#running]
  }

  isRunning(call: Promise<unknown>): boolean {
    return this.#running.has(call)
  }

  /**
   * Calls the version in this tick, and settles as it does.
   *
   * @param serve - calls it
   * @param ended - called before the result is passed on
   */
  async run(serve: () => unknown, ended?: (how: CallEnd) => void): Promise<unknown> {
    this.#started += 1
    // An async function, so that a handler that throws at once rejects like any other.
    const call = (async () => serve())()
    this.#running.add(call)
    try {
      const result = await call
      this.#running.delete(call)
      this.#succeeded += 1
      ended?.('succeeded')
      return result
    } catch (error) {
      this.#running.delete(call)
      const isUsersFault = this.#isUsersFault(error)
      if (isUsersFault) this.#userErrors += 1
      else this.#failed += 1
      ended?.(isUsersFault ? 'userError' : 'failed')
      throw error
    }
  }

  /** A predicate that throws has not said yes. Told once: it will likely throw for each error. */
  #isUsersFault(error: unknown): boolean {
    try {
      return this.#isUserError(error)
    } catch (thrown) {
      const what = 'isUserError threw, so the error counts against the version'
      if (!this.#hasWarned) warn('EVENKEEL_PREDICATE', what, thrown)
      this.#hasWarned = true
      return false
    }
  }
}
