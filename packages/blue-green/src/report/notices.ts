import type { BlueGreenChange, Severity } from '../changes.js'
import { warn } from '../warn.js'

/** What people are told of a deployment. */
export interface DeploymentNews {
  /** What happened. `held`: once for each step, when it holds first, and when it needs a person. */
  readonly kind: 'started' | 'succeeded' | 'rolledBack' | 'held' | 'frozen' | 'failed'
  /** The deployment. */
  readonly deploymentId: string
  /** When, in epoch ms. */
  readonly at: number
  /** The cause, as a clause. */
  readonly why: string
  /** `CRITICAL` wants a human now. */
  readonly severity: Severity
  /** The whole as a sentence, fit for a chat channel. */
  readonly message: string
}

/** Tells people. Nothing waits for it: it may hang, be slow, or throw. */
export type Notify = (news: DeploymentNews) => unknown

const kinds: Readonly<Record<string, DeploymentNews['kind']>> = {
  COMPLETE: 'succeeded',
  ROLLED_BACK: 'rolledBack',
  HOLD: 'held',
  FROZEN: 'frozen',
  FAILED: 'failed',
}

/** Makes news for people of the changes, so few that they are read. */
export class Notices {
  readonly #notify: Notify
  #deploymentId: string | undefined
  /** Whether people know that this step is held. */
  #isHeld = false

  constructor(notify: Notify) {
    this.#notify = notify
  }

  told({ what, from, to, at, why, severity, message, deploymentId }: BlueGreenChange): void {
    if (deploymentId === undefined) return
    if (what === 'percentage') this.#isHeld = false
    const kind = this.#kindOf(what, from, to, deploymentId)
    if (kind === undefined) return
    const news: DeploymentNews = { kind, deploymentId, at, why, severity, message }
    // An async function, so that what throws at once is a rejection like any other.
    const tell = async (): Promise<void> => void (await this.#notify(news))
    tell().catch((error: unknown) => warn('EVENKEEL_NOTIFY', `notify failed on "${kind}"; it is not told again`, error))
  }

  #kindOf(
    what: BlueGreenChange['what'],
    from: string | number,
    to: string | number,
    deploymentId: string,
  ): DeploymentNews['kind'] | undefined {
    if (what === 'hold' || what === 'refusal') return 'held'
    if (what !== 'phase') return undefined
    // What was complete is taken back: it began long ago, perhaps in another process.
    if (from === 'COMPLETE' && to === 'ROLLING_BACK') this.#deploymentId = deploymentId
    if (this.#deploymentId !== deploymentId && ['IDLE', 'COMPLETE', 'ROLLED_BACK', 'FAILED'].includes(String(from))) {
      this.#deploymentId = deploymentId
      this.#isHeld = false
      return to === 'FAILED' ? 'failed' : 'started'
    }
    const kind = kinds[to]
    if (kind !== 'held') return kind
    const isNews = !this.#isHeld
    this.#isHeld = true
    return isNews ? kind : undefined
  }
}
