import { withDeadline } from '../deadline.js'
import { StoreUnavailableError } from '../errors.js'
import { JobLostError } from './errors.js'
import { joined, type JobLedger, type Kept } from './job-ledger.js'
import type { JobRun, JobSettings, JobsSettings } from './options.js'
import type { JobCheck, JobOperation } from './ports.js'
import { givenBack, type JobRecord, type RunRecord } from './records.js'

/** What has become of a run in this process. */
export type Ended =
  | { readonly how: 'done' }
  | { readonly how: 'failed'; readonly error: unknown }
  /** It is free for the next owner. */
  | { readonly how: 'interrupted'; readonly error: unknown }
  /** Nor was it begun: it is given back as it was. */
  | { readonly how: 'unbegun' }
  /** Another process has taken it. */
  | { readonly how: 'lost'; readonly error: unknown }

/**
 * What the store has of a run. `lost`: somebody else has taken it. `over`: it had ended, for a later one is there, and nobody takes a run from
 * one who has given a sign of life within a lease.
 */
type StateOfRun = RunRecord['state'] | 'lost' | 'over'

/** What a run is made of. */
export interface ActiveRunOptions {
  readonly job: JobSettings
  readonly settings: JobsSettings
  readonly ledger: JobLedger
  /** The record with the run in it, as it was written. */
  readonly kept: Kept & { readonly record: { readonly run: RunRecord } }
  /** When the write that claimed it began, on the monotonic clock. */
  readonly claimedMs: number
  /** Whether this process still begins runs. */
  readonly mayBegin: () => boolean
  /** Its time is over, and it goes on. */
  readonly overran: () => void
}

/**
 * One run in this process: gives signs of life, ends it in time, and writes what became of it.
 *
 * @remarks
 * The record of the job has one version from the claim to the end, unless another process takes the run. So that version is the fence:
 * whatever is written under the condition of it is refused to one who stood still.
 */
export class ActiveRun {
  /** Resolves when the store has what became of it, or somebody else has it. Never rejects. */
  readonly ended: Promise<Ended>
  readonly run: RunRecord
  readonly #options: ActiveRunOptions
  readonly #stop = new AbortController()
  /** When the last sign of life that was confirmed began. */
  #confirmedMs: number
  #beats = 0
  #isOver = false
  #isLost = false
  #isInterrupted = false
  /** The function of the job has settled. */
  #hasReturned = false
  /** Its commit was answered. */
  #isCommitted = false
  /** When a commit was called, if it may have written something. */
  #barred: string | undefined
  /** The commit that is under way. */
  #committing: Promise<void> | undefined
  #cancelBeat: (() => void) | undefined
  #cancelLease: (() => void) | undefined

  constructor(options: ActiveRunOptions) {
    this.#options = options
    this.run = options.kept.record.run
    this.#confirmedMs = options.claimedMs
    this.ended = this.#live()
  }

  /** This process stops: what the run has not done is for the next owner. */
  interrupt(): void {
    this.#isInterrupted = true
    this.#stop.abort(new DOMException(`The process that runs ${this.#id} stops`, 'AbortError'))
  }

