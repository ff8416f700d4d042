import { within } from './deadline.js'
import { FlagStoreError } from './errors.js'
import { describeError } from './outcome.js'
import type { Clock, FlagStore, StoreNotice } from './ports.js'
import {
  fromJson,
  noteOverride,
  plain,
  toJson,
  untouched,
  type RuntimeChange,
  type RuntimeState,
} from './runtime-state.js'
import {
  overrideKey,
  overridePrefix,
  placeOfKey,
  readOverride,
  type OverridePlace,
  type StoredOverride,
} from './stored-override.js'

/** Where the state is kept. */
const stateKey = 'flags/state'
/** How long after a watch has ended it is begun again. */
const rewatchMs = 500
/** So many overrides are written at a time. */
const overridesAtOnce = 100
/** So often a write is tried anew at once when others are faster. */
const maxRaces = 50

/** An override, and until when it holds. */
export interface OverrideUntil {
  readonly override: StoredOverride
  /** Epoch ms; `undefined` for ever. */
  readonly expiresAt: number | undefined
}

/** What is told to whoever holds the flags. */
export interface RuntimeListener {
  /** The state is another one. */
  onState(state: RuntimeState, before: RuntimeState): void
  /** An override was set or, `undefined`, removed. */
  onOverride(place: OverridePlace, override: OverrideUntil | undefined): void
  /** These are all overrides that there are. */
  onOverrides(all: readonly (readonly [OverridePlace, OverrideUntil])[]): void
  /** Whether what others change is seen here. */
  onFeed(isLive: boolean, why: string): void
}

/** How to reach the store. */
export interface SharedRuntimeOptions {
  readonly store: FlagStore
  readonly clock: Clock
  readonly timeoutMs: number
  readonly checkIntervalMs: number
}

interface Pending {
  readonly change: RuntimeChange
  /** The flag's last change when this one was made. */
  readonly basedOn: number
  /** The store was not reached in time. What is newer stands then, unless this one switches off. */
  isLate: boolean
  readonly settle: (isApplied: boolean) => void
  readonly fail: (error: Error) => void
}

/**
 * What was done to flags at run time, shared by all processes of a store.
 *
 * A change is in force here at once and in the store when it is reached: what is seen is what was stored, and upon it the
 * changes that wait. The state is one record with an epoch, which only grows: an older one never takes the place of a
 * newer one, and if the store has lost its state it is given it again. Overrides are records of their own.
 *
 * The watch tells what others change. It may be lost without a word, so the epoch is also asked for from time to time.
 */
export class SharedRuntime {
  readonly #options: SharedRuntimeOptions
  readonly #listener: RuntimeListener
  #stored: RuntimeState = untouched
  #seen: RuntimeState = untouched
  #pending: Pending[] = []
  readonly #pendingOverrides = new Map<string, OverrideUntil | undefined>()
  #flushing: Promise<void> | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #isLive: boolean | undefined
  #isLoaded = false
  #life: AbortController | undefined
  #cancelCheck: () => void = () => undefined

  constructor(options: SharedRuntimeOptions, listener: RuntimeListener) {
    this.#options = options
    this.#listener = listener
  }

  /** What holds here: what was stored, and what waits to be. */
  get state(): RuntimeState {
    return this.#seen
  }

  /**
   * Makes a change here at once, and in the store.
   *
   * @returns when it is stored; `false` when there it was nothing to do
   * @throws FlagStoreError when the store was not reached. It holds here nevertheless, and is stored later unless
   *   something newer is there by then
   */
  change(change: RuntimeChange): Promise<boolean> {
    const basedOn = epochOf(this.#seen, change)
    const stored = new Promise<boolean>((settle, fail) => {
      this.#pending.push({ change, basedOn, isLate: false, settle, fail })
    })
    this.#see(change.apply(this.#seen))
    void this.#flush()
    return stored
  }

  /** Sets an override, or removes it, here at once and in the store. Throws as {@link SharedRuntime.change} does. */
  setOverride(place: OverridePlace, override: OverrideUntil | undefined): Promise<boolean> {
    this.#pendingOverrides.set(overrideKey(place), override)
    return this.change(noteOverride())
  }

  /** Reads what is stored, and follows it. @throws when it cannot be read now; it is followed nevertheless */
  async start(): Promise<void> {
    if (this.#life !== undefined) return
    const life = new AbortController()
    this.#life = life
    try {
      await this.#inTurn(() => this.#load())
      this.#tellFeed(true, 'the store answers')
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
    if (this.#pending.length > 0) await this.#flush()
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
      await new Promise<void>((resolve) => {
        const cancel = this.#options.clock.after(rewatchMs, resolve)
        signal.addEventListener('abort', () => (cancel(), resolve()), { once: true })
      })
    }
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
      if (this.#pendingOverrides.has(notice.key)) return
      const override = notice.type === 'set' ? readOverride(notice.value) : undefined
      const expiresAt = notice.type === 'set' ? notice.expiresAt : undefined
      this.#listener.onOverride(place, override && { override, expiresAt })
    } else if (notice.key === stateKey && notice.type === 'set') {
      this.#adopt(fromJson(notice.value))
    }
  }

  async #load(): Promise<void> {
    await this.#readState()
    const all: [OverridePlace, OverrideUntil][] = []
    await this.#within('reading overrides', async () => {
      for await (const { key, value, expiresAt } of this.#options.store.scan({ prefix: overridePrefix })) {
        const place = placeOfKey(key)
        const override = readOverride(value)
        if (place !== undefined && override !== undefined && !this.#pendingOverrides.has(key)) {
          all.push([place, { override, expiresAt }])
        }
      }
    })
    for (const [key, override] of this.#pendingOverrides) {
      const place = placeOfKey(key)
      if (place !== undefined && override !== undefined) all.push([place, override])
    }
    this.#isLoaded = true
    this.#listener.onOverrides(all)
  }

