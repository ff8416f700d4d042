import { checkNames, checkObject } from '../options.js'
import type { Clock, HealthSource } from '../ports.js'
import { maxDelayMs, systemClock } from '../system-clock.js'
import type { AnyFunction } from '../with-signal.js'

/** For whom an implementation is chosen. */
export interface RegistryContext {
  /** The guild: a Discord guild, a Telegram group, a Slack workspace. `null` counts as absent. */
  readonly guildId?: string | null | undefined
  /** The user. `null` counts as absent. */
  readonly userId?: string | null | undefined
  /** Facts that a flag may ask for. */
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
  /** Refused: pass `{ guildId, userId }`, not the object of a chat library. */
  readonly client?: never
  /** Refused: pass `{ guildId, userId }`, not the object of a chat library. */
  readonly id?: never
  /** Refused: pass `{ guildId, userId }`, not the object of a chat library. */
  readonly user?: never
}

/** One way to do what the port says. */
export interface Implementation<Port extends object, Component extends string = string> {
  /** The functions of the port, as an object or an instance. */
  readonly use: Port
  /** Whether it may serve this context: `(context) => flags.isEnabled('deepl', context)`. Always, unless given. */
  readonly when?: ((context: RegistryContext) => boolean) | undefined
  /** The component of the health source that it stands and falls with: while that is down, another one serves. */
  readonly component?: Component | undefined
}

/** The names of the functions of a port. */
export type FunctionName<Port extends object> = {
  [Name in keyof Port]-?: Port[Name] extends AnyFunction ? Name : never
}[keyof Port] &
  string

/** The options of a {@link Registry}. */
export interface RegistryOptions<Port extends object, Name extends string = string, Component extends string = string> {
  /** The implementations by name, the preferred one first. */
  readonly implementations: Readonly<Record<Name, Implementation<Port, NoInfer<Component>>>>
  /** Who knows how the components are; needed when an implementation names one. */
  readonly health?: HealthSource<Component> | undefined
  /**
   * Whoever tells when an answer of `when` may have changed, such as `FeatureFlags`. Every call asks `when` anew; this is
   * for the news of it.
   */
  readonly flags?: ChangeSource | undefined
  /**
   * The functions that do no harm when they are done twice: all of them, or those named. Only these are done by another
   * implementation after a failure that may have taken effect.
   *
   * @defaultValue `false`
   */
  readonly idempotent?: boolean | readonly FunctionName<Port>[] | undefined
  /** Says of an error that it is the user's own mistake: no other implementation is tried. */
  readonly isUserError?: ((error: unknown) => boolean) | undefined
  /**
   * What to call it in errors and events.
   *
   * @defaultValue `'registry'`
   */
  readonly name?: string | undefined
  /** Time, for tests; the system's unless given. */
  readonly clock?: Clock | undefined
}

/** Whatever tells of changes. */
export interface ChangeSource {
  /** Calls the listener whenever something may have changed. */
  on(event: 'change', listener: () => void): unknown
  /** Takes the listener off again. */
  off(event: 'change', listener: () => void): unknown
}

/** The defaults of {@link RegistryOptions}. */
export const registryDefaults: Readonly<Record<'name', string> & Record<'idempotent', boolean>> = {
  name: 'registry',
  idempotent: false,
} satisfies Required<Pick<RegistryOptions<object>, 'name' | 'idempotent'>>

/** How {@link Registry.use} chooses by hand. */
export interface UseOptions {
  /** For the record and for whoever asks why. */
  readonly why: string
  /** Who does it: a name, a user's id. */
  readonly by?: string | undefined
  /** When flags and health decide again, in ms from now, more than 0; not before {@link Registry.clear} unless given. */
  readonly forMs?: number | undefined
}

/** How long {@link Registry.drained} waits. */
export interface DrainOptions {
  /** At most so many ms, more than 0; for ever unless given. */
  readonly timeoutMs?: number | undefined
  /** Stops waiting. */
  readonly signal?: AbortSignal | undefined
}

/** @throws TypeError or RangeError when a choice by hand has no reason, or what nobody would honour */
export function checkUse(what: string, options: Partial<UseOptions> | undefined, known: readonly string[]): void {
  const { why, by, forMs } = options ?? {}
  if (typeof why !== 'string' || why.trim() === '') {
    throw new TypeError(`${what} needs a why: say in a few words why it is chosen by hand`)
  }
  checkNames(what, options ?? {}, known)
  if (by !== undefined && typeof by !== 'string') throw new TypeError('by must be a name or an id')
  if (forMs !== undefined && !(forMs > 0 && forMs < Infinity)) {
    throw new RangeError(`forMs is ${forMs}; give milliseconds, more than 0, or leave it out for no end`)
  }
}

