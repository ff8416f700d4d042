import type { Clock } from '../ports.js'

/** Records that expired so long ago are removed: the clocks of the processes that share a server differ. */
const SWEEP_AFTER_MS = 60 * 60 * 1_000
/** How often a process that writes looks for them, in milliseconds. */
const SWEEP_EVERY_MS = 60_000

/** How many are removed in one step of the server. */
export const SWEEP_STEP = 500

/** What {@link RedisSweeper} works with. */
export interface SweeperHost {
  readonly clock: Clock
  /** The collections in which something expired before that time. */
  find(before: number): Promise<readonly string[]>
  /** Removes up to {@link SWEEP_STEP} such records, and says how many. */
  sweep(collection: string, before: number): Promise<number>
}

/** Removes what expired long ago: after a write, now and then, and in nobody's way. */
export class RedisSweeper {
  readonly #host: SweeperHost
  #sweeping: Promise<void> | undefined
  #sweptMs = -Infinity
  #isClosed = false

  constructor(host: SweeperHost) {
    this.#host = host
  }

  /** Something was written. */
  afterWrite(): void {
    const { clock } = this.#host
    if (this.#sweeping !== undefined || clock.monotonic() - this.#sweptMs < SWEEP_EVERY_MS) return
    this.#sweptMs = clock.monotonic()
    this.#sweeping = this.#sweep(clock.now() - SWEEP_AFTER_MS)
      // It is garbage, which can wait.
      .catch(() => undefined)
      .finally(() => (this.#sweeping = undefined))
  }

  open(): void {
    this.#isClosed = false
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#sweeping
  }

  async #sweep(before: number): Promise<void> {
    for (const collection of await this.#host.find(before)) {
      for (let swept = SWEEP_STEP; swept === SWEEP_STEP;) {
        if (this.#isClosed) return
        swept = await this.#host.sweep(collection, before)
      }
    }
  }
}
