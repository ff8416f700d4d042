import { EventEmitter } from 'eventemitter3'
import type { LeaseLostError } from '../errors.js'
import { Claimant } from './lease-claimant.js'
import { teller, type LeaseEvents, type Tell } from './lease-events.js'
import { checkCompetitor, checkWait, COMPETITOR_OPTIONS, type CompetitorOptions } from './lease-options.js'
import type { LeaseStore } from './lease-ports.js'
import { LeaseRecords } from './lease-records.js'
import type { HeldTerm, LeaseTerm } from './lease-term.js'
import { pause, within } from './lease-wait.js'
import { checkKey } from '../keys.js'
import { checkOptions } from '../options.js'
import type { Clock } from '../ports.js'
import { holdProcess } from '../system-clock.js'

/** The options of a {@link Lease}. */
export interface LeaseOptions extends CompetitorOptions {
  /** Where the lease is kept: a collection of a storage that all competitors share, never a fail-over. */
  readonly store: LeaseStore
  /** What is to be held by one at a time. */
  readonly name: string
}

/** How long to wait for a lease. */
export interface AcquireOptions {
  /**
   * How long to wait for a lease that another holds, in milliseconds; `Infinity` needs a `signal`. To inherit from a
   * holder that died takes `leaseMs` and a little.
   *
   * @defaultValue 0
   */
  readonly waitMs?: number | undefined
  /** Ends the wait when it aborts; the call then rejects with its reason. */
  readonly signal?: AbortSignal | undefined
}

type Phase = 'STOPPED' | 'WAITING' | 'HELD' | 'UNREACHABLE'

/**
 * Something that one process holds at a time, among all that share a store: the right to drive, to run a job, to own a
 * connection.
 *
 * @remarks
 * `start()` competes until `stop()`, and takes the lease again after a loss; `acquire()` asks for it once. Either way it
 * is renewed in the background until `stop()`.
 *
 * The holder believes for nine tenths of `leaseMs` after it began the last renewal that the store confirmed. Another
 * takes over only after it saw the record stand unchanged for the whole of `leaseMs`. Both measure by their own
 * monotonic clocks, so wall clocks may be wrong, and the clocks may differ in speed by a tenth.
 *
 * *Gotchas*: no clock stops a write that is already under way. Put `term.fence()` into the batch, and the store refuses
 * what comes too late. The monotonic clock of a machine that is suspended stands still: after it woke up, the holder
 * believes until its next renewal, and only the fence protects. Nothing here keeps the process alive except a call that
 * is awaited.
 *
 * @example
 * ```ts
 * import { MemoryStorage } from '@evenkeel/storage-adapter'
 * import { Lease } from '@evenkeel/storage-adapter/lease'
 *
 * const storage = new MemoryStorage() // for real: SqliteStorage, PostgresStorage or RedisStorage
 * const lease = new Lease({ store: storage.collection('evenkeel'), name: 'leader', scope: 'process' })
 * const term = await lease.acquire()
 * if (term !== undefined) {
 *   console.log(term.token, term.isHeld) // => 1 true
 *   await storage.batch([term.fence(), { type: 'set', collection: 'notes', key: 'driver', value: 'me' }])
 * }
 * await lease.stop()
 * console.log(lease.isHeld) // => false
 * ```
 *
 * @see Martin Kleppmann, How to do distributed locking (2016), on fencing tokens; Cary Gray and David Cheriton, Leases
 * (1989)
 */
export class Lease extends EventEmitter<LeaseEvents> implements AsyncDisposable {
  /** The name of what is held. */
  readonly name: string
  readonly #claimant: Claimant
  readonly #clock: Clock
  readonly #leaseMs: number
  readonly #tell: Tell<LeaseEvents>
  #term: HeldTerm | undefined
  #claiming: Promise<HeldTerm | undefined> | undefined
  /** How many calls wait for the lease, and the background as one more: a lease that nobody wants is given back. */
  #wanting = 0
  /** How often it was stopped, which ends the waits that had begun before. */
  #stops = 0
  #competing: { readonly life: AbortController; readonly ended: Promise<void> } | undefined
  #phase: Phase = 'STOPPED'

  /**
   * @param options - what to hold, and where that is agreed upon
   * @throws TypeError or RangeError when an option is wrong
   * @throws {@link ScopeError} when the store does not reach far enough
   */
  constructor(options: LeaseOptions) {
    super()
    checkOptions('Lease', options, ['store', 'name', ...COMPETITOR_OPTIONS])
    const { store, name } = options
    checkKey(name, 'name of a lease')
    const { leaseMs, owner, clock } = checkCompetitor('Lease', store, options)
    const records = new LeaseRecords(store, { lease: `lease/${name}`, fence: `fence/${name}` })
    this.name = name
    this.#clock = clock
    this.#leaseMs = leaseMs
    this.#claimant = new Claimant({ name, records, owner, leaseMs, clock })
    this.#tell = teller<LeaseEvents>(this, clock)
  }

  /** Whether the lease is held by this object, judged now. */
  get isHeld(): boolean {
    return this.term !== undefined
  }

  /**
   * The term that runs now; `undefined` while the lease is not held. Work keeps the term that it began under: the fence
   * of a later one would let a write pass that belongs to an earlier one.
   */
  get term(): LeaseTerm | undefined {
    return this.#term?.isHeld === true ? this.#term : undefined
  }

