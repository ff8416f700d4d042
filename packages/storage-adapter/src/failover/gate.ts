/** Lets many through at once, or one alone: writes are many, a change of mode is one. */
export class Gate {
  #inside = 0
  #wake: (() => void) | undefined
  /** Settles when whoever is alone, and all who wait to be, have left. */
  #closed: Promise<void> | undefined

  /** Runs the task beside others like it. */
  async shared<T>(task: () => Promise<T>): Promise<T> {
    while (this.#closed !== undefined) await this.#closed
    this.#inside++
    try {
      return await task()
    } finally {
      if (--this.#inside === 0) this.#wake?.()
    }
  }

  /** Runs the task when all who are inside have left, and lets nobody else in. */
  async exclusive<T>(task: () => Promise<T>): Promise<T> {
    const before = this.#closed
    let open = (): void => undefined
    const closed = new Promise<void>((resolve) => (open = resolve))
    this.#closed = closed
    try {
      await before
      if (this.#inside > 0) await new Promise<void>((resolve) => (this.#wake = resolve))
      this.#wake = undefined
      return await task()
    } finally {
      if (this.#closed === closed) this.#closed = undefined
      open()
    }
  }
}
