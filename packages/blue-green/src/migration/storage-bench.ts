import type { Attempt, Bench, Trial } from './bench.js'
import type { Copies } from './copies.js'
import type { WritableStorage } from './ports.js'
import { rowsOf, snapshotOf, writeRows } from './snapshot.js'
import { type CallHooks, WatchedStorage } from './watched-storage.js'

/** Trials on copies of one store, which is itself a copy and is never migrated. */
export class StorageBench<S extends WritableStorage> implements Bench<S> {
  readonly #copies: Copies<S>
  readonly #original: S

  constructor(copies: Copies<S>, original: S) {
    this.#copies = copies
    this.#original = original
  }

  async trial(signal: AbortSignal, maxRows: number = Infinity): Promise<StorageTrial<S>> {
    const copy = await this.#copies.open()
    await writeRows(copy, rowsOf(this.#original, signal, maxRows), signal)
    return new StorageTrial(copy, () => this.#copies.close(copy))
  }
}

/** One copy of a store. */
export class StorageTrial<S extends WritableStorage> implements Trial<S> {
  /** The copy itself, past all hooks. */
  readonly copy: S
  readonly close: () => Promise<void>

  constructor(copy: S, close: () => Promise<void>) {
    this.copy = copy
    this.close = close
  }

  attempt(hooks?: CallHooks): Attempt<S> {
    return new WatchedStorage(this.copy, hooks)
  }

  snapshot(signal: AbortSignal): ReturnType<typeof snapshotOf> {
    return snapshotOf(this.copy, signal)
  }
}
