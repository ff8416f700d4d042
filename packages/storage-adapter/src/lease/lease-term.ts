import { LeaseLostError } from '../errors.js'
import { timingOf, type LeaseTiming } from './lease-decision.js'
import type { FenceRecord, LeaseRecord, LeaseRecords, RunRecord } from './lease-records.js'
import { within } from './lease-wait.js'
import type { Clock } from '../ports.js'
import type { CheckOperation } from '../storage.js'

/** The time for which a lease is held without a break. Who gets the lease again later gets another term. */
export interface LeaseTerm {
  /** The fencing token: a whole number, greater than that of every earlier term of this lease. */
  readonly token: number
  /** Aborts when the term is over, with a {@link LeaseLostError} as the reason. Work that the lease allows stops then. */
  readonly lost: AbortSignal
  /**
   * Whether the lease is held, judged now. A process that was frozen gets `false` from its first line on, even before
   * `lost` could abort.
   */
  readonly isHeld: boolean
  /**
   * An operation for `storage.batch`, on the storage that the lease is kept in: the batch is refused by the store as
   * soon as somebody else holds the lease, however late it arrives. It stays good for the whole term.
   *
   * @throws {@link LeaseLostError} when the term is over
   */
  fence(): CheckOperation
}

/** What a term is made of. */
export interface TermOptions {
  readonly name: string
  readonly records: LeaseRecords
  readonly clock: Clock
  /** As it was written to begin the term. */
  readonly lease: LeaseRecord & { readonly holder: string }
  readonly leaseVersion: string
  readonly fenceVersion: string
  /** When that write began, on the monotonic clock. */
  readonly startedMs: number
}

/** A term that renews itself until it is given back or lost. */
export class HeldTerm implements LeaseTerm {
  readonly token: number
  readonly lost: AbortSignal
  readonly #name: string
  readonly #records: LeaseRecords
  readonly #clock: Clock
  readonly #lease: LeaseRecord & { readonly holder: string }
  readonly #timing: LeaseTiming
  readonly #over = new AbortController()
  #leaseVersion: string
  #fenceVersion: string
  /** Until when the lease is held, on the monotonic clock, unless it is renewed. */
  #untilMs: number
  #renewing: Promise<void> | undefined
  #failure: unknown
  #cancelRenewal: () => void
  #cancelEnd: () => void

  constructor({ name, records, clock, lease, leaseVersion, fenceVersion, startedMs }: TermOptions) {
    this.token = lease.token
    this.lost = this.#over.signal
    this.#name = name
    this.#records = records
    this.#clock = clock
    this.#lease = lease
    this.#timing = timingOf(lease.leaseMs)
    this.#leaseVersion = leaseVersion
    this.#fenceVersion = fenceVersion
    this.#untilMs = startedMs + this.#timing.beliefMs
    this.#cancelEnd = this.#awaitEnd()
    this.#cancelRenewal = this.#renewAfter(startedMs + this.#timing.renewalMs - clock.monotonic())
  }

  get isHeld(): boolean {
    return !this.lost.aborted && this.#clock.monotonic() < this.#untilMs
  }

  fence(): CheckOperation {
    if (!this.isHeld) throw this.#error(this.#whyLapsed())
    return {
      type: 'check',
      collection: this.#records.collection,
      key: this.#records.keys.fence,
      ifVersion: this.#fenceVersion,
    }
  }

  /**
   * Writes what has become of the job.
   *
   * @returns whether this term was still the one that counts
   */
  async record(run: RunRecord): Promise<boolean> {
    const { token, holder, owner } = this.#lease
    const record: FenceRecord = { token, holder, owner, run }
    const version = await this.#records.writeFence(this.#fenceVersion, record)
    if (version !== undefined) {
      this.#fenceVersion = version
      return true
    }
    // An earlier try may have arrived, although nobody said so.
    const found = await this.#records.readFence()
    if (found?.value.holder !== holder || found.value.token !== token) return false
    this.#fenceVersion = found.version
    return found.value.run?.state === run.state
  }

  /** Ends the term if its time is over: for those who know before its timer, which a busy event loop holds up. */
  endIfOver(): void {
    if (this.#clock.monotonic() >= this.#untilMs) this.#end(this.#whyLapsed())
  }

  /** Gives the lease back, so that another may take it at once. A store that does not answer delays that, never this. */
  async release(): Promise<void> {
    if (this.lost.aborted) return
    this.#end('it was given back')
    const released = (this.#renewing ?? Promise.resolve()).then(() => this.#free()).catch(() => undefined)
    await within(this.#clock, this.#lease.leaseMs, released)
  }

  async #free(): Promise<void> {
    const free: LeaseRecord = { ...this.#lease, holder: null }
    if ((await this.#records.writeLease(this.#leaseVersion, free)) !== undefined) return
    if (await this.#findOwn()) await this.#records.writeLease(this.#leaseVersion, free)
  }

  #renewAfter(ms: number): () => void {
    return this.#clock.after(Math.max(0, ms), () => {
      this.#renewing = this.#renew().finally(() => (this.#renewing = undefined))
    })
  }

  async #renew(): Promise<void> {
    const startedMs = this.#clock.monotonic()
    let nextMs = this.#timing.retryMs
    try {
      const version = await this.#records.writeLease(this.#leaseVersion, this.#lease)
      if (version !== undefined) {
        this.#leaseVersion = version
        // Late is late: whoever asked in between was told that the lease is lost.
        this.endIfOver()
        this.#untilMs = startedMs + this.#timing.beliefMs
        this.#failure = undefined
        nextMs = startedMs + this.#timing.renewalMs - this.#clock.monotonic()
      } else if (await this.#findOwn()) {
        nextMs = 0
      } else {
        this.#end('somebody else has taken it over, or its record was removed')
      }
    } catch (error) {
      this.#failure = error
    }
    if (!this.lost.aborted) this.#cancelRenewal = this.#renewAfter(nextMs)
  }

  /** An earlier write of this term may have arrived, although nobody said so; the next one goes on from there. */
  async #findOwn(): Promise<boolean> {
    const found = await this.#records.readLease()
    if (found?.value.holder !== this.#lease.holder || found.value.token !== this.token) return false
    this.#leaseVersion = found.version
    return true
  }

  #awaitEnd(): () => void {
    return this.#clock.after(Math.max(1, this.#untilMs - this.#clock.monotonic()), () => {
      this.endIfOver()
      if (!this.lost.aborted) this.#cancelEnd = this.#awaitEnd()
    })
  }

  #whyLapsed(): string {
    const ms = Math.round(this.#timing.beliefMs)
    if (this.#failure !== undefined) return `it could not be renewed for ${ms} ms (${messageOf(this.#failure)})`
    if (this.#renewing !== undefined) return `the store did not answer the renewal, and ${ms} ms have passed`
    return `this process stood still, or its event loop was blocked, for longer than the lease allows (${ms} ms)`
  }

  #end(why: string): void {
    if (this.lost.aborted) return
    this.#cancelEnd()
    this.#cancelRenewal()
    this.#over.abort(this.#error(why))
  }

  #error(why: string): LeaseLostError {
    if (this.lost.aborted) return this.lost.reason as LeaseLostError
    return new LeaseLostError(this.#name, this.token, why, 'no', { cause: this.#failure })
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
