import type { Tell } from './lease-events.js'
import { Claimant } from './lease-claimant.js'
import { LeaseRecords } from './lease-records.js'
import { runInTerm } from './lease-run.js'
import type { HeldTerm } from './lease-term.js'
import { pause } from './lease-wait.js'
import type { ScheduleEvents } from './schedule-events.js'
import type { CheckedJob, CheckedSchedule } from './schedule-options.js'
import { planDue, type DuePlan } from './schedule-plan.js'
import { lastDue, nextDue } from './schedule-times.js'

/** The wall clock is looked at this often, in milliseconds, as it may have been set. */
const GLANCE_MS = 30_000

/** One job of a schedule in one process: waits until it is due, competes for it, and runs it. */
export class ScheduledJob {
  readonly #job: CheckedJob
  readonly #settings: CheckedSchedule
  readonly #tell: Tell<ScheduleEvents>
  readonly #records: LeaseRecords
  /** A new one for each life: a job that ignored its signal holds the lease for the one before. */
  #claimant: Claimant
  /** The due time that is known to be dealt with, so that the store need not be asked. */
  #settledAt: number | undefined
  #isReachable = true

  constructor(job: CheckedJob, settings: CheckedSchedule, tell: Tell<ScheduleEvents>) {
    const { store } = settings
    this.#job = job
    this.#settings = settings
    this.#tell = tell
    this.#records = new LeaseRecords(store, { lease: `job-lease/${job.name}`, fence: `job/${job.name}` })
    this.#claimant = this.#newClaimant()
  }

  /** Rejects when the store cannot be reached. */
  async probe(): Promise<void> {
    await this.#records.readFence()
  }

  /**
   * Runs the job whenever it is due.
   *
   * @param ending - begins no further run when it aborts
   * @param abort - asks a run to end when it aborts
   */
  async loop(ending: AbortSignal, abort: AbortSignal): Promise<void> {
    const { clock } = this.#settings
    this.#claimant = this.#newClaimant()
    while (!ending.aborted) {
      const waitMs = await this.#step(ending, abort)
      await pause(clock, waitMs, ending)
    }
  }

  /** @returns how long to wait before the next step, in milliseconds */
  async #step(ending: AbortSignal, abort: AbortSignal): Promise<number> {
    const { clock, policy } = this.#settings
    const { times } = this.#job
    const startedAt = clock.now()
    const dueAt = lastDue(times, startedAt)
    const restMs = Math.min(Math.max(1, nextDue(times, startedAt) - startedAt), GLANCE_MS)
    if (this.#settledAt === dueAt) return restMs

    let plan: DuePlan | undefined
    let claim
    try {
      claim = await this.#claimant.claim((before) => {
        plan = ending.aborted ? undefined : planDue(before?.run, times, policy, clock.now())
        return plan && { run: plan.record }
      })
      this.#reached()
    } catch (error) {
      this.#reached(error)
      return this.#claimant.lookMs
    }
    if (claim.kind === 'held') return this.#claimant.lookMs
    if (claim.kind === 'unneeded' && ending.aborted) return 0
    if (claim.kind === 'unneeded' || plan === undefined) {
      this.#settledAt = dueAt
      return restMs
    }
    await this.#carryOut(plan, claim.term, abort)
    // It would be done anew by this process when another one, whose clock is behind, has skipped it meanwhile.
    if (!abort.aborted) this.#settledAt = plan.record.dueAt
    return 0
  }

  async #carryOut(plan: DuePlan, term: HeldTerm, abort: AbortSignal): Promise<void> {
    const { clock, leaseMs } = this.#settings
    const { name, run } = this.#job
    const { record } = plan
    if (record.state === 'skipped') {
      await term.release()
      if (plan.isUnusual) this.#say('WAITING', 'SKIPPED', plan)
      return
    }
    this.#say('WAITING', 'RUNNING', plan)
    try {
      const ended = await runInTerm({
        name,
        term,
        record,
        leaseMs,
        clock,
        signal: abort,
        run: (job) => run({ ...job, dueAt: record.dueAt }),
      })
      if (ended.kind === 'done') this.#say('RUNNING', 'DONE', plan)
      else if (ended.kind === 'failed') this.#say('RUNNING', 'FAILED', plan, ended.error)
      else this.#say('RUNNING', 'INTERRUPTED', plan, ended.error)
    } catch (error) {
      this.#say('RUNNING', 'FAILED', plan, error)
    }
  }

  #newClaimant(): Claimant {
    const { owner, leaseMs, clock } = this.#settings
    return new Claimant({ name: this.#job.name, records: this.#records, owner, leaseMs, clock })
  }

  #reached(error?: unknown): void {
    const isReachable = error === undefined
    if (isReachable === this.#isReachable) return
    this.#isReachable = isReachable
    const what = this.#what
    if (isReachable) {
      const why = 'the store answers again'
      const message = `The ${what} is watched again: ${why}.`
      this.#tell('change', { what, from: 'UNREACHABLE', to: 'WAITING', why, severity: 'INFO', message })
    } else {
      const why = messageOf(error)
      const message = `The ${what} cannot run while the store cannot be reached: ${why}`
      this.#tell('change', { what, from: 'WAITING', to: 'UNREACHABLE', why, severity: 'WARNING', message })
    }
  }

  #say(from: string, to: keyof typeof EVENTS, plan: DuePlan, error?: unknown): void {
    const { dueAt, attempt } = plan.record
    const why = error === undefined ? plan.why : messageOf(error)
    const isBad = to === 'FAILED' || to === 'INTERRUPTED' || plan.isUnusual
    const due = new Date(dueAt).toISOString()
    const message = `The ${this.#what}, due at ${due}, went from ${from} to ${to}: ${why}.`
    const news = { what: this.#what, from, to, why, severity: isBad ? 'WARNING' : 'INFO', message } as const
    this.#tell('change', news)
    const event = EVENTS[to]
    if (event !== undefined) this.#tell(event, { ...news, job: this.#job.name, dueAt, attempt, error })
  }

  get #what(): string {
    return `job ${JSON.stringify(this.#job.name)}`
  }
}

/** The event that tells of a phase, next to `change`. */
const EVENTS = { RUNNING: undefined, DONE: 'ran', FAILED: 'failed', INTERRUPTED: 'failed', SKIPPED: 'skipped' } as const

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
