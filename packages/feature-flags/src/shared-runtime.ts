import { within } from './deadline.js'
import { FlagStoreError } from './errors.js'
import { describeError } from './outcome.js'
import { PendingChanges } from './pending-changes.js'
import { PendingOverrides } from './pending-overrides.js'
import type { Clock, FlagStore, StoredRecord, StoredValue, StoreNotice } from './ports.js'
import { fromJson, toJson } from './runtime-json.js'
import { noteOverride, untouched, type RuntimeChange, type RuntimeState } from './runtime-state.js'
import {
  overrideKey,
  overridePrefix,
  placeOfKey,
  readOverride,
  type OverridePlace,
  type OverrideUntil,
} from './stored-override.js'

/** Where the state is kept. */
const stateKey = 'flags/state'
/** How long after a watch has ended it is begun again. */
const rewatchMs = 500
/** So often a write is tried anew at once when others are faster. */
const maxRaces = 50

/** What is told to whoever holds the flags. */
export interface RuntimeListener {
  /** The state is another one. */
  onState(state: RuntimeState, before: RuntimeState): void
  /** An override was set or, `undefined`, removed. */
  onOverride(place: OverridePlace, until: OverrideUntil | undefined): void
  /** These are all overrides that there are. */
  onOverrides(all: readonly (readonly [OverridePlace, OverrideUntil])[]): void
  /** All overrides that hold here. */
  overrides(): readonly (readonly [OverridePlace, OverrideUntil])[]
  /** Whether what others change is seen here. */
  onFeed(isLive: boolean, why: string): void
}

/** How to reach the store. */
export interface SharedRuntimeOptions {
  readonly store: FlagStore
  readonly clock: Clock
  /** Names this process among all that share the store. */
  readonly process: string
  readonly timeoutMs: number
  readonly checkIntervalMs: number
}

/** What was found in the store. */
interface Found {
  readonly entry: StoredValue | undefined
  readonly state: RuntimeState
}

/**
 * What was done to flags at run time, shared by all processes of a store.
 *
 * A change is in force here at once and in the store when it is reached: what is seen is what was stored, and upon it the
 * changes that wait. The state is one record with an epoch, which only grows: an older one never takes the place of a
 * newer one, and a store that has lost its state is given it again. Overrides are records of their own.
 *
 * The watch tells what others change. It may be lost without a word, so the epoch is also asked for from time to time.
 */
export class SharedRuntime {
  readonly #options: SharedRuntimeOptions
  readonly #listener: RuntimeListener
  #stored: RuntimeState = untouched
  #seen: RuntimeState = untouched
  readonly #pending: PendingChanges
  readonly #pendingOverrides = new PendingOverrides()
  #flushing: Promise<void> | undefined
  #isFailing = false
  #turn: Promise<unknown> = Promise.resolve()
  #isLive: boolean | undefined
  #isLoaded = false
  #life: AbortController | undefined
  #cancelCheck: () => void = () => undefined

  constructor(options: SharedRuntimeOptions, listener: RuntimeListener) {
    this.#options = options
    this.#listener = listener
    this.#pending = new PendingChanges(options.process)
  }

  /** What holds here: what was stored, and what waits to be. */
  get state(): RuntimeState {
    return this.#seen
  }

  /** That of the state that was stored last, as far as is known here. */
  get epoch(): number {
    return this.#stored.epoch
  }

  /**
   * Makes a change here at once, and in the store.
   *
   * @returns when it is stored; `false` when there it was nothing to do
   * @throws FlagStoreError when the store was not reached. It holds here nevertheless, and is stored later unless
   *   something newer is there by then
   */
  change(change: RuntimeChange): Promise<boolean> {
    const stored = this.#pending.add(change, this.#stored)
    this.#see(change.apply(this.#seen))
    void this.#flush()
    return stored
  }

  /** Sets an override, or removes it, in the store; here it holds already. Throws as {@link SharedRuntime.change} does. */
  async setOverride(
    place: OverridePlace,
    until: OverrideUntil | undefined,
    before: OverrideUntil | undefined,
  ): Promise<boolean> {
    const stored = this.#pendingOverrides.set(overrideKey(place), until, before)
    void this.#flush()
    await stored
    return true
  }

