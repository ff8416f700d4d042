import { EventEmitter } from 'eventemitter3'
import { ShedError } from './errors.js'
import { checkedOptions, checkMode } from './checked-options.js'
import type { DegradationChange, DegradationManagerEvents } from './events.js'
import { makeFeatures, serves, type Feature as LiveFeature, type FeatureHandle } from './features.js'
import { Deadlines } from './guard/deadlines.js'
import type { GuardOptions } from './guard/guard-options.js'
import type { Gate } from './guard/guard.js'
import { guarded, type Guarded } from './guard/guarded.js'
import type { DrillReport } from './guard/outcomes.js'
import { Inputs } from './inputs.js'
import { bestMode, isWorse, type Mode } from './mode.js'
import {
  checkByHand,
  type DegradationManagerOptions,
  type FeatureState,
  type SetModeOptions,
  type Settings,
} from './options.js'
import type { Priority } from './priority.js'
import { SharedState } from './state/shared-state.js'
import {
  asksOf,
  earliestReturnMs,
  initialState,
  modeOf,
  nextDueMs,
  transition,
  type Ask,
  type Input,
  type ModeState,
} from './transitions.js'
import { describeError } from './outcome.js'
import { warn } from './warning.js'
import { changeBetween, sentence, whyMode, type Released } from './why.js'
import type { AnyFunction } from './with-signal.js'

/** Something that asks for less. */
export interface Demand<ModeName extends string = Mode> {
  /** The mode that it asks for. */
  readonly mode: ModeName
  /** What it has seen, in words for an operator. */
  readonly why: string
}

/** Whether a feature is served, and why. */
export interface Explanation<ModeName extends string = Mode> {
  /** Whether the real thing may be used: `state` is `on` or `limited`. */
  readonly allowed: boolean
  /** The mode in force. */
  readonly mode: ModeName
  /** The mode that is decided: another one than `mode` only in a dry run. */
  readonly decidedMode: ModeName
  /** What the mode in force does to the feature. */
  readonly state: FeatureState
  /** How many calls at once while the state is `limited`; else `Infinity`. */
  readonly maxConcurrent: number
  /** How many guarded calls of the feature are under way. */
  readonly inFlight: number
  /** The feature's priority. */
  readonly priority: Priority
  /** The reason, in words for an operator. */
  readonly why: string
  /**
   * In how many ms it can be served again at the earliest; undefined while it is served, and when only a person can end
   * that it is not.
   */
  readonly retryAfterMs: number | undefined
  /** Whatever asks for less at present: the rules that hold here and, of those that are shared, in other processes. */
  readonly demands: readonly Demand<ModeName>[]
}

/** A mode that was set by hand. */
export interface Override<ModeName extends string = Mode> {
  /** The mode. */
  readonly mode: ModeName
  /** The operator's reason. */
  readonly why: string
  /** Who set it, if that was said. */
  readonly by: string | undefined
  /** When it ends, epoch ms by the present wall clock; undefined: until it is cleared. */
  readonly expiresAt: number | undefined
}

/**
 * Keeps the core of a bot serving when something fails or load peaks: it knows which mode the bot is in, which features
 * that mode serves, and what answers instead.
 *
 * @remarks
 * Worse is followed at once. Better comes one step at a time, each after nothing has asked for the present mode for
 * `minDwellMs`; so the mode never flaps, however its inputs do. A mode set by hand wins over the rules both ways.
 *
 * *Gotchas*: until `start()` the rules are not watched, the store is not read, and the mode is FULL. Durations follow the
 * monotonic clock: a corrected wall clock changes nothing, and on most systems the time that a machine sleeps does not
 * count.
 *
 * @typeParam Feature - the names of the features; inferred
 * @typeParam ModeName - the names of the modes; inferred
 * @typeParam Component - the names that the health source knows; inferred
 * @typeParam Pressure - the names of the pressures; inferred
 * @typeParam Flag - the names of the flags; inferred
 *
 * @example
 * ```ts
 * import { DegradationManager } from '@evenkeel/degradation-manager'
 *
 * const modes = new DegradationManager({
 *   features: { remind: { priority: 'critical' }, translate: { priority: 'optional' } },
 * })
 * await modes.setMode('DEGRADED', { why: 'the translation service has announced an outage' })
 * console.log(modes.allows('remind'), modes.allows('translate')) // => true false
 * ```
 */
