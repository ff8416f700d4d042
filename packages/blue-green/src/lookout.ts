import type { Clock } from './ports.js'
import type { StateRecord } from './record.js'

/** What is looked at, and who hears of it. */
export interface LookoutHooks {
  /** Reads the record, within a deadline. */
  read(): Promise<StateRecord | undefined>
  /** The record is what it is. */
  found(record: StateRecord): void
}

/**
 * Looks at the record again and again, so that a controller that has nothing to write learns that another one drives.
 *
 * A store that does not answer changes nothing: whether it is out shows when something is to be written.
 */
export class Lookout {
  readonly #clock: Clock
  readonly #lookMs: number
  readonly #hooks: LookoutHooks
  #isOver = false
  #cancel: (() => void) | undefined

  constructor(clock: Clock, lookMs: number, hooks: LookoutHooks) {
    this.#clock = clock
    this.#lookMs = lookMs
    this.#hooks = hooks
    this.#wait()
  }

  stop(): void {
    this.#isOver = true
    this.#cancel?.()
  }

  #wait(): void {
    if (!this.#isOver) this.#cancel = this.#clock.after(this.#lookMs, () => void this.#look())
  }

  async #look(): Promise<void> {
    const record = await this.#hooks.read().catch(() => undefined)
    if (this.#isOver) return
    if (record !== undefined) this.#hooks.found(record)
    this.#wait()
  }
}
