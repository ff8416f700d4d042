import { within } from './deadline.js'
import { ExpiryWatch } from './expiry-watch.js'
import { FlagNews, type NewsHost } from './flag-news.js'
import { Layers } from './layers.js'
import { LifeCycle, untilOver } from './life-cycle.js'
import type { featureFlagsDefaults, FeatureFlagsOptions } from './options.js'
import { describeError } from './outcome.js'
import { OverrideBook } from './override-book.js'
import type { Clock } from './ports.js'
import { Runner } from './runner.js'
import { LocalRuntime, type Runtime } from './runtime.js'
import { tripOf, type RuntimeState } from './runtime-state.js'
import { SharedRuntime, type RuntimeListener } from './shared-runtime.js'
import { SourceReader } from './source-reader.js'
import { systemClock } from './system-clock.js'
import type { Table } from './table.js'

/** The parts of {@link FeatureFlags}, put together: what each of them tells goes to those whom it concerns. */
export class FlagMachine {
  readonly clock: Clock
  /** Names this process among all that share a store. */
  readonly process: string
  readonly layers: Layers
  readonly overrides: OverrideBook
  readonly runtime: Runtime
  /** Where trips are kept: with everything else, or in this process alone. */
  readonly trips: Runtime
  readonly runner: Runner
  readonly news: FlagNews
  readonly life: LifeCycle = new LifeCycle({ begin: (over) => this.#begin(over), end: () => this.#end() })
  readonly currentTable = (): Table => this.layers.current
  readonly #settings: typeof featureFlagsDefaults
  readonly #sources: SourceReader
  readonly #expiry: ExpiryWatch
  /** Whether the overrides of the store were ever read: those that were there before that are no news. */
  #knowsOverrides = false

  /** @throws TypeError, RangeError when a flag, a segment or an environment variable is not as it must be */
  constructor(options: FeatureFlagsOptions, settings: typeof featureFlagsDefaults, emitter: NewsHost['emitter']) {
    this.#settings = settings
    const { timeoutMs, startTimeoutMs, checkIntervalMs, tripScope } = settings
    const clock = options.clock ?? systemClock
    this.clock = clock
    // Not from `node:crypto`, which takes milliseconds to load.
    this.process = options.store === undefined ? 'this process' : globalThis.crypto.randomUUID()
    this.layers = new Layers({
      definitions: options.flags,
      segments: options.segments ?? {},
      patterns: settings.patterns,
      attributes: options.attributes === undefined ? undefined : Object.keys(options.attributes),
      environment: options.environment ?? process.env,
      at: clock.now(),
      sharesTrips: tripScope === 'shared',
      awaitsDocuments: (options.sources ?? []).length > 0,
    })
    this.news = new FlagNews({ emitter, clock, process: this.process, epoch: () => this.runtime.state.epoch })
    this.overrides = new OverrideBook(
      this.layers,
      clock,
      (turn) => this.news.tellOverride(this.layers.current, turn, this.news.cause({ why: 'its time is over' })),
      checkIntervalMs,
    )
    const listener = this.#listener()
    this.runtime =
      options.store === undefined
        ? new LocalRuntime(listener)
        : new SharedRuntime(
            { store: options.store, clock, process: this.process, timeoutMs, checkIntervalMs },
            listener,
          )
    this.trips =
      tripScope === 'shared'
        ? this.runtime
        : new LocalRuntime({
            ...listener,
            onState: (trips) => this.news.tellSwap(this.currentTable, () => this.layers.applyTrips(trips)),
          })
    this.runner = new Runner({
      clock,
      limits: settings,
      runtime: this.trips,
      sharesTrips: this.trips === this.runtime,
      timeoutMs,
      isUserError: options.isUserError,
      current: this.currentTable,
      cause: (why) => this.news.cause({ why }),
      isStale: () => this.news.feed === 'stale',
      tellFailed: (failure) => this.news.tellFailed(failure),
      tellRan: () => this.news.ranTeller,
    })
    this.#expiry = new ExpiryWatch({
      clock,
      everyMs: checkIntervalMs,
      current: this.currentTable,
      tell: (expiry) => this.news.tellExpired(expiry),
    })
    this.#sources = new SourceReader(options.sources ?? [], {
      clock,
      timeoutMs: startTimeoutMs,
      apply: (index, name, document) => this.#applyDocument(index, name, document),
      refuse: (name, error) => this.news.tellRefused(name, error),
    })
  }

  async #begin(over: AbortSignal): Promise<void> {
    this.overrides.resume()
    await this.#sources.start(over)
    if (over.aborted) return
    this.layers.documentsRead()
    // What is out of reach now is followed nevertheless.
    const began = within(this.clock, this.#settings.startTimeoutMs, 'the store of flags', () =>
      untilOver(over, this.runtime.start()),
    )
    await began.catch((error: unknown) => this.news.tellFeed(false, describeError(error)))
    if (!over.aborted) this.#expiry.start()
  }

  async #end(): Promise<void> {
    this.overrides.stop()
    this.#expiry.stop()
    try {
      await Promise.all([this.#sources.stop(), this.runtime.stop()])
    } finally {
      this.news.endFeed()
    }
  }

  /** What was done at run time, here or elsewhere, takes effect. */
  #listener(): RuntimeListener {
    return {
      onState: (state, before) => this.#applyState(state, before),
      onOverride: (place, until) => {
        const turn = this.overrides.set(place, until)
        if (turn !== undefined) this.news.tellOverride(this.layers.current, turn, until?.override)
      },
      onOverrides: (all) => {
        const isNews = this.#knowsOverrides
        this.#knowsOverrides = true
        const turns = this.overrides.replace(all)
        if (!isNews) return
        for (const turn of turns) this.news.tellOverride(this.layers.current, turn, turn.to?.override)
      },
      overrides: () => this.overrides.entries(),
      onFeed: (isLive, why) => this.news.tellFeed(isLive, why),
    }
  }

  #applyState(state: RuntimeState, before: RuntimeState): void {
    if (state.flags === before.flags && state.killed === before.killed) return
    this.news.tellSwap(this.currentTable, () => this.layers.applyRuntime(state), state.killChanged)
    if (this.trips !== this.runtime) return
    for (const name of this.layers.current.flags.keys()) {
      const trip = tripOf(state, name)
      if (trip?.trials !== tripOf(before, name)?.trials) this.runner.follow(name, trip)
    }
  }

  #applyDocument(index: number, name: string, document: unknown): void {
    const { flags: before } = this.layers.current
    const cause = this.news.cause({ why: `${name} says so` })
    const apply = (): void => {
      this.layers.applyDocument(index, name, document, cause.at)
      const { flags } = this.layers.current
      const isAnother = (flag: string): boolean => flags.get(flag)?.record.spec !== before.get(flag)?.record.spec
      this.overrides.renew(new Set([...flags.keys()].filter(isAnother)))
    }
    this.news.tellSwap(this.currentTable, apply, cause, cause)
  }
}
