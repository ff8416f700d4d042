import { EventEmitter } from 'eventemitter3'
import { messageOf } from '../bounded.js'
import type { Severity } from '../changes.js'
import { readDuration } from '../checked-options.js'
import { holdProcess } from '../system-clock.js'
import { warn } from '../warn.js'
import type { JobNews, JobsChange, JobsEvents } from './events.js'
import { readJobsOptions, type JobsOptions, type JobsSettings } from './options.js'
import { ownershipOf, type Ownership } from './ownership.js'
import { requireSameStorage } from './same-storage.js'
import { ScheduledJob, type JobStatus } from './scheduled-job.js'

/** All there is to know at one moment. */
export interface JobsStatus {
  /** `owner` runs the jobs; `standby` leaves them to another process; `draining` begins none any more. */
  readonly role: 'stopped' | 'owner' | 'standby' | 'draining'
  /** The version whose code runs them; `undefined` unless this process is the owner. */
  readonly version: string | undefined
  /** The epoch of the owner; `undefined` unless this process is the owner. */
  readonly epoch: number | undefined
  /** Whether the store answered last. */
  readonly store: 'up' | 'down'
  /** Each job by its name. */
  readonly jobs: ReadonlyMap<string, JobStatus>
}

/** How `drain` is to wait. */
export interface JobsDrainOptions {
  /** How long at most, in ms; `drainMs` of the constructor unless given. */
  readonly timeoutMs?: number | undefined
  /** Ends the wait early, with a rejection. */
  readonly signal?: AbortSignal | undefined
}

/** What `drain` found. */
export interface JobsDrained {
  /** Whether no job runs here any more. */
  readonly drained: boolean
  /** The names of those that do. */
  readonly running: readonly string[]
}

/** From `start()` to `stop()`. */
interface Life {
  readonly jobs: ReadonlyMap<string, ScheduledJob>
  /** No run may begin any more. */
  isEnding: boolean
  readonly loops: Promise<void>[]
  /** Those who wait for the next look. */
  readonly wakes: Set<() => void>
}

/**
 * Runs jobs when they are due, in one process: the one that owns the events of the bot, or in the version that is active.
 *
 * @remarks
 * Make the same `Jobs` in every process. Before a run begins, its due time is claimed in the store by compare-and-set: so no due time is run
 * twice, whatever the owners believe and the clocks say. When another process takes over, it goes on with the next due time; a run that is
 * under way ends where it began, and the next one of that job waits for it. When a process dies in the middle, the next owner runs it
 * once more, or reports it, as `effects` says.
 *
 * *Gotchas*: a job that ignores its signal keeps its turn until it ends. Nothing here keeps the process alive. Without the store nothing is
 * claimed, and so nothing runs.
 *
 * @example
 * ```ts
 * import { BlueGreen, memoryState } from '@evenkeel/blue-green'
 * import { Jobs } from '@evenkeel/blue-green/jobs'
 *
 * const store = memoryState() // for real: a collection of a SqliteStorage
 * const blueGreen = new BlueGreen({
 *   versions: { v1: async () => 'old', v2: async () => 'new' },
 *   initial: 'v1',
 *   context: (message: { id: string; guildId: string }) => ({ eventId: message.id, guildId: message.guildId }),
 *   store,
 * })
 * await blueGreen.start()
 * let tell: (version: string) => void = () => undefined
 * const ran = new Promise<string>((resolve) => (tell = resolve))
 * const jobs = new Jobs({
 *   jobs: { digest: { everyMs: 100, effects: 'atLeastOnce', run: ({ version }) => tell(version) } },
 *   owner: blueGreen,
 *   store,
 * })
 * await jobs.start()
 * const held = setInterval(() => {}, 1_000) // a bot has its connection
 * console.log(await ran) // => v1
 * clearInterval(held)
 * await jobs.stop()
 * await blueGreen.stop()
 * ```
 */
export class Jobs extends EventEmitter<JobsEvents> {
  readonly #settings: JobsSettings
  #life: Life | undefined
  /** Starts and stops, one after the other. */
  #turn: Promise<unknown> = Promise.resolve()
  #lives = 0
  readonly #id: string
  #owned: Ownership | undefined
  #isStoreUp = true
  /** The jobs of the last life: for `status` after `stop()`. */
  #jobs: ReadonlyMap<string, ScheduledJob> = new Map()

