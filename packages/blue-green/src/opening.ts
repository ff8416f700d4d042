import { StoreUnavailableError } from './errors.js'
import type { Journal } from './journal.js'
import type { Lives } from './lives.js'
import type { Settings } from './options.js'
import { routedIn, takeOver, type Known, type Resumption } from './resumption.js'
import type { Seat } from './seat.js'

/** What an opening needs of whoever is to drive. */
export interface OpeningHooks {
  /** What this process knew last. */
  known(): Known
  /** Makes a version ready. Resolves with what kept it from that, if anything did. */
  staged(version: string, signal: AbortSignal): Promise<Error | undefined>
  /** The record is under this epoch now: reads what belongs to it. */
  restored(epoch: number): Promise<void>
}

/** Where this process goes on, and with what. */
export interface Opened extends Resumption {
  readonly journal: Journal
  /** How often something had been decided here before: the record has that. */
  readonly decided: number
  /** The versions that were made ready, and what kept them from it. */
  readonly staged: ReadonlyMap<string, Error | undefined>
}

/** One attempt to take the seat. */
export class Opening {
  readonly #settings: Settings
  readonly #seat: Seat
  readonly #lives: Lives
  readonly #hooks: OpeningHooks
  readonly #staged = new Map<string, Error | undefined>()

  constructor(settings: Settings, seat: Seat, lives: Lives, hooks: OpeningHooks) {
    this.#settings = settings
    this.#seat = seat
    this.#lives = lives
    this.#hooks = hooks
  }

  /**
   * Takes over from whoever drives, as soon as this process is able to serve. Whoever drives goes on doing so until then, and if it is not.
   *
   * The record may change while versions get ready. So it is written over only as it was read last, and only where what it routes to has been
   * made ready; if not, that is next. Each time it is a version that was not tried before: there are no more rounds than versions.
   *
   * @param signal - ends the wait for the versions
   * @throws what kept the first version from getting ready, when none is that the record routes to
   */
  async takeOver(signal: AbortSignal): Promise<Opened> {
    const journal = this.#seat.makeJournal()
    let opened = await this.#ifReachable(this.#take(journal), signal)
    while (!opened.isTaken) {
      const routed = routedIn(opened.state)
      this.#lives.tookOver()
      await this.#stageAll(routed, this.#staged, signal)
      this.#lives.servesUnasked(routed)
      opened = await this.#ifReachable(this.#take(journal), signal)
    }
    signal.throwIfAborted()
    return opened
  }

  async #take(journal: Journal): Promise<Opened> {
    const { decided } = this.#seat
    const resumption = await takeOver(journal, this.#settings, this.#hooks.known(), (routed) => this.#canServe(routed))
    if (resumption.isTaken) {
      await this.#hooks.restored(journal.epoch)
      this.#seat.answered()
    }
    return { ...resumption, journal, decided, staged: this.#staged }
  }

  /** Whether all of them were tried, and one is ready. */
  #canServe(routed: readonly string[]): boolean {
    const isTried = routed.every((version) => this.#staged.has(version))
    return isTried && routed.some((version) => this.#staged.get(version) === undefined)
  }

  /** Where the store does not answer, what was active when this process knew it last serves on. */
  async #ifReachable<T>(asked: Promise<T>, signal: AbortSignal): Promise<T> {
    return asked.catch(async (error) => {
      if (!(error instanceof StoreUnavailableError)) throw error
      const routed = routedIn(this.#hooks.known().state)
      this.#lives.servesUnasked(routed)
      await this.#stageAll(routed, new Map(), signal).catch(() => undefined)
      throw error
    })
  }

  /**
   * Makes ready what has not been tried yet.
   *
   * @param staged - what has been tried, and what kept it from getting ready
   * @throws what kept the first of them from getting ready, when none of them is
   */
  async #stageAll(
    versions: readonly string[],
    staged: Map<string, Error | undefined>,
    signal: AbortSignal,
  ): Promise<void> {
    const untried = versions.filter((version) => !staged.has(version))
    await Promise.all(untried.map(async (version) => staged.set(version, await this.#hooks.staged(version, signal))))
    signal.throwIfAborted()
    const failures = versions.map((version) => staged.get(version))
    if (failures.every((failure) => failure !== undefined)) throw failures[0]?.cause
  }
}
