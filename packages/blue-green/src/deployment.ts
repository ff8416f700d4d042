import { forecast, type Forecast } from './judgement/forecast.js'
import { emptyReport, type DeploymentReport } from './report/report.js'
import { StatusStream } from './report/status-stream.js'
import type { Vitals } from './report/vitals.js'
import type { Batches } from './plan.js'
import type { BackupMade, Migrated, ProbeResult } from './plan.js'
import { isOver, stepMsOf, type DeploymentState, type Phase } from './transitions.js'

/** How a deployment ended, as far as this process is concerned. */
export type Outcome =
  /** The new version is the active one. */
  | 'COMPLETE'
  /** The old version serves everybody again. */
  | 'ROLLED_BACK'
  /** It ended before anything had happened: a check or the backup failed. */
  | 'FAILED'
  /** There was nothing to do: the version was active already. */
  | 'ALREADY_ACTIVE'
  /** Another controller has taken over; it goes on there. */
  | 'FENCED'
  /** `stop()` was called; `start()` goes on with it. */
  | 'STOPPED'
  /** Only of a call of `rollback`: it was refused, since the old version is dead, is gone or did not get ready. The new one keeps what it has. */
  | 'HELD'
  /** Only of a call of `rollback`: it was refused, since the migration is irreversible. A person has to decide. */
  | 'FROZEN'

/** What `deployment.finished` resolves to. */
export interface DeploymentResult {
  /** How it ended. */
  readonly outcome: Outcome
  /** The cause, as a clause. */
  readonly why: string
  /** What did not pass on the old version after the rollback; absent when all did. */
  readonly failures?: readonly string[] | undefined
}

/** Why something is done by hand. */
export interface RollbackReason {
  /** For the record and the events, as a clause. */
  readonly why?: string | undefined
}

/** How a rollback is to go, and why. */
export interface RollbackOptions extends RollbackReason {
  /** Give the old version its traffic back although an irreversible migration has begun. Only a person can know that it may. */
  readonly acceptIrreversible?: boolean | undefined
  /**
   * Give the guilds back in batches, for where the old version could not bear all at once. A second call, and whatever the bot
   * finds by itself, gives back the rest at once.
   */
  readonly batches?: Batches | undefined
}

/** The status of a deployment, from its state. Pure. */
export function statusFrom(
  deployment: DeploymentState,
  elapsedMs: number,
  why: string,
  vitals: Vitals,
): DeploymentStatus {
  const { id, from, to, phase, percentage, percentages, step, awaitsEvidence, migrated, results } = deployment
  const place = { id, from, to, phase, percentage, percentages, step, elapsedMs, stepMs: stepMsOf(deployment) }
  const isHeldByHand = deployment.heldByHand !== null
  return { ...place, isHeldByHand, awaitsEvidence, migrated, backup: deployment.backedUp, results, why, ...vitals }
}

/** What a reason says, if anything. Whatever was passed for one, it must not keep a rollback from happening. */
export function whyOf(reason: RollbackReason | undefined): string | undefined {
  const why: unknown = typeof reason === 'string' ? reason : reason?.why
  if (why instanceof Error) return why.message
  return typeof why === 'string' ? why : undefined
}

/** Where a deployment is, and how all fares that it rests on. */
export interface DeploymentStatus extends Vitals {
  /** Names it in events and errors. */
  readonly id: string
  /** The version that served when it began (blue). */
  readonly from: string
  /** The version that is to serve (green). */
  readonly to: string
  /** Where it is. */
  readonly phase: Phase
  /** Green's share of the guilds, 0 to 100. */
  readonly percentage: number
  /** The share of each step. */
  readonly percentages: readonly number[]
  /** The index of the current step in `percentages`; -1 before the first, one more than the last while it bakes, two more in the acceptance tests. */
  readonly step: number
  /** How long the current step has lasted in good health, in ms. */
  readonly elapsedMs: number
  /** How long it must last, in ms. */
  readonly stepMs: number
  /** Whether a person holds it. */
  readonly isHeldByHand: boolean
  /** Whether it is held until the evidence suffices; `promote` goes on without. */
  readonly awaitsEvidence: boolean
  /** How far the migration is; `NO` without one. */
  readonly migrated: Migrated
  /** The backup that was made, if any. */
  readonly backup: BackupMade | null
  /** The last result of each check, synthetic call and validation. */
  readonly results: readonly ProbeResult[]
  /** Why it is in this phase, as a clause. */
  readonly why: string
}

