import type { WritableStorage } from './ports.js'

/** A call that reaches the store. */
export interface StoreCall {
  /** Whether it changes anything. A batch is one write, whatever is in it. */
  readonly isWrite: boolean
  /** The name of the method. */
  readonly method: string
  /** Its collection; `undefined` for a batch. */
  readonly collection: string | undefined
  /** What it was given. */
  readonly args: readonly unknown[]
}

/** What happens around each call. */
export interface CallHooks {
  /** What it throws is the answer, and the call never arrives. */
  before?(call: StoreCall): Promise<void> | void
  /** What it throws is the answer, and the call has taken effect. */
  after?(call: StoreCall): void
  /** What it throws ends a scan at this row. */
  row?(collection: string, key: string): void
}

const reads: ReadonlySet<string> = new Set(['get', 'entry', 'getMany', 'has', 'count'])
/** Neither a question nor a write. Whatever else a collection can do is taken for a write. */
const others: ReadonlySet<string> = new Set(['watch', 'on', 'off', 'once'])

/** Whoever lets go of a migration hears from it no more, and neither does the store. */
class Ended extends Error {}

/** A store as a migration sees it: each call is counted, and can be made to fail. */
export class WatchedStorage<S extends WritableStorage> {
  /** Hand this to the migration. */
  readonly storage: S
  readonly #hooks: CallHooks
  #writes = 0
  #begun = 0
  #end: Error | undefined

  constructor(inner: S, hooks: CallHooks = {}) {
    this.#hooks = hooks
    this.storage = proxied(inner, (name, method) => {
      if (name === 'collection') {
        return (of: string) => this.#collection(of, Reflect.apply(method, inner, [of]) as object)
      }
      if (name === 'batch') return (...args: unknown[]) => this.#call(true, name, undefined, args, inner, method)
      const run = (...args: unknown[]): unknown => Reflect.apply(method, inner, args)
      if (name !== 'collections') return run
      return async () => {
        this.#throwIfEnded()
        return run()
      }
    })
  }

  /** How many writes have taken effect. */
  get writes(): number {
    return this.#writes
  }

  /** How many writes have been begun: more than have taken effect, where some are refused or under way. */
  get begun(): number {
    return this.#begun
  }

  /** From now on nothing arrives: the process is dead, as far as the store can tell. */
  end(why: string): void {
    this.#end ??= new Ended(why)
  }

  #throwIfEnded(): void {
    if (this.#end !== undefined) throw this.#end
  }

  #collection(name: string, inner: object): object {
    return proxied(inner, (key, method) => {
      const run = (...args: unknown[]): unknown => Reflect.apply(method, inner, args)
      if (key === 'scan')
        return (...args: unknown[]) => this.#scan(name, run(...args) as AsyncIterable<{ key: string }>)
      if (others.has(key)) return run
      return (...args: unknown[]) => this.#call(!reads.has(key), key, name, args, inner, method)
    })
  }

  async #call(
    isWrite: boolean,
    method: string,
    collection: string | undefined,
    args: readonly unknown[],
    inner: object,
    run: Method,
  ): Promise<unknown> {
    const call: StoreCall = { isWrite, method, collection, args }
    this.#throwIfEnded()
    const waiting = this.#hooks.before?.(call)
    // Only where there is something to wait for: what is let through must be under way before the next call is looked at.
    if (waiting !== undefined) await waiting
    // It may have ended while the hook ran.
    this.#throwIfEnded()
    if (isWrite) this.#begun++
    const answer: unknown = await Reflect.apply(run, inner, args)
    if (isWrite) this.#writes++
    this.#hooks.after?.(call)
    return answer
  }

  async *#scan(collection: string, rows: AsyncIterable<{ key: string }>): AsyncGenerator<unknown> {
    for await (const row of rows) {
      this.#throwIfEnded()
      this.#hooks.row?.(collection, row.key)
      yield row
    }
  }
}

type Method = (...args: never[]) => unknown

/** The object itself, but for its methods. */
function proxied<T extends object>(inner: T, wrap: (name: string, method: Method) => unknown): T {
  return new Proxy(inner, {
    get(target, name) {
      // Private fields are found on the object itself, not on its proxy.
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return typeof name === 'string' ? wrap(name, value as Method) : (value.bind(target) as unknown)
    },
  })
}
