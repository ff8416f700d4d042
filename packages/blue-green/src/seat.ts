import type { Controller } from './changes.js'
import { FencedError, StoppedError } from './errors.js'
import { Journal } from './journal.js'
import { Lookout } from './lookout.js'
import type { Settings } from './options.js'
import { isNewer, type StateRecord } from './record.js'
import { Writer, type Wanted, type WriterHooks } from './writer.js'

/** What the seat tells. None of it may throw. */
export interface SeatHooks extends Pick<WriterHooks, 'confirmed' | 'failed'> {
  /** The store answers again, or does so no more. */
  reachable(isUp: boolean, error: unknown): void
  /** Another controller has taken it, and wrote this; `undefined` where that cannot be read. */
  lost(winner: StateRecord | undefined, why: string): void
  /** The other controller has written something newer. */
  follow(record: StateRecord): void
}

/** The place of whoever drives. Who has it writes the record; who has lost it reads on what the other one writes. */
export class Seat {
  readonly #settings: Settings
  /** Names this process in the record. */
  readonly #id: string
  readonly #hooks: SeatHooks
  #controller: Controller = 'STOPPED'
  #fencedBy: FencedError | undefined
  #journal: Journal | undefined
  #writer: Writer | undefined
  #lookout: Lookout | undefined
  /** The newest record of the other controller. */
  #followed: StateRecord | undefined
  #isStoreUp = true
  /** How often something was decided here, and up to which of these others may end it: a record has held it, or this process follows the other one. */
  #decided = 0
  #settled = 0

  constructor(settings: Settings, id: string, hooks: SeatHooks) {
    this.#settings = settings
    this.#id = id
    this.#hooks = hooks
  }

  get controller(): Controller {
    return this.#controller
  }

  get isDriving(): boolean {
    return this.#controller === 'DRIVING'
  }

  /** Why this process does not drive any more, where another one has taken over. */
  get fencedBy(): FencedError | undefined {
    return this.#fencedBy
  }

  /** What whoever wants it moved hears, where this process does not drive. */
  notDrivingError(version: string): FencedError | StoppedError {
    return this.#fencedBy ?? new StoppedError(version)
  }

  get epoch(): number {
    return this.#journal?.epoch ?? 0
  }

  get isStoreUp(): boolean {
    return this.#isStoreUp
  }

  /** What is to be written, and is not confirmed yet. */
  get wanted(): Wanted | undefined {
    return this.#writer?.wanted
  }

  /** What the other controller says, as far as this process has read it. */
  get followed(): StateRecord | undefined {
    return this.#followed
  }

  /** How often something was decided here so far. */
  get decided(): number {
    return this.#decided
  }

  /** Whether something was decided here that no record is known to have had. */
  get isUnwritten(): boolean {
    return this.#decided > this.#settled
  }

  /** A person, or the bot, has decided something that stands here against what others say. */
  decide(): void {
    this.#decided += 1
  }

  /** This process goes by what the other one says. */
  settle(): void {
    this.#settled = this.#decided
  }

  /** For an attempt to take it. */
  makeJournal(): Journal {
    const { store, name, clock, storeTimeoutMs: timeoutMs } = this.#settings
    const key = `blue-green:${name}`
    return new Journal({ store, key, controller: this.#id, ownEpoch: this.epoch, clock, timeoutMs })
  }

  /** The store has answered, or has not. */
  reachable(isUp: boolean, error?: unknown): void {
    if (isUp === this.#isStoreUp) return
    this.#isStoreUp = isUp
    this.#hooks.reachable(isUp, error)
  }

  /** The journal has taken over, with what had been decided here by then. */
  take(journal: Journal, decided: number): void {
    const { clock, lookMs, storeRetryMs } = this.#settings
    this.#controller = 'DRIVING'
    this.#fencedBy = undefined
    this.#followed = undefined
    this.#settled = decided
    this.#journal = journal
    this.#lookout?.stop()
    this.#lookout = new Lookout(clock, lookMs, {
      read: () => journal.look(),
      found: (record) => this.#noticed(record),
    })
    this.#writer = new Writer(journal, clock, storeRetryMs, {
      kept: ({ decided: written }) => (this.#settled = Math.max(this.#settled, written)),
      confirmed: (wanted) => this.#hooks.confirmed(wanted),
      failed: (wanted, error) => this.#hooks.failed(wanted, error),
      fenced: (winner) => this.#lose(winner),
      reachable: (isUp, error) => this.reachable(isUp, error),
    })
  }

  /** Writes it, for as long as that takes. */
  want(wanted: Wanted): void {
    if (this.isDriving) this.#writer?.want({ ...wanted, decided: this.#decided })
  }

  /** Nobody here drives from now on; what is being written may still land. */
  leave(): void {
    this.#controller = 'STOPPED'
    this.#lookout?.stop()
  }

  /** Waits for the write that is under way, which has a deadline. @returns what nobody has confirmed */
  async settled(): Promise<Wanted | undefined> {
    await this.#writer?.stop()
    return this.#writer?.wanted
  }

  #lose(winner: StateRecord | undefined): void {
    const why =
      winner === undefined
        ? 'its record in the store is gone, or a newer release has written it'
        : `another controller took over with epoch ${winner.epoch}`
    // Its answer is what says so.
    this.reachable(true)
    this.#controller = 'FENCED'
    this.#fencedBy = new FencedError(why, winner?.epoch)
    this.#followed = winner
    this.#hooks.lost(winner, why)
  }

  /** Another controller may have taken over, or have gone on. An older epoch is what a store said that lags. */
  #noticed(record: StateRecord): void {
    if (this.isDriving && record.epoch > this.epoch) {
      // What is being written is refused.
      void this.#writer?.stop()
      this.#lose(record)
    } else if (this.#controller === 'FENCED' && isNewer(record, this.#followed)) {
      this.#followed = record
      this.#hooks.follow(record)
    }
  }
}