/** A deployment to follow and, if need be, to roll back. */
export interface Deployment {
  /** Names it in events and errors. */
  readonly id: string
  /** The version that served when it began (blue). */
  readonly from: string
  /** The version that is to serve (green). */
  readonly to: string
  /** Where it is now. */
  readonly status: DeploymentStatus
  /** How long the evidence was going to take when it began, or when this process went on with it. */
  readonly forecast: Forecast
  /**
   * Resolves when it is over, and never rejects. Awaiting it does not keep the process alive. Of a deployment that is taken back when it is
   * complete it stays `COMPLETE`: `rollback()` resolves with how that ended.
   */
  readonly finished: Promise<DeploymentResult>
  /**
   * Gives all traffic back to the old version, at once: no event that arrives after this call starts on the new one.
   *
   * @remarks
   * Of the newest deployment also when it is complete: then the old version is made ready first, which takes up to `stageTimeoutMs`
   * and in which the new one serves; one that is a function is ready in the same tick. From the tick in which it is ready all is as in any rollback, with `down` of the migration.
   * Another `deploy` is refused meanwhile, and a second call is the same rollback.
   *
   * *Gotchas*: while the old version gets ready nothing is written down. A process that dies then serves the new one when it comes
   * back.
   *
   * @param options - `why`, for the record and the events, and how
   * @returns how the deployment ended; if it was over already and is not the newest any more, nothing happens and this says how it ended. `HELD` and `FROZEN` say that
   * green keeps what it has, as does a `refusal`; `FENCED`, that it goes on elsewhere, and is given back in this process alone; of one that is complete, `FENCED` and
   * `STOPPED` say that nothing has changed
   * @throws TypeError or RangeError, as a rejection, when `batches` are none
   */
  rollback(options?: RollbackOptions): Promise<DeploymentResult>
  /** What is known of it now: after the end, of the end, and where it goes on after that, of now. `reportMarkdown` makes it a text. */
  report(): DeploymentReport
  /**
   * Its status now, and again at each transition, when health changes, when a version dies or lives again and after each window
   * that `judge` looks at, until it is over. Breaking off the loop, or `return()`, ends the watch and nothing else.
   *
   * *Gotchas*: `finished` rejects never, and neither does this, but by its signal. A slow reader gets every transition, but when it is
   * more than 100 behind, and of what is different between two the newest only. Waiting does not keep the process alive.
   *
   * @param options - a signal, whose reason it then throws
   *
   * @example
   * ```ts
   * import { BlueGreen, memoryState } from '@evenkeel/blue-green'
   *
   * const blueGreen = new BlueGreen({
   *   versions: { v1: () => 1, v2: () => 2 },
   *   initial: 'v1',
   *   context: () => ({ eventId: null }),
   *   store: memoryState(),
   * })
   * const deployment = await blueGreen.deploy('v2', { percentages: [100], stepMs: 600_000 })
   * for await (const { phase, green } of deployment.watch()) {
   *   console.log(phase, green.failed, green.death) // => CANARY_TESTING 0 null
   *   break
   * }
   * await blueGreen.stop()
   * ```
   */
  watch(options?: { readonly signal?: AbortSignal | undefined }): AsyncIterableIterator<DeploymentStatus>
  /**
   * Goes on to the next step now, whatever is left of the time of this one. Health and the store must allow it as ever.
   *
   * @param reason - `why`, for the record and the events
   * @returns where it is then; if no step is left or it is over, nothing happens and this says so
   * @throws {@link DeploymentHeldError} when it is held, or health or the store hold it now
   * @throws {@link FencedError} or {@link StoppedError} when this process does not drive it, or no more
   */
  promote(reason?: RollbackReason): Promise<DeploymentStatus>
  /**
   * Keeps green's share as it is until `resume()`, also through a restart. In force when it returns; written down as soon as
   * the store allows. Does nothing where nothing goes on by itself: while blue is drained, while it is rolled back. Another process
   * that takes over before the store has it knows nothing of it, and goes on: then this process alone keeps the share, until that one
   * rolls back, completes, or is held by hand, too, or `resume()` is called here.
   *
   * @param reason - `why`, for the record and the events
   */
  hold(reason?: RollbackReason): void
  /**
   * Ends a hold by hand: the time of the step begins anew. What else holds it, health or the store, still does, and it goes
   * on by itself when that is over.
   *
   * @param reason - `why`, for the record and the events
   * @returns where it is then: it goes on, or something else holds it; where another process drives and this one alone has held it, it follows that one again
   * @throws {@link FencedError} or {@link StoppedError} when this process does not drive it, and the hold is not its own
   */
  resume(reason?: RollbackReason): Promise<DeploymentStatus>
}

