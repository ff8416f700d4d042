import { EventEmitter } from 'eventemitter3'
import { types } from 'node:util'
import { compareVersions } from '../conditions/version.js'
import { systemClock } from '../system-clock.js'
import { warn } from '../warning.js'
import type { Adapter } from './adapter.js'
import { callPlace } from './call-place.js'
import { CallSites } from './call-sites.js'
import { checkDeprecation, type AnyFunction, type Deprecation, type FlagSwitch } from './deprecation.js'
import { RemovedError } from './errors.js'
import { tell, type DeprecatedUse, type DeprecationEvents, type DeprecationReport } from './news.js'
import { checkDeprecationsOptions, type DeprecationsOptions } from './options.js'
import { systemRandom } from './system-random.js'
import { Usage } from './usage.js'

const notAsked = 'whether its replacement serves could not be asked, so the old function does'

/**
 * Marks functions deprecated, keeps old interfaces alive over new services, and counts who still uses them.
 *
 * @remarks
 * Every call is counted. A place that calls is warned of once: by a `DeprecationWarning` of the process with the code
 * `EVENKEEL_DEPRECATED`, and by `change`.
 *
 * *Gotchas*: to find a place costs some 3 us, so not every call of a busy function is looked at: every one until 32 in a
 * row came from known places, then ever fewer, at random, down to one in 1,024. A rare place of a busy function is found
 * late. With `node --throw-deprecation` a warning ends the process, as that of any deprecation does.
 *
 * @example
 * ```ts
 * import { Deprecations } from '@evenkeel/feature-flags/legacy'
 *
 * const deprecations = new Deprecations({ version: '2.4.0', emitWarnings: false })
 * deprecations.on('change', ({ what, why }) => console.log(what, why))
 * const find = deprecations.wrap((word: string) => [word], {
 *   name: 'search.find',
 *   reason: 'it knows no synonyms',
 *   removedIn: '3.0.0',
 *   instead: 'search.query',
 * })
 * for (const word of ['tea', 'milk']) find(word)
 * // => search.find it knows no synonyms
 * console.log(deprecations.report().map(({ name, uses }) => `${name}: ${uses}`)) // => [ 'search.find: 2' ]
 * ```
 */
export class Deprecations extends EventEmitter<DeprecationEvents> {
  readonly #options: ReturnType<typeof checkDeprecationsOptions>
  readonly #usages = new Map<string, Usage>()
  readonly #now: () => number

  /**
   * @param options - the version that runs, and what becomes of what is gone in it
   * @throws TypeError or RangeError when an option has a value that it cannot have
   */
  constructor(options: DeprecationsOptions = {}) {
    super()
    this.#options = checkDeprecationsOptions(options)
    const clock = options.clock ?? systemClock
    this.#now = () => clock.now()
  }

  /**
   * Marks a function or a method deprecated. What comes back is called as it was: same type, same `this`, and it
   * returns, throws or rejects what the function does.
   *
   * @remarks
   * Functions that are deprecated under one name are counted as one, for a method that is wrapped in a constructor.
   *
   * @param fn - the function
   * @param deprecation - what to say of it; with `switchTo`, a replacement that serves where a flag is on
   * @returns the same function, counted
   * @throws TypeError when the name is taken by another deprecation, or when something has a value that it cannot have
   */
  wrap<F extends AnyFunction>(fn: F, deprecation: Deprecation & { readonly switchTo?: FlagSwitch<NoInfer<F>> }): F {
    if (typeof fn !== 'function') throw new TypeError('wrap needs a function, and what to say of it')
    const checked = checkDeprecation(deprecation, ['switchTo'])
    if (/^class\b/.test(Function.prototype.toString.call(fn))) {
      throw new TypeError(`${checked.name} is a class; wrap what makes its objects, or its methods`)
    }
    const chosen = this.#choice(checked.name, fn, deprecation.switchTo)
    return this.#counted(fn, this.#usageOf(checked), checked.onUse, chosen)
  }

  /**
   * Keeps an old interface alive over a new service. Each use of it is counted as deprecated, under the name of the
   * interface and that of the method: `'OldSearch.find'`.
   *
   * @remarks
   * `adapt<OldSearch>({ ... })` does not compile while a method of `OldSearch` is missing, or has the wrong type.
   *
   * @param adapter - the old interface, and what serves each method
   * @returns an object with the methods of the old interface
   * @throws TypeError when something has a value that it cannot have
   */
  adapt<Old extends object>(adapter: Adapter<Old>): Old {
    const checked = checkDeprecation(adapter, ['methods', 'values'])
    const old: object = {}
    for (const [key, given] of ownEntries(adapter.methods, 'methods')) {
      const name = `${checked.name}.${String(key)}`
      const { fn, instead } = serving(name, given, checked.instead)
      const value = this.wrap(fn, { ...checked, name, instead })
      Object.defineProperty(old, key, { value, enumerable: true, configurable: true, writable: true })
    }
    for (const [key, read] of ownEntries(adapter.values ?? {}, 'values')) {
      const name = `${checked.name}.${String(key)}`
      const get = this.wrap(serving(name, read, undefined).fn, { ...checked, name })
      Object.defineProperty(old, key, { get, enumerable: true, configurable: true })
    }
    return old as Old
  }