  get #id(): string {
    const { job, settings } = this.#options
    return joined(settings.name, job.name, String(this.run.scheduledAt))
  }

  async #live(): Promise<Ended> {
    const { job, settings, mayBegin } = this.#options
    const { clock, leaseMs, lookMs } = settings
    // It may have stood still between the claim and here: then another one may have begun it.
    while (mayBegin() && clock.monotonic() - this.#confirmedMs >= leaseMs / 2) {
      const beganMs = clock.monotonic()
      const isMine = await this.#isStillMine().catch(() => undefined)
      if (isMine === true) this.#confirmedMs = beganMs
      if (isMine === false) return { how: 'lost', error: this.#lostError }
      if (isMine === undefined) await new Promise<void>((resolve) => clock.after(lookMs, resolve))
    }
    if (!mayBegin()) return this.#finish({ how: 'unbegun' })
    this.#confirmed(this.#confirmedMs)
    this.#scheduleBeat()
    const cancelTimeout = clock.after(job.timeoutMs, () => {
      this.#stop.abort(new DOMException(`Run ${this.#id} has taken ${job.timeoutMs} ms`, 'TimeoutError'))
      this.#options.overran()
    })
    const ended = await this.#work()
    cancelTimeout()
    const written = await this.#finish(ended)
    this.#over()
    return written
  }

  async #work(): Promise<Ended> {
    const { job } = this.#options
    const { scheduledAt, attempt, epoch, version } = this.run
    const run: JobRun = {
      job: job.name,
      runId: this.#id,
      scheduledAt,
      attempt,
      epoch,
      version,
      signal: this.#stop.signal,
      commit: (operations) => this.#commit(operations),
      fence: () => this.#fence(),
    }
    try {
      // An async function, so that what throws at once rejects like anything else.
      await (async () => job.run(run))().finally(() => (this.#hasReturned = true))
      // One that the job did not wait for. It must not meet the end of the run, which would have it refused.
      await this.#committing
      return { how: 'done' }
    } catch (error) {
      await this.#committing?.catch(() => undefined)
      return { how: this.#isInterrupted ? 'interrupted' : 'failed', error }
    }
  }

  /** The store must hear of the end, however long that takes: until then others think that it runs. */
  async #finish(ended: Ended): Promise<Ended> {
    const { ledger, settings, kept } = this.#options
    // The store has it.
    if (this.#isCommitted) return ended.how === 'failed' ? ended : { how: 'done' }
    let known: Kept | undefined = kept
    for (;;) {
      try {
        known ??= await ledger.read()
        const state = this.#stateIn(known)
        if (state === 'lost' && ended.how !== 'unbegun') return { how: 'lost', error: this.#lostError }
        // A commit has landed that had no answer, and that is all that it may have rejected with.
        if (state === 'done') return { how: 'done' }
        if (known === undefined || state !== 'running') return ended
        const record: JobRecord = { ...known.record, run: this.#ending(ended) }
        // Its outcome is not known until the answer is there.
        const expected: string = known.version
        known = undefined
        if ((await ledger.write(expected, record)) !== undefined) return ended
      } catch {
        known = undefined
        await new Promise<void>((resolve) => settings.clock.after(settings.lookMs, resolve))
      }
    }
  }

  #ending({ how }: Ended): RunRecord {
    if (how === 'unbegun') return givenBack(this.run)
    const endedAt = this.#options.settings.clock.now()
    return { ...this.run, state: how === 'lost' ? 'failed' : how, endedAt }
  }

  #commit(operations: readonly JobOperation[]): Promise<void> {
    const when = this.#barred ?? (this.#hasReturned ? 'after the run had ended' : undefined)
    if (when !== undefined) {
      const remedy = 'give it all operations in one call, last, and await it'
      return Promise.reject(new TypeError(`commit() was called ${when}; ${remedy}`))
    }
    const committing = this.#writeCommit(operations).finally(() => (this.#committing = undefined))
    this.#committing = committing
    return committing
  }

  /** At most one at a time, and none beside the end of the run: so a record that says `done` is the work of this one. */
  async #writeCommit(operations: readonly JobOperation[]): Promise<void> {
    const { settings, kept } = this.#options
    const { storage, clock, storeTimeoutMs } = settings
    if (storage === undefined) throw new TypeError('commit() needs the option storage of Jobs')
    const run: RunRecord = { ...this.run, state: 'done', endedAt: clock.now() }
    const { ifVersion, ...where } = this.#fence()
    const done: JobOperation = { ...where, type: 'set', value: { ...kept.record, run }, ifVersion: ifVersion ?? '' }
    const late = new Error(`no answer within ${storeTimeoutMs} ms`)
    this.#barred = 'before, and is under way'
    try {
      await withDeadline(
        () => storage.batch([...operations, done]),
        storeTimeoutMs,
        clock,
        () => late,
      )
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error))
      const isRefused = 'applied' in cause && cause.applied === 'no'
      const found = await this.#stateInStore()
      // One that was written is not refused.
      const state = isRefused && found === 'over' ? 'lost' : found
      if (state === 'lost') this.#lose('another process has begun it')
      this.#barred = isRefused || state === 'lost' ? undefined : 'before, and may have written'
      if (state === 'lost') throw this.#lostError
      // It has landed, or may yet.
      const isOpen = cause === late || (state === 'unknown' && !isRefused)
      const hasLanded = state === 'done' || state === 'over'
      if (!hasLanded)
        throw isOpen ? new StoreUnavailableError(`Committing ${this.#id} failed`, 'unknown', cause) : cause
    }
    this.#barred = 'before, and has written'
    this.#isCommitted = true
    // Whoever owns the bot by now may begin the next one.
    this.#over()
  }

  /** What the store has of this run. `unknown` when it does not answer. */
  async #stateInStore(): Promise<StateOfRun | 'unknown'> {
    try {
      return this.#stateIn(await this.#options.ledger.read())
    } catch {
      return 'unknown'
    }
  }

  #stateIn(found: Kept | undefined): StateOfRun {
    const { clock, leaseMs } = this.#options.settings
    const run = found?.record.run
    if (run?.id === this.run.id) return run.state
    const isInLease = clock.monotonic() - this.#confirmedMs < leaseMs
    return isInLease && run && run.scheduledAt !== this.run.scheduledAt ? 'over' : 'lost'
  }

  #fence(): JobCheck {
    const { settings, ledger, kept } = this.#options
    const { name } = settings.store
    if (name === undefined) throw new TypeError('fence() and commit() need a store with a name, such as a collection')
    if (this.#isLost) throw this.#lostError
    return { type: 'check', collection: name, key: ledger.key, ifVersion: kept.version }
  }

  #scheduleBeat(): void {
    const { clock, leaseMs } = this.#options.settings
    this.#cancelBeat = clock.after(leaseMs / 4, () => {
      void this.#beat().then(() => {
        if (!this.#isOver && !this.#isLost) this.#scheduleBeat()
      })
    })
  }

  async #beat(): Promise<void> {
    const { clock } = this.#options.settings
    try {
      const beganMs = clock.monotonic()
      if (!(await this.#isStillMine())) return
      await this.#options.ledger.beat(this.run.id, (this.#beats += 1))
      if (!this.#isOver) this.#confirmed(beganMs)
    } catch {
      // The lease runs out by itself.
    }
  }

  /** Nobody else begins this run within a lease of that. What goes on for longer cannot be sure any more. */
  #confirmed(beganMs: number): void {
    const { clock, leaseMs } = this.#options.settings
    this.#confirmedMs = beganMs
    this.#cancelLease?.()
    this.#cancelLease = clock.after(Math.max(0, beganMs + leaseMs - clock.monotonic()), () => {
      this.#isInterrupted = true
      this.#stop.abort(new JobLostError(this.#id, `the store has confirmed no sign of life for ${leaseMs} ms`))
    })
  }

  /** @throws when the store does not answer */
  async #isStillMine(): Promise<boolean> {
    const found = await this.#options.ledger.read()
    if (found?.record.run?.id === this.run.id) return true
    this.#lose('another process has begun it')
    return false
  }

  /** Gives no signs of life any more, and needs none. */
  #over(): void {
    this.#isOver = true
    this.#cancelBeat?.()
    this.#cancelLease?.()
  }

  #lose(why: string): void {
    if (this.#isOver) return
    this.#isLost = true
    this.#stop.abort(new JobLostError(this.#id, why))
  }

  get #lostError(): Error {
    const reason: unknown = this.#stop.signal.reason
    return reason instanceof JobLostError ? reason : new JobLostError(this.#id, 'another process has begun it')
  }
}
