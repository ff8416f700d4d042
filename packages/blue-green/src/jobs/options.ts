import { defined, readCount, readDuration, requireKnown, requireMethods } from '../checked-options.js'
import type { Clock } from '../ports.js'
import { readEffects, type Effects } from '../slots/worker-options.js'
import { systemClock, systemRandom } from '../system-clock.js'
import { kindOf } from './ownership.js'
import type { DuePolicy } from './plan.js'
import type { JobCheck, JobOperation, JobOwner, JobStorage, JobStore } from './ports.js'
import { byFunction, every, type DueTimes, type NextAt } from './times.js'

/** What a run is given. */
export interface JobRun {
  /** The name of the job. */
  readonly job: string
  /**
   * The bot, the job and its due time, `bot:digest:1767225600000`: the same for each attempt, and for no other run in this store. The key for
   * effects that are sent with one. A colon in a name is `%3A` here, and `%` is `%25`.
   */
  readonly runId: string
  /** The due time that this run is for, in epoch ms. */
  readonly scheduledAt: number
  /** 1; more when a process died with this run before, and nobody knows how far it came. */
  readonly attempt: number
  /** The epoch of the owner that began it: a fencing token for what has none of its own. */
  readonly epoch: number
  /** The version whose code is to run. */
  readonly version: string
  /**
   * Aborts when the run is to end: its time is over, this process stops, or it cannot be sure any more that nobody else begins it. The reason
   * says which.
   */
  readonly signal: AbortSignal
  /**
   * Writes the effects of the run and the fact that it is done, all or nothing: so a second run never repeats them. Needs the option
   * `storage`. Call it once, last. It may be called again only after an error whose `applied` is `'no'`.
   *
   * @throws {@link JobLostError} when another process has begun the run meanwhile; nothing was written
   * @throws {@link StoreUnavailableError} when it is not known whether it was written; if it was, the run counts as done
   * @throws TypeError when it was called before, or the run has ended; nothing was written
   */
  readonly commit: (operations: readonly JobOperation[]) => Promise<void>
  /** A condition for a batch of your own, which is refused as soon as somebody else has taken the run. */
  readonly fence: () => JobCheck
}

/** Something to do again and again. Give `everyMs` or `nextAt`. */
export interface JobOptions {
  /** Due at each multiple of this, in ms, at least 100, counted from the beginning of 1970 in UTC. */
  readonly everyMs?: number | undefined
  /**
   * The first due time after a given one, both in epoch ms, or `undefined` for never again. For times of a calendar, by the library that you
   * like. Pure: all processes must get the same.
   */
  readonly nextAt?: NextAt | undefined
  /** What a second run for the same due time does. It comes to that only when a process died, or was stopped, in the middle. */
  readonly effects: Effects
  /** What to do. When it rejects, the event `failed` tells, and the job runs again when it is due next. */
  readonly run: (run: JobRun) => unknown
  /** Of due times for which nobody was there: run the last one, or none that is later than `missedAfterMs`. */
  readonly missed?: 'run-once' | 'skip' | undefined
  /** With `missed: 'skip'`, how late a run may begin, in ms. */
  readonly missedAfterMs?: number | undefined
  /** What becomes due while the job still runs: run the last such due time when it has ended, or none. Runs of one job never overlap. */
  readonly overlap?: 'wait' | 'skip' | undefined
  /** How long a run may take, in ms; then its signal aborts. One that goes on all the same keeps the job. */
  readonly timeoutMs?: number | undefined
  /** How often one due time may be begun when its process dies in the middle each time: it may be the job that ends the process. */
  readonly maxAttempts?: number | undefined
}

/** The options of a job that have a default. */
export type JobDefaults = Readonly<
  Record<'missedAfterMs' | 'timeoutMs' | 'maxAttempts', number> & {
    /** Of due times for which nobody was there. */
    missed: 'run-once'
    /** Of due times that come while the job runs. */
    overlap: 'wait'
  }
>

