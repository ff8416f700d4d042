import { EventEmitter } from 'eventemitter3'
import { ShedError } from './errors.js'
import type { DegradationChange, DegradationManagerEvents } from './events.js'
import { featureTables, type FeatureTables } from './features.js'
import {
  asOutcome,
  callGuarded,
  checkedGuard,
  plainValue,
  type Gate,
  type Guard,
  type Guarded,
  type GuardOptions,
} from './guard.js'
import { Inputs } from './inputs.js'
import { modes, type Mode } from './mode.js'
import {
  checkByHand,
  checkedOptions,
  checkMode,
  type DegradationManagerOptions,
  type FeatureState,
  type SetModeOptions,
  type Settings,
} from './options.js'
import {
  earliestReturnMs,
  initialState,
  modeOf,
  nextDueMs,
  transition,
  type Input,
  type ModeState,
} from './transitions.js'
import { warn } from './warning.js'
import { changeBetween, sentence, whyMode } from './why.js'
import type { AnyFunction } from './with-signal.js'

/** Whether a feature is served, and why. */
export interface Explanation {
  /** Whether the real thing may be used: `state` is `on`. */
  readonly allowed: boolean
  /** The mode in force. */
  readonly mode: Mode
  /** What that mode does to the feature. */
  readonly state: FeatureState
  /** The reason, in words for an operator. */
  readonly why: string
}

