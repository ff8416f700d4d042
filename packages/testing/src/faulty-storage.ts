/** What is asked of a clock here: {@link FakeClock} fits. */
export interface DelayClock {
  /** Runs once after `delayMs`; returns cancel. */
  after(delayMs: number, run: () => void): () => void
}

/** The least that makes a storage. Those of `@evenkeel/storage-adapter` fit, and so does a double of your own. */
export interface StorageShape {
  /** Hands out a named set of records. */
  collection(name: string): object
}

/** How a call fails. */
export interface FaultOptions {
  /**
   * `before`: the call never arrives. `after`: it takes effect, and the answer is lost.
   *
   * @defaultValue 'before'
   */
  readonly when?: 'before' | 'after' | undefined
}

type When = 'before' | 'after'
type Fault = { readonly when: When; readonly error: Error } | { readonly when: When; readonly hang: true }

/** The calls of a storage that go to its backend. */
const STORAGE_CALLS = new Set(['batch', 'health', 'collections', 'changes', 'check', 'start'])
/** The calls of a collection that go to its backend. */
const COLLECTION_CALLS = new Set([
  ...['get', 'entry', 'getMany', 'has', 'count', 'scan', 'watch'],
  ...['set', 'setMany', 'delete', 'clear', 'update', 'compareAndSet'],
])

/**
 * Puts faults between your code and a storage: errors, lost answers, delays, silence.
 *
 * Hand {@link FaultyStorage.storage} to the code under test and call the methods of this object to break it.
 *
 * @typeParam S - the type of the storage
 *
 * @example
 * ```ts
 * import { FaultyStorage } from '@evenkeel/testing'
 * import { MemoryStorage } from '@evenkeel/storage-adapter'
 *
 * const faulty = new FaultyStorage(new MemoryStorage())
 * const notes = faulty.storage.collection<string>('notes')
 * faulty.down()
 * const code = await notes.get('a').catch((error: { code: string }) => error.code)
 * console.log(code) // => ECONNREFUSED
 * faulty.up()
 * console.log(await notes.get('a')) // => undefined
 * ```
 */
export class FaultyStorage<S extends StorageShape> {
  /** The storage with the faults: hand this to the code under test. */
  readonly storage: S
  readonly #clock: DelayClock | undefined
  readonly #planned = new Map<number, Fault>()
  readonly #waiting = new Set<() => void>()
  #standing: Fault | undefined
  #latencyMs = 0
  #calls = 0

  /**
   * @param inner - the storage that does the work
   * @param options - the clock for {@link FaultyStorage.delay}
   */
  constructor(inner: S, options: { readonly clock?: DelayClock | undefined } = {}) {
    this.#clock = options.clock
    this.storage = this.#wrap(inner, STORAGE_CALLS)
  }

  /** How many calls have been made. A scan is one call per record that is asked for. */
  get calls(): number {
    return this.#calls
  }

  /**
   * The next calls fail, then all is well.
   *
   * @param count - how many
   * @param error - what they reject with
   */
  failNext(count: number, error: Error, options: FaultOptions = {}): void {
    for (let i = 1; i <= count; i++) this.failNth(i, error, options)
  }

  /**
   * One call fails.
   *
   * @param n - which: 1 is the next call
   * @param error - what it rejects with
   */
  failNth(n: number, error: Error, { when = 'before' }: FaultOptions = {}): void {
    if (!Number.isInteger(n) || n < 1) throw new RangeError(`FaultyStorage.failNth: n must be 1 or more, not ${n}`)
    this.#planned.set(this.#calls + n, { when, error })
  }

  /** Every call fails, until {@link FaultyStorage.up}. */
  failAlways(error: Error, { when = 'before' }: FaultOptions = {}): void {
    this.#standing = { when, error }
  }

  /** Connections are refused, as by a server that is not running, until {@link FaultyStorage.up}. */
  down(): void {
    const error = Object.assign(new Error('connect ECONNREFUSED (injected)'), { code: 'ECONNREFUSED' })
    this.failAlways(error)
  }

  /** No call is ever answered, as by a server that is frozen, until {@link FaultyStorage.up}. */
  hang({ when = 'before' }: FaultOptions = {}): void {
    this.#standing = { when, hang: true }
  }

  /**
   * Every call takes this much longer, until {@link FaultyStorage.up}.
   *
   * @param latencyMs - milliseconds on the clock that was given
   * @throws TypeError when no clock was given
   */
  delay(latencyMs: number): void {
    if (this.#clock === undefined) throw new TypeError('FaultyStorage.delay needs the clock option')
    this.#latencyMs = latencyMs
  }

  /** Ends all faults, also those that were planned. Calls that hang go on, as when a frozen server wakes up. */
  up(): void {
    this.#standing = undefined
    this.#latencyMs = 0
    this.#planned.clear()
    for (const goOn of this.#waiting) goOn()
    this.#waiting.clear()
  }

  /** Only methods are replaced, and called on the original, so that its private state stays within reach. */
  #wrap<T extends object>(target: T, names: ReadonlySet<string>): T {
    return new Proxy(target, {
      get: (_, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        const method = value.bind(target) as (...parameters: unknown[]) => unknown
        if (name === 'collection') return (of: string) => this.#wrap(method(of) as object, COLLECTION_CALLS)
        if (typeof name !== 'string' || !names.has(name)) return method
        if (name === 'scan' || name === 'watch')
          return (...parameters: unknown[]) => this.#scan(method(...parameters) as AsyncIterable<unknown>)
        return (...parameters: unknown[]) => this.#call(async () => method(...parameters))
      },
    })
  }

  async *#scan(records: AsyncIterable<unknown>): AsyncGenerator<unknown, void, undefined> {
    const iterator = records[Symbol.asyncIterator]()
    try {
      for (;;) {
        const next = await this.#call(() => iterator.next())
        if (next.done === true) return
        yield next.value
      }
    } finally {
      await iterator.return?.()
    }
  }

  async #call<R>(run: () => Promise<R>): Promise<R> {
    const call = ++this.#calls
    const fault = this.#planned.get(call) ?? this.#standing
    this.#planned.delete(call)
    if (this.#latencyMs > 0) await new Promise<void>((resolve) => this.#clock?.after(this.#latencyMs, resolve))
    if (fault === undefined) return run()
    const result = fault.when === 'after' ? await run() : undefined
    if ('error' in fault) throw fault.error
    await new Promise<void>((resolve) => this.#waiting.add(resolve))
    return fault.when === 'after' ? (result as R) : run()
  }
}