/** The value of each option of a job that is not given. */
export const jobDefaults: JobDefaults = {
  missed: 'run-once',
  missedAfterMs: 60_000,
  overlap: 'wait',
  timeoutMs: 600_000,
  maxAttempts: 3,
}

/** What `new Jobs(...)` takes. */
export interface JobsOptions {
  /** The jobs by name. All processes and versions call the same job by the same name. */
  readonly jobs: Readonly<Record<string, JobOptions>>
  /** Who owns the jobs: the `GaplessRestart` of this process, or its `BlueGreen`. */
  readonly owner: JobOwner
  /** Where it is kept what has run. It must reach all processes. */
  readonly store: JobStore
  /** The storage that `store` is a collection of, for `commit`; `start()` looks whether it is. A job with `effects: 'stored'` needs it. */
  readonly storage?: JobStorage | undefined
  /** Tells several bots in one store apart. */
  readonly name?: string | undefined
  /** How far the store must reach; `machine` for a `GaplessRestart`, and anything for a `BlueGreen`, unless given. */
  readonly scope?: 'process' | 'machine' | 'cluster' | undefined
  /** How long a run counts as alive without a sign of life, in ms. Another process takes it up after one and a half of it. */
  readonly leaseMs?: number | undefined
  /** How often this process looks at the clock, at the owner, and at runs of other processes, in ms. */
  readonly lookMs?: number | undefined
  /** How long `drain` waits, and `stop` before it aborts the signals of what runs, in ms. */
  readonly drainMs?: number | undefined
  /** How long one answer of the store may take, in ms. */
  readonly storeTimeoutMs?: number | undefined
  /** Where time comes from. */
  readonly clock?: Clock | undefined
  /** Where chance comes from, 0 up to but not including 1: for the id of this process. */
  readonly random?: (() => number) | undefined
}

/** The options of {@link Jobs} that have a default. */
export type JobsDefaults = Readonly<
  Record<'leaseMs' | 'lookMs' | 'drainMs' | 'storeTimeoutMs', number> & {
    /** Of the bot, in the store. */
    name: string
  }
>

/** The value of each option of {@link Jobs} that is not given. */
export const jobsDefaults: JobsDefaults = {
  name: 'bot',
  leaseMs: 10_000,
  lookMs: 1_000,
  drainMs: 30_000,
  storeTimeoutMs: 2_000,
}

/** A job, checked. */
export interface JobSettings extends DuePolicy {
  readonly name: string
  readonly effects: Effects
  readonly run: (run: JobRun) => unknown
  readonly timeoutMs: number
  readonly maxAttempts: number
}

/** Options, checked and filled in. */
export interface JobsSettings {
  readonly jobs: readonly JobSettings[]
  readonly owner: JobOwner
  readonly store: JobStore
  readonly storage: JobStorage | undefined
  readonly name: string
  readonly leaseMs: number
  readonly lookMs: number
  readonly drainMs: number
  readonly storeTimeoutMs: number
  readonly clock: Clock
  readonly random: () => number
}

/** More often than this is no schedule. */
const minPeriodMs = 100
const scopes = ['process', 'machine', 'cluster']

