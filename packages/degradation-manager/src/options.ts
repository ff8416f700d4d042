import { inspect } from 'node:util'
import type { Mode } from './mode.js'
import type { Clock, FlagSource, HealthSource, StateStore } from './ports.js'
import type { BuiltInPressure } from './pressures/built-in.js'
import type { Priority } from './priority.js'

/**
 * What a mode does to a feature: served as usual, served to so many calls at once, served by its fallback only, or not
 * served.
 */
export type FeatureState = 'on' | 'limited' | 'fallback' | 'off'

/** At most so many calls of a feature at once. */
export interface Limited {
  /** A whole number, 1 or more. A guarded call that comes on top is answered as if the feature were off. */
  readonly maxConcurrent: number
}

/** What a feature says of a mode. */
export type ModeEffect = Exclude<FeatureState, 'limited'> | Limited

/** One feature of the bot. */
export interface FeatureOptions<ModeName extends string = Mode> {
  /**
   * DEGRADED switches `optional` features off; MAINTENANCE leaves only the `critical` ones on.
   *
   * @defaultValue `'normal'`
   */
  readonly priority?: Priority | undefined
  /**
   * Exceptions from what the priority says, mode by mode: `{ DEGRADED: 'fallback' }`, `{ DEGRADED: { maxConcurrent: 2 } }`.
   * One holds in worse modes too, unless they have their own, or the priority is stricter there.
   */
  readonly in?: { readonly [M in ModeName]?: ModeEffect | undefined } | undefined
}

/** The defaults of {@link FeatureOptions}. */
export const featureDefaults: Readonly<Record<'priority', Priority>> = { priority: 'normal' } satisfies Required<
  Pick<FeatureOptions, 'priority'>
>

/** What every rule says. */
export interface CommonRule<ModeName extends string = Mode> {
  /** What the rule asks for while it holds. */
  readonly mode: Exclude<ModeName, 'FULL'>
  /**
   * Whether what this process sees counts for all that share its `store`: for what is the same for all, such as a
   * database, and not for what each has of its own, such as its processor.
   *
   * @defaultValue `false`
   */
  readonly shared?: boolean | undefined
}

/** While a component of the health source is in a bad way, the mode is at least this bad. */
export interface ComponentRule<
  Component extends string = string,
  ModeName extends string = Mode,
> extends CommonRule<ModeName> {
  /** The component's name in the health source. */
  readonly component: Component
  /** The least that must be wrong: `degraded` means degraded or down. `unknown` neither starts nor ends a rule. */
  readonly is: 'degraded' | 'down'
  /** A rule is about one thing. */
  readonly health?: never
  /** A rule is about one thing. */
  readonly pressure?: never
  /** A rule is about one thing. */
  readonly flag?: never
}

/** While the bot as a whole is in a bad way, as its health source sums it up, the mode is at least this bad. */
export interface HealthRule<ModeName extends string = Mode> extends CommonRule<ModeName> {
  /** The health source's own `status`, in which it has weighed its components. */
  readonly health: 'overall'
  /** The least that must be wrong: `degraded` means degraded or down. `unknown` neither starts nor ends a rule. */
  readonly is: 'degraded' | 'down'
  /** A rule is about one thing. */
  readonly component?: never
  /** A rule is about one thing. */
  readonly pressure?: never
  /** A rule is about one thing. */
  readonly flag?: never
}

/** While a pressure is high, the mode is at least this bad. */
export interface PressureRule<
  Pressure extends string = string,
  ModeName extends string = Mode,
> extends CommonRule<ModeName> {
  /** A name from `pressures`, or `cpu`, `memory` or `loopDelay`. */
  readonly pressure: Pressure
  /** The rule begins to hold at this value or above: more than `leave`, at most 1. */
  readonly enter: number
  /** The rule ends at this value or below: at least 0. In between it stays as it was (hysteresis). */
  readonly leave: number
  /** A rule is about one thing. */
  readonly component?: never
  /** A rule is about one thing. */
  readonly health?: never
  /** A rule is about one thing. */
  readonly flag?: never
}

