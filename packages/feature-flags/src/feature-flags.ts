import { EventEmitter } from 'eventemitter3'
import { Announcer } from './announcer.js'
import type { AttributeTypes, ContextArgument, ContextFor, TypedContext } from './attributes.js'
import { changesBetween, feedChange, overrideChange, type Occasion } from './changes.js'
import type { CountedGuild, CountedUser } from './counted-id.js'
import { idText, Subject, type BucketBy, type FlagContext, type OverrideTarget } from './context.js'
import { within } from './deadline.js'
import { isOnFor } from './decide.js'
import type {
  BooleanFlagName,
  FlagDefinitions,
  FlagName,
  FlagValue,
  FoundFlag,
  OverrideValue,
  VariantAnswer,
  VariantFlagName,
} from './definitions.js'
import { FlagHeldOffError } from './errors.js'
import { ExpiryWatch } from './expiry-watch.js'
import { evaluate, explain, type Evaluation, type Explanation } from './explain.js'
import { countedVariant, FlagHandle, VariantHandle } from './handle.js'
import { Layers } from './layers.js'
import { LifeCycle, untilOver } from './life-cycle.js'
import type { ChangeReason, FlagChange, FlagEvents, FlagStatus, OverrideReason, RanCall } from './news.js'
import { checkOptions, type featureFlagsDefaults, type FeatureFlagsOptions } from './options.js'
import { describeError } from './outcome.js'
import { OverrideBook, type OverrideTurn } from './override-book.js'
import type { Clock } from './ports.js'
import { Runner } from './runner.js'
import { LocalRuntime, type Runtime } from './runtime.js'
import * as changes from './runtime-state.js'
import { FlagScope, type RunOptions, type ScopedRun } from './scope.js'
import { literal } from './setting-problem.js'
import { percentageInCode, shareInCode } from './share.js'
import { SharedRuntime, type RuntimeListener } from './shared-runtime.js'
import { SourceReader } from './source-reader.js'
import type { OverridePlace } from './stored-override.js'
import { systemClock } from './system-clock.js'
import {
  count,
  findBooleanFlag,
  findFlag,
  findVariantFlag,
  percentageOf,
  type Cause,
  type FlagShare,
  type Table,
} from './table.js'
import { listed } from './variants.js'

/**
 * Decides which guilds and users get which code, and says why.
 *
 * @remarks
 * Every answer comes from memory, at once. The rules are asked in this order, and the first that applies answers: all
 * flags off; disabled by hand; fallen back; a required flag that is off for this context; environment; override of the
 * user; override of the guild; target guilds of a rollout; targeting rules; percentage; default.
 *
 * *Gotchas*: without a `store`, changes live in this process and end with it. An id keeps its place in the order of a flag's salt, in every
 * process and for ever, but a flag that gets its first `requires` takes over the salt of what it requires.
 *
 * @example
 * ```ts
 * import { FeatureFlags } from '@evenkeel/feature-flags'
 *
 * const flags = new FeatureFlags({
 *   flags: {
 *     search: { default: true },
 *     newSearch: { percentage: 25, by: 'guild', requires: ['search'] },
 *   },
 * })
 * const context = { guildId: '81384788765712384' }
 * flags.override('newSearch', context, true, { why: 'beta testers' })
 * console.log(flags.isEnabled('newSearch', context)) // => true
 * flags.disable('search', { why: 'the index is being rebuilt' })
 * console.log(flags.explain('newSearch', context).reason) // => required
 * ```
 */
export class FeatureFlags<
  const D extends FlagDefinitions = FlagDefinitions,
  const A extends AttributeTypes = AttributeTypes,
  const S extends string = never,
