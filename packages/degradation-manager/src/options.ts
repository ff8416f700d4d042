import { inspect } from 'node:util'
import { modes, type Mode } from './mode.js'
import type { Clock, HealthSource } from './ports.js'
import { priorities, type Priority } from './priority.js'
import { maxDelayMs, systemClock } from './system-clock.js'

/** What a mode does to a feature: served as usual, not served, or served by its fallback only. */
export type FeatureState = 'on' | 'off' | 'fallback'

/** One feature of the bot. */
export interface FeatureOptions {
  /**
   * DEGRADED switches `optional` features off; MAINTENANCE leaves only the `critical` ones on.
   *
   * @defaultValue `'normal'`
   */
  readonly priority?: Priority | undefined
  /** Exceptions from what the priority says, mode by mode: `{ DEGRADED: 'fallback' }`. */
  readonly in?: { readonly [M in Mode]?: FeatureState | undefined } | undefined
}

/** The defaults of {@link FeatureOptions}. */
export const featureDefaults: Readonly<Record<'priority', Priority>> = { priority: 'normal' } satisfies Required<
  Pick<FeatureOptions, 'priority'>
>

/** While a component of the health source is in a bad way, the mode is at least this bad. */
export interface ComponentRule<Component extends string = string> {
  /** The component's name in the health source. */
  readonly component: Component
  /** The least that must be wrong: `degraded` means degraded or down. `unknown` neither starts nor ends a rule. */
  readonly is: 'degraded' | 'down'
  /** What the rule asks for while it holds. */
  readonly mode: Exclude<Mode, 'FULL'>
  /** A rule is about a component or a pressure, never both. */
  readonly pressure?: never
}

/** While a pressure is high, the mode is at least this bad. */
export interface PressureRule<Pressure extends string = string> {
  /** A name from `pressures`. */
  readonly pressure: Pressure
  /** The rule begins to hold at this value or above: more than `leave`, at most 1. */
  readonly enter: number
  /** The rule ends at this value or below: at least 0. In between it stays as it was (hysteresis). */
  readonly leave: number
  /** What the rule asks for while it holds. */
  readonly mode: Exclude<Mode, 'FULL'>
  /** A rule is about a component or a pressure, never both. */
  readonly component?: never
}

/** What makes the mode worse by itself. Of the rules that hold, the worst mode wins. */
export type Rule<Component extends string = string, Pressure extends string = string> =
  ComponentRule<Component> | PressureRule<Pressure>

/** The options of a {@link DegradationManager}. */
export interface DegradationManagerOptions<
  Feature extends string,
  Component extends string = never,
  Pressure extends string = never,
> {
  /** The bot's features by name. */
  readonly features: Readonly<Record<Feature, FeatureOptions>>
  /** Who knows how the components are; needed when a rule names one. */
  readonly health?: HealthSource<Component> | undefined
  /** What makes the mode worse by itself; without rules it changes only by hand. */
  readonly rules?: readonly Rule<NoInfer<Component>, NoInfer<Pressure>>[] | undefined
  /** Functions that say how hard pressed something is: 0 is idle, 1 is as much as it can take. */
  readonly pressures?: Readonly<Record<Pressure, () => number>> | undefined
  /**
   * How long nothing must have asked for the present mode before it gets one step better, in ms; 0 or more.
   *
   * @defaultValue `30_000`
   */
  readonly minDwellMs?: number | undefined
  /**
   * How often the pressures are read while started, in ms; more than 0.
   *
   * @defaultValue `1_000`
   */
  readonly sampleMs?: number | undefined
  /** Time, for tests; the system's unless given. */
  readonly clock?: Clock | undefined
}

/** The defaults of {@link DegradationManagerOptions}. */
export const degradationManagerDefaults: Readonly<Record<'minDwellMs' | 'sampleMs', number>> = {
  minDwellMs: 30_000,
  sampleMs: 1_000,
} satisfies Required<Pick<DegradationManagerOptions<string>, 'minDwellMs' | 'sampleMs'>>

/** How {@link DegradationManager.setMode} sets a mode. */
export interface SetModeOptions {
  /** For the record and for whoever asks why. */
  readonly why: string
  /** When to hand back to the rules, in ms from now, more than 0; until {@link DegradationManager.clearMode} unless given. */
  readonly forMs?: number | undefined
}

/** The options with the defaults filled in and every contradiction refused. */
export interface Settings {
  readonly features: ReadonlyMap<string, { readonly priority: Priority; readonly in: FeatureOptions['in'] }>
  readonly health: HealthSource | undefined
  readonly rules: readonly Rule[]
  readonly pressures: ReadonlyMap<string, () => number>
  readonly minDwellMs: number
  readonly sampleMs: number
  readonly clock: Clock
}

const featureStates: readonly string[] = ['on', 'off', 'fallback'] satisfies FeatureState[]

const optionNames = ['features', 'health', 'rules', 'pressures', 'minDwellMs', 'sampleMs', 'clock']