  /**
   * Checks the options and does nothing else.
   *
   * @param options - the jobs, who owns them, and where it is kept what has run
   * @throws TypeError or RangeError that names the option, its value, and what would do
   */
  constructor(options: JobsOptions) {
    super()
    this.#settings = readJobsOptions(options)
    const { random } = this.#settings
    this.#id = Array.from({ length: 3 }, () => Math.floor(random() * 2 ** 32).toString(36)).join('')
  }

  /** Where everything is now: a snapshot. */
  get status(): JobsStatus {
    const life = this.#life
    const owned = life === undefined || life.isEnding ? undefined : ownershipOf(this.#settings.owner)
    const role = life === undefined ? 'stopped' : life.isEnding ? 'draining' : owned === undefined ? 'standby' : 'owner'
    return {
      role,
      version: owned?.version,
      epoch: owned?.epoch,
      store: this.#isStoreUp ? 'up' : 'down',
      jobs: new Map(
        [...this.#jobs].map(([name, job]) => [
          name,
          life === undefined ? { ...job.status, state: 'stopped' } : job.status,
        ]),
      ),
    }
  }

  /**
   * Begins. May be called twice, and before the owner was started.
   *
   * @throws {@link StoreUnavailableError} when the store does not answer; nothing was begun
   * @throws {@link StateFormatError} when a record was written by a newer release, or by something else
   * @throws TypeError when `store` is no collection of `storage`, so that no commit would be taken
   */
  start(): Promise<void> {
    return this.#next(async () => {
      if (this.#life !== undefined) return
      this.#lives += 1
      const by = `${this.#id}-${this.#lives}`
      const jobs = new Map(this.#settings.jobs.map((job) => [job.name, this.#scheduled(job.name, by)]))
      await Promise.all([...jobs.values()].map((job) => job.probe()))
      await requireSameStorage(this.#settings)
      const life: Life = { jobs, isEnding: false, loops: [], wakes: new Set() }
      this.#jobs = jobs
      this.#life = life
      this.#isStoreUp = true
      this.#settings.owner.on('change', this.#wake)
      this.#noticeOwner()
      for (const job of jobs.values()) life.loops.push(this.#loop(life, job))
    })
  }

  /**
   * Begins no run any more, and waits for those that are under way, no longer than `drainMs`. What becomes due is for the next owner.
   *
   * @param options - a deadline and a signal
   * @throws the reason of the signal when it is aborted
   */
  async drain({ timeoutMs = this.#settings.drainMs, signal }: JobsDrainOptions = {}): Promise<JobsDrained> {
    readDuration('timeoutMs', timeoutMs)
    signal?.throwIfAborted()
    const life = this.#life
    if (life === undefined) return { drained: true, running: [] }
    this.#end(life)
    await this.#within(timeoutMs, Promise.all(life.loops), signal)
    signal?.throwIfAborted()
    const running = [...life.jobs].filter(([, job]) => job.run !== undefined).map(([name]) => name)
    return { drained: running.length === 0, running }
  }

  /**
   * Drains, then aborts the signals of the runs that are still under way, and waits for them no longer than `leaseMs`. What was interrupted is
   * for the next owner at once.
   */
  stop(): Promise<void> {
    return this.#next(async () => {
      const life = this.#life
      if (life === undefined) return
      await this.drain()
      for (const job of life.jobs.values()) job.run?.interrupt()
      const ended = [...life.jobs.values()].map(async (job) => job.run?.ended)
      await this.#within(this.#settings.leaseMs, Promise.all([...ended, ...life.loops]))
      this.#settings.owner.off('change', this.#wake)
      this.#life = undefined
      this.#noticeOwner()
    })
  }

  /** The same as {@link Jobs.stop}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #next(step: () => Promise<void>): Promise<void> {
    const letGo = holdProcess()
    const done = this.#turn.then(step).finally(letGo)
    this.#turn = done.catch(() => undefined)
    return done
  }

  #end(life: Life): void {
    life.isEnding = true
    for (const job of life.jobs.values()) job.end()
    this.#wake()
  }

  /** Looks after one job until no run may begin any more, and its last one has ended. */
  async #loop(life: Life, job: ScheduledJob): Promise<void> {
    const owned = (): Ownership | undefined => (life.isEnding ? undefined : ownershipOf(this.#settings.owner))
    while (!life.isEnding) {
      const waitMs = await job.look(owned)
      // At least one turn of the clock, so that a job that is always late leaves others their time.
      if (!life.isEnding) await this.#pause(life, waitMs)
      this.#noticeOwner()
    }
    await job.giveBack().catch(() => undefined)
    await job.run?.ended
  }

  readonly #wake = (): void => {
    this.#noticeOwner()
    for (const wake of this.#life?.wakes ?? []) wake()
  }

  #pause(life: Life, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        cancel()
        life.wakes.delete(wake)
        resolve()
      }
      const cancel = this.#settings.clock.after(ms, wake)
      life.wakes.add(wake)
    })
  }

  async #within(ms: number, work: Promise<unknown>, signal?: AbortSignal): Promise<void> {
    const letGo = holdProcess()
    let stop!: () => void
    const stopped = new Promise<void>((resolve) => (stop = resolve))
    const cancel = this.#settings.clock.after(ms, stop)
    signal?.addEventListener('abort', stop, { once: true })
    await Promise.race([work, stopped])
    cancel()
    signal?.removeEventListener('abort', stop)
    letGo()
  }

  #scheduled(name: string, by: string): ScheduledJob {
    const settings = this.#settings.jobs.find((job) => job.name === name)
    if (settings === undefined) throw new Error(`there is no job "${name}"; this is a fault of blue-green`)
    return new ScheduledJob(settings, this.#settings, by, {
      told: (news) => this.#told({ what: 'run', job: name, at: this.#settings.clock.now(), ...news }),
      changed: (change) => this.#emit('change', { job: name, at: this.#settings.clock.now(), ...change }),
      reachable: (isUp, error) => this.#reachable(isUp, error),
      wake: this.#wake,
    })
  }

  #noticeOwner(): void {
    const before = this.#owned
    const life = this.#life
    const after = life === undefined || life.isEnding ? undefined : ownershipOf(this.#settings.owner)
    if (before?.version === after?.version && before?.epoch === after?.epoch) return
    this.#owned = after
    const nameOf = (owned: Ownership | undefined): string => owned?.version ?? 'nobody here'
    const why =
      after !== undefined
        ? `it owns the bot, with epoch ${after.epoch}`
        : life === undefined || life.isEnding
          ? 'they were stopped here'
          : 'another process owns the bot'
    const message =
      after === undefined ? `No job runs in this process: ${why}.` : `Version "${after.version}" runs the jobs: ${why}.`
    this.#change('owner', nameOf(before), nameOf(after), why, 'INFO', message)
  }

  #reachable(isUp: boolean, error: unknown): void {
    if (isUp === this.#isStoreUp) return
    this.#isStoreUp = isUp
    const why = isUp ? 'it answers again' : messageOf(error)
    const [from, to] = isUp ? (['down', 'up'] as const) : (['up', 'down'] as const)
    const message = isUp
      ? 'The store of the jobs answers again.'
      : `No job begins, for the store does not answer: ${why}`
    this.#change('store', from, to, why, isUp ? 'INFO' : 'CRITICAL', message)
  }

  #change(what: JobsChange['what'], from: string, to: string, why: string, severity: Severity, message: string): void {
    this.#emit('change', { what, from, to, job: undefined, at: this.#settings.clock.now(), why, severity, message })
  }

  #told(news: JobNews): void {
    this.#emit(news.to, news)
  }

  #emit<Name extends keyof JobsEvents>(name: Name, news: JobsEvents[Name][0]): void {
    try {
      // Of a union of names, the emitter's types cannot work out the arguments.
      ;(this as EventEmitter).emit(name, news)
    } catch (error) {
      warn('EVENKEEL_LISTENER', `A listener of "${name}" threw; those registered after it missed the event`, error)
    }
  }
}
