import { StateFormatError } from '../errors.js'
import { ActiveRun, type Ended } from './active-run.js'
import type { JobNews, JobsChange } from './events.js'
import { JobLedger } from './job-ledger.js'
import type { JobSettings, JobsSettings } from './options.js'
import type { Ownership } from './ownership.js'
import { planTick, type Progress } from './plan.js'
import { givenBack, openRunOf, type JobRecord, type RunRecord } from './records.js'
import { NextAtError } from './times.js'

/** The pause after a race that another process has won. */
const afterRaceMs = 20

/** The pause after `nextAt` has failed. */
const brokenMs = 60_000

/** Where one job is. */
export interface JobStatus {
  /**
   * `stopped`: `start()` was not called. `waiting`: until it is due. `running`: here. `elsewhere`: another process runs it, or did when it
   * died. `standby`: another process owns it. `fenced`: so does a later owner than the one that this process knows. `broken`: `nextAt` fails.
   */
  readonly state: 'stopped' | 'waiting' | 'running' | 'elsewhere' | 'standby' | 'fenced' | 'broken'
  /** When it is due next, in epoch ms; `undefined` unless it waits, or when it is never due again. */
  readonly nextAt: number | undefined
  /** The last due time that is known here to have been dealt with, in epoch ms. */
  readonly lastAt: number | undefined
  /** Runs that ended well here. */
  readonly ran: number
  /** Runs that rejected here. */
  readonly failed: number
  /** Runs that another process had begun, begun once more here. */
  readonly repeated: number
  /** Runs that another process had begun, and that do not begin again. */
  readonly unfinished: number
  /** Due times that passed without a run, as `missed` or `overlap` says. */
  readonly skipped: number
}

/** What a job tells. None of it may throw. */
export interface JobHooks {
  /** What has become of a run. */
  told(news: Omit<JobNews, 'what' | 'at' | 'job'>): void
  /** Something is different now. */
  changed(change: Omit<JobsChange, 'at' | 'job'>): void
  /** The store answers, or does no more. */
  reachable(isUp: boolean, error: unknown): void
  /** A run has ended: there may be more to do. */
  wake(): void
}

/** One job in one process: waits until it is due, claims the due time, and runs it. */
export class ScheduledJob {
  readonly #job: JobSettings
  readonly #settings: JobsSettings
  readonly #hooks: JobHooks
  readonly #ledger: JobLedger
  readonly #by: string
  #claims = 0
  /** The record as this process wrote or read it last, while nobody else should have written. */
  #known: { readonly record: JobRecord; readonly version: string } | undefined
  #run: ActiveRun | undefined
  #isEnding = false
  /** A run of another process, and since when it has given no sign of life, on the clock of this one. */
  #sighting: { readonly of: string; readonly sinceMs: number } | undefined
  /** The last run that was told not to begin again. */
  #givenUp: string | undefined
  #state: JobStatus['state'] = 'waiting'
  #nextAt: number | undefined
  #lastAt: number | undefined
  readonly #counts = { ran: 0, failed: 0, repeated: 0, unfinished: 0, skipped: 0 }

  /** @param by - this process, in its present life */
  constructor(job: JobSettings, settings: JobsSettings, by: string, hooks: JobHooks) {
    this.#job = job
    this.#settings = settings
    this.#by = by
    this.#hooks = hooks
    this.#ledger = new JobLedger(settings, job.name)
  }