  /** @returns whether there was something that had not been seen */
  async #readState(): Promise<boolean> {
    const entry = await this.#within('the store of flags', () => this.#options.store.entry(stateKey))
    const state = entry === undefined ? untouched : fromJson(entry.value)
    const isNew = state.epoch > this.#stored.epoch
    this.#adopt(state)
    // A store that was emptied, or brought back from a backup, is told what it has forgotten.
    if (state.epoch < this.#stored.epoch && this.#stored.epoch > 0) {
      await this.#within('the store of flags', () =>
        this.#options.store.compareAndSet(stateKey, entry?.version, toJson(this.#stored)),
      )
    }
    return isNew
  }

  #adopt(state: RuntimeState): void {
    if (state.epoch <= this.#stored.epoch) return
    this.#stored = state
    this.#look()
  }

  /** What is stored, and upon it what waits. */
  #look(): void {
    this.#see(this.#pending.reduce((state, { change }) => change.apply(state), this.#stored))
  }

  #see(seen: RuntimeState): void {
    const before = this.#seen
    if (seen === before) return
    this.#seen = seen
    this.#listener.onState(seen, before)
  }

  #flush(): Promise<void> {
    if (this.#flushing !== undefined) return this.#flushing
    if (this.#pending.length === 0) return Promise.resolve()
    this.#flushing = this.#storeAll()
    return this.#flushing
  }

  async #storeAll(): Promise<void> {
    try {
      for (let race = 0; this.#pending.length > 0; race++) {
        if (race > maxRaces) throw new Error('others write to the store of flags all the time')
        await this.#storeOverrides()
        if (await this.#storeOnce()) race = 0
      }
      this.#tellFeed(true, 'the store answers')
    } catch (error) {
      this.#tellFeed(false, describeError(error))
      for (const late of this.#pending) {
        late.isLate = true
        late.fail(new FlagStoreError(error))
      }
    } finally {
      // In the same turn in which nothing was left: what comes from now on begins anew.
      this.#flushing = undefined
    }
  }

  async #storeOverrides(): Promise<void> {
    const { store } = this.#options
    while (this.#pendingOverrides.size > 0) {
      // Together, so that a store that commits in groups can.
      const some = [...this.#pendingOverrides].slice(0, overridesAtOnce)
      await this.#within('the store of flags', () =>
        Promise.all(
          some.map(([key, override]) =>
            override === undefined
              ? store.delete(key)
              : store.set(key, plain(override.override), { expiresAt: override.expiresAt }),
          ),
        ),
      )
      for (const [key, override] of some) {
        if (this.#pendingOverrides.get(key) === override) this.#pendingOverrides.delete(key)
      }
    }
  }

  /** @returns whether what waited is stored, rather than that somebody else was first */
  async #storeOnce(): Promise<boolean> {
    const pending = [...this.#pending]
    const entry = await this.#within('the store of flags', () => this.#options.store.entry(stateKey))
    const found = entry === undefined ? untouched : fromJson(entry.value)
    const from = found.epoch < this.#stored.epoch ? this.#stored : found
    const outcomes: boolean[] = []
    let next = from
    for (const { change, basedOn, isLate } of pending) {
      const before = next
      const isSuperseded = isLate && !change.isOff && epochOf(from, change) > basedOn
      if (!isSuperseded) next = change.apply(next)
      outcomes.push(next !== before)
    }
    if (next !== found) {
      const stored = await this.#within('the store of flags', () =>
        this.#options.store.compareAndSet(stateKey, entry?.version, toJson(next)),
      )
      if (stored === undefined) return false
    }
    this.#stored = next
    this.#pending.splice(0, pending.length)
    this.#look()
    for (const [i, { settle }] of pending.entries()) settle(outcomes[i] === true)
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
        if ((await this.#readState()) || !this.#isLoaded) await this.#load()
      })
      this.#tellFeed(true, 'the store answers again')
      if (this.#pending.length > 0) await this.#flush()
    } catch (error) {
      this.#tellFeed(false, describeError(error))
    }
  }

  #tellFeed(isLive: boolean, why: string): void {
    if (this.#life === undefined) return
    if (this.#isLive === isLive) return
    this.#isLive = isLive
    this.#listener.onFeed(isLive, why)
  }

  #within<T>(what: string, work: () => Promise<T>): Promise<T> {
    return within(this.#options.clock, this.#options.timeoutMs, what, work)
  }
}

/** The epoch of the last change of what a change is about. */
function epochOf(state: RuntimeState, { flag }: RuntimeChange): number {
  return flag === undefined ? 0 : (state.flags.get(flag)?.changed.epoch ?? 0)
}
