import { GuildLedger } from './failing-guilds.js'
import type { GuildCounters } from './report/vitals.js'
import { warn } from './warn.js'
import type { Settings } from './options.js'

/** How a call has ended. */
export type CallEnd = 'succeeded' | 'failed' | 'userError'

/** A call, from its beginning to its end. */
export interface Call {
  /** The version that has it. */
  at: Lane
  /** May reject. */
  settled: Promise<unknown> | undefined
}

/** What became of the events that one version was given, also in place of another that was down, and of its synthetic calls. `started` is the sum of the others. */
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
  readonly #running = new Set<Call>()
  #started = 0
  /** How many of those that started were synthetic. */
  #synthetic = 0
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

  /** How many events it was given. Synthetic calls are none. */
  get events(): number {
    return this.#started - this.#synthetic
  }

  /** How it and its guilds fare. */
  get fares(): VersionCounters & GuildCounters {
    const { seen, failing } = this.guilds.census()
    return { ...this.counters, guilds: seen, failingGuilds: failing }
  }

  /** The calls that run now. */
  get running(): readonly Call[] {
    return [...this.#running]
  }

  isRunning(call: Call): boolean {
    return this.#running.has(call)
  }

  /**
   * Calls the version in this tick, and settles as it does.
   *
   * @param serve - calls it; is given what moves the call to another version, which counts it from then on
   * @param ended - called before the result is passed on, with the version that had it last
   */
  async run(serve: (move: (to: Lane) => void) => unknown, ended?: (how: CallEnd, at: Lane) => void): Promise<unknown> {
    const call: Call = { at: this, settled: undefined }
    this.#started += 1
    // An async function, so that a handler that throws at once rejects like any other.
    call.settled = (async () => serve((to) => call.at.#give(call, to)))()
    call.at.#running.add(call)
    try {
      const result = await call.settled
      call.at.#running.delete(call)
      call.at.#succeeded += 1
      ended?.('succeeded', call.at)
      return result
    } catch (error) {
      call.at.#running.delete(call)
      const isUsersFault = this.#isUsersFault(error)
      if (isUsersFault) call.at.#userErrors += 1
      else call.at.#failed += 1
      ended?.(isUsersFault ? 'userError' : 'failed', call.at)
      throw error
    }
  }

  /** As {@link Lane.run}, for what is no event. */
  runSynthetic(serve: () => unknown): Promise<unknown> {
    this.#synthetic += 1
    return this.run(serve)
  }

  #give(call: Call, to: Lane): void {
    this.#started -= 1
    to.#started += 1
    call.at = to
    // Where it moves in the tick in which it began, it is in neither yet.
    if (this.#running.delete(call)) to.#running.add(call)
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