/** What a deployment asks of whoever drives it. */
export interface DeploymentDriver {
  /** `undefined` when the driver is past this deployment. */
  statusOf(deploymentId: string): DeploymentStatus | undefined
  /** As `statusOf`, without a look at anything else. */
  phaseOf(deploymentId: string): Phase | undefined
  /** What became of it where it is not to be waited for. */
  rollBack(why: string | undefined, options: RollbackOptions): DeploymentResult | undefined
  /** `undefined` where it is not complete, or others have come after it. */
  takeBackComplete(
    deploymentId: string,
    why: string | undefined,
    options: RollbackOptions,
  ): Promise<DeploymentResult> | undefined
  reportOf(deploymentId: string, result: DeploymentResult | undefined): DeploymentReport | undefined
  /** As of whoever follows it now: this process may have stopped, and gone on with it. */
  finishedOf(deploymentId: string): Promise<DeploymentResult> | undefined
  readonly byHand: {
    promote(why?: string): Promise<void>
    hold(why?: string): void
    letGo(why?: string): Promise<void>
  }
}

/** A {@link Deployment} as its driver holds it. */
export class DrivenDeployment implements Deployment {
  readonly id: string
  readonly from: string
  readonly to: string
  readonly forecast: Forecast
  readonly finished: Promise<DeploymentResult>
  #resolve!: (result: DeploymentResult) => void
  #result: DeploymentResult | undefined
  /** Who follows it since it went on after its end here: after a stop, or taken back when it was complete. */
  #later: DrivenDeployment | undefined
  #lastStatus: DeploymentStatus
  #lastReport: DeploymentReport | undefined
  /** What the source of health has said last. */
  #health: string | undefined
  readonly #stream = new StatusStream()
  readonly #driver: DeploymentDriver

