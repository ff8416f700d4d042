import type { Clock } from './ports.js'

/**
 * Green fails where nobody is left to compare it with. Time tells: it is found guilty if it goes on to fail while all else has been
 * well for so long. Whatever is unwell meanwhile explains it, and the time begins anew.
 */
export class Doubt {
  readonly #clock: Clock
  readonly #waitMs: number
  #isWell = true
  #wellSinceMs = -Infinity
  #decide: ((sinceMs: number) => void) | undefined
  #cancel: (() => void) | undefined

  /** @param waitMs - how long all else must be well */
  constructor(clock: Clock, waitMs: number) {
    this.#clock = clock
    this.#waitMs = waitMs
  }

  /** Since when all else has been well, or had been before it was not. */
  get wellSinceMs(): number {
    return this.#wellSinceMs
  }

  get isOpen(): boolean {
    return this.#decide !== undefined
  }

  /** @param decide - called when all has been well for so long, with since when */
  begin(decide: (sinceMs: number) => void): void {
    this.#decide = decide
  }

  /** All else is well, or is not. */
  look(isWell: boolean): void {
    if (isWell && !this.#isWell) this.#wellSinceMs = this.#clock.monotonic()
    this.#isWell = isWell
    if (!isWell) this.#stop()
    if (!isWell || this.#decide === undefined) return
    const sinceMs = this.#clock.monotonic()
    this.#cancel ??= this.#clock.after(this.#waitMs, () => {
      const decide = this.#decide
      this.end()
      decide?.(sinceMs)
    })
  }

  end(): void {
    this.#stop()
    this.#decide = undefined
  }

  #stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