  /** How each deprecated function is used, in the order in which they were deprecated. */
  report(): readonly DeprecationReport[] {
    return [...this.#usages.values()].map((usage) => usage.report)
  }

  /** The function that serves a call, or `undefined` for the old one. */
  #choice(
    name: string,
    fn: AnyFunction,
    switchTo: FlagSwitch | undefined,
  ): ((args: never[]) => AnyFunction) | undefined {
    if (switchTo === undefined) return undefined
    const { flag, fn: replacement, context } = switchTo
    const { flags } = this.#options
    if (flags === undefined) throw new TypeError(`${name}: switchTo needs the \`flags\` of Deprecations`)
    if (typeof replacement !== 'function') throw new TypeError(`${name}: switchTo needs a function: { flag, fn }`)
    if (context !== undefined && typeof context !== 'function') {
      throw new TypeError(`${name}: the context of switchTo must be a function of the arguments`)
    }
    if (!flags.has(flag)) throw new TypeError(`${name}: there is no flag ${JSON.stringify(flag)} to switch by`)
    let hasWarned = false
    return (args) => {
      try {
        return flags.isEnabled(flag, context?.(...args)) ? replacement : fn
      } catch (error) {
        // Whoever calls the old function knows of no flag.
        if (!hasWarned) warn('EVENKEEL_SWITCH', `${name}: ${notAsked}`, error)
        hasWarned = true
        return fn
      }
    }
  }

  #usageOf(deprecation: Deprecation): Usage {
    const { name, reason, removedIn, instead } = deprecation
    const known = this.#usages.get(name)
    if (known !== undefined) {
      const { reason: knownReason, removedIn: knownRemoval, instead: knownInstead } = known.deprecation
      if (reason === knownReason && removedIn === knownRemoval && instead === knownInstead) return known
      throw new TypeError(`${name} is deprecated already, and otherwise; give this one a name of its own`)
    }
    const { version, maxCallSites, random } = this.#options
    const isOverdue = version !== undefined && compareVersions(version, removedIn) >= 0
    const usage = new Usage(deprecation, isOverdue, new CallSites(maxCallSites, random ?? systemRandom))
    this.#usages.set(name, usage)
    return usage
  }

  #counted<F extends AnyFunction>(
    fn: F,
    usage: Usage,
    onUse: Deprecation['onUse'],
    choose: ((args: never[]) => AnyFunction) | undefined,
  ): F {
    const isGone = usage.isOverdue && this.#options.afterRemoval === 'throw'
    const isAsync = types.isAsyncFunction(fn)
    const count = (to: DeprecatedUse['to']): void => this.#count(usage, wrapper, to, onUse)
    const { version = '' } = this.#options
    const wrapper = function (this: unknown, ...args: never[]): unknown {
      if (isGone) {
        count('error')
        const error = new RemovedError(usage.deprecation, version)
        if (isAsync) return Promise.reject(error)
        throw error
      }
      const serving = choose === undefined ? fn : choose(args)
      count(serving === fn ? 'old' : 'replacement')
      return Reflect.apply(serving, this, args)
    }
    return dressedAs(wrapper, fn)
  }

  #count(usage: Usage, wrapper: AnyFunction, to: DeprecatedUse['to'], onUse: Deprecation['onUse']): void {
    const at = this.#now()
    usage.uses++
    if (to === 'replacement') usage.replaced++
    usage.firstUsedAt ??= at
    usage.lastUsedAt = at
    if (usage.sites.isLookDue()) this.#look(usage, wrapper, at)
    if (onUse === undefined && this.listenerCount('used') === 0) return
    const use = usage.use(to, at)
    if (onUse !== undefined) tell(() => onUse(use))
    tell(() => this.emit('used', use))
  }

  #look(usage: Usage, wrapper: AnyFunction, at: number): void {
    const place = usage.sites.note(callPlace(wrapper))
    if (place === undefined) return
    const change = usage.foundAt(place, at)
    if (this.#options.emitWarnings) {
      // The trace that `--trace-deprecation` prints then begins with the caller.
      const type = 'DeprecationWarning'
      process.emitWarning(change.message, { type, code: 'EVENKEEL_DEPRECATED', ctor: wrapper })
    }
    tell(() => this.emit('change', change))
  }
}

function ownEntries(object: object, what: string): [string | symbol, unknown][] {
  if (typeof object !== 'object' || object === null) throw new TypeError(`adapt needs \`${what}\` by name`)
  return Reflect.ownKeys(object).map((key) => [key, Reflect.get(object, key)])
}

/** What serves a method of an adapter, and what to use in its place. */
function serving(
  name: string,
  given: unknown,
  instead: string | undefined,
): { fn: AnyFunction; instead: string | undefined } {
  if (typeof given === 'function') return { fn: given as AnyFunction, instead }
  const detailed = given as { fn?: unknown; instead?: unknown } | null | undefined
  if (typeof detailed?.fn !== 'function') throw new TypeError(`${name} needs a function that serves it`)
  return { fn: detailed.fn as AnyFunction, instead: detailed.instead as string | undefined }
}

/** Gives a wrapper the name, the length and all else that the function has. */
function dressedAs<F extends AnyFunction>(wrapper: AnyFunction, fn: F): F {
  for (const key of Reflect.ownKeys(fn)) {
    // What old-style functions say of their calls belongs to the engine.
    if (key === 'arguments' || key === 'caller') continue
    Object.defineProperty(wrapper, key, Object.getOwnPropertyDescriptor(fn, key) as PropertyDescriptor)
  }
  return wrapper as F
}