export class DegradationManager<
  Feature extends string,
  ModeName extends string = Mode,
  Component extends string = never,
  Pressure extends string = never,
  Flag extends string = never,
> extends EventEmitter<DegradationManagerEvents<ModeName>> {
  readonly #settings: Settings
  /** One object per feature, changed in place, so that asking costs one look-up, or none. */
  readonly #features: ReadonlyMap<string, LiveFeature>
  readonly #gate: Gate
  #state: ModeState

  readonly #inputs: Inputs
  readonly #shared: SharedState | undefined
  #starting: Promise<void> | undefined
  /** Until what waits is stored, whoever stops waits too. */
  #stopping: Promise<void> | undefined
  #cancelSample: (() => void) | undefined
  #cancelWake: (() => void) | undefined

  #news: DegradationChange<string>[] = []
  #announcing = false
  readonly #failingDrills = new Set<string>()

  /**
   * Checks the options, and does nothing else.
   *
   * @throws TypeError or RangeError when an option contradicts another or is out of range
   */
  constructor(options: DegradationManagerOptions<Feature, ModeName, Component, Pressure, Flag>) {
    super()
    this.#settings = checkedOptions(options)
    const { store } = this.#settings
    this.#features = makeFeatures(this.#settings)
    this.#state = initialState(this.#settings)
    this.#inputs = new Inputs(this.#settings, (change) => this.#news.push(change))
    this.#shared =
      store &&
      new SharedState(this.#settings, store, {
        onDeed: ({ mode, why, by, forMs }) =>
          mode === undefined
            ? this.#apply([{ type: 'clearMode' }], { why, by })
            : this.#apply([{ type: 'setMode', mode, why, by, forMs }]),
        onAsks: (asks) => this.#apply([{ type: 'asks', asks }]),
        onReach: (change) => {
          this.#news.push(change)
          this.#announce()
        },
      })
    this.#gate = this.#makeGate()
  }

  /** The mode in force. */
  get mode(): ModeName {
    return this.#mode as ModeName
  }

  /** The mode that is decided. It is in force, unless this is a dry run. */
  get decidedMode(): ModeName {
    return modeOf(this.#state) as ModeName
  }

  /** The mode that was set by hand; undefined while the rules decide. */
  get override(): Override<ModeName> | undefined {
    const { override } = this.#state
    if (override === undefined) return undefined
    const { mode, why, by, untilMs } = override
    const { clock } = this.#settings
    const expiresAt = untilMs === undefined ? undefined : Math.round(clock.now() + untilMs - clock.monotonic())
    return { mode: mode as ModeName, why, by, expiresAt }
  }

  /**
   * Whether a feature may be used now: its state is `on` or `limited`. Costs one look-up.
   *
   * @throws TypeError when there is no such feature
   */
  allows(feature: Feature): boolean {
    const found = this.#features.get(feature)
    return found === undefined ? this.#unknown(feature) : found.isAllowed
  }

  /**
   * A feature, found by its name once: asking it is faster, and it follows every change of the mode.
   *
   * @throws TypeError when there is no such feature
   *
   * @example
   * ```ts
   * import { DegradationManager } from '@evenkeel/degradation-manager'
   *
   * const modes = new DegradationManager({ features: { translate: { priority: 'optional' } } })
   * const translate = modes.feature('translate')
   * console.log(translate.allows()) // => true
   * await modes.setMode('DEGRADED', { why: 'a busy evening' })
   * console.log(translate.allows(), translate.state) // => false off
   * ```
   */
  feature(feature: Feature): FeatureHandle {
    return this.#find(feature)
  }

  /**
   * What the mode in force does to a feature, and why.
   *
   * @throws TypeError when there is no such feature
   */
  explain(feature: Feature): Explanation<ModeName> {
    const found = this.#find(feature)
    const { isAllowed: allowed, state, maxConcurrent, inFlight, priority } = found
    const demands = asksOf(this.#settings, this.#state) as Demand<ModeName>[]
    const why = this.#whyFeature(found)
    const retryAfterMs = found.hasRoom ? undefined : this.#retryAfterMs(found)
    const { mode, decidedMode } = this
    return { allowed, mode, decidedMode, state, maxConcurrent, inFlight, priority, why, retryAfterMs, demands }
  }

  /**
   * Wraps a function: while the feature is on, it is called, with a deadline; while it is off, or when the call has
   * failed, the fallback answers.
   *
   * @remarks
   * The guarded function rejects with what the call failed with, or with
   * {@link ShedError} when the feature is off and there is no fallback,
   * {@link TimeoutError} when the deadline has passed (and, unless `idempotent`, no fallback serves then), or
   * {@link FallbackError} when the fallback failed too.
   *
   * *Gotchas*: a call that has timed out goes on, unless it takes a signal ({@link withSignal}); what it gives in the
   * end is dropped. The deadline does not keep the process alive.
   *
   * @param feature - the feature that the call belongs to
   * @param fn - what to guard; its `this` and its arguments are passed on
   * @param options - deadline and fallback
   * @returns a function of the same type (a synchronous one becomes asynchronous), with `outcome` on it
   * @throws TypeError when there is no such feature, or it wants a fallback in some mode and there is none
   *
   * @example
   * ```ts
   * import { DegradationManager } from '@evenkeel/degradation-manager'
   *
   * const modes = new DegradationManager({ features: { translate: { priority: 'optional' } } })
   * const callApi = async (text: string): Promise<string> => {
   *   throw new Error(`no route to the service for ${text}`)
   * }
   * const translate = modes.guard('translate', callApi, { timeoutMs: 2_000, fallback: (text) => text })
   * console.log(await translate('Guten Tag')) // => Guten Tag
   * console.log((await translate.outcome('Guten Tag')).degraded) // => true
   * ```
   */
  guard<Fn extends AnyFunction>(feature: Feature, fn: Fn, options: GuardOptions<NoInfer<Fn>> = {}): Guarded<Fn> {
    return guarded(this.#gate, this.#guardable(feature, options.fallback !== undefined), fn, options)
  }

  /**
   * Calls a function now, as {@link DegradationManager.guard} would.
   *
   * @param feature - the feature that the call belongs to
   * @param fn - what to call
   * @param options - deadline and fallback
   * @returns what the call, or its fallback, gave; rejects as a guarded function does
   */
  async run<Value>(
    feature: Feature,
    fn: () => Value | PromiseLike<Value>,
    options: GuardOptions<() => NoInfer<Value> | PromiseLike<NoInfer<Value>>> = {},
  ): Promise<Value> {
    const live = this.#guardable(feature, options.fallback !== undefined)
    return (await guarded<() => unknown>(this.#gate, live, fn, options)()) as Value
  }

  /**
   * Sets the mode by hand. It wins over the rules, to the better as well as to the worse, until it expires or
   * {@link DegradationManager.clearMode} hands back to them. Works before `start()` too.
   *
   * @param mode - the mode
   * @param options - why, by whom, and for how long
   * @returns resolves when the mode is in force here and, with a `store`, known to every process that has it
   * @throws {@link ModeStoreError} when the store cannot be reached: the mode is in force here, and is stored later
   * @throws {@link StateFormatError} when the store holds what this release cannot read: the mode is in force here
   */
  async setMode(mode: ModeName, options: SetModeOptions): Promise<void> {
    checkMode(this.#settings.modes, mode)
    checkByHand('setMode', options, ['why', 'by', 'forMs'])
    const { why, by, forMs } = options
    this.#apply([{ type: 'setMode', mode, why, by, forMs }])
    if (!this.#settings.dryRun) await this.#shared?.store({ mode, why, by, forMs })
  }

  /**
   * Hands back to the rules at once: the mode is then where they have led in the meantime, which may be several steps
   * away. Does nothing when no mode is set by hand.
   *
   * @param options - why, and by whom
   * @returns resolves when the rules decide again, here and, with a `store`, in every process that has it
   * @throws {@link ModeStoreError} when the store cannot be reached: the rules decide here, and elsewhere later
   * @throws {@link StateFormatError} when the store holds what this release cannot read: the rules decide here
   */
  async clearMode(options: Pick<SetModeOptions, 'why' | 'by'>): Promise<void> {
    checkByHand('clearMode', options, ['why', 'by'])
    const { why, by } = options
    this.#apply([{ type: 'clearMode' }], { why, by })
    if (!this.#settings.dryRun) await this.#shared?.store({ mode: undefined, why, by, forMs: undefined })
  }

  /**
   * Begins to watch the health source and the flags, to read the pressures, the first time at once, and to follow the
   * store. A store that cannot be reached is followed once it can be. May be called twice.
   *
   * @throws {@link StateFormatError} when the store holds what this release cannot read
   */
  async start(): Promise<void> {
    if (this.#starting === undefined) {
      this.#listen()
      this.#starting = this.#start()
    }
    return this.#starting
  }

  /**
   * Ends that. The mode stays as it is; one set by hand stays too, and if its time runs out meanwhile, it ends at the
   * next `start()`. May be called twice.
   */
  async stop(): Promise<void> {
    if (!this.#state.watching) return this.#stopping
    this.#starting = undefined
    this.#listenNoMore()
    this.#cancelSample?.()
    this.#apply([{ type: 'stop' }])
    // Unless a listener has started it again.
    if (this.#state.watching) return
    this.#cancelWake?.()
    this.#stopping = this.#shared?.stop()
    await this.#stopping
  }

  /** The same as {@link DegradationManager.stop}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  readonly #onHealthChange = (): void => this.#apply(this.#inputs.health())
  readonly #onFlagChange = (): void => this.#apply(this.#inputs.flags())

  /** A source that takes no listener leaves nothing behind, so `start()` may be called again. */
  #listen(): void {
    const { health, flags } = this.#settings
    try {
      health?.on('change', this.#onHealthChange)
      if (this.#inputs.followFlags) flags?.on?.('change', this.#onFlagChange)
    } catch (error) {
      this.#listenNoMore()
      throw error
    }
  }

  #listenNoMore(): void {
    const { health, flags } = this.#settings
    health?.off('change', this.#onHealthChange)
    if (this.#inputs.followFlags) flags?.off?.('change', this.#onFlagChange)
  }

  async #start(): Promise<void> {
    const inputs: Input[] = [
      { type: 'start' },
      ...this.#inputs.health(),
      ...this.#inputs.pressures(),
      ...this.#inputs.flags(),
    ]
    if (this.#inputs.needSampling) this.#sampleLater()
    this.#apply(inputs)
    try {
      await this.#shared?.start()
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  #sampleLater(): void {
    this.#cancelSample = this.#settings.clock.after(this.#settings.sampleMs, () => {
      // Armed anew from here, so that a blocked event loop costs one late sample and not a burst of them.
      this.#sampleLater()
      this.#apply(this.#inputs.samples())
    })
  }

  #apply(inputs: readonly Input[], released?: Released): void {
    const { clock, modes } = this.#settings
    const nowMs = clock.monotonic()
    const before = this.#state
    this.#state = inputs.reduce((state, input) => transition(this.#settings, state, input, nowMs), before)
    const place = modes.indexOf(this.#mode)
    for (const feature of this.#features.values()) feature.follow(place)
    this.#wakeWhenDue(nowMs)
    if (this.#state.watching) this.#shared?.ask(this.#sharedAsk())
    const change = changeBetween(this.#settings, before, this.#state, clock.now(), released)
    if (change !== undefined) this.#news.push(change)
    this.#announce()
  }

  /** The mode in force: in a dry run nothing that is decided comes into force. */
  get #mode(): string {
    return this.#settings.dryRun ? bestMode : modeOf(this.#state)
  }

  /** The worst that a shared rule asks for here. */
  #sharedAsk(): Ask | undefined {
    const { rules, modes } = this.#settings
    return rules.reduce<Ask | undefined>((worst, { mode, shared }, index) => {
      const why = this.#state.reasons[index]
      if (shared !== true || why === undefined) return worst
      return worst === undefined || isWorse(modes, mode, worst.mode) ? { mode, why } : worst
    }, undefined)
  }

  #wakeWhenDue(nowMs: number): void {
    this.#cancelWake?.()
    const dueMs = nextDueMs(this.#state)
    this.#cancelWake =
      dueMs === undefined
        ? undefined
        : this.#settings.clock.after(Math.max(0, dueMs - nowMs), () => this.#apply([{ type: 'time' }]))
  }

  /** A listener may change the mode again: that news waits its turn, so everybody hears all of it in order. */
  #announce(): void {
    if (this.#announcing) return
    this.#announcing = true
    for (let change = this.#news.shift(); change !== undefined; change = this.#news.shift()) {
      this.#tell('change', change)
    }
    this.#announcing = false
  }

  /** What the guards ask of this manager. */
  #makeGate(): Gate {
    const { clock } = this.#settings
    const lists = new Map<number, Deadlines>()
    return {
      clock,
      deadlines: (timeoutMs) => {
        const list = lists.get(timeoutMs) ?? new Deadlines(clock, timeoutMs)
        lists.set(timeoutMs, list)
        return list
      },
      refusal: (feature) => {
        const whyRefused = (): string => this.#whyRefused(feature)
        return {
          get why() {
            return whyRefused()
          },
          shed: () => this.#shed(feature),
        }
      },
      fellBack: (name, why, error) => this.#tellFallback(name, why, error),
      drilled: (name, report) => this.#tellDrill(name, report),
    }
  }

  #tellFallback(feature: string, whyServed: () => string, error: unknown): void {
    if (this.listenerCount('fallback') === 0) return
    const why = whyServed()
    this.#tell('fallback', {
      what: feature,
      from: 'call',
      to: 'fallback',
      at: this.#settings.clock.now(),
      why,
      severity: error === undefined ? 'INFO' : 'WARNING',
      message: sentence(`The fallback of "${feature}" answered: ${why}`),
      error,
    })
  }

  /** Tells of the first drill that fails, and of the first that goes well again. */
  #tellDrill(name: string, { works, steps }: DrillReport): void {
    if (works !== this.#failingDrills.has(name)) return
    if (works) this.#failingDrills.delete(name)
    else this.#failingDrills.add(name)
    const failing = steps.filter((step) => !step.works)
    const why = works
      ? 'all of them answered'
      : failing.map((step) => `${step.name} failed: ${describeError(step.error)}`).join('; ')
    this.#news.push({
      what: 'drill',
      name,
      from: works ? 'failing' : 'working',
      to: works ? 'working' : 'failing',
      at: this.#settings.clock.now(),
      why,
      severity: works ? 'INFO' : 'WARNING',
      message: sentence(`The fallbacks of "${name}" ${works ? 'work again' : 'would not work'}: ${why}`),
    })
    this.#announce()
  }

  #tell<Name extends keyof DegradationManagerEvents>(
    name: Name,
    ...payload: DegradationManagerEvents<string>[Name]
  ): void {
    try {
      this.emit(name, ...(payload as EventEmitter.EventArgs<DegradationManagerEvents<ModeName>, Name>))
    } catch (error) {
      warn(`A listener of "${name}" threw`, error)
    }
  }

  #find(feature: string): LiveFeature {
    return this.#features.get(feature) ?? this.#unknown(feature)
  }

  #unknown(feature: string): never {
    const known = [...this.#features.keys()].join(', ')
    throw new TypeError(`There is no feature "${String(feature)}"; the features are ${known}`)
  }

  #whyFeature({ name, priority, state, maxConcurrent }: LiveFeature): string {
    const { mode, decidedMode } = this
    const does = {
      on: 'on',
      off: 'off',
      fallback: 'left to its fallback',
      limited: `limited to ${maxConcurrent} at once`,
    }[state]
    const why = whyMode(this.#settings, this.#state)
    const decided = this.#settings.dryRun ? `this is a dry run, or it would be ${decidedMode}: ${why}` : why
    return `"${name}" (${priority}) is ${does} in ${mode} mode: ${decided}`
  }

  #whyRefused(feature: LiveFeature): string {
    const why = this.#whyFeature(feature)
    return feature.isAllowed ? `${feature.inFlight} calls of it are under way, and ${why}` : why
  }

  #shed(feature: LiveFeature): ShedError {
    return new ShedError(feature.name, this.#whyRefused(feature), this.#retryAfterMs(feature))
  }

  #retryAfterMs({ isAllowed, effects }: LiveFeature): number | undefined {
    // There is room again as soon as a call ends, and nobody knows when that will be.
    if (isAllowed) return 1_000
    const { modes, clock } = this.#settings
    const isServed = (mode: string): boolean => serves(effects[modes.indexOf(mode)]?.state ?? 'on')
    return earliestReturnMs(this.#settings, this.#state, isServed, clock.monotonic())
  }

  /** The feature, if a guard with or without a fallback may be made for it. */
  #guardable(name: string, hasFallback: boolean): LiveFeature {
    const feature = this.#find(name)
    const place = feature.effects.findIndex(({ state }) => state === 'fallback')
    if (place >= 0 && !hasFallback) {
      const mode = this.#settings.modes[place]
      throw new TypeError(`"${name}" is served by its fallback in ${mode} mode; give this guard a fallback`)
    }
    return feature
  }
}
