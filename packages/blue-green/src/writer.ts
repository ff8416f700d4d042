import type { Journal, Particulars } from './journal.js'
import type { Clock } from './ports.js'
import type { StateRecord } from './record.js'
import type { Input, State } from './transitions.js'

/** A state that is to be written down. */
export interface Wanted extends Particulars {
  readonly state: State
  readonly why: string
  /**
   * What led to it. Two write the state in force once more: `REVOKE` over a write that may or may not have landed, and
   * `PREPARE` to learn, before green gets more, that the store answers and nobody else drives.
   */
  readonly type: Input['type'] | 'REVOKE' | 'PREPARE'
  /** What follows once the store has confirmed a `PREPARE`. */
  readonly next?: Input
}

/** The same, with how much had been decided here by then. */
export interface Ordered extends Wanted {
  readonly decided: number
}

/** What the writer tells. None of it may throw. */
export interface WriterHooks {
  /** The store has had this state, whatever is wanted by now, and also where the writer has been stopped meanwhile. */
  kept(ordered: Ordered): void
  /** The store holds this state, and nothing newer is wanted. */
  confirmed(wanted: Wanted): void
  /** Whether the store holds this state is unknown. Unless something else is wanted now, it is tried again. */
  failed(wanted: Wanted, error: unknown): void
  /** Another controller has the record. The writer has stopped. */
  fenced(winner: StateRecord | undefined): void
  /** The store has answered, or has not. */
  reachable(isUp: boolean, error?: unknown): void
}

/**
 * Brings the newest wish into the store, for as long as it takes.
 *
 * A later wish replaces an earlier one, even while that is being written: whatever becomes of the earlier one, the
 * later is written over it. This is why a rollback wins over an advance that is under way.
 */
export class Writer {
  readonly #journal: Journal
  readonly #clock: Clock
  readonly #retryMs: number
  readonly #hooks: WriterHooks
  #wanted: Ordered | undefined
  #running: Promise<void> | undefined
  #isStopped = false
  #wake: (() => void) | undefined

  constructor(journal: Journal, clock: Clock, retryMs: number, hooks: WriterHooks) {
    this.#journal = journal
    this.#clock = clock
    this.#retryMs = retryMs
    this.#hooks = hooks
  }

  /** The newest state that the store has not confirmed. */
  get wanted(): Ordered | undefined {
    return this.#wanted
  }

  want(wanted: Ordered): void {
    this.#wanted = wanted
    this.#running ??= this.#run()
  }

  /** Resolves when the write that is under way has ended. Its outcome is told to nobody. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#wake?.()
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#wanted !== undefined && !this.#isStopped) await this.#attempt(this.#wanted)
    this.#running = undefined
  }

  async #attempt(wanted: Ordered): Promise<void> {
    let appended
    try {
      appended = await this.#journal.append(wanted.state, wanted.why, wanted)
    } catch (error) {
      if (this.#isStopped) return
      if (this.#wanted === wanted) this.#hooks.failed(wanted, error)
      this.#hooks.reachable(false, error)
      return this.#pause()
    }
    if (appended.kept) this.#hooks.kept(wanted)
    const isNewest = this.#wanted === wanted
    if (isNewest) this.#wanted = undefined
    if (this.#isStopped) return
    if (!appended.kept) {
      this.#isStopped = true
      return this.#hooks.fenced(appended.winner)
    }
    if (isNewest) this.#hooks.confirmed(wanted)
    this.#hooks.reachable(true)
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isStopped) return resolve()
      const cancel = this.#clock.after(this.#retryMs, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }
}
