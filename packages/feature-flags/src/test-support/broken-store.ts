import type { FlagStore } from '../index.js'
import type { BotProcess } from './bot-processes.js'

const lost = new Error('the connection was lost')

/** How the call of a store goes wrong. */
export const faults: readonly ['before', 'after', 'hangs before', 'hangs after'] = [
  'before',
  'after',
  'hangs before',
  'hangs after',
]
/** One of them. */
export type Fault = (typeof faults)[number]

/** A store whose n-th call goes wrong, counted from when it is told; one that hangs does so until the store works again. */
export class BrokenStore {
  /** Calls since then. */
  calls = 0
  #n = Infinity
  #fault: Fault = 'before'

  breakNth(n: number, fault: Fault): void {
    this.calls = 0
    this.#n = n
    this.#fault = fault
  }

  around(store: FlagStore, faulty: () => Pick<BotProcess['faulty'], 'hang' | 'failNext'>): FlagStore {
    const strike = (): void => {
      if (++this.calls !== this.#n) return
      const when = this.#fault.endsWith('before') ? 'before' : 'after'
      if (this.#fault.startsWith('hangs')) faulty().hang({ when })
      else faulty().failNext(1, lost, { when })
    }
    const struck = <P extends readonly unknown[], R>(call: (...parameters: P) => R) => {
      return (...parameters: P): R => {
        strike()
        return call(...parameters)
      }
    }
    return {
      scope: store.scope,
      entry: struck((key) => store.entry(key)),
      compareAndSet: struck((key, expected, value) => store.compareAndSet(key, expected, value)),
      set: struck((key, value, options) => store.set(key, value, options)),
      delete: struck((key) => store.delete(key)),
      scan: (options) => store.scan(options),
      watch: (options) => store.watch(options),
    }
  }
}