/** @throws TypeError or RangeError that names the option and its value */
export function readJobsOptions(options: JobsOptions): JobsSettings {
  const others = ['jobs', 'owner', 'store', 'storage', 'scope', 'clock', 'random']
  requireKnown('Jobs', options, [...others, ...Object.keys(jobsDefaults)])
  const given = { ...jobsDefaults, ...defined(options) }
  const { owner, store, storage, name } = given
  const kind = kindOf(owner)
  requireMethods('owner', owner, ['on', 'off'])
  requireMethods('store', store, ['entry', 'compareAndSet'])
  if (storage !== undefined) requireMethods('storage', storage, ['batch'])
  if (storage !== undefined && typeof store.name !== 'string') {
    throw new TypeError('store must be a collection of storage, with a name, for a batch to write to it')
  }
  if (options.clock !== undefined) requireMethods('clock', options.clock, ['now', 'monotonic', 'after'])
  if (options.random !== undefined) requireMethods('random', options, ['random'])
  if (typeof name !== 'string' || name === '') throw new TypeError('name must be a string with something in it')
  const scope = given.scope ?? (kind === 'process' ? 'machine' : 'process')
  if (!scopes.includes(scope)) throw new RangeError(`scope must be ${scopes.join(', ')}, not ${String(scope)}`)
  if (scopes.indexOf(store.scope) < scopes.indexOf(scope)) {
    throw new RangeError(
      `store reaches one ${store.scope}, and two processes have to meet in it: use SQLite, PostgreSQL or Redis`,
    )
  }
  const jobs = Object.entries(Object(given.jobs) as object).map(([job, one]) => readJob(job, one as JobOptions))
  if (jobs.length === 0)
    throw new TypeError('Jobs needs jobs, such as { digest: { everyMs: 3_600_000, effects, run } }')
  const stored = jobs.find(({ effects }) => effects === 'stored')
  if (stored !== undefined && storage === undefined) {
    throw new TypeError(
      `job "${stored.name}" has the effects 'stored', so Jobs needs storage, whose batch commits them`,
    )
  }
  const lookMs = readDuration('lookMs', given.lookMs)
  const leaseMs = readDuration('leaseMs', given.leaseMs)
  if (leaseMs < 2 * lookMs) throw new RangeError(`leaseMs must be at least twice lookMs (${lookMs}), not ${leaseMs}`)
  return {
    jobs,
    owner,
    store,
    storage,
    name,
    leaseMs,
    lookMs,
    drainMs: readDuration('drainMs', given.drainMs),
    storeTimeoutMs: readDuration('storeTimeoutMs', given.storeTimeoutMs),
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  }
}

function readJob(name: string, options: JobOptions): JobSettings {
  const where = `job "${name}"`
  if (name === '') throw new TypeError('the name of a job must have something in it')
  requireKnown(where, options, ['everyMs', 'nextAt', 'effects', 'run', ...Object.keys(jobDefaults)])
  const { missed, overlap, ...given } = { ...jobDefaults, ...defined(options) }
  if (typeof options.run !== 'function') throw new TypeError(`${where} needs a function as run`)
  if (missed !== 'run-once' && missed !== 'skip') {
    throw new RangeError(`missed of ${where} must be 'run-once' or 'skip', not ${String(missed)}`)
  }
  if (overlap !== 'wait' && overlap !== 'skip') {
    throw new RangeError(`overlap of ${where} must be 'wait' or 'skip', not ${String(overlap)}`)
  }
  return {
    name,
    times: readTimes(where, options),
    effects: readEffects(where, options.effects),
    run: options.run,
    missed,
    overlap,
    missedAfterMs: readDuration(`missedAfterMs of ${where}`, given.missedAfterMs),
    timeoutMs: readDuration(`timeoutMs of ${where}`, given.timeoutMs),
    maxAttempts: readCount(`maxAttempts of ${where}`, given.maxAttempts, 1),
  }
}

function readTimes(where: string, { everyMs, nextAt }: JobOptions): DueTimes {
  if (everyMs === undefined && nextAt === undefined) throw new TypeError(`${where} needs everyMs or nextAt`)
  if (everyMs !== undefined && nextAt !== undefined) {
    throw new TypeError(`${where} has everyMs and nextAt, which would both say when it is due; leave one out`)
  }
  if (nextAt !== undefined) {
    if (typeof nextAt !== 'function') throw new TypeError(`nextAt of ${where} must be a function`)
    return byFunction(nextAt)
  }
  const isPeriod = typeof everyMs === 'number' && Number.isFinite(everyMs) && everyMs >= minPeriodMs
  if (!isPeriod) throw new RangeError(`everyMs of ${where} must be ms, at least ${minPeriodMs}, not ${String(everyMs)}`)
  return every(everyMs)
}