/** While a flag is on, the mode is at least this bad. */
export interface FlagRule<Flag extends string = string, ModeName extends string = Mode> extends CommonRule<ModeName> {
  /** The flag's name in `flags`. */
  readonly flag: Flag
  /**
   * Whether the rule holds while the flag is on, or while it is off.
   *
   * @defaultValue `'on'`
   */
  readonly is?: 'on' | 'off' | undefined
  /** A rule is about one thing. */
  readonly component?: never
  /** A rule is about one thing. */
  readonly health?: never
  /** A rule is about one thing. */
  readonly pressure?: never
}

/** What makes the mode worse by itself. Of the rules that hold, the worst mode wins. */
export type Rule<
  Component extends string = string,
  Pressure extends string = string,
  Flag extends string = string,
  ModeName extends string = Mode,
> =
  | ComponentRule<Component, ModeName>
  | HealthRule<ModeName>
  | PressureRule<Pressure, ModeName>
  | FlagRule<Flag, ModeName>

/** The options of a {@link DegradationManager}. */
export interface DegradationManagerOptions<
  Feature extends string,
  ModeName extends string = Mode,
  Component extends string = never,
  Pressure extends string = never,
  Flag extends string = never,
> {
  /**
   * The modes, best first: `FULL`, then your own in capitals, then `MAINTENANCE`.
   *
   * @defaultValue `['FULL', 'DEGRADED', 'MAINTENANCE']`
   */
  readonly modes?: (readonly ModeName[] & readonly ['FULL', ...string[], 'MAINTENANCE']) | undefined
  /**
   * The least important features that a mode serves, where that is not `normal` (not `critical` in MAINTENANCE):
   * `{ READ_ONLY: 'optional', ESSENTIAL: 'high' }`. A worse mode may serve no more than a better one.
   */
  readonly serves?: { readonly [M in Exclude<NoInfer<ModeName>, 'FULL'>]?: Priority | undefined } | undefined
  /** The bot's features by name. */
  readonly features: Readonly<Record<Feature, FeatureOptions<NoInfer<ModeName>>>>
  /** Who knows how the components are; needed when a rule names one. */
  readonly health?: HealthSource<Component> | undefined
  /** What makes the mode worse by itself; without rules it changes only by hand. */
  readonly rules?:
    | readonly Rule<NoInfer<Component>, NoInfer<Pressure> | BuiltInPressure, NoInfer<Flag>, NoInfer<ModeName>>[]
    | undefined
  /**
   * Functions that say how hard pressed something is: 0 is idle, 1 is as much as it can take. `cpu`, `memory` and
   * `loopDelay` need not be given to be used in a rule.
   */
  readonly pressures?: Readonly<Record<Pressure, () => number>> | undefined
  /** Who answers for the flags that rules name: `FeatureFlags`, or anything with `isEnabled(name)`. */
  readonly flags?: FlagSource<Flag> | undefined
  /**
   * How long nothing must have asked for the present mode before it gets one step better, in ms; 0 or more. Twice as
   * long, and at most eight times, after a step that had to be taken back before it had lasted as long.
   *
   * @defaultValue `30_000`
   */
  readonly minDwellMs?: number | undefined
  /**
   * How often the pressures are read while started, in ms; more than 0. So are flags that tell of no changes.
   *
   * @defaultValue `1_000`
   */
  readonly sampleMs?: number | undefined
  /**
   * Decide and tell, and change nothing: the mode stays FULL, each `change` says `dryRun: true`, and
   * {@link DegradationManager.decidedMode} is what the mode would be.
   *
   * @defaultValue `false`
   */
  readonly dryRun?: boolean | undefined
  /** Keeps a mode that is set by hand over a restart, and shares it with all processes that have the same: a collection. */
  readonly store?: StateStore | undefined
  /** How far the store must reach: the bot's processes are one, or on one machine, or on several. Refused if it does not. */
  readonly scope?: StateStore['scope'] | undefined
  /**
   * Tells several bots in one store apart.
   *
   * @defaultValue `'bot'`
   */
  readonly name?: string | undefined
  /**
   * How long one answer of the store may take, in ms; more than 0.
   *
   * @defaultValue `2_000`
   */
  readonly storeTimeoutMs?: number | undefined
  /** Time, for tests; the system's unless given. */
  readonly clock?: Clock | undefined
}

