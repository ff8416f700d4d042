import type { StoreChange } from '../events.js'
import type { Settings } from '../options.js'
import type { StateStore } from '../ports.js'
import type { Ask } from '../transitions.js'
import { sentence } from '../why.js'
import { SharedAsks } from './shared-asks.js'
import { SharedOverride, type Deed } from './shared-override.js'
import { ModeStoreError, StateFormatError } from './state-errors.js'
import { StoreLink } from './store-link.js'

/** Who hears of the store. */
export interface StateListener {
  /** Somebody else set a mode by hand or handed it back. */
  onDeed(deed: Deed): void
  /** What the other processes ask for. */
  onAsks(asks: readonly Ask[]): void
  /** The store can be followed no more, or again. Told once. */
  onReach(change: StoreChange): void
}

/** What processes that have the same store know of one another. In a dry run nothing is written. */
export class SharedState {
  readonly #settings: Settings
  readonly #link: StoreLink
  readonly #override: SharedOverride
  readonly #asks: SharedAsks | undefined
  readonly #listener: StateListener
  #isReached = true

  constructor(settings: Settings, store: StateStore, listener: StateListener) {
    const { clock, modes, name, storeTimeoutMs: timeoutMs } = settings
    this.#settings = settings
    this.#listener = listener
    const prefix = `modes/${name}/`
    const link = new StoreLink({
      store,
      clock,
      prefix,
      timeoutMs,
      look: () => this.#look(),
      tell: (failure) => this.#tell(failure),
    })
    this.#link = link
    const common = { clock, modes, link, dryRun: settings.dryRun }
    this.#override = new SharedOverride({
      ...common,
      key: `${prefix}override`,
      follow: (deed) => listener.onDeed(deed),
    })
    if (settings.rules.some(({ shared }) => shared === true)) {
      this.#asks = new SharedAsks({ ...common, key: `${prefix}asks`, follow: (asks) => listener.onAsks(asks) })
    }
  }

  /** Reads and follows. A store that cannot be reached is followed once it can be. @throws StateFormatError */
  async start(): Promise<void> {
    try {
      await this.#link.start()
    } catch (error) {
      if (error instanceof StateFormatError) throw error
    }
  }

  /** Follows no longer. What waits is tried once more, and what this process asked for is withdrawn. */
  async stop(): Promise<void> {
    this.#link.stop()
    this.ask(undefined)
    if (!this.#override.isWaiting && this.#asks?.isStored !== false) return
    await this.#link.inTurn(() => this.#look()).catch(() => undefined)
  }

  /** What this process asks of the others. */
  ask(own: Ask | undefined): void {
    if (!this.#settings.dryRun) this.#asks?.ask(own)
  }

  /** Stores what was done by hand here. @throws ModeStoreError, StateFormatError */
  async store(deed: Deed): Promise<void> {
    try {
      await this.#override.store(deed)
    } catch (error) {
      throw error instanceof StateFormatError ? error : new ModeStoreError(error)
    }
  }

  /** Neither keeps the other from being followed, nor waiting. */
  async #look(): Promise<void> {
    const looks = await Promise.allSettled([this.#override.look(), this.#asks?.look()])
    const failed = looks.find((look) => look.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  #tell(failure: { readonly why: string } | undefined): void {
    const isReached = failure === undefined
    if (isReached === this.#isReached) return
    this.#isReached = isReached
    const names = ['reachable', 'unreachable'] as const
    const why = failure?.why ?? 'it answers again'
    this.#listener.onReach({
      what: 'store',
      from: names[isReached ? 1 : 0],
      to: names[isReached ? 0 : 1],
      at: this.#settings.clock.now(),
      why,
      severity: isReached ? 'INFO' : 'WARNING',
      message: isReached
        ? 'The store of the modes can be followed again.'
        : sentence(`The store of the modes cannot be followed, and what was last known holds: ${why}`),
    })
  }
}