  /**
   * Asks for the lease, and waits for it if told to.
   *
   * @returns the term, or `undefined` when another holds the lease and `waitMs` are over
   * @throws the error of the store when it could not be reached the last time that it was asked
   * @throws the reason of `signal` when it aborts
   * @throws RangeError when `waitMs` is wrong
   */
  async acquire({ waitMs = 0, signal }: AcquireOptions = {}): Promise<LeaseTerm | undefined> {
    checkWait(waitMs, signal)
    signal?.throwIfAborted()
    const endsMs = this.#clock.monotonic() + waitMs
    const stops = this.#stops
    const letGo = holdProcess()
    this.#wanting += 1
    try {
      for (;;) {
        const leftMs = endsMs - this.#clock.monotonic()
        const claim = this.#claim().catch((error: unknown) => ({ error }))
        // One look may take as long as the store does, for that has a deadline of its own.
        const claimed = await within(this.#clock, Math.max(leftMs, this.#leaseMs), claim, signal)
        if (claimed !== undefined && !('error' in claimed)) return claimed
        // It may have been taken in the same turn in which the signal aborted: then it is handed over.
        if (signal?.aborted === true && this.#term?.isHeld === true) return this.#term
        signal?.throwIfAborted()
        if (stops !== this.#stops) return undefined
        const waitedMs = endsMs - this.#clock.monotonic()
        if (waitedMs <= 0 && claimed !== undefined) throw claimed.error
        if (waitedMs <= 0) return undefined
        await pause(this.#clock, Math.min(this.#claimant.lookMs, waitedMs), signal)
        signal?.throwIfAborted()
        if (stops !== this.#stops) return undefined
      }
    } finally {
      this.#wanting -= 1
      letGo()
    }
  }

  /**
   * Competes in the background until `stop()`, also after a loss. May be called twice.
   *
   * @throws the error of the store when it cannot be reached now; then nothing was begun
   */
  async start(): Promise<void> {
    for (let before = this.#competing; before !== undefined; before = this.#competing) {
      if (!before.life.signal.aborted) return
      await before.ended
      if (this.#competing === before) this.#competing = undefined
    }
    this.#wanting += 1
    const life = new AbortController()
    let settle: () => void = () => undefined
    this.#competing = { life, ended: new Promise<void>((resolve) => (settle = resolve)) }
    try {
      await this.#claim()
      void this.#compete(life.signal).finally(settle)
    } catch (error) {
      if (!life.signal.aborted) this.#wanting -= 1
      if (this.#competing?.life === life) this.#competing = undefined
      settle()
      throw error
    }
  }

  /**
   * Gives the lease back, so that another may take it at once, and ends what `start()` began. May be called twice.
   *
   * A store that does not answer is waited for no longer than `leaseMs`: then the lease runs out by itself.
   */
  async stop(): Promise<void> {
    this.#stops += 1
    const letGo = holdProcess()
    try {
      const competing = this.#competing
      if (competing !== undefined && !competing.life.signal.aborted) {
        this.#wanting -= 1
        competing.life.abort()
        await within(this.#clock, this.#leaseMs, competing.ended)
        if (this.#competing === competing) this.#competing = undefined
      }
      if (this.#claiming !== undefined)
        await within(
          this.#clock,
          this.#leaseMs,
          this.#claiming.catch(() => undefined),
        )
      const term = this.#term
      this.#term = undefined
      await term?.release()
      this.#enter('STOPPED', 'it was stopped')
    } finally {
      letGo()
    }
  }

  /** The same as `stop`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #compete(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const term = await this.#claim().catch(() => undefined)
      if (term === undefined) await pause(this.#clock, this.#claimant.lookMs, signal)
      else await endOf(term.lost, signal)
    }
  }

  /** The term that runs, or the outcome of one try, which all who want it share. */
  #claim(): Promise<HeldTerm | undefined> {
    if (this.#term?.isHeld === true) return Promise.resolve(this.#term)
    // Nothing may begin anew before the end of the last term is told.
    this.#term?.endIfOver()
    this.#claiming ??= this.#tryOnce().finally(() => (this.#claiming = undefined))
    return this.#claiming
  }

  async #tryOnce(): Promise<HeldTerm | undefined> {
    let claim
    try {
      claim = await this.#claimant.claim(() => ({}))
    } catch (error) {
      this.#enter('UNREACHABLE', String(error))
      throw error
    }
    if (claim.kind !== 'taken') {
      const by = claim.kind === 'held' && claim.by !== '' ? `${claim.by} holds it` : 'another competitor was first'
      this.#enter('WAITING', by)
      return undefined
    }
    const { term } = claim
    if (this.#wanting === 0) {
      await term.release()
      return undefined
    }
    this.#term = term
    term.lost.addEventListener('abort', () => this.#ended(term), { once: true })
    this.#enter('HELD', 'it was free, or its holder had shown no life for its time', term.token)
    return term
  }

  #ended(term: HeldTerm): void {
    if (this.#term !== term) return
    this.#term = undefined
    this.#enter('WAITING', (term.lost.reason as LeaseLostError).message, term.token)
  }

  #enter(to: Phase, why: string, token?: number): void {
    const from = this.#phase
    if (from === to) return
    this.#phase = to
    const isLoss = from === 'HELD' && to === 'WAITING'
    const severity = isLoss || to === 'UNREACHABLE' ? 'WARNING' : 'INFO'
    const what = `lease ${JSON.stringify(this.name)}`
    const term = token === undefined ? '' : ` (token ${token})`
    const news = {
      what,
      from,
      to,
      why,
      severity,
      message: `The ${what}${term} went from ${from} to ${to}: ${why}.`,
    } as const
    this.#tell('change', news)
    if (token === undefined) return
    if (to === 'HELD') this.#tell('acquired', { ...news, token })
    if (isLoss) this.#tell('lost', { ...news, token })
  }
}

/** Waits until one of the signals aborts. */
function endOf(...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      for (const signal of signals) signal.removeEventListener('abort', end)
      resolve()
    }
    if (signals.some((signal) => signal.aborted)) return end()
    for (const signal of signals) signal.addEventListener('abort', end)
  })
}
