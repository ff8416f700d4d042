import { EventEmitter } from 'eventemitter3'
import { Announcer } from './announcer.js'
import { Breaker, type Attempt } from './breaker.js'
import { idText, Subject, type FlagContext, type OverrideTarget } from './context.js'
import { isOn, isOnFor, variantOf } from './decide.js'
import type { BooleanFlagName, FlagDefinitions, FlagName, FlagValue, VariantFlagName } from './definitions.js'
import { killVariable, readEnvironment } from './environment.js'
import { explain, type Explanation } from './explain.js'
import { LiveTable } from './live-table.js'
import {
  allFlagsChange,
  flagFailure,
  overrideChange,
  percentageChange,
  stateChanges,
  type ChangeReason,
  type FlagChange,
  type FlagEvents,
  type FlagStatus,
} from './news.js'
import { checkLimits, type FeatureFlagsOptions, type Limits } from './options.js'
import { mayHaveApplied } from './outcome.js'
import type { Clock } from './ports.js'
import { FlagScope, type RunOptions, type ScopedRun } from './scope.js'
import { checkPercentage, literal, specify } from './specification.js'
import { systemClock } from './system-clock.js'
import { findBooleanFlag, findFlag, percentageOf, type Cause, type FlagRecord, type Table } from './table.js'