/** @throws TypeError or RangeError naming the option and its value */
export function checkDrain(options: DrainOptions): void {
  checkNames('drained', options, ['timeoutMs', 'signal'])
  const { timeoutMs } = options
  if (timeoutMs === undefined || (timeoutMs > 0 && timeoutMs <= maxDelayMs)) return
  throw new RangeError(`timeoutMs is ${timeoutMs}; give ms, more than 0 and at most ${maxDelayMs}, or leave it out`)
}

/** One implementation, checked. */
export interface Candidate {
  readonly name: string
  readonly use: Readonly<Record<string, AnyFunction>>
  readonly when: ((context: RegistryContext) => boolean) | undefined
  readonly component: string | undefined
}

/** The options with the defaults filled in and every contradiction refused. */
export interface RegistrySettings {
  readonly name: string
  readonly candidates: readonly Candidate[]
  /** The functions that all implementations have. */
  readonly functions: readonly string[]
  readonly idempotent: ReadonlySet<string>
  readonly health: HealthSource | undefined
  readonly flags: ChangeSource | undefined
  readonly isUserError: ((error: unknown) => boolean) | undefined
  readonly clock: Clock
}

const optionNames = ['implementations', 'health', 'flags', 'idempotent', 'isUserError', 'name', 'clock']

/** @throws TypeError naming the option, its value and the remedy */
export function registrySettings<Port extends object>(options: RegistryOptions<Port, string, never>): RegistrySettings {
  checkNames('A Registry', options, optionNames)
  const { implementations, flags, isUserError, clock = systemClock } = options
  const { name = registryDefaults.name, idempotent = registryDefaults.idempotent } = options
  const health: HealthSource | undefined = options.health
  if (typeof name !== 'string' || name === '') throw new TypeError('name must be a string that is not empty')
  checkObject('implementations', implementations)
  const candidates = Object.entries<Implementation<Port>>(implementations).map(([of, given]) => candidate(of, given))
  if (candidates.length === 0) throw new TypeError('implementations is empty; name at least one')
  const named = candidates.find(({ component }) => component !== undefined)
  if (named !== undefined && health === undefined) {
    throw new TypeError(`implementations.${named.name} is about component "${named.component}"; pass health as well`)
  }
  if (health !== undefined && (typeof health.components?.get !== 'function' || typeof health.on !== 'function')) {
    throw new TypeError('health must have a Map named components, and on and off, as a HealthMonitor has')
  }
  if (flags !== undefined && (typeof flags.on !== 'function' || typeof flags.off !== 'function')) {
    throw new TypeError('flags must have on and off, as FeatureFlags has')
  }
  if (isUserError !== undefined && typeof isUserError !== 'function') {
    throw new TypeError('isUserError must be a function of the error')
  }
  const functions = functionsOf(candidates)
  return {
    name,
    candidates,
    functions,
    idempotent: new Set(checkedIdempotent(functions, idempotent)),
    health,
    flags,
    isUserError,
    clock,
  }
}

function candidate(name: string, given: Implementation<object>): Candidate {
  const at = `implementations.${name}`
  // It is what the news says when nothing serves.
  if (name === 'none') throw new TypeError('An implementation cannot be called none; call it what it does')
  checkNames(at, given, ['use', 'when', 'component'])
  const { use, when, component } = given
  checkObject(`${at}.use`, use)
  if (when !== undefined && typeof when !== 'function') {
    throw new TypeError(`${at}.when must be a function of the context that returns true or false`)
  }
  return { name, use: use as Candidate['use'], when, component }
}

function checkedIdempotent(functions: readonly string[], idempotent: boolean | readonly string[]): readonly string[] {
  if (typeof idempotent === 'boolean') return idempotent ? functions : []
  if (!Array.isArray(idempotent)) throw new TypeError('idempotent must be true, false or a list of function names')
  const unknown = idempotent.find((name: string) => !functions.includes(name)) as string | undefined
  if (unknown === undefined) return idempotent as readonly string[]
  throw new TypeError(`idempotent names ${unknown}, which is no function of every implementation`)
}

/** The functions that every implementation has, its own or its class's. */
function functionsOf([first, ...others]: readonly Candidate[]): readonly string[] {
  if (first === undefined) return []
  const names = namesOf(first.use).filter((name) => others.every(({ use }) => isFunction(use, name)))
  if (names.length === 0) throw new TypeError('The implementations have no function in common; which port is it?')
  return names
}

function namesOf(use: Candidate['use']): string[] {
  const names = new Set<string>()
  for (let holder: unknown = use; holder !== null && holder !== Object.prototype;) {
    for (const name of Object.getOwnPropertyNames(holder)) names.add(name)
    holder = Object.getPrototypeOf(holder)
  }
  // Whoever awaits the port must not call it.
  for (const name of ['constructor', 'then']) names.delete(name)
  return [...names].filter((name) => isFunction(use, name))
}

/** A property that cannot be read, such as a connection that is not there yet, is no function. */
function isFunction(use: Candidate['use'], name: string): boolean {
  try {
    return typeof use[name] === 'function'
  } catch {
    return false
  }
}
