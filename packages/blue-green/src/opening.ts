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

/**
 * Takes over from whoever drives, as soon as this process is able to serve. Whoever drives goes on doing so until then, and if it is not.
 *
 * The record may change while versions get ready. So it is written over only as it was read last, and only where what it routes to by then has been
 * made ready; if not, that is next. Each round tries a version that none has tried before, so there are no more rounds than versions.
 *
 * @param signal - ends the wait for the versions
 * @throws what kept the first version from getting ready, when none is that the record routes to
 */
export async function takeSeat(
  settings: Settings,
  seat: Seat,
  lives: Lives,
  hooks: OpeningHooks,
  signal: AbortSignal,
): Promise<Opened> {
  const journal = seat.makeJournal()
  const staged = new Map<string, Error | undefined>()
  const canServe = (routed: readonly string[]): boolean =>
    routed.every((version) => staged.has(version)) && routed.some((version) => staged.get(version) === undefined)
  const stageAll = async (routed: readonly string[]): Promise<void> => {
    const untried = routed.filter((version) => !staged.has(version))
    await Promise.all(untried.map(async (version) => staged.set(version, await hooks.staged(version, signal))))
    signal.throwIfAborted()
    if (!canServe(routed)) throw staged.get(routed[0] ?? '')?.cause
    lives.servesUnasked(routed)
  }
  /** Where the store does not answer, what was active when this process knew it last serves on. */
  const orServe = <T>(asked: Promise<T>): Promise<T> =>
    asked.catch(async (error) => {
      if (error instanceof StoreUnavailableError) await stageAll(routedIn(hooks.known().state)).catch(() => undefined)
      throw error
    })
  for (;;) {
    const { decided } = seat
    const resumption = await orServe(takeOver(journal, settings, hooks.known(), canServe))
    signal.throwIfAborted()
    if (resumption.isTaken) {
      await orServe(hooks.restored(journal.epoch))
      seat.reachable(true)
      return { ...resumption, journal, decided, staged }
    }
    lives.tookOver()
    await stageAll(routedIn(resumption.state))
  }
}
