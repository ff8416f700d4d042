import { checkKey } from '../keys.js'
import { checkCompetitor, COMPETITOR_OPTIONS, type CheckedCompetitor, type CompetitorOptions } from './lease-options.js'
import type { RunStore } from './lease-ports.js'
import type { JobRun } from './lease-run.js'
import { checkNumber, checkOptions } from '../options.js'
import type { DuePolicy } from './schedule-plan.js'
import { daily, every, type DueTimes } from './schedule-times.js'

/** Something to do again and again. Give `everyMs` or `dailyAt`. */
export interface Job {
  /**
   * Due at each multiple of this, in milliseconds, at least 100, counted from the beginning of 1970 in UTC: `3_600_000` is
   * every full hour, whenever the bot was started.
   */
  readonly everyMs?: number | undefined
  /** Due each day at this time in UTC, such as `09:00`. */
  readonly dailyAt?: string | undefined
  /**
   * What to do. It stops and rejects when its signal aborts. When it rejects otherwise, the `failed` event tells, and the
   * job runs again when it is due next.
   */
  readonly run: (job: ScheduledRun) => unknown
}

/** What a job of a schedule is given when it runs. */
export interface ScheduledRun extends JobRun {
  /** The due time that it runs for, in epoch milliseconds. */
  readonly dueAt: number
}

/** The options of a {@link Schedule}. */
export interface ScheduleOptions extends CompetitorOptions {
  /** Where it is kept what has run: a collection of a storage that all processes share, never a fail-over. */
  readonly store: RunStore
  /** The jobs by name. All processes that share the store call the same job by the same name. */
  readonly jobs: Readonly<Record<string, Job>>
  /**
   * What to do about a due time for which no process was there: run the job once, however many there were, or skip them.
   *
   * @defaultValue 'run-once'
   */
  readonly missed?: 'run-once' | 'skip' | undefined
  /**
   * With `missed: 'skip'`, how late a job may begin, in milliseconds.
   *
   * @defaultValue 60_000
   */
  readonly missedAfterMs?: number | undefined
  /**
   * How often a job may be begun for one due time when the process ends in the middle each time. Then it is skipped, for
   * it may be the job that ends the process.
   *
   * @defaultValue 3
   */
  readonly maxAttempts?: number | undefined
  /**
   * How long `stop()` lets running jobs go on before their signal aborts, in milliseconds.
   *
   * @defaultValue 5_000
   */
  readonly drainMs?: number | undefined
}

/** The defaults of a {@link Schedule}, next to {@link leaseDefaults}. */
export const scheduleDefaults: Readonly<
  Record<'missedAfterMs' | 'maxAttempts' | 'drainMs', number> & Record<'missed', 'run-once'>
> = {
  missed: 'run-once',
  missedAfterMs: 60_000,
  maxAttempts: 3,
  drainMs: 5_000,
}

/** A job, checked. */
export interface CheckedJob {
  readonly name: string
  readonly times: DueTimes
  readonly run: Job['run']
}

/** The options, checked and complete. */
export interface CheckedSchedule extends CheckedCompetitor {
  readonly store: RunStore
  readonly jobs: readonly CheckedJob[]
  readonly policy: DuePolicy
  readonly drainMs: number
}

/** More often than this is no schedule. */
const MIN_PERIOD_MS = 100

/**
 * Completes the options.
 *
 * @throws TypeError or RangeError when one is wrong
 * @throws {@link ScopeError} when the store does not reach far enough
 */
export function checkSchedule(options: ScheduleOptions): CheckedSchedule {
  checkOptions('Schedule', options, ['store', 'jobs', ...Object.keys(scheduleDefaults), ...COMPETITOR_OPTIONS])
  const { store, missed = scheduleDefaults.missed, missedAfterMs = scheduleDefaults.missedAfterMs } = options
  const { maxAttempts = scheduleDefaults.maxAttempts, drainMs = scheduleDefaults.drainMs } = options
  const competitor = checkCompetitor('Schedule', store, options)
  const jobs = Object.entries(options.jobs ?? {}).map(([name, job]) => checkJob(name, job))
  if (jobs.length === 0) throw new TypeError('Schedule needs jobs, such as { report: { dailyAt: "09:00", run } }')
  if (missed !== 'run-once' && missed !== 'skip') {
    throw new TypeError(`missed must be 'run-once' or 'skip', not ${String(missed)}`)
  }
  checkNumber('missedAfterMs', missedAfterMs, 0)
  checkNumber('maxAttempts', maxAttempts, 1)
  checkNumber('drainMs', drainMs, 0)
  return { ...competitor, store, jobs, policy: { missed, missedAfterMs, maxAttempts }, drainMs }
}

function checkJob(name: string, job: Job): CheckedJob {
  checkKey(name, 'name of a job')
  const what = `The job ${JSON.stringify(name)}`
  checkOptions(what, job, ['everyMs', 'dailyAt', 'run'])
  const { everyMs, dailyAt, run } = job
  if (typeof run !== 'function') throw new TypeError(`${what} needs a function as run`)
  if ((everyMs === undefined) === (dailyAt === undefined)) throw new TypeError(`${what} needs everyMs or dailyAt`)
  if (dailyAt !== undefined) return { name, times: daily(dailyAt), run }
  checkNumber(`everyMs of the job ${JSON.stringify(name)}`, everyMs, MIN_PERIOD_MS)
  return { name, times: every(everyMs), run }
}
