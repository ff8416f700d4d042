import { describeError } from '../outcome.js'
import type { Clock, StateStore, StoredValue, StoredVersion } from '../ports.js'

/** How often a store is asked that tells of nothing by itself: a change is to be followed within a second. */
const pollMs = 500
/** How often one is asked that does, because that may be lost without a word. */
const safetyPollMs = 5_000

/** How to reach the store. */
export interface LinkSettings {
  readonly store: StateStore
  readonly clock: Clock
  /** What every key begins with. */
  readonly prefix: string
  readonly timeoutMs: number
  /** Reads whatever is to be read. */
  readonly look: () => Promise<void>
  /** The store could be followed, or could not. Told each time. */
  readonly tell: (failure: { readonly why: string } | undefined) => void
}

/** Follows a store: asks in turn, never longer than a deadline, and looks again whenever something may have changed. */
export class StoreLink {
  readonly #settings: LinkSettings
  #turn: Promise<unknown> = Promise.resolve()
  #life: AbortController | undefined
  #isLookPlanned = false
  #isWatching = false
  #isTold = false
  #cancelPoll: () => void = () => undefined

  constructor(settings: LinkSettings) {
    this.#settings = settings
  }

  /** Looks, and follows from then on, whether or not it could. @throws what looking threw */
  async start(): Promise<void> {
    if (this.#life !== undefined) return
    const life = new AbortController()
    this.#life = life
    try {
      await this.inTurn(() => this.#look())
    } finally {
      if (!life.signal.aborted) this.#follow(life.signal)
    }
  }

  /** Follows no longer. What is under way goes on, and is neither told nor followed. */
  stop(): void {
    this.#life?.abort()
    this.#life = undefined
    this.#isWatching = false
    this.#isTold = false
    this.#cancelPoll()
  }

  /** Whether what is read is to take effect. */
  get isFollowing(): boolean {
    return this.#life !== undefined
  }

  /** One after the other: what was read earlier takes effect earlier. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /** Looks when it is its turn; what is asked for meanwhile is seen then too. */
  lookSoon(): void {
    if (this.#isLookPlanned) return
    this.#isLookPlanned = true
    this.inTurn(() => this.#look()).catch(() => undefined)
  }

  entry(key: string): Promise<StoredValue | undefined> {
    return this.#inTime(() => this.#settings.store.entry(key))
  }

  compareAndSet(key: string, expected: string | undefined, value: unknown): Promise<StoredVersion | undefined> {
    return this.#inTime(() => this.#settings.store.compareAndSet(key, expected, value))
  }

  /** Tells how a call went, unless nobody wants to know any more. */
  async told<T>(work: () => Promise<T>, isWanted: () => boolean = () => true): Promise<T> {
    try {
      const result = await work()
      if (isWanted()) this.#settings.tell(undefined)
      return result
    } catch (error) {
      if (isWanted()) this.#settings.tell({ why: describeError(error) })
      throw error
    }
  }

  async #look(): Promise<void> {
    this.#isLookPlanned = false
    const life = this.#life
    // Planned before a stop. A store that is closed right after it must not be taken for one that is gone.
    if (life === undefined) return
    await this.told(this.#settings.look, () => this.#life === life)
  }

  #follow(signal: AbortSignal): void {
    if (!this.#isWatching && this.#settings.store.watch !== undefined) void this.#watch(signal)
    this.#poll(signal)
  }

  #poll(signal: AbortSignal): void {
    this.#cancelPoll()
    this.#cancelPoll = this.#settings.clock.after(this.#isTold ? safetyPollMs : pollMs, () => {
      this.lookSoon()
      this.#follow(signal)
    })
  }

  async #watch(signal: AbortSignal): Promise<void> {
    this.#isWatching = true
    try {
      for await (const _notice of this.#settings.store.watch?.({ prefix: this.#settings.prefix, signal }) ?? []) {
        if (signal.aborted) break
        this.#isTold = true
        this.lookSoon()
      }
    } catch {
      // Looking tells whether the store can be reached; until the watch is begun again, it is asked more often.
    }
    if (signal.aborted) return
    this.#isTold = false
    this.#isWatching = false
    // Begun again with the next look: one that fails at once would otherwise be begun without end.
    this.#poll(signal)
  }

  #inTime<T>(ask: () => Promise<T>): Promise<T> {
    const { clock, timeoutMs } = this.#settings
    return new Promise<T>((resolve, reject) => {
      const cancel = clock.after(timeoutMs, () => reject(new Error(`no answer within ${timeoutMs} ms`)))
      void Promise.resolve().then(ask).then(resolve, reject).finally(cancel)
    })
  }
}