/** @throws TypeError or RangeError naming the option, its value and the remedy */
export function checkedOptions(options: DegradationManagerOptions<string, string, string>): Settings {
  checkNames('The options', options, optionNames)
  if (options.rules !== undefined && !Array.isArray(options.rules)) throw new TypeError('rules must be a list of rules')
  const settings: Settings = {
    features: checkedFeatures(options.features),
    health: options.health,
    rules: options.rules ?? [],
    pressures: new Map(Object.entries(options.pressures ?? {})),
    minDwellMs: options.minDwellMs ?? degradationManagerDefaults.minDwellMs,
    sampleMs: options.sampleMs ?? degradationManagerDefaults.sampleMs,
    clock: options.clock ?? systemClock,
  }
  if (!(settings.minDwellMs >= 0) || settings.minDwellMs === Infinity) {
    throw new RangeError(`minDwellMs is ${settings.minDwellMs}; give 0 or more milliseconds`)
  }
  if (!(settings.sampleMs > 0 && settings.sampleMs <= maxDelayMs)) {
    throw new RangeError(`sampleMs is ${settings.sampleMs}; give milliseconds, more than 0 and at most ${maxDelayMs}`)
  }
  if (settings.health !== undefined) checkHealth(settings.health)
  for (const [name, read] of settings.pressures) {
    if (typeof read !== 'function') throw new TypeError(`pressures.${name} is no function; give () => a number 0..1`)
  }
  settings.rules.forEach((rule, index) => checkRule(rule, `rules[${index}]`, settings))
  return settings
}

/** @throws TypeError when it is no object, or has an option that nobody would honour, such as a misspelt one */
export function checkNames(what: string, options: object, known: readonly string[]): void {
  checkObject(what, options)
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined) throw new TypeError(`${what} cannot have "${unknown}"; known are ${known.join(', ')}`)
}

function checkObject(what: string, value: unknown): void {
  if (typeof value !== 'object' || value === null) {
    throw new TypeError(`${what} must be an object, not ${inspect(value)}`)
  }
}

function checkHealth(health: HealthSource): void {
  const { components } = health
  const isReadable = typeof components === 'object' && components !== null && typeof components.get === 'function'
  if (!isReadable || typeof health.on !== 'function' || typeof health.off !== 'function') {
    throw new TypeError('health must have a Map named components, and on and off, as a HealthMonitor has')
  }
}

/** @throws TypeError when there is no such mode */
export function checkMode(mode: Mode): void {
  if (!modes.includes(mode)) throw new TypeError(`There is no mode ${String(mode)}; the modes are ${modes.join(', ')}`)
}

/** @throws TypeError when the operator gives no reason, RangeError when the time is not a positive number */
export function checkByHand(what: string, options: SetModeOptions, known: readonly string[]): void {
  const { why, forMs }: Partial<SetModeOptions> = options ?? {}
  if (typeof why !== 'string' || why.trim() === '') {
    throw new TypeError(`${what} needs a why: say in a few words why the mode is changed by hand`)
  }
  checkNames(what, options, known)
  if (forMs !== undefined && !(forMs > 0 && forMs < Infinity)) {
    throw new RangeError(`forMs is ${forMs}; give milliseconds, more than 0, or leave it out for no end`)
  }
}

function checkedFeatures(features: Readonly<Record<string, FeatureOptions>>): Settings['features'] {
  if (typeof features !== 'object' || features === null) {
    throw new TypeError('features is missing; name them: { remind: { priority: "critical" } }')
  }
  const checked = new Map<string, { priority: Priority; in: FeatureOptions['in'] }>()
  for (const [name, feature] of Object.entries(features)) {
    checkNames(`features.${name}`, feature, ['priority', 'in'])
    const { priority = featureDefaults.priority, in: exceptions } = feature
    if (!priorities.includes(priority)) {
      throw new TypeError(`features.${name}.priority is ${priority}; it can be ${priorities.join(', ')}`)
    }
    for (const [mode, state] of Object.entries(exceptions ?? {})) {
      checkMode(mode as Mode)
      if (state !== undefined && !featureStates.includes(state)) {
        throw new TypeError(`features.${name}.in.${mode} is ${String(state)}; it can be ${featureStates.join(', ')}`)
      }
    }
    checked.set(name, { priority, in: exceptions })
  }
  return checked
}

function checkRule(rule: Rule, at: string, { health, pressures }: Settings): void {
  checkObject(at, rule)
  if (rule.mode !== 'DEGRADED' && rule.mode !== 'MAINTENANCE') {
    throw new TypeError(`${at}.mode is ${String(rule.mode)}; a rule asks for DEGRADED or MAINTENANCE`)
  }
  if ((rule.component === undefined) === (rule.pressure === undefined)) {
    throw new TypeError(`${at} must name either a component or a pressure`)
  }
  if (rule.component !== undefined) {
    checkNames(at, rule, ['component', 'is', 'mode', 'pressure'])
    if (health === undefined) throw new TypeError(`${at} is about component "${rule.component}"; pass health as well`)
    if (rule.is !== 'degraded' && rule.is !== 'down') {
      throw new TypeError(`${at}.is is ${String(rule.is)}; it can be degraded or down`)
    }
    return
  }
  checkNames(at, rule, ['pressure', 'enter', 'leave', 'mode', 'component'])
  if (!pressures.has(rule.pressure)) {
    throw new TypeError(`${at} is about pressure "${rule.pressure}"; add a function of that name to pressures`)
  }
  if (!(rule.leave >= 0 && rule.leave < rule.enter && rule.enter <= 1)) {
    throw new RangeError(`${at} enters at ${rule.enter} and leaves at ${rule.leave}; it takes 0 <= leave < enter <= 1`)
  }
}