/** A mode that was set by hand. */
export interface Override {
  /** The mode. */
  readonly mode: Mode
  /** The operator's reason. */
  readonly why: string
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
 * *Gotchas*: until `start()` the rules are not watched and the mode is FULL. Durations follow the monotonic clock: a
 * corrected wall clock changes nothing, and on most systems the time that a machine sleeps does not count.
 *
 * @typeParam Feature - the names of the features; inferred
 * @typeParam Component - the names that the health source knows; inferred
 * @typeParam Pressure - the names of the pressures; inferred
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
  Component extends string = never,
  Pressure extends string = never,
> extends EventEmitter<DegradationManagerEvents> {
  readonly #settings: Settings
  readonly #tables: FeatureTables
  readonly #gate: Gate
  #state: ModeState
  /** What the mode in force does to each feature. */
  #features: ReadonlyMap<string, FeatureState>

  readonly #inputs: Inputs
  #cancelSample: (() => void) | undefined
  #cancelWake: (() => void) | undefined

  #news: DegradationChange[] = []
  #announcing = false

  /**
   * Checks the options, and does nothing else.
   *
   * @throws TypeError or RangeError when an option contradicts another or is out of range
   */
  constructor(options: DegradationManagerOptions<Feature, Component, Pressure>) {
    super()
    this.#settings = checkedOptions(options)
    const { clock, features } = this.#settings
    this.#tables = featureTables(features)
    this.#state = initialState(this.#settings)
    this.#features = this.#tables[modeOf(this.#state)]
    this.#inputs = new Inputs(this.#settings, (change) => this.#news.push(change))
    this.#gate = {
      clock,
      state: (feature) => this.#stateOf(feature),
      why: (feature) => this.#whyFeature(feature),
      shed: (feature) => new ShedError(feature, this.#whyFeature(feature), this.#retryAfterMs(feature)),
      fellBack: (feature, why, error) => this.#tellFallback(feature, why, error),
    }
  }

  /** The mode in force. */
  get mode(): Mode {
    return modeOf(this.#state)
  }

  /** The mode that was set by hand; undefined while the rules decide. */
  get override(): Override | undefined {
    const { override } = this.#state
    if (override === undefined) return undefined
    const { mode, why, untilMs } = override
    const { clock } = this.#settings
    const expiresAt = untilMs === undefined ? undefined : Math.round(clock.now() + untilMs - clock.monotonic())
    return { mode, why, expiresAt }
  }

  /**
   * Whether a feature may be used now. Costs one look-up.
   *
   * @throws TypeError when there is no such feature
   */
  allows(feature: Feature): boolean {
    return this.#stateOf(feature) === 'on'
  }

  /**
   * What the mode in force does to a feature, and why.
   *
   * @throws TypeError when there is no such feature
   */
  explain(feature: Feature): Explanation {
    const state = this.#stateOf(feature)
    return { allowed: state === 'on', mode: this.mode, state, why: this.#whyFeature(feature) }
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
    const gate = this.#gate
    const guard = this.#checkedGuard(feature, fn, options)
    function outcome(this: unknown, ...args: unknown[]): Promise<unknown> {
      return callGuarded(gate, guard, this, args, asOutcome)
    }
    function guarded(this: unknown, ...args: unknown[]): Promise<unknown> {
      return callGuarded(gate, guard, this, args, plainValue)
    }
    return Object.assign(guarded, { outcome }) as unknown as Guarded<Fn>
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
    const guard = this.#checkedGuard(feature, fn, options)
    return (await callGuarded(this.#gate, guard, undefined, [], plainValue)) as Value
  }

  /**
   * Sets the mode by hand. It wins over the rules, to the better as well as to the worse, until it expires or
   * {@link DegradationManager.clearMode} hands back to them. Works before `start()` too.
   *
   * @param mode - the mode
   * @param options - why, and for how long
   * @returns resolves when the mode is in force
   */
  async setMode(mode: Mode, options: SetModeOptions): Promise<void> {
    checkMode(mode)
    checkByHand('setMode', options, ['why', 'forMs'])
    this.#apply([{ type: 'setMode', mode, why: options.why, forMs: options.forMs }])
  }

  /**
   * Hands back to the rules at once: the mode is then where they have led in the meantime, which may be several steps
   * away. Does nothing when no mode is set by hand.
   *
   * @param options - why
   * @returns resolves when the rules decide again
   */
  async clearMode(options: Pick<SetModeOptions, 'why'>): Promise<void> {
    checkByHand('clearMode', options, ['why'])
    this.#apply([{ type: 'clearMode' }], options.why)
  }

  /** Begins to watch the health source and to read the pressures, the first time at once. May be called twice. */
  async start(): Promise<void> {
    if (this.#state.watching) return
    const inputs: Input[] = [{ type: 'start' }, ...this.#inputs.components(), ...this.#inputs.pressures()]
    this.#settings.health?.on('change', this.#onHealthChange)
    if (this.#inputs.needSampling) this.#sampleLater()
    this.#apply(inputs)
  }

  /**
   * Ends that. The mode stays as it is; one set by hand stays too, and if its time runs out meanwhile, it ends at the
   * next `start()`. May be called twice.
   */
  async stop(): Promise<void> {
    if (!this.#state.watching) return
    this.#settings.health?.off('change', this.#onHealthChange)
    this.#cancelSample?.()
    this.#apply([{ type: 'stop' }])
    // Unless a listener has started it again.
    if (!this.#state.watching) this.#cancelWake?.()
  }

  /** The same as {@link DegradationManager.stop}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  readonly #onHealthChange = (): void => this.#apply(this.#inputs.components())

  #sampleLater(): void {
    this.#cancelSample = this.#settings.clock.after(this.#settings.sampleMs, () => {
      // Armed anew from here, so that a blocked event loop costs one late sample and not a burst of them.
      this.#sampleLater()
      this.#apply(this.#inputs.pressures())
    })
  }

  #apply(inputs: readonly Input[], releasedWhy?: string): void {
    const { clock } = this.#settings
    const nowMs = clock.monotonic()
    const before = this.#state
    this.#state = inputs.reduce((state, input) => transition(this.#settings, state, input, nowMs), before)
    this.#features = this.#tables[modeOf(this.#state)]
    this.#wakeWhenDue(nowMs)
    const change = changeBetween(this.#settings, before, this.#state, clock.now(), releasedWhy)
    if (change !== undefined) this.#news.push(change)
    this.#announce()
  }

  #wakeWhenDue(nowMs: number): void {
    this.#cancelWake?.()
    const dueMs = nextDueMs(this.#settings, this.#state)
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

  #tellFallback(feature: string, why: string, error: unknown): void {
    if (this.listenerCount('fallback') === 0) return
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

  #tell<Name extends keyof DegradationManagerEvents>(name: Name, ...payload: DegradationManagerEvents[Name]): void {
    try {
      this.emit(name, ...(payload as EventEmitter.EventArgs<DegradationManagerEvents, Name>))
    } catch (error) {
      warn(`A listener of "${name}" threw`, error)
    }
  }

  #stateOf(feature: string): FeatureState {
    const state = this.#features.get(feature)
    if (state !== undefined) return state
    const known = [...this.#settings.features.keys()].join(', ')
    throw new TypeError(`There is no feature "${String(feature)}"; the features are ${known}`)
  }

  #whyFeature(feature: string): string {
    const priority = this.#settings.features.get(feature)?.priority
    const mode = whyMode(this.#settings, this.#state)
    const state = this.#stateOf(feature)
    const does = state === 'fallback' ? 'left to its fallback' : state
    return `"${feature}" (${String(priority)}) is ${does} in ${this.mode} mode: ${mode}`
  }

  #retryAfterMs(feature: string): number | undefined {
    const serves = (mode: Mode): boolean => this.#tables[mode].get(feature) === 'on'
    return earliestReturnMs(this.#settings, this.#state, serves, this.#settings.clock.monotonic())
  }

  #checkedGuard<Fn extends AnyFunction>(feature: string, fn: Fn, options: GuardOptions<Fn>): Guard {
    this.#stateOf(feature)
    const mode = modes.find((mode) => this.#tables[mode].get(feature) === 'fallback')
    if (mode !== undefined && options.fallback === undefined) {
      throw new TypeError(`"${feature}" is served by its fallback in ${mode} mode; give this guard a fallback`)
    }
    return checkedGuard(feature, fn, options)
  }
}