  get status(): JobStatus {
    const state = this.#run === undefined ? this.#state : 'running'
    const nextAt = state === 'waiting' ? this.#nextAt : undefined
    return { state, nextAt, lastAt: this.#lastAt, ...this.#counts }
  }

  /** What runs here now. */
  get run(): ActiveRun | undefined {
    return this.#run
  }

  /** This process stops: no run begins any more. */
  end(): void {
    this.#isEnding = true
  }

  /** Rejects when the store does not answer, or holds what this release cannot read. */
  async probe(): Promise<void> {
    await this.#ledger.read()
  }

  /**
   * Looks once, and does what is to be done. Never rejects.
   *
   * @param owned - whether the job is this process's; read anew after each wait
   * @returns how long to wait before the next look, in ms
   */
  async look(owned: () => Ownership | undefined): Promise<number> {
    const { lookMs } = this.#settings
    try {
      const waitMs = await this.#look(owned)
      return Math.min(lookMs, Math.max(0, waitMs))
    } catch (error) {
      this.#known = undefined
      this.#sighting = undefined
      if (error instanceof NextAtError) {
        this.#break(error)
        return brokenMs
      }
      this.#hooks.reachable(false, error)
      return error instanceof StateFormatError ? brokenMs : lookMs
    }
  }

  /**
   * This process stops. A claim of which it is not known whether it was written is given back, for it was not begun.
   */
  async giveBack(): Promise<void> {
    const found = await this.#ledger.read()
    const run = found && openRunOf(found.record)
    if (found === undefined || run?.state !== 'running' || run.by !== this.#by || this.#run !== undefined) return
    await this.#ledger.write(found.version, withRun(found.record, givenBack(run)))
  }

  async #look(owned: () => Ownership | undefined): Promise<number> {
    const { lookMs } = this.#settings
    if (this.#run !== undefined) return lookMs
    if (owned() === undefined) {
      this.#known = undefined
      this.#sighting = undefined
      this.#state = 'standby'
      return lookMs
    }
    if (this.#known === undefined) {
      const found = await this.#ledger.read()
      this.#hooks.reachable(true, undefined)
      if (found === undefined) return this.#introduce(owned)
      this.#known = found
    }
    const { record } = this.#known
    this.#lastAt = record.lastAt
    // It may have changed hands during the read.
    const ownership = owned()
    if (ownership === undefined) return 0
    if (record.kind === ownership.kind && record.epoch > ownership.epoch) return this.#fenced(record, ownership)
    if (this.#state === 'fenced') this.#unfenced()
    const open = openRunOf(record)
    if (open !== undefined) return this.#follow(record, open, ownership)
    this.#sighting = undefined
    if (record.kind !== ownership.kind || record.epoch < ownership.epoch) {
      const { kind, epoch } = ownership
      return (await this.#write({ ...record, kind, epoch })) ? 0 : afterRaceMs
    }
    return this.#plan(record, ownership)
  }

  /** Nobody has heard of this job before: it is due from now on. */
  async #introduce(owned: () => Ownership | undefined): Promise<number> {
    const ownership = owned()
    if (ownership === undefined) return 0
    const { kind, epoch } = ownership
    const record: JobRecord = { format: 1, kind, epoch, lastAt: this.#settings.clock.now(), dealt: [], run: null }
    return (await this.#write(record)) ? 0 : afterRaceMs
  }

  async #plan(record: JobRecord, ownership: Ownership): Promise<number> {
    const { clock } = this.#settings
    const nowAt = clock.now()
    const tick = planTick(record, this.#job, nowAt)
    const wasBroken = this.#state === 'broken'
    this.#state = 'waiting'
    if (wasBroken) this.#mended()
    switch (tick.do) {
      case 'wait':
        this.#nextAt = tick.nextAt
        return (tick.nextAt ?? Infinity) - nowAt
      case 'run': {
        const why = tick.missed ? 'it is due, and stands for earlier due times that were missed' : 'it is due'
        return this.#begin({ ...record, ...tick.progress }, ownership, tick.scheduledAt, 1, why)
      }
      case 'skip':
        if (!(await this.#write({ ...record, ...tick.progress }))) return afterRaceMs
        this.#counts.skipped += 1
        this.#tell('due', 'skipped', tick.scheduledAt, 0, tick.why, 'WARNING')
        return 0
      case 'pass':
        return (await this.#write({ ...record, ...tick.progress })) ? 0 : afterRaceMs
      case 'rewind':
        return this.#rewind(record, tick.progress)
    }
  }

  async #rewind(record: JobRecord, progress: Progress): Promise<number> {
    if (!(await this.#write({ ...record, ...progress }))) return afterRaceMs
    const why = `the last due time that was dealt with is ${iso(record.lastAt)}, and it is ${iso(progress.lastAt)} here`
    const message = `Job "${this.#job.name}" goes on by a clock that is behind the one that it ran by: ${why}. What was run is not run again.`
    this.#hooks.changed({ what: 'clock', from: 'ahead', to: 'rewound', why, severity: 'WARNING', message })
    return 0
  }

  /** Claims a due time, and runs it when the store has that. */
  async #begin(
    record: JobRecord,
    ownership: Ownership,
    scheduledAt: number,
    attempt: number,
    why: string,
  ): Promise<number> {
    const { clock } = this.#settings
    this.#claims += 1
    const run: RunRecord = {
      id: `${this.#by}:${this.#claims}`,
      by: this.#by,
      version: ownership.version,
      epoch: ownership.epoch,
      scheduledAt,
      attempt,
      state: 'running',
      endedAt: null,
    }
    const claimedMs = clock.monotonic()
    if (!(await this.#write({ ...record, kind: ownership.kind, epoch: ownership.epoch, run }))) return afterRaceMs
    if (attempt > 1) this.#repeated(run, why)
    this.#start(claimedMs)
    return this.#settings.lookMs
  }

  /** Runs what the record says that this process has claimed. */
  #start(claimedMs: number): void {
    const kept = this.#known
    const run = kept?.record.run
    if (kept === undefined || run === null || run === undefined) return
    this.#known = undefined
    const active = new ActiveRun({
      job: this.#job,
      settings: this.#settings,
      ledger: this.#ledger,
      kept: { version: kept.version, record: { ...kept.record, run } },
      claimedMs,
      mayBegin: () => !this.#isEnding,
      overran: () => this.#overran(run),
    })
    this.#run = active
    this.#lastAt = kept.record.lastAt
    void active.ended.then((ended) => {
      this.#run = undefined
      this.#ended(run, ended)
      this.#hooks.wake()
    })
  }

  /** A run that is not over. It is this process's when its claim was written without an answer, and has not been begun. */
  async #follow(record: JobRecord, open: RunRecord, ownership: Ownership): Promise<number> {
    const { clock, leaseMs, lookMs } = this.#settings
    if (open.state === 'interrupted') return this.#takeUp(record, open, ownership, 'its process stopped in the middle')
    if (open.by === this.#by) {
      if (open.attempt > 1) this.#repeated(open, 'its process died, or stood still for longer than its lease')
      this.#start(clock.monotonic() - leaseMs)
      return lookMs
    }
    this.#state = 'elsewhere'
    const version = this.#known?.version
    // Only whoever looks anew sees that it lives.
    this.#known = undefined
    const beganMs = clock.monotonic()
    const of = `${version} ${await this.#ledger.readBeat()}`
    // What was read may be as old as the beginning, and must be taken neither for older nor for newer.
    if (this.#sighting?.of !== of) this.#sighting = { of, sinceMs: clock.monotonic() }
    if (beganMs - this.#sighting.sinceMs < leaseMs * 1.5 || version === undefined) return lookMs
    this.#known = { record, version }
    const why = 'its process died, or stood still for longer than its lease'
    return this.#takeUp(record, open, ownership, why)
  }

  /** A run of one who died with it, or gave it back. */
  async #takeUp(record: JobRecord, open: RunRecord, ownership: Ownership, why: string): Promise<number> {
    const { effects, maxAttempts } = this.#job
    const { scheduledAt, attempt } = open
    const mayRepeat = attempt === 0 || (effects !== 'atMostOnce' && attempt < maxAttempts)
    if (mayRepeat) return this.#begin(record, ownership, scheduledAt, attempt + 1, why)
    const because = effects === 'atMostOnce' ? `${why}, and its effects are atMostOnce` : `${why}, ${attempt} times`
    this.#giveUp(open, because)
    return (await this.#write(withRun(record, { ...open, state: 'unfinished' }))) ? 0 : afterRaceMs
  }

  /** Told before it is written: should this process die in between, the next one tells it again, and not nobody. */
  #giveUp({ id, scheduledAt, attempt }: RunRecord, why: string): void {
    if (this.#givenUp === id) return
    this.#givenUp = id
    this.#counts.unfinished += 1
    this.#tell('running', 'unfinished', scheduledAt, attempt, why, 'WARNING')
  }

  /** @returns whether the store has it; what this process knew is out of date otherwise @throws when that is not known */
  async #write(record: JobRecord): Promise<boolean> {
    const expected = this.#known?.version
    this.#known = undefined
    const version = await this.#ledger.write(expected, record)
    this.#hooks.reachable(true, undefined)
    if (version !== undefined) this.#known = { record, version }
    return version !== undefined
  }

  #ended(run: RunRecord, ended: Ended): void {
    if (ended.how === 'unbegun') return
    const { scheduledAt, attempt } = run
    if (ended.how === 'done') {
      this.#counts.ran += 1
      this.#tell('running', 'ran', scheduledAt, attempt, 'it has ended well', 'INFO')
      return
    }
    const { error } = ended
    this.#counts.failed += 1
    this.#tell(
      'running',
      'failed',
      scheduledAt,
      attempt,
      error instanceof Error ? error.message : String(error),
      'WARNING',
      error,
    )
  }

  #repeated({ scheduledAt, attempt }: RunRecord, why: string): void {
    this.#counts.repeated += 1
    const severity = this.#job.effects === 'atLeastOnce' ? 'WARNING' : 'INFO'
    this.#tell('running', 'repeated', scheduledAt, attempt, why, severity)
  }

  #overran({ scheduledAt }: RunRecord): void {
    const { name, timeoutMs } = this.#job
    const why = `the run of ${iso(scheduledAt)} has taken ${timeoutMs} ms`
    const message = `Job "${name}" does not run again before it ends: ${why}, and its signal is aborted.`
    this.#hooks.changed({ what: 'job', from: 'running', to: 'overrunning', why, severity: 'WARNING', message })
  }

  /** A later owner is known to the store than this process takes itself for. */
  #fenced(record: JobRecord, { epoch }: Ownership): number {
    this.#known = undefined
    if (this.#state !== 'fenced') {
      this.#state = 'fenced'
      const why = `the store knows of an owner of epoch ${record.epoch}, and this process is of ${epoch}`
      const message = `Job "${this.#job.name}" does not run in this process: ${why}. If the record of the owner was removed, give Jobs another name.`
      this.#hooks.changed({ what: 'fence', from: 'off', to: 'on', why, severity: 'CRITICAL', message })
    }
    return this.#settings.lookMs
  }

  #unfenced(): void {
    this.#state = 'waiting'
    const why = 'no later owner is known any more'
    const message = `Job "${this.#job.name}" runs in this process again: ${why}.`
    this.#hooks.changed({ what: 'fence', from: 'on', to: 'off', why, severity: 'INFO', message })
  }

  #break({ message: why }: NextAtError): void {
    if (this.#state === 'broken') return
    this.#state = 'broken'
    const message = `Job "${this.#job.name}" is not due any more: ${why}.`
    this.#hooks.changed({ what: 'job', from: 'due', to: 'broken', why, severity: 'CRITICAL', message })
  }

  #mended(): void {
    const why = 'nextAt gives a time again'
    const message = `Job "${this.#job.name}" is due again: ${why}.`
    this.#hooks.changed({ what: 'job', from: 'broken', to: 'due', why, severity: 'INFO', message })
  }

  #tell(
    from: string,
    to: JobNews['to'],
    scheduledAt: number,
    attempt: number,
    why: string,
    severity: JobNews['severity'],
    error?: unknown,
  ): void {
    const message = `${sentences[to](`Job "${this.#job.name}", due at ${iso(scheduledAt)},`, attempt)}: ${why}.`
    this.#hooks.told({ from, to, scheduledAt, attempt, why, severity, message, error })
  }
}

const sentences: Record<JobNews['to'], (job: string, attempt: number) => string> = {
  ran: (job) => `${job} has run`,
  failed: (job) => `${job} has failed`,
  repeated: (job, attempt) => `${job} runs for the ${attempt}. time`,
  unfinished: (job) => `${job} may be done, half done or not begun, and does not run again`,
  skipped: (job) => `${job} is skipped`,
}

function withRun(record: JobRecord, run: RunRecord): JobRecord {
  return { ...record, run }
}

function iso(at: number): string {
  return Number.isFinite(at) && Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : String(at)
}
