import { inspect } from 'node:util'
import { bestMode, defaultModes, worstMode } from './mode.js'
import {
  checkNames,
  checkObject,
  degradationManagerDefaults,
  featureDefaults,
  type AnyOptions,
  type AnyRule,
  type FeatureOptions,
  type ModeEffect,
  type Settings,
} from './options.js'
import type { Clock, FlagSource, HealthSource, StateStore } from './ports.js'
import { builtInPressure } from './pressures/built-in.js'
import { priorities, type Priority } from './priority.js'
import { maxDelayMs, systemClock } from './system-clock.js'

const plainStates: readonly unknown[] = ['on', 'off', 'fallback'] satisfies ModeEffect[]

const optionNames = [
  ...['modes', 'serves', 'features', 'health', 'rules', 'pressures', 'flags', 'minDwellMs', 'sampleMs', 'dryRun'],
  ...['store', 'scope', 'name', 'storeTimeoutMs', 'clock'],
]

/** @throws TypeError or RangeError naming the option, its value and the remedy */
export function checkedOptions(options: AnyOptions): Settings {
  checkNames('The options', options, optionNames)
  if (options.rules !== undefined && !Array.isArray(options.rules)) throw new TypeError('rules must be a list of rules')
  const modes = checkedModes(options.modes)
  const clock = options.clock ?? systemClock
  checkClock(clock)
  if (options.pressures !== undefined) checkNamed('pressures', options.pressures)
  const rules: readonly AnyRule[] = options.rules ?? []
  const settings: Settings = {
    ...{ ...degradationManagerDefaults, ...given(options) },
    modes,
    serves: checkedServes(modes, options.serves),
    features: checkedFeatures(modes, options.features),
    health: options.health,
    rules,
    pressures: new Map([...builtIns(rules, clock), ...Object.entries(options.pressures ?? {})]),
    flags: options.flags,
    store: options.store,
    clock,
  }
  // A text, as an environment variable is one, would be put beside a time instead of being added to it.
  if (!Number.isFinite(settings.minDwellMs) || settings.minDwellMs < 0) {
    throw new RangeError(`minDwellMs is ${inspect(settings.minDwellMs)}; give 0 or more milliseconds`)
  }
  for (const name of ['sampleMs', 'storeTimeoutMs'] as const) {
    const ms: unknown = settings[name]
    if (typeof ms !== 'number' || !(ms > 0 && ms <= maxDelayMs)) {
      throw new RangeError(`${name} is ${inspect(ms)}; give milliseconds, more than 0 and at most ${maxDelayMs}`)
    }
  }
  if (typeof settings.dryRun !== 'boolean') {
    throw new TypeError(`dryRun is ${inspect(settings.dryRun)}; it can be true or false`)
  }
  if (typeof settings.name !== 'string' || settings.name === '') {
    throw new TypeError(`name is ${inspect(settings.name)}; give the bot's name`)
  }
  if (settings.health !== undefined) checkHealth(settings.health)
  if (settings.flags !== undefined) checkFlags(settings.flags)
  checkStore(settings.store, options.scope)
  for (const [name, read] of settings.pressures) {
    if (typeof read !== 'function') throw new TypeError(`pressures.${name} is no function; give () => a number 0..1`)
  }
  rules.forEach((rule, index) => checkRule(rule, `rules[${index}]`, settings))
  return settings
}

/** Those of the options with a default that were given. */
function given(options: AnyOptions): Partial<typeof degradationManagerDefaults> {
  const names = Object.keys(degradationManagerDefaults) as (keyof typeof degradationManagerDefaults)[]
  return Object.fromEntries(names.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])))
}

/** The pressures that rules name and that are measured without being given. */
function builtIns(rules: readonly AnyRule[], clock: Clock): [string, () => number][] {
  const names = new Set(rules.flatMap((rule) => rule?.pressure ?? []))
  return [...names].flatMap((name) => {
    const read = builtInPressure(name, clock)
    return read === undefined ? [] : [[name, read] as [string, () => number]]
  })
}

function checkedModes(modes: readonly string[] = defaultModes): readonly string[] {
  const list: unknown = modes
  const isList = Array.isArray(list) && list.length >= 2
  if (!isList || modes[0] !== bestMode || modes.at(-1) !== worstMode) {
    throw new TypeError(`modes is ${inspect(modes)}; list them best first, from ${bestMode} to ${worstMode}`)
  }
  for (const mode of modes) {
    if (typeof mode !== 'string' || !/^[A-Z][A-Z0-9_]*$/.test(mode)) {
      throw new TypeError(`modes has ${inspect(mode)}; a mode is named in capitals: READ_ONLY`)
    }
  }
  const double = modes.find((mode, place) => modes.indexOf(mode) !== place)
  if (double !== undefined) throw new TypeError(`modes has ${double} twice`)
  return [...modes]
}

