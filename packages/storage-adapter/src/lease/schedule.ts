import { EventEmitter } from 'eventemitter3'
import { teller } from './lease-events.js'
import { within } from './lease-wait.js'
import type { ScheduleEvents } from './schedule-events.js'
import { ScheduledJob } from './schedule-job.js'
import { checkSchedule, type CheckedSchedule, type ScheduleOptions } from './schedule-options.js'
import { holdProcess } from '../system-clock.js'

/** What runs from `start()` to `stop()`. */
interface Life {
  /** Aborts when no further run may begin. */
  readonly ending: AbortController
  /** Aborts when running jobs have to end. */
  readonly abort: AbortController
  ended: Promise<unknown>
}

/**
 * Runs jobs when they are due, each due time once across all processes that share a store.
 *
 * @remarks
 * Start the same schedule in every process: whoever is first runs the job, and when it dies in the middle, another runs it
 * again once the lease ran out (at least once; `attempt` tells). Two runs of one job never overlap: what becomes due while
 * the job runs is run once, after it. A job that rejects runs again when it is due next, not before.
 *
 * Due times are computed from the wall clock, and remembered: a clock that is set back repeats nothing, and one that is
 * set forward makes due what it passed, once. Waits are measured by the monotonic clock. Of a job that the store does not
 * know yet, the first due time after that counts.
 *
 * *Gotchas*: nothing here keeps the process alive. Jobs run in the process that is first, which may always be the same one.
 *
 * @example
 * ```ts
 * import { MemoryStorage } from '@evenkeel/storage-adapter'
 * import { Schedule } from '@evenkeel/storage-adapter/lease'
 *
 * const storage = new MemoryStorage() // for real: SqliteStorage, PostgresStorage or RedisStorage
 * const schedule = new Schedule({
 *   store: storage.collection('evenkeel'),
 *   scope: 'process',
 *   jobs: {
 *     digest: { dailyAt: '09:00', run: ({ dueAt }) => console.log('digest of', new Date(dueAt)) },
 *     sweep: { everyMs: 60_000, run: ({ signal }) => storage.health({ signal }) },
 *   },
 * })
 * schedule.on('failed', ({ message }) => console.error(message))
 * await schedule.start()
 * await schedule.stop()
 * ```
 */
export class Schedule extends EventEmitter<ScheduleEvents> implements AsyncDisposable {
  readonly #settings: CheckedSchedule
  readonly #jobs: readonly ScheduledJob[]
  #life: Life | undefined

  /**
   * @param options - the jobs and the store
   * @throws TypeError or RangeError when an option is wrong
   * @throws {@link ScopeError} when the store does not reach far enough
   */
  constructor(options: ScheduleOptions) {
    super()
    this.#settings = checkSchedule(options)
    const tell = teller<ScheduleEvents>(this, this.#settings.clock)
    this.#jobs = this.#settings.jobs.map((job) => new ScheduledJob(job, this.#settings, tell))
  }

  /**
   * Begins. May be called twice.
   *
   * @throws the error of the store when it cannot be reached now; then nothing was begun
   */
  async start(): Promise<void> {
    while (this.#life !== undefined) {
      if (!this.#life.ending.signal.aborted) return
      await this.stop()
    }
    const life: Life = { ending: new AbortController(), abort: new AbortController(), ended: Promise.resolve() }
    this.#life = life
    try {
      await Promise.all(this.#jobs.map((job) => job.probe()))
    } catch (error) {
      if (this.#life === life) this.#life = undefined
      throw error
    }
    life.ended = Promise.all(this.#jobs.map((job) => job.loop(life.ending.signal, life.abort.signal)))
  }

  /** Begins no further run, and waits for those that are under way, no longer than `drainMs`. */
  async drain(): Promise<void> {
    const life = this.#life
    if (life === undefined) return
    life.ending.abort()
    const letGo = holdProcess()
    await within(this.#settings.clock, this.#settings.drainMs, life.ended).finally(letGo)
  }

  /**
   * Drains, then asks the jobs that still run to end, and waits for that no longer than `leaseMs`. What was interrupted is
   * free for another process at once. May be called twice.
   *
   * *Gotchas*: a job that ignores its signal goes on, and nobody else runs it meanwhile.
   */
  async stop(): Promise<void> {
    const life = this.#life
    if (life === undefined) return
    await this.drain()
    life.abort.abort(new DOMException('The schedule is stopped', 'AbortError'))
    const letGo = holdProcess()
    await within(this.#settings.clock, this.#settings.leaseMs, life.ended).finally(letGo)
    if (this.#life === life) this.#life = undefined
  }

  /** The same as `stop`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}
