import type { ToWorker } from './wire.js'

/** How a worker ended. */
export interface Gone {
  /** As a clause. */
  readonly why: string
  /** Whether everything that it had said has been heard, so that what it did not begin it never will. */
  readonly isCertain: boolean
}

/** What a worker tells the slot that it belongs to. */
export interface LinkHooks {
  heard(message: unknown): void
  /** Called once. */
  gone(gone: Gone): void
}

/** The connection to a worker, however it runs. */
export interface Link {
  /** @throws what says that the message holds something that cannot be sent; then nothing was. All else here throws nothing. */
  send(message: ToWorker): void
  /** Asks it to end. */
  end(): void
  /** Ends it without asking. */
  kill(): void
  /** Whether it keeps this process alive. */
  hold(isHeld: boolean): void
}
