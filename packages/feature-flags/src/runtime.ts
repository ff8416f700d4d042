import { noteOverride, untouched, type RuntimeChange, type RuntimeState } from './runtime-state.js'
import type { RuntimeListener } from './shared-runtime.js'
import type { OverridePlace, OverrideUntil } from './stored-override.js'

/** What was done to flags at run time, wherever it is kept. */
export interface Runtime {
  /** What holds here. */
  readonly state: RuntimeState
  /** That of the state that is kept. */
  readonly epoch: number
  /** Makes a change here at once. Resolves when it is kept; `false` when there was nothing to do. */
  change(change: RuntimeChange): Promise<boolean>
  /** Sets an override, or removes it, in the same way. */
  setOverride(
    place: OverridePlace,
    until: OverrideUntil | undefined,
    before: OverrideUntil | undefined,
  ): Promise<boolean>
  start(): Promise<void>
  stop(): Promise<void>
}

/** What belongs to this process and ends with it. */
export class LocalRuntime implements Runtime {
  readonly #listener: RuntimeListener
  #state = untouched

  constructor(listener: RuntimeListener) {
    this.#listener = listener
  }

  get state(): RuntimeState {
    return this.#state
  }

  get epoch(): number {
    return this.#state.epoch
  }

  change(change: RuntimeChange): Promise<boolean> {
    const before = this.#state
    this.#state = change.apply(before)
    if (this.#state !== before) this.#listener.onState(this.#state, before)
    return Promise.resolve(this.#state !== before)
  }

  setOverride(): Promise<boolean> {
    return this.change(noteOverride())
  }

  start(): Promise<void> {
    return Promise.resolve()
  }

  stop(): Promise<void> {
    return Promise.resolve()
  }
}
