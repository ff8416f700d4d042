/** Runs tasks that share a key one after another, and all others side by side. */
export class KeyQueue {
  readonly #tails = new Map<string, Promise<unknown>>()

  /**
   * Runs the task when every earlier task on any of its keys has settled.
   *
   * All places are taken at once, so two tasks never wait for each other.
   */
  run<T>(keys: readonly string[], task: () => Promise<T>): Promise<T> {
    const earlier = keys.map((key) => this.#tails.get(key)).filter((tail) => tail !== undefined)
    const running = earlier.length === 0 ? task() : Promise.all(earlier).then(task)
    const tail = running.then(noop, noop).then(() => {
      for (const key of keys) if (this.#tails.get(key) === tail) this.#tails.delete(key)
    })
    for (const key of keys) this.#tails.set(key, tail)
    return running
  }
}

function noop(): void {}