function checkedServes(modes: readonly string[], serves: AnyOptions['serves'] = {}): Settings['serves'] {
  checkNames('serves', serves, modes.slice(1))
  const checked = new Map<string, Priority>()
  let best: Priority = 'optional'
  for (const mode of modes.slice(1)) {
    // What no mode says for itself follows the mode before, so that the list of modes alone is never a contradiction.
    const usual: Priority = mode === worstMode ? 'critical' : 'normal'
    const least: Priority = serves[mode] ?? moreImportant(usual, best)
    if (!priorities.includes(least)) {
      throw new TypeError(`serves.${mode} is ${inspect(least)}; it can be ${priorities.join(', ')}`)
    }
    if (moreImportant(least, best) !== least) {
      throw new TypeError(`serves.${mode} is ${least}, more than the better modes before it serve: ${best}`)
    }
    best = least
    checked.set(mode, least)
  }
  return checked
}

function moreImportant(one: Priority, other: Priority): Priority {
  return priorities.indexOf(one) <= priorities.indexOf(other) ? one : other
}

/** A list or a Map has no own properties to name anything by: it would count as empty. */
function checkNamed(what: string, value: object): void {
  checkObject(what, value)
  if (Symbol.iterator in value) throw new TypeError(`${what} must be a plain object; give it as { name: ... }`)
}

function checkClock(clock: Clock): void {
  checkObject('clock', clock)
  if (typeof clock.now !== 'function' || typeof clock.monotonic !== 'function' || typeof clock.after !== 'function') {
    throw new TypeError('clock must have now, monotonic and after; leave it out for real time')
  }
}

function checkHealth(health: HealthSource): void {
  checkObject('health', health)
  const { components } = health
  const isReadable = typeof components === 'object' && components !== null && typeof components.get === 'function'
  if (!isReadable || typeof health.on !== 'function' || typeof health.off !== 'function') {
    throw new TypeError('health must have a Map named components, and on and off, as a HealthMonitor has')
  }
}

function checkFlags(flags: FlagSource): void {
  if (typeof flags !== 'object' || flags === null || typeof flags.isEnabled !== 'function') {
    throw new TypeError('flags must have isEnabled(name), as FeatureFlags has')
  }
}

const reach: Readonly<Record<StateStore['scope'], number>> = { process: 0, machine: 1, cluster: 2 }

function checkStore(store: StateStore | undefined, scope: StateStore['scope'] | undefined): void {
  const scopes = Object.keys(reach).join(', ')
  if (scope !== undefined && !Object.hasOwn(reach, scope)) {
    throw new TypeError(`scope is ${inspect(scope)}; it can be ${scopes}`)
  }
  if (store === undefined) {
    if (scope !== undefined) throw new TypeError(`scope is ${scope}, which is about a store; pass the store as well`)
    return
  }
  checkObject('store', store)
  if (typeof store.entry !== 'function' || typeof store.compareAndSet !== 'function') {
    throw new TypeError('store must have entry and compareAndSet: pass a collection, or memoryState() for one process')
  }
  if (!Object.hasOwn(reach, store.scope)) {
    throw new TypeError(`store.scope is ${inspect(store.scope)}; it can be ${scopes}`)
  }
  if (scope === undefined && store.scope === 'process') {
    throw new TypeError(
      'This store serves one process, and other processes of the bot would not follow a mode that is set by hand. ' +
        "If there are none, say so: scope: 'process'. Else pass a collection of SQLite, PostgreSQL or Redis",
    )
  }
  if (scope !== undefined && reach[store.scope] < reach[scope]) {
    throw new TypeError(
      `scope is ${scope}, and this store agrees only within one ${store.scope}; ` +
        `pass a collection of ${scope === 'cluster' ? 'PostgreSQL or Redis' : 'SQLite, PostgreSQL or Redis'}`,
    )
  }
}

/** @throws TypeError when there is no such mode */
export function checkMode(modes: readonly string[], mode: string): void {
  if (!modes.includes(mode)) throw new TypeError(`There is no mode ${String(mode)}; the modes are ${modes.join(', ')}`)
}

