import type { CallHooks } from './watched-storage.js'
import type { Snapshot } from './snapshot.js'

/** One fresh copy, on which a migration is tried. */
export interface Trial<S> {
  /** The store as it is handed to a migration that nobody disturbs, or by these hooks. */
  attempt(hooks?: CallHooks): Attempt<S>
  /** Every row as it is now. */
  snapshot(signal: AbortSignal): Promise<Snapshot>
  /** Lets go of the copy. */
  close(): Promise<void>
}

/** One life of a process that migrates. */
export interface Attempt<S> {
  readonly storage: S
  /** How many writes have taken effect. */
  readonly writes: number
  /** How many writes have been begun. */
  readonly begun: number
  /** The process is dead: nothing of it arrives any more. */
  end(why: string): void
}

/** Makes trials, all with the same rows. */
export interface Bench<S> {
  /**
   * A fresh copy.
   *
   * @param maxRows - at most so many rows of each collection
   */
  trial(signal: AbortSignal, maxRows?: number): Promise<Trial<S>>
}
