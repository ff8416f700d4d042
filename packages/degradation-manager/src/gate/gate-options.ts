import type { Admission } from '../admission/admission.js'
import type { FeatureState } from '../options.js'
import { checkNames, checkObject } from '../options.js'
import type { Clock } from '../ports.js'
import { priorities, type Priority } from '../priority.js'
import { systemClock } from '../system-clock.js'
import { politeKinds, type PoliteKind, type PoliteTexts } from './texts.js'

/** What a gate asks of a `DegradationManager`. */
export interface GateModes<Feature extends string = string> {
  /** A feature by its name; throws when there is none. */
  feature(feature: Feature): {
    /** How much it matters. */
    readonly priority: Priority
    /** What the mode in force does to it. */
    readonly state: FeatureState
    /** How many calls at once while it is limited. */
    readonly maxConcurrent: number
  }
  /** Why a feature is not served. */
  explain(feature: Feature): {
    /** Whether it may be used now. */
    readonly allowed: boolean
    /** The mode in force. */
    readonly mode: string
    /** The reason, in words for an operator. */
    readonly why: string
    /** The earliest that it may be back, in ms; undefined when nobody knows. */
    readonly retryAfterMs: number | undefined
  }
}

/** What a gate asks of flags: `FeatureFlags`, or anything with `isEnabled`. */
export interface GateFlags<Flag extends string = string> {
  /** Whether a flag is on for a guild and a user. */
  isEnabled(flag: Flag, context: GateContext): boolean
}

/** For whom a flag is asked. */
export interface GateContext {
  /** The guild: a Discord guild, a Telegram group, a Slack workspace. */
  readonly guildId?: string | undefined
  /** The user. */
  readonly userId?: string | undefined
}

/** What a gate asks of an `AdaptiveLimiter` or a `Bulkhead`. */
export type GateAdmission = Pick<Admission, 'acquire'>

/** What decides about one command. */
export interface CommandRule<Feature extends string = string, Flag extends string = string> {
  /**
   * The feature that it belongs to: refused while the mode in force has it off, or has as many handled as it is limited
   * to. One that is left to its fallback passes, for that is what a guard inside the handler answers with.
   */
  readonly feature?: Feature | undefined
  /** The flag that switches it: off while the flag is off. A function gets the command's name, and may give none. */
  readonly flag?: Flag | ((command: string) => Flag | undefined) | undefined
  /**
   * How much it matters when there is not enough room for all.
   *
   * @defaultValue the priority of its feature, else `'normal'`
   */
  readonly priority?: Priority | undefined
}

/** A command that was not served. */
export interface Refused<Event> {
  /** Its name: `remind add`. */
  readonly command: string
  /** What the user was told. */
  readonly kind: PoliteKind
  /** The reason, in words for an operator. */
  readonly why: string
  /** The earliest that it makes sense to try again, in ms; undefined when nobody knows. */
  readonly retryAfterMs: number | undefined
  /** What came in. */
  readonly event: Event
}

/** What every gate is made of. */
export interface GateOptions<Feature extends string, Flag extends string, Event, Rule> {
  /**
   * What decides about each command, by its name: `remind`; `remind add` for a subcommand, which otherwise follows its
   * command; `'*'` for all that have no rule of their own. A command without any rule passes, unbounded.
   */
  readonly commands: Readonly<Record<string, Rule>>
  /** Knows the features; needed when a rule names one. */
  readonly modes?: GateModes<Feature> | undefined
  /** Knows the flags; needed when a rule names one. */
  readonly flags?: GateFlags<Flag> | undefined
  /** Bounds how many commands are handled at once: an `AdaptiveLimiter` or a `Bulkhead`. */
  readonly admission?: GateAdmission | undefined
  /** The name of a command that the gate cannot see by itself, such as a button's; undefined when it has none. */
  readonly command?: ((event: Event) => string | undefined) | undefined
  /** Words of your own by language: `{ en: { busy: ({ again }) => ... } }`. */
  readonly texts?: Readonly<Record<string, PoliteTexts>> | undefined
  /**
   * After how many ms a handler that has not ended holds its place no longer, more than 0.
   *
   * @defaultValue `900_000`
   */
  readonly maxHeldMs?: number | undefined
  /** Told of every command that is not served. */
  readonly onRefused?: ((refused: Refused<Event>) => void) | undefined
  /** Told when the user could not even be told, because the platform refused; else that is a process warning. */
  readonly onUnanswered?: ((event: Event, error: unknown) => void) | undefined
  /** Time, for tests; the system's unless given. */
  readonly clock?: Clock | undefined
}

