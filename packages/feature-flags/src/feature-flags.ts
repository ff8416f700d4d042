import { EventEmitter } from 'eventemitter3'
import type { AttributeTypes, ContextArgument, ContextFor, TypedContext } from './attributes.js'
import { Subject, type BucketBy, type FlagContext, type OverrideTarget } from './context.js'
import type { CountedGuild, CountedUser } from './counted-id.js'
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
import { evaluate, explain, type Evaluation, type Explanation } from './explain.js'
import { FlagChanges } from './flag-changes.js'
import { FlagMachine } from './flag-machine.js'
import { statusOf } from './flag-status.js'
import { countedVariant, FlagHandle, VariantHandle } from './handle.js'
import type { Layers } from './layers.js'
import type { ChangeReason, FlagEvents, FlagStatus, OverrideReason } from './news.js'
import { checkOptions, type FeatureFlagsOptions } from './options.js'
import { FlagScope, type RunOptions, type ScopedRun } from './scope.js'
import { count, findBooleanFlag, findFlag, findVariantFlag, type FlagShare } from './table.js'

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
  readonly #layers: Layers
  readonly #machine: FlagMachine
  readonly #changes: FlagChanges
  readonly #runInScope: ScopedRun = (...call) => this.#machine.runner.run(...call)

  /**
   * @param options - the flags, and what they need
   * @throws TypeError or RangeError when a flag, an option or an environment variable has a value that it cannot have,
   *   when a flag requires one that is not declared, or when flags require one another in a circle
   */
  constructor(options: FeatureFlagsOptions<D, A, S>) {
    super()
    this.#machine = new FlagMachine(options, checkOptions(options), this)
    this.#layers = this.#machine.layers
    this.#changes = new FlagChanges(this.#machine)
  }

  /** The names of all flags, each after those that it requires. */
  get names(): readonly FlagName<D>[] {
    return [...this.#layers.current.flags.keys()] as FlagName<D>[]
  }

  /** The number of the state of all that was changed while running. It only grows, also between processes of one store. */
  get epoch(): number {
    return this.#machine.runtime.epoch
  }

  /**
   * Whether what other processes change is seen: `live`; or `stale`, while the store cannot be reached and flags answer
   * from what was seen last; `none` without a store, and before `start()`.
   */
  get feed(): 'none' | 'live' | 'stale' {
    return this.#machine.news.feed
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
    return this.#machine.life.start()
  }

  /** Follows nothing any more, and answers on from what was seen last. May be called twice, also while they start. */
  stop(): Promise<void> {
    return this.#machine.life.stop()
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
      ? new VariantHandle(name, record.slot, this.#machine.currentTable)
      : new FlagHandle(name, record.slot, this.#machine.currentTable)
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
    return this.#machine.runner.run(name, this.#layers.current, new Subject(context), on, off, options)
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
    return statusOf(name, this.#machine)
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
    return this.#changes.disable(name, reason)
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
    return this.#changes.enable(name, reason)
  }

  /**
   * Switches every flag off, and gives every variant its default, until {@link FeatureFlags.enableAll}.
   *
   * @param reason - why, and by whom; the first reason stays if all are off already
   * @returns when it is stored; it is in force here at once
   * @throws {@link FlagStoreError} when the store is out of reach
   */
  disableAll(reason: ChangeReason): Promise<void> {
    return this.#changes.disableAll(reason)
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
    return this.#changes.enableAll(reason)
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
    return this.#changes.setPercentage(name, percentage, reason)
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
    return this.#changes.setShare(name, share, reason)
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
    return this.#changes.override(name, target, value, reason)
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
    return this.#changes.removeOverride(name, target, reason)
  }
}