>
  extends EventEmitter<FlagEvents>
  implements AsyncDisposable
{
  /** Names this process among all that share a store. */
  readonly #process: string
  readonly #clock: Clock
  readonly #options: typeof featureFlagsDefaults
  readonly #layers: Layers
  readonly #overrides: OverrideBook
  readonly #runtime: Runtime
  /** Where trips are kept: with everything else, or in this process alone. */
  readonly #trips: Runtime
  readonly #runner: Runner
  readonly #sources: SourceReader
  readonly #lastChanges = new Map<string, FlagChange>()
  readonly #announcer = new Announcer()
  readonly #expiry: ExpiryWatch
  readonly #life = new LifeCycle({ begin: (over) => this.#begin(over), end: () => this.#end() })
  #overridesSet = 0
  readonly #currentTable = (): Table => this.#layers.current
  readonly #runInScope: ScopedRun = (...call) => this.#runner.run(...call)
  #feed: 'none' | 'live' | 'stale' = 'none'
  /** Whether the overrides of the store were ever read: those that were there before that are no news. */
  #knowsOverrides = false
  #epochTold = 0

  /**
   * @param options - the flags, and what they need
   * @throws TypeError or RangeError when a flag, an option or an environment variable has a value that it cannot have,
   *   when a flag requires one that is not declared, or when flags require one another in a circle
   */
  constructor(options: FeatureFlagsOptions<D, A, S>) {
    super()
    this.#options = checkOptions(options)
    // Not from `node:crypto`, which takes milliseconds to load.
    this.#process = options.store === undefined ? 'this process' : globalThis.crypto.randomUUID()
    this.#clock = options.clock ?? systemClock
    this.#layers = new Layers({
      definitions: options.flags,
      segments: options.segments ?? {},
      patterns: this.#options.patterns,
      attributes: options.attributes === undefined ? undefined : Object.keys(options.attributes),
      environment: options.environment ?? process.env,
      at: this.#clock.now(),
      sharesTrips: this.#options.tripScope === 'shared',
      awaitsDocuments: (options.sources ?? []).length > 0,
    })
    const { timeoutMs, startTimeoutMs, checkIntervalMs, tripScope } = this.#options
    const tellOver = (turn: OverrideTurn): void => this.#tellOverride(turn, this.#cause({ why: 'its time is over' }))
    this.#overrides = new OverrideBook(this.#layers, this.#clock, tellOver, checkIntervalMs)
    const listener = this.#listener()
    this.#runtime =
      options.store === undefined
        ? new LocalRuntime(listener)
        : new SharedRuntime(
            { store: options.store, clock: this.#clock, process: this.#process, timeoutMs, checkIntervalMs },
            listener,
          )
    this.#trips =
      tripScope === 'shared'
        ? this.#runtime
        : new LocalRuntime({ ...listener, onState: (trips) => this.#swap(() => this.#layers.applyTrips(trips)) })
    this.#runner = this.#newRunner(options.isUserError)
    this.#expiry = new ExpiryWatch({
      clock: this.#clock,
      everyMs: checkIntervalMs,
      current: this.#currentTable,
      tell: (expiry) => this.#announcer.announce([() => this.emit('expired', { ...expiry, epoch: this.#epoch() })]),
    })
    this.#sources = new SourceReader(options.sources ?? [], {
      clock: this.#clock,
      timeoutMs: startTimeoutMs,
      apply: (index, name, document) => this.#applyDocument(index, name, document),
      refuse: (name, error) => this.#refuse(name, error),
    })
  }

  /** The names of all flags, each after those that it requires. */
  get names(): readonly FlagName<D>[] {
    return [...this.#layers.current.flags.keys()] as FlagName<D>[]
  }

  /** The number of the state of all that was changed while running. It only grows, also between processes of one store. */
  get epoch(): number {
    return this.#runtime.epoch
  }

  /**
   * Whether what other processes change is seen: `live`; or `stale`, while the store cannot be reached and flags answer
   * from what was seen last; `none` without a store, and before `start()`.
   */
  get feed(): 'none' | 'live' | 'stale' {
    return this.#feed
  }

  /**
   * Reads the sources and the store, and follows them. May be called twice, also while they stop.
   *
   * A store that cannot be reached is no reason not to start: the flags are `stale` then, and catch up by themselves.
   *
   * @returns when they follow, or when `stop()` was called before they did
   * @throws {@link FlagDocumentError} when a source has no document that can be used, or none within `startTimeoutMs`
   */
  start(): Promise<void> {
    return this.#life.start()
  }

  /** Follows nothing any more, and answers on from what was seen last. May be called twice, also while they start. */
  stop(): Promise<void> {
    return this.#life.stop()
  }

  /** The same as `stop`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /**
   * Whether a flag is on for a guild or a user.
   *
   * @param name - a flag that is on or off
   * @param context - for whom; without one, percentages between 0 and 100 leave the answer to the default
   * @throws {@link UnknownFlagError} when there is no such flag
   * @throws TypeError or RangeError when an id is no id, or a number that may have lost digits
   */
  isEnabled<K extends BooleanFlagName<D>>(name: K, ...context: ContextArgument<ContextFor<D, K, A>>): boolean
  isEnabled(name: string, context?: FlagContext): boolean {
    const flag = findBooleanFlag(this.#layers.current, name)
    const isOn = isOnFor(flag, context)
    count(flag, isOn ? 1 : 0)
    return isOn
  }

  /**
   * The variant of a flag for a guild or a user.
   *
   * @param name - a flag with variants
   * @param context - for whom; without one, the weights leave the answer to the default
   * @throws {@link UnknownFlagError} when there is no such flag
   * @throws TypeError or RangeError when an id is no id, or a number that may have lost digits
   */
  variant<K extends VariantFlagName<D>>(name: K, ...context: ContextArgument<ContextFor<D, K, A>>): VariantAnswer<D, K>
  variant(name: string, context?: FlagContext): unknown {
    return countedVariant(findVariantFlag(this.#layers.current, name), new Subject(context))
  }

  /**
   * A flag, found by its name once: asking it is faster, and a misspelt name is found at start.
   *
   * @param name - any flag
   * @throws {@link UnknownFlagError} when there is no such flag
   */
  flag<K extends VariantFlagName<D>>(name: K): VariantHandle<VariantAnswer<D, K>, ContextFor<D, K, A>>
  flag<K extends BooleanFlagName<D>>(name: K): FlagHandle<ContextFor<D, K, A>>
  flag(name: string): unknown {
    const { record } = findFlag(this.#layers.current, name)
    return record.spec.kind === 'variant'
      ? new VariantHandle(name, record.slot, this.#currentTable)
      : new FlagHandle(name, record.slot, this.#currentTable)
  }

  /**
   * The answer and how it came about: which rule, of which flag. Slower than asking alone; meant for people.
   *
   * @param name - any flag
   * @param context - for whom
   * @throws {@link UnknownFlagError} when there is no such flag
   */
  explain<K extends FlagName<D>>(
    name: K,
    ...context: ContextArgument<ContextFor<D, K, A>>
  ): Explanation<FlagValue<D, K>>
  explain(name: string, context?: FlagContext): Explanation<unknown> {
    const { record } = findFlag(this.#layers.current, name)
    return explain(record, this.#layers.current, new Subject(context))
  }

  /**
   * The answer and which rule gave it, for whoever handles flags of any kind: a few times as much work as asking alone.
   *
   * @param name - any flag
   * @param context - for whom
   * @throws {@link UnknownFlagError} when there is no such flag
   * @throws TypeError or RangeError when an id is no id, or a number that may have lost digits
   */
  evaluate<K extends FlagName<D>>(
    name: K,
    ...context: ContextArgument<ContextFor<D, K, A>>
  ): Evaluation<FlagValue<D, K>>
  evaluate(name: string, context?: FlagContext): Evaluation<unknown> {
    const table = this.#layers.current
    return evaluate(findFlag(table, name), table, new Subject(context))
  }

  /**
   * The flags for one guild and user as they are now. All its answers come from this moment, however the flags change
   * meanwhile, so one handler never sees two truths. It also hashes the ids once for all its answers.
   *
   * @param context - for whom. The scope answers for the flags that count ids which it says, be it as `null`
   */
  for(context: TypedContext<A> & CountedGuild & CountedUser): FlagScope<D>
  for(context: TypedContext<A> & CountedGuild): FlagScope<D, 'user'>
  for(context: TypedContext<A> & CountedUser): FlagScope<D, 'guild'>
  for(
    ...context: AttributeTypes extends A ? [context?: FlagContext] : [context: TypedContext<A>]
  ): FlagScope<D, BucketBy>
  for(context?: FlagContext): unknown {
    return new FlagScope<D>(this.#layers.hold(), new Subject(context), this.#runInScope)
  }

  /**
   * Runs the new path where the flag is on, and the old path where it is off or the new one fails.
   *
   * @remarks
   * When the new path fails often enough the flag falls back: it is off for everyone, and so is all that requires it.
   * After a delay one call at a time tries the new path again; a success brings the flag back.
   *
   * *Gotchas*: there is no deadline here, so a path that never settles is never served by the other. After an error
   * that leaves open whether the new path took effect (its `applied` is `'unknown'`, or it is a timeout, an abort or a
   * lost connection) the caller gets that error and the old path does not run, unless the call is `idempotent`. Any
   * other error is taken to mean that nothing was done.
   *
   * @param name - a flag that is on or off
   * @param context - for whom
   * @param on - the new path
   * @param off - the old path
   * @param options - how to treat this call
   * @returns what the path that served returns; it rejects as that path does
   */
  async run<K extends BooleanFlagName<D>, On, Off>(
    name: K,
    context: ContextFor<D, K, A>,
    on: () => On | PromiseLike<On>,
    off: () => Off | PromiseLike<Off>,
    options?: RunOptions,
  ): Promise<On | Off> {
    return this.#runner.run(name, this.#layers.current, new Subject(context), on, off, options)
  }

  /**
   * Whether there is a flag of this name, in the code or in a source. A name from outside may then be asked for; whether
   * its flag is on or off or has variants is known only at run time: {@link FeatureFlags.hasVariants} tells.
   *
   * @param name - any text
   */
  has(name: string): name is FoundFlag {
    return this.#layers.current.flags.has(name)
  }

  /**
   * Whether there is a flag of this name that has variants, so that `variant` answers and `isEnabled` throws.
   *
   * @param name - any text
   */
  hasVariants(name: string): name is VariantFlagName<D> {
    return this.#layers.current.flags.get(name)?.kind === 'variant'
  }

  /**
   * What a flag is like at present.
   *
   * @param name - any flag
   * @throws {@link UnknownFlagError} when there is no such flag
   */
  status(name: FlagName<D>): FlagStatus {
    const table = this.#layers.current
    const { record, state: ownState } = findFlag(table, name)
    const { spec, runtime, usage } = record
    const state = table.killed === undefined ? ownState : 'all-off'
    const retryAtMs = state === 'fallen-back' ? this.#runner.retryAtMs(name) : undefined
    const leftMs = retryAtMs === undefined ? undefined : Math.max(0, retryAtMs - this.#clock.monotonic())
    const answers = spec.kind === 'variant' ? spec.variants.names : ['off', 'on']
    return {
      name,
      description: spec.description,
      owner: spec.owner,
      state,
      by: spec.by,
      percentage: percentageOf(record),
      share: runtime?.share,
      guildOverrides: record.guilds.size,
      userOverrides: record.users.size,
      retryAt: leftMs === undefined ? undefined : Math.round(this.#clock.now() + leftMs),
      expiresAt: spec.expiresAt,
      isExpired: spec.expiresAt !== undefined && spec.expiresAt <= this.#clock.now(),
      usage: Object.fromEntries(answers.map((answer, i) => [answer, usage[i] ?? 0])),
      lastChange: this.#lastChanges.get(name),
    }
  }

  /**
   * Switches a flag off for everyone, and with it all that requires it. A flag with variants gives its default.
   *
   * @param name - any flag
   * @param reason - why, and by whom; the first reason stays if it is disabled already
   * @returns when it is stored; it is in force here at once
   * @throws {@link FlagStoreError} when the store is out of reach
   */
  disable(name: FlagName<D>, reason: ChangeReason): Promise<void> {
    const cause = this.#cause(reason)
    findFlag(this.#layers.current, name)
    return this.#change(changes.disable(name, cause))
  }

  /**
   * Gives a flag that was disabled or has fallen back to its own rules again. Failures counted so far are forgotten.
   *
   * @param name - any flag
   * @param reason - why, and by whom
   * @returns when it is stored; it is in force here at once
   * @throws {@link FlagHeldOffError} by rejection, when the code or a source says `enabled: false`: that is changed there
   * @throws {@link FlagStoreError} when the store is out of reach
   */
  enable(name: FlagName<D>, reason: ChangeReason): Promise<void> {
    const cause = this.#cause(reason)
    const { spec } = findFlag(this.#layers.current, name).record
    if (spec.offWhy !== undefined) return calm(Promise.reject(new FlagHeldOffError(name, spec.offWhy)))
    this.#runner.reset(name)
    if (this.#trips !== this.#runtime) void this.#trips.change(changes.enable(name, cause))
    return this.#change(changes.enable(name, cause))
  }

  /**
   * Switches every flag off, and gives every variant its default, until {@link FeatureFlags.enableAll}.
   *
   * @param reason - why, and by whom; the first reason stays if all are off already
   * @returns when it is stored; it is in force here at once
   * @throws {@link FlagStoreError} when the store is out of reach
   */
  disableAll(reason: ChangeReason): Promise<void> {
    return this.#change(changes.killAll(this.#cause(reason)))
  }

  /**
   * Gives every flag to its own rules again. What was disabled by name stays so, and so does what `EVENKEEL_FLAGS=off` or a
   * source switches off.
   *
   * @param reason - why, and by whom
   * @returns when it is stored; it is in force here at once
   * @throws {@link FlagStoreError} when the store is out of reach
   */
  enableAll(reason: ChangeReason): Promise<void> {
    return this.#change(changes.reviveAll(this.#cause(reason)))
  }

  /**
   * Sets the share of guilds or users for whom a flag is on. Raising it only ever adds some.
   *
   * @param name - a flag that is on or off
   * @param percentage - 0 to 100
   * @param reason - why, and by whom
   * @returns when it is stored; it is in force here at once
   * @throws RangeError when the percentage is below 0 or above 100
   * @throws {@link FlagStoreError} when the store is out of reach
   */
  setPercentage(name: BooleanFlagName<D>, percentage: number, reason: ChangeReason): Promise<void> {
    const cause = this.#cause(reason)
    findBooleanFlag(this.#layers.current, name)
    return this.#change(changes.setPercentage(name, percentageInCode(name, percentage), cause))
  }

  /**
   * Gives a flag the share of a rollout: a percentage, and guilds that have it whatever the percentage.
   *
   * @param name - a flag that is on or off
   * @param share - its sequence grows with each share of the flag: one that comes late does not undo a newer one
   * @param reason - why, and by whom
   * @returns `false` when a share of this sequence or a later one is in force already
   * @throws RangeError when the percentage is below 0 or above 100, or the sequence is no whole number above 0
   * @throws {@link FlagStoreError} when the store is out of reach
   */
  setShare(name: BooleanFlagName<D>, share: FlagShare, reason: ChangeReason): Promise<boolean> {
    const cause = this.#cause(reason)
    findBooleanFlag(this.#layers.current, name)
    return calm(this.#runtime.change(changes.share(name, shareInCode(name, share), cause)))
  }

  /**
   * The share that a rollout has given to a flag last; `undefined` for none.
   *
   * @param name - any flag
   */
  share(name: FlagName<D>): FlagShare | undefined {
    return findFlag(this.#layers.current, name).record.runtime?.share
  }

  /**
   * Sets the answer for one guild or one user, whatever the percentage. That of the user goes before that of the guild.
   *
   * @param name - any flag
   * @param target - one guild, or one user
   * @param value - the answer: on or off, or the name of a variant
   * @param reason - why, by whom, and for how long
   * @returns when it is stored; it is in force here at once
   * @throws {@link FlagStoreError} when the store is out of reach
   */
  override<K extends FlagName<D>>(
    name: K,
    target: OverrideTarget,
    value: OverrideValue<D, K>,
    reason: OverrideReason,
  ): Promise<void> {
    const { spec } = findFlag(this.#layers.current, name).record
    const what = `An override of ${JSON.stringify(name)}`
    if (spec.kind === 'variant') {
      const index = typeof value === 'string' ? spec.variants.indexes.get(value) : undefined
      if (index === undefined) throw new TypeError(`${what} is one of ${listed(spec.variants)}, not ${literal(value)}`)
      return this.#setOverride(name, target, spec.variants.names[index], reason)
    }
    if (typeof value !== 'boolean') throw new TypeError(`${what} is one of true, false, not ${literal(value)}`)
    return this.#setOverride(name, target, value, reason)
  }

  /**
   * Takes an override back.
   *
   * @param name - any flag
   * @param target - the guild or the user that it was for
   * @param reason - why, and by whom
   * @returns when it is stored; it is in force here at once
   * @throws {@link FlagStoreError} when the store is out of reach
   */
  removeOverride(name: FlagName<D>, target: OverrideTarget, reason: ChangeReason): Promise<void> {
    return this.#setOverride(name, target, undefined, reason)
  }

  async #begin(over: AbortSignal): Promise<void> {
    this.#overrides.resume()
    await this.#sources.start(over)
    if (over.aborted) return
    this.#layers.documentsRead()
    const { startTimeoutMs } = this.#options
    // What is out of reach now is followed nevertheless.
    const began = within(this.#clock, startTimeoutMs, 'the store of flags', () =>
      untilOver(over, this.#runtime.start()),
    )
    await began.catch((error: unknown) => this.#tellFeed(false, describeError(error)))
    if (!over.aborted) this.#expiry.start()
  }

  async #end(): Promise<void> {
    this.#overrides.stop()
    this.#expiry.stop()
    try {
      await Promise.all([this.#sources.stop(), this.#runtime.stop()])
    } finally {
      this.#feed = 'none'
    }
  }

  /** What was done at run time, here or elsewhere, takes effect. */
  #listener(): RuntimeListener {
    return {
      onState: (state, before) => {
        if (state.flags === before.flags && state.killed === before.killed) return
        this.#swap(() => this.#layers.applyRuntime(state), state.killChanged)
        if (this.#trips !== this.#runtime) return
        for (const name of this.#layers.current.flags.keys()) {
          const trip = changes.tripOf(state, name)
          if (trip?.trials !== changes.tripOf(before, name)?.trials) this.#runner.follow(name, trip)
        }
      },
      onOverride: (place, until) => {
        const turn = this.#overrides.set(place, until)
        if (turn !== undefined) this.#tellOverride(turn, until?.override ?? this.#elsewhere())
      },
      onOverrides: (all) => {
        const isNews = this.#knowsOverrides
        this.#knowsOverrides = true
        const turns = this.#overrides.replace(all)
        if (!isNews) return
        for (const turn of turns) this.#tellOverride(turn, turn.to?.override ?? this.#elsewhere())
      },
      overrides: () => this.#overrides.entries(),
      onFeed: (isLive, why) => this.#tellFeed(isLive, why),
    }
  }

  #tellFeed(isLive: boolean, why: string): void {
    const from = this.#feed
    this.#feed = isLive ? 'live' : 'stale'
    if (from === this.#feed || (from === 'none' && isLive)) return
    this.#report([feedChange(isLive, this.#occasion(this.#cause({ why })))])
  }

  /** Does what changes the table, and tells what is another now. */
  #swap(swap: () => void, killChange?: Cause, cause: Cause = this.#elsewhere()): void {
    const before = this.#layers.current
    swap()
    this.#report(changesBetween(before, this.#layers.current, killChange, this.#occasion(cause)))
  }

  #applyDocument(index: number, name: string, document: unknown): void {
    const { flags: before } = this.#layers.current
    const cause = this.#cause({ why: `${name} says so` })
    const apply = (): void => {
      this.#layers.applyDocument(index, name, document, cause.at)
      const { flags } = this.#layers.current
      const isAnother = (flag: string): boolean => flags.get(flag)?.record.spec !== before.get(flag)?.record.spec
      this.#overrides.renew(new Set([...flags.keys()].filter(isAnother)))
    }
    this.#swap(apply, cause, cause)
  }

  #refuse(name: string, error: Error): void {
    const why = describeError(error)
    const message = `${name} is refused, and what it said before stays in force: ${why}`
    const epoch = this.#epoch()
    const refusal = { what: name, at: this.#clock.now(), why, severity: 'WARNING', message, epoch, error } as const
    this.#announcer.announce([() => this.emit('refused', refusal)])
  }

  #newRunner(isUserError: ((error: unknown) => boolean) | undefined): Runner {
    const tellRan = (call: RanCall): void => this.#announcer.announce([() => this.emit('ran', call)])
    return new Runner({
      clock: this.#clock,
      limits: this.#options,
      runtime: this.#trips,
      sharesTrips: this.#trips === this.#runtime,
      timeoutMs: this.#options.timeoutMs,
      isUserError,
      current: this.#currentTable,
      cause: (why) => this.#cause({ why }),
      isStale: () => this.#feed === 'stale',
      tellFailed: (failure) => {
        const epoch = this.#epoch()
        this.#announcer.announce([() => this.emit('failed', { ...failure, epoch })])
      },
      tellRan: () => (this.listenerCount('ran') === 0 ? undefined : tellRan),
    })
  }

  #change(change: changes.RuntimeChange): Promise<void> {
    return calm(this.#runtime.change(change).then(() => undefined))
  }

  #setOverride(
    flag: string,
    target: OverrideTarget,
    value: boolean | string | undefined,
    reason: OverrideReason,
  ): Promise<void> {
    const cause = this.#cause(reason)
    findFlag(this.#layers.current, flag)
    const place = placeOf(flag, target)
    const { forMs } = reason
    if (forMs !== undefined && !(forMs > 0 && Number.isFinite(forMs))) {
      throw new RangeError(`forMs must be a number of milliseconds above 0, not ${literal(forMs)}`)
    }
    const expiresAt = forMs === undefined ? undefined : Math.ceil(this.#clock.now() + forMs)
    const id = `${this.#process}:${++this.#overridesSet}`
    const { why, by, at } = cause
    const until = value === undefined ? undefined : { override: { value, why, by, at, id }, expiresAt }
    const before = this.#overrides.get(place)
    const turn = this.#overrides.set(place, until)
    const stored = calm(this.#runtime.setOverride(place, until, before).then(() => undefined))
    if (turn !== undefined) this.#tellOverride(turn, cause)
    return stored
  }

  #tellOverride({ place, from, to }: OverrideTurn, cause: Cause): void {
    const flag = this.#layers.current.flags.get(place.flag)
    if (flag === undefined) return
    const target = place.whose === 'users' ? { userId: place.id } : { guildId: place.id }
    this.#report([overrideChange(flag.record, target, from, to?.override.value, this.#occasion(cause))])
  }

  #occasion(cause: Cause): Occasion {
    return { cause, epoch: this.#epoch() }
  }

  /** That of the state in force. Of what waits for the store not all may come to be; what is told never goes back. */
  #epoch(): number {
    this.#epochTold = Math.max(this.#epochTold, this.#runtime.state.epoch)
    return this.#epochTold
  }

  #elsewhere(): Cause {
    return this.#cause({ why: 'another process changed it' })
  }

  #cause(reason: ChangeReason): changes.ChangeCause {
    const { why, by } = (reason ?? {}) as Partial<ChangeReason>
    if (typeof why !== 'string' || why.trim() === '') {
      throw new TypeError(`Say why, for those who will wonder: { why: 'moving hosts' }, not ${literal(reason)}`)
    }
    if (by !== undefined && typeof by !== 'string') {
      throw new TypeError(`Who does it, \`by\`, must be a name or an id as a string, not ${literal(by)}`)
    }
    return { why, by, at: this.#clock.now(), process: this.#process }
  }

  /** Everything is in force by now, so a listener that looks at a flag sees what it is told. */
  #report(news: readonly FlagChange[]): void {
    for (const change of news) if (change.what !== '*') this.#lastChanges.set(change.what, change)
    this.#announcer.announce(news.map((change) => () => this.emit('change', change)))
  }
}

/** Whoever does not wait for the store hears of its loss by `change`; a rejection that nobody awaits would end the bot. */
function calm<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}

/** @throws TypeError when it is neither a guild nor a user */
function placeOf(flag: string, target: OverrideTarget): OverridePlace {
  const guildId = idText(target?.guildId, 'guildId')
  const userId = idText(target?.userId, 'userId')
  if ((guildId === undefined) === (userId === undefined)) {
    throw new TypeError(`An override of ${JSON.stringify(flag)} is for either a guildId or a userId`)
  }
  return guildId === undefined ? { flag, whose: 'users', id: userId as string } : { flag, whose: 'guilds', id: guildId }
}
