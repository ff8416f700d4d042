import { DeploymentHeldError } from './errors.js'
import { isAdvancing, type DeploymentState } from './transitions.js'

/** Those who wait for what they asked for by hand. */
export class Waiters {
  #resumptions: (() => void)[] = []
  #promotions: {
    readonly from: DeploymentState
    readonly resolve: () => void
    readonly reject: (error: Error) => void
  }[] = []

  /** Resolves when it has gone on from there, or there is nothing to go on to; rejects when something holds it. */
  promoted(from: DeploymentState): Promise<void> {
    return new Promise((resolve, reject) => this.#promotions.push({ from, resolve, reject }))
  }

  /** Resolves when a hold by hand has ended, or something else holds it. */
  resumed(): Promise<void> {
    return new Promise((resolve) => this.#resumptions.push(resolve))
  }

  settleResumptions(): void {
    for (const resolve of this.#resumptions.splice(0)) resolve()
  }

  /** Whoever promoted hears that it went on, that there was nothing to go on to, or what holds it. */
  settlePromotions(running: DeploymentState | undefined, why: string): void {
    const waiting = this.#promotions.splice(0)
    for (const promotion of waiting) {
      const { from, resolve, reject } = promotion
      if (running?.id !== from.id || running.step !== from.step) resolve()
      else if (running.phase === 'HOLD') reject(new DeploymentHeldError(running, why))
      else if (isAdvancing(running)) this.#promotions.push(promotion)
      else resolve()
    }
  }

  /** Nothing goes on here any more. */
  leave(why: Error): void {
    this.settleResumptions()
    this.fail(why)
  }

  /** Whoever promoted hears why it did not come to that. */
  fail(why: Error): void {
    for (const { reject } of this.#promotions.splice(0)) reject(why)
  }
}
