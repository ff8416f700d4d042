import type { Ledger } from './ledger.js'
import type { Clock } from './ports.js'
import { holdProcess } from './system-clock.js'

/** A bot that ends on its own still tells of what is critical, for a moment. */
export class UrgencyHold {
  readonly #clock: Clock
  readonly #mostMs: number
  #release: (() => void) | undefined

  /** @param mostMs - so long at most it holds the process */
  constructor(clock: Clock, mostMs: number) {
    this.#clock = clock
    this.#mostMs = mostMs
  }

  /** Something critical waits. */
  hold(): void {
    if (this.#release !== undefined) return
    const release = holdProcess()
    const cancel = this.#clock.after(this.#mostMs, () => this.release())
    this.#release = () => {
      cancel()
      release()
    }
  }

  /** Lets go when nothing critical waits any more. */
  look({ pending }: Pick<Ledger, 'pending'>): void {
    if (this.#release === undefined) return
    for (const { notice } of pending.values()) if (notice.severity === 'CRITICAL') return
    this.release()
  }

  release(): void {
    this.#release?.()
    this.#release = undefined
  }
}
