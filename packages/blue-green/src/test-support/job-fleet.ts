import { Jobs, type JobOptions, type JobRun, type JobsOptions } from '../jobs.js'
import { Fleet, type FleetProcess } from './fleet.js'

/** When the clock of a fleet begins. */
export const startAt = Date.UTC(2026, 0, 1)

/** A job as most tests have it, but for what it does. */
export const everyMinute = { everyMs: 60_000, effects: 'keyed' } as const

/** One run of a job. */
export interface JobRunSeen {
  readonly job: string
  readonly scheduledAt: number
  readonly attempt: number
  readonly epoch: number
  readonly by: FleetProcess
  /** By the clock of the process, when it began. */
  readonly at: number
  readonly beganMs: number
  endedMs: number | undefined
}

/** What was told of runs, as `repeated digest:1000 2`. */
export interface JobTold {
  readonly by: FleetProcess
  readonly to: string
  readonly runId: string
  readonly attempt: number
}

/** The jobs of a bot of several processes, and the ledger of all runs. */
export class JobFleet {
  readonly fleet: Fleet
  readonly runs: JobRunSeen[] = []
  readonly told: JobTold[] = []
  readonly changes: string[] = []
  readonly jobs = new Map<FleetProcess, Jobs>()
  /** How long the next run works, in ms. */
  workMs: () => number = () => 0

  constructor(fleet: Fleet = new Fleet()) {
    this.fleet = fleet
  }

  /** A process with jobs that takes over. */
  async begin(
    jobs: Readonly<Record<string, Omit<JobOptions, 'run'>>>,
    options: Partial<JobsOptions> = {},
    process: FleetProcess = this.fleet.process(),
  ): Promise<FleetProcess> {
    const all = Object.entries(jobs).map(([name, job]) => [
      name,
      { ...job, run: (run: JobRun) => this.#run(process, run) },
    ])
    const made = new Jobs({
      jobs: Object.fromEntries(all) as Record<string, JobOptions>,
      owner: process.restart,
      store: process.store,
      scope: 'process',
      clock: process.clock,
      random: () => this.jobs.size / 1_000,
      ...options,
    })
    for (const event of ['ran', 'failed', 'repeated', 'unfinished', 'skipped'] as const) {
      made.on(event, ({ to, job, scheduledAt, attempt }) =>
        this.told.push({ by: process, to, runId: `${job}:${scheduledAt}`, attempt }),
      )
    }
    made.on('change', ({ what, from, to }) => this.changes.push(`${process.version} ${what} ${from} > ${to}`))
    this.jobs.set(process, made)
    await process.restart.start()
    process.isLoggedIn = true
    await made.start()
    await process.restart.takeOver()
    return process
  }

  /** As a bot does on SIGTERM. */
  async end(process: FleetProcess): Promise<void> {
    const jobs = this.jobs.get(process)
    await Promise.all([process.restart.drain(), jobs?.drain()])
    await jobs?.stop()
    await process.restart.stop()
    process.isLoggedIn = false
  }

  runsOf(job: string): readonly JobRunSeen[] {
    return this.runs.filter((run) => run.job === job)
  }

  async #run(by: FleetProcess, { job, scheduledAt, attempt, epoch }: JobRun): Promise<void> {
    const { clock } = this.fleet
    const at = by.clock.now()
    const run: JobRunSeen = { job, scheduledAt, attempt, epoch, by, at, beganMs: clock.monotonic(), endedMs: undefined }
    this.runs.push(run)
    const workMs = this.workMs()
    if (workMs > 0) await new Promise<void>((resolve) => by.clock.after(workMs, resolve))
    await by.whenAwake()
    run.endedMs = clock.monotonic()
  }
}

/** The due times of all runs, in minutes, and who ran them. */
export function minutesOf(bot: JobFleet): string[] {
  return bot.runs.map(({ scheduledAt, attempt, by }) => {
    return `${(scheduledAt - startAt) / 60_000} ${by.version}${attempt > 1 ? ` again` : ''}`
  })
}

/** Somebody whose run is under way: it was due at the first minute, and works for ten. */
export async function inTheMiddle(effects: JobOptions['effects'], bot: JobFleet, more = {}): Promise<FleetProcess> {
  bot.workMs = () => 600_000
  const first = await bot.begin({ digest: { ...everyMinute, effects, ...more } })
  await bot.fleet.clock.advance(65_000)
  bot.workMs = () => 0
  return first
}