function checkedFeatures(modes: readonly string[], features: AnyOptions['features']): Settings['features'] {
  if (typeof features !== 'object' || features === null) {
    throw new TypeError('features is missing; name them: { remind: { priority: "critical" } }')
  }
  checkNamed('features', features)
  const checked = new Map<string, { priority: Priority; in: FeatureOptions<string>['in'] }>()
  for (const [name, feature] of Object.entries(features)) {
    checkNames(`features.${name}`, feature, ['priority', 'in'])
    const { priority = featureDefaults.priority, in: exceptions } = feature
    if (!priorities.includes(priority)) {
      throw new TypeError(`features.${name}.priority is ${priority}; it can be ${priorities.join(', ')}`)
    }
    if (exceptions !== undefined) checkObject(`features.${name}.in`, exceptions)
    for (const [mode, effect] of Object.entries(exceptions ?? {})) {
      checkMode(modes, mode)
      if (effect !== undefined) checkEffect(`features.${name}.in.${mode}`, effect)
    }
    checked.set(name, { priority, in: exceptions })
  }
  return checked
}

function checkEffect(at: string, effect: ModeEffect): void {
  if (typeof effect === 'object' && effect !== null) {
    checkNames(at, effect, ['maxConcurrent'])
    if (!Number.isSafeInteger(effect.maxConcurrent) || effect.maxConcurrent < 1) {
      throw new RangeError(`${at}.maxConcurrent is ${inspect(effect.maxConcurrent)}; give a whole number, 1 or more`)
    }
    return
  }
  if (plainStates.includes(effect)) return
  throw new TypeError(`${at} is ${String(effect)}; it can be ${plainStates.join(', ')} or { maxConcurrent }`)
}

const subjects = ['component', 'health', 'pressure', 'flag'] as const

function checkRule(rule: AnyRule, at: string, settings: Settings): void {
  const { modes, health, pressures, flags, store } = settings
  checkObject(at, rule)
  if (!modes.slice(1).includes(rule.mode)) {
    throw new TypeError(`${at}.mode is ${String(rule.mode)}; a rule asks for ${modes.slice(1).join(' or ')}`)
  }
  if (subjects.filter((subject) => rule[subject] !== undefined).length !== 1) {
    throw new TypeError(`${at} must name either a component, health: "overall", a pressure or a flag`)
  }
  if (rule.shared !== undefined && typeof rule.shared !== 'boolean') {
    throw new TypeError(`${at}.shared is ${inspect(rule.shared)}; it can be true or false`)
  }
  if (rule.shared === true && store === undefined) {
    throw new TypeError(`${at} is shared, and there is nothing to share it through; pass a store as well`)
  }
  for (const subject of ['component', 'flag'] as const) {
    const name: unknown = rule[subject]
    if (name !== undefined && typeof name !== 'string') {
      throw new TypeError(`${at}.${subject} is ${inspect(name)}; give its name`)
    }
  }
  const known = ['mode', 'shared', ...subjects]
  if (rule.flag !== undefined) {
    checkNames(at, rule, [...known, 'is'])
    if (flags === undefined) throw new TypeError(`${at} is about flag "${rule.flag}"; pass flags as well`)
    if (rule.is !== undefined && rule.is !== 'on' && rule.is !== 'off') {
      throw new TypeError(`${at}.is is ${String(rule.is)}; it can be on or off`)
    }
    return
  }
  if (rule.pressure === undefined) {
    checkNames(at, rule, [...known, 'is'])
    const about = rule.health === undefined ? `component "${rule.component}"` : 'the bot as a whole'
    if (health === undefined) throw new TypeError(`${at} is about ${about}; pass health as well`)
    const whole: unknown = rule.health
    if (whole !== undefined && whole !== 'overall') {
      throw new TypeError(`${at}.health is ${inspect(whole)}; it can be overall`)
    }
    if (rule.health !== undefined && health.status === undefined) {
      throw new TypeError(`${at} is about ${about}, and this health source has no status; name components instead`)
    }
    if (rule.is !== 'degraded' && rule.is !== 'down') {
      throw new TypeError(`${at}.is is ${String(rule.is)}; it can be degraded or down`)
    }
    return
  }
  checkNames(at, rule, [...known, 'enter', 'leave'])
  if (!pressures.has(rule.pressure)) {
    throw new TypeError(`${at} is about pressure "${rule.pressure}"; add a function of that name to pressures`)
  }
  const { enter, leave } = rule
  const areNumbers = typeof enter === 'number' && typeof leave === 'number'
  if (!areNumbers || !(leave >= 0 && leave < enter && enter <= 1)) {
    const found = `${at} enters at ${inspect(enter)} and leaves at ${inspect(leave)}`
    throw new RangeError(`${found}; it takes numbers, 0 <= leave < enter <= 1`)
  }
}