/** The defaults of what every gate is made of. */
export const gateDefaults: Readonly<Record<'maxHeldMs', number>> = {
  // As long as Discord takes an answer to an interaction.
  maxHeldMs: 900_000,
} satisfies Required<Pick<GateOptions<string, string, unknown, unknown>, 'maxHeldMs'>>

const optionNames = [
  'commands',
  'modes',
  'flags',
  'admission',
  'command',
  'texts',
  'maxHeldMs',
  'onRefused',
  'onUnanswered',
  'clock',
]
const ruleNames = ['feature', 'flag', 'priority']

/** All of it, checked. */
export interface GateSettings<Event, Rule> {
  readonly rules: ReadonlyMap<string, Rule>
  readonly modes: GateModes | undefined
  readonly flags: GateFlags | undefined
  readonly admission: GateAdmission | undefined
  readonly command: ((event: Event) => string | undefined) | undefined
  readonly texts: Readonly<Record<string, PoliteTexts>>
  readonly maxHeldMs: number
  readonly onRefused: ((refused: Refused<Event>) => void) | undefined
  readonly onUnanswered: ((event: Event, error: unknown) => void) | undefined
  readonly clock: Clock
}

/** Options of whatever names there are. */
type AnyGateOptions<Event, Rule> = GateOptions<never, never, Event, Rule>

/**
 * @param known - the names of the options, and of a rule's fields, that only this gate has
 * @throws TypeError or RangeError naming the option, its value and the remedy
 */
export function gateSettings<Event, Rule extends CommandRule<never, never>>(
  options: AnyGateOptions<Event, Rule>,
  known: { readonly options: readonly string[]; readonly rule: readonly string[] },
): GateSettings<Event, Rule> {
  checkNames('A gate', options, [...optionNames, ...known.options])
  checkObject('commands', options.commands)
  const { admission, command, texts = {}, maxHeldMs = gateDefaults.maxHeldMs, clock = systemClock } = options
  const modes = options.modes as GateModes | undefined
  const flags = options.flags as GateFlags | undefined
  if (modes !== undefined && (typeof modes.feature !== 'function' || typeof modes.explain !== 'function')) {
    throw new TypeError('modes must have feature and explain, as a DegradationManager has')
  }
  if (flags !== undefined && typeof flags.isEnabled !== 'function') {
    throw new TypeError('flags must have isEnabled(name, context), as FeatureFlags has')
  }
  if (admission !== undefined && typeof admission.acquire !== 'function') {
    throw new TypeError('admission must have acquire, as an AdaptiveLimiter and a Bulkhead have')
  }
  for (const name of ['command', 'onRefused', 'onUnanswered'] as const) {
    const fn: unknown = options[name]
    if (fn !== undefined && typeof fn !== 'function') throw new TypeError(`${name} must be a function`)
  }
  if (!(maxHeldMs > 0)) throw new RangeError(`maxHeldMs is ${String(maxHeldMs)}; give ms, more than 0`)
  checkObject('texts', texts)
  for (const [tag, words] of Object.entries(texts)) checkNames(`texts.${tag}`, words, politeKinds)
  const rules = new Map(Object.entries(options.commands))
  for (const [name, rule] of rules) {
    const at = `commands[${JSON.stringify(name)}]`
    checkNames(at, rule, [...ruleNames, ...known.rule])
    const { feature, flag, priority } = rule as CommandRule
    if (feature !== undefined) {
      if (modes === undefined) throw new TypeError(`${at} is about feature "${feature}"; pass modes as well`)
      modes.feature(feature)
    }
    if (flag !== undefined && flags === undefined) throw new TypeError(`${at} is about a flag; pass flags as well`)
    if (priority !== undefined && !priorities.includes(priority)) {
      throw new TypeError(`${at}.priority is ${String(priority)}; it can be ${priorities.join(', ')}`)
    }
  }
  const { onRefused, onUnanswered } = options
  return { rules, modes, flags, admission, command, texts, maxHeldMs, onRefused, onUnanswered, clock }
}
