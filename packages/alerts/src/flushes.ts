import type { Clock } from './ports.js'
import { holdProcess } from './system-clock.js'

/** Those who wait until something is settled. The process lives as long as they do. */
export class Flushes {
  readonly #clock: Clock
  readonly #waiting = new Map<() => boolean, () => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves when it is over, after `timeoutMs`, or when everything is stopped. */
  async until(isOver: () => boolean, timeoutMs: number): Promise<void> {
    if (isOver()) return
    const release = holdProcess()
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(timeoutMs, resolve)
      this.#waiting.set(isOver, () => {
        cancel()
        resolve()
      })
    })
    this.#waiting.delete(isOver)
    release()
  }

  /** Something was settled. */
  look(): void {
    for (const [isOver, end] of this.#waiting) if (isOver()) end()
  }

  /** Nothing will be settled any more. */
  stop(): void {
    for (const end of this.#waiting.values()) end()
  }
}