  constructor(status: DeploymentStatus, foreseen: Forecast, driver: DeploymentDriver) {
    this.forecast = foreseen
    this.id = status.id
    this.from = status.from
    this.to = status.to
    this.#lastStatus = status
    this.#health = JSON.stringify(status.health)
    this.#driver = driver
    this.finished = new Promise((resolve) => (this.#resolve = resolve))
  }

  get status(): DeploymentStatus {
    return this.#driver.statusOf(this.id) ?? this.#later?.status ?? this.#lastStatus
  }

  get isFinished(): boolean {
    return this.#result !== undefined
  }

  /** How it ended, or ends, as far as anybody here knows. */
  get #ended(): Promise<DeploymentResult> {
    return this.#later === undefined ? this.finished : this.#later.#ended
  }

  /** How it ended, if it has. */
  get outcome(): Outcome | undefined {
    return this.#result?.outcome
  }

  /** @returns whether this is the end: the first result stands */
  finish(result: DeploymentResult): boolean {
    if (this.#result !== undefined) return false
    this.#result = result
    this.#lastStatus = this.status
    this.#lastReport = this.#driver.reportOf(this.id, result)
    this.#stream.end()
    this.#resolve(result)
    return true
  }

  /** Its status is another one now. */
  changed(): void {
    if (!this.isFinished && this.#stream.isWatched) this.#stream.push(this.status)
  }

  /** It is where it was, and something about it is different. */
  renewed(): void {
    if (!this.isFinished && this.#stream.isWatched) this.#stream.renew(this.status)
  }

  /** The source of health has spoken, and may have said the same again. */
  healthChanged(): void {
    const health = JSON.stringify(this.status.health)
    if (health !== this.#health) this.renewed()
    this.#health = health
  }

  /** What is known of it from now on, `later` knows. What it ended with stays. */
  goesOnAs(later: DrivenDeployment): void {
    this.#later = later
  }

  report(): DeploymentReport {
    if (this.#later !== undefined) return this.#later.report()
    const report = this.#lastReport ?? this.#driver.reportOf(this.id, undefined)
    if (report === undefined)
      throw new Error(`nothing is known of deployment ${this.id}; this is a fault of blue-green`)
    return report
  }

  watch({ signal }: { readonly signal?: AbortSignal | undefined } = {}): AsyncIterableIterator<DeploymentStatus> {
    if (this.#later !== undefined) return this.#later.watch({ signal })
    return this.#stream.read(this.status, signal)
  }

  async rollback(options?: RollbackOptions): Promise<DeploymentResult> {
    const phase = this.#driver.phaseOf(this.id)
    if (phase === 'COMPLETE') {
      return this.#driver.takeBackComplete(this.id, whyOf(options), options ?? {}) ?? this.finished
    }
    // What was stopped, or goes on elsewhere, is not over: who serves here is this process's to say.
    if (phase === undefined || isOver(phase)) return this.#ended
    return this.#driver.rollBack(whyOf(options), options ?? {}) ?? this.#driver.finishedOf(this.id) ?? this.finished
  }

  async promote(reason?: RollbackReason): Promise<DeploymentStatus> {
    if (this.#driver.phaseOf(this.id) !== undefined) await this.#driver.byHand.promote(whyOf(reason))
    return this.status
  }

  hold(reason?: RollbackReason): void {
    if (this.#driver.phaseOf(this.id) !== undefined) this.#driver.byHand.hold(whyOf(reason))
  }

  async resume(reason?: RollbackReason): Promise<DeploymentStatus> {
    if (this.#driver.phaseOf(this.id) !== undefined) await this.#driver.byHand.letGo(whyOf(reason))
    return this.status
  }
}

/** What `deploy` returns when there is nothing to do. */
export function alreadyActive(id: string, version: string, vitals: Vitals): Deployment {
  const why = `version "${version}" is the active one already`
  const finished = Promise.resolve({ outcome: 'ALREADY_ACTIVE', why } as const)
  const progress = {
    percentage: 100,
    percentages: [100],
    step: 0,
    elapsedMs: 0,
    stepMs: 0,
    isHeldByHand: false,
    awaitsEvidence: false,
    migrated: 'NO',
    backup: null,
    results: [],
  } as const
  const status: DeploymentStatus = { id, from: version, to: version, phase: 'COMPLETE', ...progress, why, ...vitals }
  return {
    id,
    from: version,
    to: version,
    status,
    forecast: forecast({ percentages: [], stepMs: 0 }, undefined, undefined),
    finished,
    rollback: () => finished,
    report: () => emptyReport(id, version, { outcome: 'ALREADY_ACTIVE', why }),
    watch: (options) => {
      const stream = new StatusStream()
      stream.end()
      return stream.read(status, options?.signal)
    },
    promote: () => Promise.resolve(status),
    hold: () => {},
    resume: () => Promise.resolve(status),
  }
}