/** The defaults of {@link DegradationManagerOptions}. */
export const degradationManagerDefaults: Readonly<
  Record<'minDwellMs' | 'sampleMs' | 'storeTimeoutMs', number> & Record<'dryRun', boolean> & Record<'name', string>
> = {
  minDwellMs: 30_000,
  sampleMs: 1_000,
  dryRun: false,
  name: 'bot',
  storeTimeoutMs: 2_000,
} satisfies Required<
  Pick<DegradationManagerOptions<string>, 'minDwellMs' | 'sampleMs' | 'dryRun' | 'name' | 'storeTimeoutMs'>
>

/** How {@link DegradationManager.setMode} sets a mode. */
export interface SetModeOptions {
  /** For the record and for whoever asks why. */
  readonly why: string
  /** Who does it: a name, a user's id. */
  readonly by?: string | undefined
  /** When to hand back to the rules, in ms from now, more than 0; until {@link DegradationManager.clearMode} unless given. */
  readonly forMs?: number | undefined
}

/** A rule over whatever modes there are. */
export type AnyRule = Rule<string, string, string, string>

/** The options with the defaults filled in and every contradiction refused. */
export interface Settings {
  readonly modes: readonly string[]
  /** The least important priority that each mode serves. */
  readonly serves: ReadonlyMap<string, Priority>
  readonly features: ReadonlyMap<string, { readonly priority: Priority; readonly in: FeatureOptions<string>['in'] }>
  readonly health: HealthSource | undefined
  readonly rules: readonly AnyRule[]
  readonly pressures: ReadonlyMap<string, () => number>
  readonly flags: FlagSource | undefined
  readonly minDwellMs: number
  readonly sampleMs: number
  readonly dryRun: boolean
  readonly store: StateStore | undefined
  readonly name: string
  readonly storeTimeoutMs: number
  readonly clock: Clock
}

/** Options of whatever names there are. */
export type AnyOptions = DegradationManagerOptions<string, string, string, string, string>

/** @throws TypeError when it is no object, or has an option that nobody would honour, such as a misspelt one */
export function checkNames(what: string, options: object, known: readonly string[]): void {
  checkObject(what, options)
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined) throw new TypeError(`${what} cannot have "${unknown}"; known are ${known.join(', ')}`)
}

/** @throws TypeError when it is no object */
export function checkObject(what: string, value: unknown): void {
  if (typeof value !== 'object' || value === null) {
    throw new TypeError(`${what} must be an object, not ${inspect(value)}`)
  }
}

/** @throws TypeError when the operator gives no reason, RangeError when the time is not a positive number */
export function checkByHand(what: string, options: SetModeOptions, known: readonly string[]): void {
  const { why, by, forMs }: Partial<SetModeOptions> = options ?? {}
  if (typeof why !== 'string' || why.trim() === '') {
    throw new TypeError(`${what} needs a why: say in a few words why the mode is changed by hand`)
  }
  checkNames(what, options, known)
  if (by !== undefined && typeof by !== 'string') throw new TypeError(`by is ${inspect(by)}; give a name or an id`)
  if (forMs !== undefined && !(Number.isFinite(forMs) && forMs > 0)) {
    throw new RangeError(`forMs is ${inspect(forMs)}; give milliseconds, more than 0, or leave it out for no end`)
  }
}
