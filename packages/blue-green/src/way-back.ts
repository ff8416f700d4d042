import { refusalChange, type BlueGreenChange } from './changes.js'
import type { DeploymentResult } from './deployment.js'
import type { Lives } from './lives.js'
import type { Settings } from './options.js'
import { isIrreversible, type DeploymentState, type Descent } from './transitions.js'

/** What a way back needs of whoever drives. */
export interface WayBackHooks {
  /** Makes a version ready. Resolves with what kept it from that, if anything did. */
  staged(version: string, signal: AbortSignal): Promise<Error | undefined>
  /** Ends a version again that got ready for nothing, unless it serves. */
  unstaged(version: string): void
  /** All events go back from here on: it is a rollback like any other. */
  rollBack(complete: DeploymentState, descent: Descent | null, why: string): Promise<DeploymentResult>
  /** Why nothing has changed where this process does not drive. */
  notDriving(): DeploymentResult
  announce(changes: readonly BlueGreenChange[]): void
}

/** A wait for the old version. */
interface Waiting {
  readonly deployment: DeploymentState
  /** How the guilds go back then. */
  descent: Descent | null
  /** Ends the wait. */
  readonly stop: AbortController
  readonly result: Promise<DeploymentResult>
}

/** How a rollback of what is complete is to go. */
export interface WayBackHow {
  readonly descent: Descent | null
  /** Whether a person accepts that the migration stays. */
  readonly accept: boolean
}

/**
 * The rollback of a complete deployment: its old version gets ready first, and green serves meanwhile. In memory: a restart forgets
 * it, and green serves.
 */
export class WayBack {
  readonly #settings: Pick<Settings, 'versions' | 'clock'>
  readonly #lives: Lives
  readonly #hooks: WayBackHooks
  #waiting: Waiting | undefined

  constructor(settings: Pick<Settings, 'versions' | 'clock'>, lives: Lives, hooks: WayBackHooks) {
    this.#settings = settings
    this.#lives = lives
    this.#hooks = hooks
  }

  /** What is to be taken back, while its old version gets ready. */
  get deployment(): DeploymentState | undefined {
    return this.#waiting?.deployment
  }

  /** Goes back, as soon as the old version is ready. Never rejects. */
  begin(complete: DeploymentState, { descent, accept }: WayBackHow, why: string): Promise<DeploymentResult> {
    const refusal = this.#refusalOf(complete, accept)
    if (refusal !== undefined) return Promise.resolve(this.#refuse(complete, why, refusal))
    // A function is ready as it is.
    if (typeof this.#settings.versions.get(complete.from) === 'function') {
      this.#lives.staged(complete.from)
      return this.#hooks.rollBack(complete, descent, why)
    }
    // In a later tick, so that it finds what is made here.
    const result = Promise.resolve().then(() => this.#go(waiting, why))
    const waiting: Waiting = { deployment: complete, descent, stop: new AbortController(), result }
    this.#waiting = waiting
    return result
  }

  /** That which is under way already, if there is one: as ever, who asks again wants it at once. */
  join(): Promise<DeploymentResult> | undefined {
    if (this.#waiting !== undefined) this.#waiting.descent = null
    return this.#waiting?.result
  }

  /** This process does not drive any more. */
  stop(): void {
    this.#waiting?.stop.abort(new Error('this process does not drive any more'))
  }

  async #go(waiting: Waiting, why: string): Promise<DeploymentResult> {
    const { deployment, stop } = waiting
    const { from } = deployment
    const failure = await this.#hooks.staged(from, stop.signal)
    if (this.#waiting === waiting) this.#waiting = undefined
    const dead = this.#lives.whyDead(from)
    const problem = failure?.message ?? (dead === undefined ? undefined : `"${from}" died: ${dead}`)
    if (!stop.signal.aborted && problem === undefined) return this.#hooks.rollBack(deployment, waiting.descent, why)
    this.#hooks.unstaged(from)
    if (stop.signal.aborted) return this.#hooks.notDriving()
    return this.#refuse(deployment, why, { outcome: 'HELD', problem: problem ?? '' })
  }

  /** What keeps a complete deployment from being taken back, whether or not its old version gets ready. */
  #refusalOf(complete: DeploymentState, accept: boolean): Refusal | undefined {
    const { from, migration } = complete
    if (!this.#settings.versions.has(from)) {
      return { outcome: 'HELD', problem: `"${from}" is not in versions, so nothing can be rolled back to it` }
    }
    if (!isIrreversible(complete) || accept) return undefined
    const problem = `the migration "${migration?.name}" is irreversible, and only acceptIrreversible: true goes back from it`
    return { outcome: 'FROZEN', problem }
  }

  /** Green serves on, and a person hears of it. */
  #refuse(complete: DeploymentState, cause: string, { outcome, problem }: Refusal): DeploymentResult {
    const why = `${problem}; the cause was: ${cause}`
    this.#hooks.announce([refusalChange(complete, why, this.#settings.clock.now())])
    return { outcome, why }
  }
}

/** Why green serves on. */
interface Refusal {
  readonly outcome: 'HELD' | 'FROZEN'
  /** As a clause. */
  readonly problem: string
}
