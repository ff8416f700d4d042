import { DeploymentHeldError } from './errors.js'
import type { Progress } from './progress.js'
import type { StateRecord } from './record.js'
import type { Seat } from './seat.js'
import { isAdvancing, isStepping, runningIn, type DeploymentState, type Input, type State } from './transitions.js'
import type { Waiters } from './waiters.js'

/** What it takes to do what a person wants, of whoever drives. */
export interface ByHandHooks {
  /** The state in force. */
  state(): State
  /** Why it is in force. */
  why(): string
  move(input: Input, why: string): void
  /** Asks the store for leave to give green more. */
  prepare(input: Input, why: string): void
  /** Goes by what the other controller says. */
  goBy(record: StateRecord, why: string): void
}

/** What a person wants of the deployment that runs: that it goes on now, stays as it is, or does so no more. */
export class ByHand {
  readonly #seat: Seat
  readonly #progress: Progress
  readonly #waiters: Waiters
  readonly #hooks: ByHandHooks

  constructor(seat: Seat, progress: Progress, waiters: Waiters, hooks: ByHandHooks) {
    this.#seat = seat
    this.#progress = progress
    this.#waiters = waiters
    this.#hooks = hooks
  }

  get #running(): DeploymentState | undefined {
    return runningIn(this.#hooks.state())
  }

  /** Goes on to the next step now; resolves when it has, or there is none, and rejects when something holds it. */
  async promote(why = 'promote() was called'): Promise<void> {
    const { fencedBy } = this.#seat
    if (fencedBy !== undefined) throw fencedBy
    const running = this.#running
    if (running === undefined) return
    const { phase } = running
    if (!isAdvancing(running) && phase !== 'HOLD' && phase !== 'FROZEN') return
    if (!this.#seat.isDriving) throw this.#seat.notDrivingError(running.to)
    // A source of health may have changed without saying so.
    this.#progress.reconsider()
    const now = this.#running
    const isWaiting = now?.phase === 'HOLD' && now.awaitsEvidence && now.heldByHand === null
    if (now?.phase === 'HOLD' && !isWaiting) throw new DeploymentHeldError(now, this.#hooks.why())
    const problem = this.#progress.problemOfThaw(running)
    if (problem !== undefined) throw new DeploymentHeldError(running, problem)
    const promoted = this.#waiters.promoted(running)
    // What is only staged goes on by itself, and not before green is ready.
    if (isWaiting || phase === 'FROZEN') this.#hooks.prepare({ type: 'FORWARD' }, why)
    else if (isStepping(running)) this.#hooks.prepare({ type: 'ADVANCE' }, why)
    return promoted
  }

  /** In force when it returns, whatever the store says. */
  hold(why = 'hold() was called'): void {
    const elapsedMs = this.#progress.elapsedMs(this.#hooks.state().deployment)
    this.#hooks.move({ type: 'HOLD', elapsedMs, byHand: why }, `held by hand: ${why}`)
    this.#waiters.settleResumptions()
  }

  /** A person holds it no more. Resolves when it goes on, or when something else holds it still. */
  async letGo(why = 'resume() was called'): Promise<void> {
    const running = this.#running
    if (running === undefined || running.heldByHand === null) return
    if (this.#endOwnHold(why)) return
    // What is not written would be held again by the next start, here or elsewhere.
    if (!this.#seat.isDriving) throw this.#seat.notDrivingError(running.to)
    const problem = this.#progress.problem(running)
    this.#hooks.move({ type: 'LET_GO' }, problem === undefined ? why : `${why}, but ${problem}`)
    const now = this.#running
    // Whoever was told of it may have done something else.
    if (problem !== undefined || now?.phase !== 'HOLD' || now.heldByHand !== null) return
    const resumed = this.#waiters.resumed()
    this.#hooks.move({ type: 'RESUME' }, why)
    return resumed
  }

  /** @returns whether this process alone has held it, against what the other controller says: then it goes by that again */
  #endOwnHold(why: string): boolean {
    const { controller, followed, isUnwritten } = this.#seat
    if (controller !== 'FENCED' || followed === undefined || !isUnwritten) return false
    this.#seat.settle()
    this.#hooks.goBy(followed, `${why}, and the controller with epoch ${followed.epoch} drives`)
    return true
  }
}
