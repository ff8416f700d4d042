/** What is started and stopped. */
export interface Living {
  /** Begins. What takes long gives up when the signal says that it is over already. */
  begin(over: AbortSignal): Promise<void>
  /** Ends all that was begun, whether or not it has come to its end. */
  end(): Promise<void>
}

interface Life {
  readonly over: AbortController
  readonly begun: Promise<void>
  readonly started: Promise<void>
}

/**
 * One life after the other: a start waits for the stop before it, a stop ends the start that is under way, and a start
 * that fails late ends no life but its own.
 */
export class LifeCycle {
  readonly #living: Living
  #life: Life | undefined
  #ended: Promise<void> = Promise.resolve()

  constructor(living: Living) {
    this.#living = living
  }

  /** @returns when it has begun, or was stopped before that; rejects as `begin` does, and has ended then */
  start(): Promise<void> {
    this.#life ??= this.#newLife()
    return this.#life.started
  }

  stop(): Promise<void> {
    const life = this.#life
    this.#life = undefined
    life?.over.abort()
    this.#ended = this.#end(this.#ended, life)
    return this.#ended
  }

  #newLife(): Life {
    const over = new AbortController()
    const begun = this.#begin(this.#ended, over.signal)
    const started = begun.catch(async (error: unknown) => {
      // Whoever has stopped it need not hear that it would not have started.
      if (over.signal.aborted) return
      await this.stop().catch(() => undefined)
      throw error
    })
    return { over, begun, started }
  }

  async #begin(ended: Promise<void>, over: AbortSignal): Promise<void> {
    await ended.catch(() => undefined)
    if (!over.aborted) await this.#living.begin(over)
  }

  async #end(ended: Promise<void>, life: Life | undefined): Promise<void> {
    await ended.catch(() => undefined)
    // Ended first, so that the start lets go of what it waits for.
    const end = this.#living.end()
    await Promise.all([end, life?.begun.catch(() => undefined)])
  }
}

/** Settles as the work does, or resolves when it is over. */
export async function untilOver(over: AbortSignal, work: Promise<void>): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    over.addEventListener('abort', () => resolve(), { once: true })
    work.then(resolve, reject)
  })
}