  /** Reads what is stored, and follows it. @throws when it cannot be read now; it is followed nevertheless */
  async start(): Promise<void> {
    if (this.#life !== undefined) return
    const life = new AbortController()
    this.#life = life
    try {
      await this.#inTurn(() => this.#load())
      this.#tellReached('the store answers')
    } catch (error) {
      this.#tellFeed(false, describeError(error))
      throw error
    } finally {
      if (!life.signal.aborted) {
        void this.#follow(life.signal)
        this.#checkLater()
      }
    }
  }

  /** Follows no longer. What waits to be stored is tried once more. */
  async stop(): Promise<void> {
    const life = this.#life
    this.#life = undefined
    this.#isLive = undefined
    this.#cancelCheck()
    life?.abort()
    await this.#flush()
  }

  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const notice of this.#options.store.watch({ prefix: 'flags/', signal })) {
          if (signal.aborted) return
          await this.#inTurn(() => this.#notice(notice))
        }
      } catch (error) {
        if (!signal.aborted) this.#tellFeed(false, describeError(error))
      }
      if (signal.aborted) return
      await this.#pause(signal)
    }
  }

  /** Leaves nothing behind at the signal, which lives as long as the flags. */
  async #pause(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel()
        signal.removeEventListener('abort', end)
        resolve()
      }
      const cancel = this.#options.clock.after(rewatchMs, end)
      signal.addEventListener('abort', end)
    })
  }

  /** What was read earlier takes effect earlier: else a slow scan would undo what the watch has told meanwhile. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async #notice(notice: StoreNotice): Promise<void> {
    if (notice.type === 'reset') return this.#load()
    const place = placeOfKey(notice.key)
    if (place !== undefined) {
      // One that waits here finds out, when it is stored, what is newer.
      if (this.#pendingOverrides.has(notice.key)) return
      this.#listener.onOverride(place, notice.type === 'set' ? readOverride(notice) : undefined)
    } else if (notice.key === stateKey && notice.type === 'set') {
      this.#adopt(fromJson(notice.value))
    }
  }

  /** Reads everything. What the store has lost since it was last seen, it is given again: overrides first. */
  async #load(): Promise<void> {
    // What is stored here while it is read is newer than what was read, and no sign that the store has lost anything.
    const knownEpoch = this.#stored.epoch
    const found = await this.#read()
    const isLost = this.#isLoaded && found.state.epoch < knownEpoch
    // What switches off does not wait for a hundred thousand overrides.
    if (!isLost) this.#adopt(found.state)
    const stored = await this.#scan()
    if (isLost) {
      await this.#restoreOverrides(stored)
      await this.#restoreState(found)
      return
    }
    this.#isLoaded = true
    for (const [key, { until }] of this.#pendingOverrides.entries()) {
      const place = placeOfKey(key)
      stored.delete(key)
      if (place !== undefined && until !== undefined) stored.set(key, [place, until])
    }
    this.#listener.onOverrides([...stored.values()])
  }

  /** Each record may take as long as an answer may. */
  async #scan(): Promise<Map<string, readonly [OverridePlace, OverrideUntil]>> {
    const stored = new Map<string, readonly [OverridePlace, OverrideUntil]>()
    const records = this.#options.store.scan({ prefix: overridePrefix })[Symbol.asyncIterator]()
    try {
      for (;;) {
        const next: IteratorResult<StoredRecord> = await this.#within(() => records.next())
        if (next.done === true) return stored
        const place = placeOfKey(next.value.key)
        const until = readOverride(next.value)
        if (place !== undefined && until !== undefined) stored.set(next.value.key, [place, until])
      }
    } catch (error) {
      // Not waited for: it hangs.
      records.return?.().catch(() => undefined)
      throw error
    }
  }

  /** A store that was emptied, or brought back from a backup, has overrides that were removed since, and lacks others. */
  async #restoreOverrides(stored: Map<string, readonly [OverridePlace, OverrideUntil]>): Promise<void> {
    for (const [place, until] of this.#listener.overrides()) {
      const key = overrideKey(place)
      const there = stored.get(key)?.[1]
      stored.delete(key)
      if (there?.override.id !== until.override.id) this.#restore(key, until, there)
    }
    for (const [key, [, there]] of stored) this.#restore(key, undefined, there)
    while (this.#pendingOverrides.size > 0) await this.#storeOverrides()
  }

  #restore(key: string, until: OverrideUntil | undefined, there: OverrideUntil | undefined): void {
    this.#pendingOverrides.set(key, until, there).catch(() => undefined)
  }

  async #restoreState({ entry }: Found): Promise<void> {
    const json = toJson(this.#stored)
    await this.#within(() => this.#options.store.compareAndSet(stateKey, entry?.version, json))
  }

  async #read(): Promise<Found> {
    const entry = await this.#within(() => this.#options.store.entry(stateKey))
    return { entry, state: fromJson(entry?.value) }
  }

  /** An older state never takes the place of a newer one. */
  #adopt(state: RuntimeState): void {
    if (state.epoch <= this.#stored.epoch) return
    this.#stored = state
    this.#look()
  }

  /** What is stored, and upon it what waits. */
  #look(): void {
    this.#see(this.#pending.over(this.#stored))
  }

  #see(seen: RuntimeState): void {
    const before = this.#seen
    if (seen === before) return
    this.#seen = seen
    this.#listener.onState(seen, before)
  }

  #flush(): Promise<void> {
    if (this.#flushing !== undefined) return this.#flushing
    if (this.#pending.size + this.#pendingOverrides.size === 0) return Promise.resolve()
    this.#flushing = this.#storeAll()
    return this.#flushing
  }

  async #storeAll(): Promise<void> {
    try {
      // One question is enough to learn that the store is still lost, however much waits.
      if (this.#isFailing) await this.#read()
      let races = 0
      while (this.#pending.size + this.#pendingOverrides.size > 0) {
        // What switches off goes before overrides. These are stored in turn, or all that were read before would undo them.
        if (this.#pending.size === 0) await this.#inTurn(() => this.#storeOverrides())
        else if (await this.#storeChanges()) races = 0
        else if (++races > maxRaces) throw new Error('others write to the store of flags all the time')
      }
      this.#isFailing = false
      this.#tellReached('the store answers')
    } catch (error) {
      this.#isFailing = true
      this.#tellFeed(false, describeError(error))
      const failure = new FlagStoreError(error)
      this.#pendingOverrides.fail(failure)
      this.#pending.fail(failure)
      this.#look()
    } finally {
      // In the same turn in which nothing was left: what comes from now on begins anew.
      this.#flushing = undefined
    }
  }

  /** Those who asked are told when others can know: once the epoch says that there is something to read. */
  async #storeOverrides(): Promise<void> {
    const { done, failure } = await this.#pendingOverrides.store(
      this.#options.store,
      (work) => this.#within(work),
      (place, until) => this.#listener.onOverride(place, until),
    )
    const tell = (): void => done.forEach((settle) => settle())
    if (done.length > 0) this.#pending.add(noteOverride(), this.#stored).then(tell, tell)
    if (failure !== undefined) throw failure.error
  }

  /** @returns whether what waited is stored, rather than that somebody else was first */
  async #storeChanges(): Promise<boolean> {
    const { entry, state: found } = await this.#read()
    const { next, outcomes } = this.#pending.resolve(found.epoch < this.#stored.epoch ? this.#stored : found)
    if (next !== found) {
      const json = toJson(next)
      const stored = await this.#within(() => this.#options.store.compareAndSet(stateKey, entry?.version, json))
      if (stored === undefined) return false
    }
    this.#pending.settle(outcomes)
    // The watch may have told of a later one before this answer came.
    if (next.epoch > this.#stored.epoch) this.#stored = next
    this.#look()
    return true
  }

  #checkLater(): void {
    this.#cancelCheck()
    this.#cancelCheck = this.#options.clock.after(this.#options.checkIntervalMs, () => {
      void this.#check().finally(() => {
        if (this.#life !== undefined) this.#checkLater()
      })
    })
  }

  /** Asks for the epoch, so that a watch that was lost without a word is noticed. */
  async #check(): Promise<void> {
    try {
      await this.#inTurn(async () => {
        const { state } = await this.#read()
        if (state.epoch !== this.#stored.epoch || !this.#isLoaded) await this.#load()
      })
      this.#isFailing = false
      this.#tellReached('the store answers again')
      await this.#flush()
    } catch (error) {
      this.#tellFeed(false, describeError(error))
    }
  }

  /** A copy that stands in for the store keeps what is changed here, and knows nothing of what others change. */
  #tellReached(why: string): void {
    const isCopy = this.#options.store.servedBy === 'fallback'
    this.#tellFeed(!isCopy, isCopy ? 'a copy stands in for it' : why)
  }

  #tellFeed(isLive: boolean, why: string): void {
    if (this.#life === undefined) return
    if (this.#isLive === isLive) return
    this.#isLive = isLive
    this.#listener.onFeed(isLive, why)
  }

  #within<T>(work: () => Promise<T>): Promise<T> {
    return within(this.#options.clock, this.#options.timeoutMs, 'the store of flags', work)
  }
}
