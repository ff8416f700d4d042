/** What a phase gets done; resolves with what follows from it, and never rejects. */
export type Chore = (signal: AbortSignal) => Promise<() => void>

/**
 * The one thing that the phase in force gets done: each is begun once, however often the store confirms the phase. What is
 * no longer in force is told so by its signal, and its end leads to nothing.
 */
export class Chores {
  #current: { readonly key: string; readonly stop: AbortController; end: (() => void) | undefined } | undefined

  /** Begins it; if it has ended already, what follows from it follows again. */
  begin(key: string, run: Chore): void {
    if (this.#current?.key === key) return this.#current.end?.()
    this.keep(undefined)
    const mine = { key, stop: new AbortController(), end: undefined as (() => void) | undefined }
    this.#current = mine
    void run(mine.stop.signal).then((end) => {
      if (this.#current !== mine) return
      mine.end = end
      end()
    })
  }

  /** Cancels what belongs to another phase than this one. */
  keep(key: string | undefined): void {
    if (this.#current === undefined || this.#current.key === key) return
    const { stop } = this.#current
    this.#current = undefined
    stop.abort(new Error('the deployment has gone on without it'))
  }
}
