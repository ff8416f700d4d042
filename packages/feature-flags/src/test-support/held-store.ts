import type { FlagStore } from '../index.js'

/** A store whose answers can be held back: what was asked is done, and whoever asked does not hear of it yet. */
export class HeldStore {
  readonly #held = new Map<string, Promise<void>>()

  around(store: FlagStore): FlagStore {
    return {
      scope: store.scope,
      entry: (key) => this.#answer('entry', store.entry(key)),
      compareAndSet: (...given) => this.#answer('compareAndSet', store.compareAndSet(...given)),
      set: (...given) => this.#answer('set', store.set(...given)),
      delete: (...given) => this.#answer('delete', store.delete(...given)),
      scan: (options) => store.scan(options),
      watch: (options) => store.watch(options),
    }
  }

  /** Holds back the answers to such calls. @returns lets them go, and those to come */
  hold(call: 'entry' | 'compareAndSet' | 'set' | 'delete'): () => void {
    let letGo = (): void => undefined
    this.#held.set(call, new Promise((resolve) => (letGo = resolve)))
    return () => {
      this.#held.delete(call)
      letGo()
    }
  }

  async #answer<T>(call: string, answer: Promise<T>): Promise<T> {
    const value = await answer
    await this.#held.get(call)
    return value
  }
}
