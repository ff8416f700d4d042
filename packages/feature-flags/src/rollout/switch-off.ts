import type { FlagInForce } from './flag-in-force.js'
import { isAtOnce, type Journal } from './journal.js'
import type { Reason } from './rollout-record.js'
import { transition, type Input, type PlanInForce } from './transitions.js'

/** A rollback that the store has not confirmed. */
export interface Owed {
  readonly input: Input
  readonly reason: Reason
  /** Of what was running, as far as that was known. */
  readonly version: string | undefined
}

/** Switches the flag off in this process before that is written down. */
export class SwitchOff {
  readonly #journal: Journal
  readonly #inForce: FlagInForce
  readonly #plan: PlanInForce
  #owed: Owed | undefined
  /** How many wait to switch the flag off. */
  waiting = 0

  constructor(journal: Journal, inForce: FlagInForce, plan: PlanInForce) {
    this.#journal = journal
    this.#inForce = inForce
    this.#plan = plan
  }

  /** Whether somebody waits to switch the flag off. Nothing may raise a share meanwhile. */
  get isAwaited(): boolean {
    return this.waiting > 0
  }

  /** A rollback that the store has not confirmed. */
  get owed(): Owed | undefined {
    return this.#owed
  }

  /** "At once" is now, not when the store has answered: here the flag goes off, and the record follows. */
  hurry(input: Input, reason: Reason): void {
    const run = this.#journal.record?.run
    if (!isAtOnce(input) || this.#inForce.isOff || run === undefined) return
    if (transition(run, input, this.#plan, run.share.sequence) === undefined) return
    void this.#inForce.off(this.#journal.offSequence(), reason)
  }

  /** The store cannot be reached: here the flag goes off at once, and the record follows. */
  async owe(input: Input, reason: Reason): Promise<void> {
    this.#owed = { input, reason, version: this.#journal.record?.run.version }
    // What may take ten minutes may wait for the store as well.
    if (isAtOnce(input) && !this.#inForce.isOff) await this.#inForce.off(this.#journal.offSequence(), reason)
  }

  /** Nothing is owed any more. */
  forget(): void {
    this.#owed = undefined
  }

  /**
   * Writes down the rollback that is in force here already. What another version does has nothing to do with it.
   *
   * @returns whether it was about what the record tells of, and whether there is a record
   */
  async payBack({ input, reason, version }: Owed): Promise<{ isAbout: boolean; isThere: boolean }> {
    const record = await this.#journal.look()
    const isAbout = record === undefined || version === undefined || record.run.version === version
    if (isAbout && record !== undefined) await this.#journal.command(input, reason, [])
    this.#owed = undefined
    return { isAbout, isThere: record !== undefined }
  }
}