/**
 * Decides which guilds and users get which code, and says why.
 *
 * @remarks
 * Every answer comes from memory, at once. The rules are asked in this order, and the first that applies answers: all
 * flags off; disabled by hand; fallen back; a required flag that is off for this context; environment; override of the
 * user; override of the guild; percentage; default.
 *
 * *Gotchas*: changes live in this process and end with it. An id keeps its place in the order of a flag's salt, in every
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
export class FeatureFlags<const D extends FlagDefinitions = FlagDefinitions> extends EventEmitter<FlagEvents> {
  /** The names of all flags, each after those that it requires. */
  readonly names: readonly FlagName<D>[]
  readonly #clock: Clock
  readonly #limits: Limits
  readonly #live: LiveTable
  readonly #breakers = new Map<string, Breaker>()
  readonly #lastChanges = new Map<string, FlagChange>()
  readonly #announcer = new Announcer()
  readonly #runInScope: ScopedRun = (...call) => this.#run(...call)

  /**
   * @param options - the flags, and what they need
   * @throws TypeError or RangeError when a flag, an option or an environment variable has a value that it cannot have,
   *   when a flag requires one that is not declared, or when flags require one another in a circle
   */
  constructor(options: FeatureFlagsOptions<D>) {
    super()
    this.#limits = checkLimits(options)
    this.#clock = options.clock ?? systemClock
    const specs = specify(options.flags)
    const { isOff, pins } = readEnvironment(options.environment ?? process.env, specs)
    const killed = isOff ? this.#cause({ why: `${killVariable} is off` }) : undefined
    this.#live = new LiveTable(specs, pins, killed)
    this.names = [...specs.keys()] as FlagName<D>[]
  }

  /**
   * Whether a flag is on for a guild or a user.
   *
   * @param name - a flag that is on or off
   * @param context - for whom; without one, percentages between 0 and 100 leave the answer to the default
   * @throws {@link UnknownFlagError} when there is no such flag
   * @throws TypeError or RangeError when an id is no id, or a number that may have lost digits
   */
  isEnabled(name: BooleanFlagName<D>, context?: FlagContext): boolean {
    return isOnFor(findBooleanFlag(this.#live.current, name), context)
  }

  /**
   * The variant of a flag for a guild or a user.
   *
   * @param name - a flag with variants
   * @param context - for whom; without one, the weights leave the answer to the default
   * @throws {@link UnknownFlagError} when there is no such flag
   * @throws TypeError or RangeError when an id is no id, or a number that may have lost digits
   */
  variant<K extends VariantFlagName<D>>(name: K, context?: FlagContext): Extract<FlagValue<D, K>, string> {
    return variantOf(findFlag(this.#live.current, name), new Subject(context)) as Extract<FlagValue<D, K>, string>
  }

  /**
   * The answer and how it came about: which rule, of which flag. Slower than asking alone; meant for people.
   *
   * @param name - any flag
   * @param context - for whom
   * @throws {@link UnknownFlagError} when there is no such flag
   */
  explain<K extends FlagName<D>>(name: K, context?: FlagContext): Explanation<FlagValue<D, K>> {
    const { record } = findFlag(this.#live.current, name)
    return explain(record, this.#live.current, new Subject(context)) as Explanation<FlagValue<D, K>>
  }

  /**
   * The flags for one guild and user as they are now. All its answers come from this moment, however the flags change
   * meanwhile, so one handler never sees two truths. It also hashes the ids once for all its answers.
   *
   * @param context - for whom
   */
  for(context?: FlagContext): FlagScope<D> {
    return new FlagScope<D>(this.#live.hold(), new Subject(context), this.#runInScope)
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
  async run<On, Off>(
    name: BooleanFlagName<D>,
    context: FlagContext | undefined,
    on: () => On | PromiseLike<On>,
    off: () => Off | PromiseLike<Off>,
    options?: RunOptions,
  ): Promise<On | Off> {
    return this.#run(name, this.#live.current, new Subject(context), on, off, options)
  }

  /**
   * Whether a flag of this name is declared, for names that come from outside.
   *
   * @param name - any text
   */
  has(name: string): name is FlagName<D> {
    return this.#live.current.flags.has(name)
  }

  /**
   * What a flag is like at present.
   *
   * @param name - any flag
   * @throws {@link UnknownFlagError} when there is no such flag
   */
  status(name: FlagName<D>): FlagStatus {
    const table = this.#live.current
    const { record, state: ownState } = findFlag(table, name)
    const state = table.killed === undefined ? ownState : 'all-off'
    const retryAtMs = state === 'fallen-back' ? this.#breakers.get(name)?.retryAtMs : undefined
    const leftMs = retryAtMs === undefined ? undefined : Math.max(0, retryAtMs - this.#clock.monotonic())
    return {
      name,
      state,
      percentage: percentageOf(record),
      guildOverrides: record.guilds.size,
      userOverrides: record.users.size,
      retryAt: leftMs === undefined ? undefined : Math.round(this.#clock.now() + leftMs),
      lastChange: this.#lastChanges.get(name),
    }
  }

  /**
   * Switches a flag off for everyone, and with it all that requires it. A flag with variants gives its default.
   *
   * @param name - any flag
   * @param reason - why, and by whom; the first reason stays if it is disabled already
   */
  disable(name: FlagName<D>, reason: ChangeReason): void {
    const disabled = this.#cause(reason)
    if (findFlag(this.#live.current, name).record.disabled !== undefined) return
    this.#report(this.#changeState(name, { disabled }, disabled))
  }

  /**
   * Gives a flag that was disabled or has fallen back to its own rules again. Failures counted so far are forgotten.
   *
   * @param name - any flag
   * @param reason - why, and by whom
   */
  enable(name: FlagName<D>, reason: ChangeReason): void {
    const cause = this.#cause(reason)
    findFlag(this.#live.current, name)
    this.#breakers.get(name)?.reset()
    this.#report(this.#changeState(name, { disabled: undefined, fallenBack: undefined }, cause))
  }

  /**
   * Switches every flag off, and gives every variant its default, until {@link FeatureFlags.enableAll}.
   *
   * @param reason - why, and by whom; the first reason stays if all are off already
   */
  disableAll(reason: ChangeReason): void {
    const cause = this.#cause(reason)
    if (!this.#live.isKilledByHand) this.#switchAll(cause, cause)
  }

  /**
   * Gives every flag to its own rules again. What was disabled by name stays so, and `EVENKEEL_FLAGS=off` stays in force.
   *
   * @param reason - why, and by whom
   */
  enableAll(reason: ChangeReason): void {
    this.#switchAll(undefined, this.#cause(reason))
  }

  /**
   * Sets the share of guilds or users for whom a flag is on. Raising it only ever adds some.
   *
   * @param name - a flag that is on or off
   * @param percentage - 0 to 100
   * @param reason - why, and by whom
   * @throws RangeError when the percentage is below 0 or above 100
   */
  setPercentage(name: BooleanFlagName<D>, percentage: number, reason: ChangeReason): void {
    const cause = this.#cause(reason)
    const { record } = findBooleanFlag(this.#live.current, name)
    checkPercentage(`Flag ${JSON.stringify(name)}`, percentage)
    const from = percentageOf({ ...record, pin: undefined }) ?? (record.spec.default === true ? 100 : 0)
    this.#live.change(name, { livePercentage: percentage })
    if (from !== percentage) this.#report([percentageChange(record, from, percentage, cause)])
  }

  /**
   * Sets the answer for one guild or one user, whatever the percentage. That of the user goes before that of the guild.
   *
   * @param name - any flag
   * @param target - one guild, or one user
   * @param value - the answer
   * @param reason - why, and by whom
   */
  override<K extends FlagName<D>>(name: K, target: OverrideTarget, value: FlagValue<D, K>, reason: ChangeReason): void {
    const { spec } = findFlag(this.#live.current, name).record
    const isPossible = spec.kind === 'variant' ? spec.variants.includes(value as string) : typeof value === 'boolean'
    if (!isPossible) {
      const values =
        spec.kind === 'variant' ? spec.variants.map((variant) => JSON.stringify(variant)).join(', ') : 'true, false'
      throw new TypeError(`An override of ${JSON.stringify(name)} is one of ${values}, not ${literal(value)}`)
    }
    this.#setOverride(name, target, value, reason)
  }

  /**
   * Takes an override back.
   *
   * @param name - any flag
   * @param target - the guild or the user that it was for
   * @param reason - why, and by whom
   */
  removeOverride(name: FlagName<D>, target: OverrideTarget, reason: ChangeReason): void {
    this.#setOverride(name, target, undefined, reason)
  }

  async #run<On, Off>(
    name: string,
    table: Table,
    subject: Subject,
    on: () => On | PromiseLike<On>,
    off: () => Off | PromiseLike<Off>,
    options: RunOptions | undefined,
  ): Promise<On | Off> {
    const flag = findBooleanFlag(table, name)
    if (typeof on !== 'function' || typeof off !== 'function') {
      throw new TypeError(`run(${JSON.stringify(name)}) needs two functions, the new path and the old one`)
    }
    const attempt = isOn(flag, subject) ? this.#breakerOf(name).begin() : this.#beginTrial(flag.record, table, subject)
    if (attempt === undefined) return off()
    let value: On
    try {
      value = await on()
    } catch (error) {
      const isServed = options?.idempotent === true || !mayHaveApplied(error)
      this.#failed(name, { attempt, isServed }, error)
      if (!isServed) throw error
      return off()
    }
    this.#succeeded(name, attempt)
    return value
  }

  /** A trial, if the flag is fallen back, would be on but for that, and its delay is over. */
  #beginTrial({ spec, fallenBack }: FlagRecord, table: Table, subject: Subject): Attempt | undefined {
    const breaker = this.#breakers.get(spec.name)
    const nowMs = this.#clock.monotonic()
    if (fallenBack === undefined || breaker?.retryAtMs === undefined || nowMs < breaker.retryAtMs) return undefined
    // A scope holds an older table. Neither what it has seen nor what holds now may say no.
    const isOnOtherwise = [table, this.#live.current].every(
      (moment) => explain(findFlag(moment, spec.name).record, moment, subject, true).value === true,
    )
    return isOnOtherwise ? breaker.beginTrial(nowMs) : undefined
  }

  #succeeded(name: string, attempt: Attempt): void {
    if (!this.#breakerOf(name).succeeded(attempt, this.#clock.monotonic())) return
    const cause = this.#cause({ why: 'a trial of the new path succeeded' })
    this.#report(this.#changeState(name, { fallenBack: undefined }, cause))
  }

  #failed(name: string, { attempt, isServed }: { attempt: Attempt; isServed: boolean }, error: unknown): void {
    const counted = this.#breakerOf(name).failed(attempt, this.#clock.monotonic())
    const failure = flagFailure(name, { isTrial: attempt.isTrial, isServed }, error, this.#clock.now())
    let changes: FlagChange[] = []
    if (counted !== undefined) {
      const seconds = this.#limits.failureWindowMs / 1_000
      const last = `the last with: ${failure.why}`
      const fallenBack = this.#cause({
        why: `${counted.failures} of ${counted.calls} calls failed in ${seconds} s, ${last}`,
      })
      changes = this.#changeState(name, { fallenBack }, fallenBack)
    }
    this.#announcer.announce([() => this.emit('failed', failure)])
    this.#report(changes)
  }

  #breakerOf(name: string): Breaker {
    let breaker = this.#breakers.get(name)
    if (breaker === undefined) this.#breakers.set(name, (breaker = new Breaker(this.#limits)))
    return breaker
  }

  #changeState(
    name: string,
    changes: Partial<Pick<FlagRecord, 'disabled' | 'fallenBack'>>,
    cause: Cause,
  ): FlagChange[] {
    const before = this.#live.current
    this.#live.change(name, changes)
    return stateChanges(before, this.#live.current, name, cause)
  }

  #switchAll(killed: Cause | undefined, cause: Cause): void {
    const wasOff = this.#live.current.killed !== undefined
    this.#live.killByHand(killed)
    const isOff = this.#live.current.killed !== undefined
    if (isOff !== wasOff) this.#report([allFlagsChange(isOff, cause)])
  }

  #setOverride(name: string, target: OverrideTarget, to: boolean | string | undefined, reason: ChangeReason): void {
    const cause = this.#cause(reason)
    const { record } = findFlag(this.#live.current, name)
    const guildId = idText(target?.guildId, 'guildId')
    const userId = idText(target?.userId, 'userId')
    if ((guildId === undefined) === (userId === undefined)) {
      throw new TypeError(`An override of ${JSON.stringify(name)} is for either a guildId or a userId`)
    }
    const [whose, id] = guildId === undefined ? (['users', userId as string] as const) : (['guilds', guildId] as const)
    const from = this.#live.setOverride(name, whose, id, to)
    if (from === to) return
    const whom = whose === 'users' ? { userId: id } : { guildId: id }
    this.#report([overrideChange(record, whom, from, to, cause)])
  }

  #cause(reason: ChangeReason): Cause {
    const { why, by } = (reason ?? {}) as Partial<ChangeReason>
    if (typeof why !== 'string' || why.trim() === '') {
      throw new TypeError(`Say why, for those who will wonder: { why: 'moving hosts' }, not ${literal(reason)}`)
    }
    if (by !== undefined && typeof by !== 'string') {
      throw new TypeError(`Who does it, \`by\`, must be a name or an id as a string, not ${literal(by)}`)
    }
    return { why, by, at: this.#clock.now() }
  }

  /** Everything is in force by now, so a listener that looks at a flag sees what it is told. */
  #report(changes: readonly FlagChange[]): void {
    for (const change of changes) if (change.aspect !== 'all') this.#lastChanges.set(change.what, change)
    this.#announcer.announce(changes.map((change) => () => this.emit('change', change)))
  }
}
