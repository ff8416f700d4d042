import { EventEmitter } from 'eventemitter3'
import { describeError } from '../outcome.js'
import type { ComponentReport } from '../ports.js'
import { maxDelayMs } from '../system-clock.js'
import { warn } from '../warning.js'
import { sentence } from '../why.js'
import type { AnyFunction, Callable } from '../with-signal.js'
import { choose, verdictOn, type ByHand, type Standing } from './choice.js'
import { NoImplementationError, NotDrainedError } from './errors.js'
import type { RegistryChange, RegistryEvents, RegistryFallback } from './events.js'
import { isAborted, saysNotApplied } from './failures.js'
import {
  checkDrain,
  checkUse,
  registrySettings,
  type Candidate,
  type DrainOptions,
  type FunctionName,
  type RegistryContext,
  type RegistryOptions,
  type RegistrySettings,
  type UseOptions,
} from './options.js'

/** The functions of a port, each of which goes to whatever is chosen when it is called. One that was synchronous becomes asynchronous. */
export type PortOf<Port extends object> = {
  readonly [Name in FunctionName<Port>]: Port[Name] extends AnyFunction ? AsyncFunction<Port[Name]> : never
}

/**
 * The same function, or its asynchronous twin.
 *
 * @typeParam Fn - the function as the port has it
 */
export type AsyncFunction<Fn extends AnyFunction> =
  ReturnType<Fn> extends Promise<unknown> ? Fn : (...args: Parameters<Fn>) => Promise<Awaited<ReturnType<Fn>>>

/** What is chosen. */
export interface Chosen<Port extends object, Name extends string = string> {
  /** Its name. */
  readonly name: Name
  /** The implementation itself. Its calls are neither counted nor passed on to another one. */
  readonly use: Port
  /** The reason, in words for an operator. */
  readonly why: string
}

/** What is chosen and why, and what is not. */
export interface RegistryExplanation<Name extends string = string> {
  /** What serves; undefined when nothing may. */
  readonly name: Name | undefined
  /** The reason, in words for an operator. */
  readonly why: string
  /** Each implementation, in the order in which they are preferred. */
  readonly implementations: readonly {
    /** Its name. */
    readonly name: Name
    /** Whether flags and health would let it serve. */
    readonly mayServe: boolean
    /** Why, or why not. */
    readonly why: string
    /** How many of its calls are under way. */
    readonly inFlight: number
  }[]
}

/** One event, by its name. */
type NewsOf<Name extends string> = ['change', RegistryChange<Name>] | ['fallback', RegistryFallback<Name>]

/** What one implementation has under way, and who waits for the end of it. */
interface Traffic {
  inFlight: number
  readonly waiting: Set<() => void>
}

/**
 * Holds several implementations of one port, an interface of functions, and chooses for each call: the first whose flag
 * says yes and whose component is not down. Switched under load it loses no call and doubles none.
 *
 * @remarks
 * A call ends on the implementation on which it began. Only a failure that says that nothing was done
 * (`applied: 'no'` on the error), or one of a function that is declared `idempotent`, is passed on to the next
 * implementation. What is chosen by hand serves everybody, whatever flags and health say.
 *
 * *Gotchas*: a call is under way until its promise settles; a stream or an iterator that it has returned is not counted.
 * Every call asks anew, also before `start()`, which is for the news only. A component that turns `unknown` counts as
 * what it was when it was last looked at: after `start()` that is at each change of the health source.
 *
 * @typeParam Port - the interface
 * @typeParam Name - the names of the implementations
 * @typeParam Component - the names that the health source knows; inferred
 *
 * @example
 * ```ts
 * import { Registry } from '@evenkeel/degradation-manager/registry'
 *
 * interface Translator {
 *   translate(text: string): Promise<string>
 * }
 * const service: Translator = { translate: async (text) => `translated ${text}` }
 * const dictionary: Translator = { translate: async (text) => `looked up ${text}` }
 *
 * const translators = new Registry<Translator>({
 *   implementations: {
 *     service: { use: service, when: ({ guildId }) => guildId !== '7' },
 *     dictionary: { use: dictionary },
 *   },
 * })
 * console.log(await translators.port.translate('tea')) // => translated tea
 * console.log(await translators.for({ guildId: '7' }).translate('tea')) // => looked up tea
 * translators.use('dictionary', { why: 'the bill of the service' })
 * console.log(await translators.port.translate('tea')) // => looked up tea
 * ```
 */
export class Registry<
  Port extends object,
  Name extends string = string,
  Component extends string = string,
> extends EventEmitter<RegistryEvents<Name>> {
  readonly #settings: RegistrySettings
  readonly #traffic: ReadonlyMap<string, Traffic>
  /** The last that was known of each component, for when it is unknown. */
  readonly #known = new Map<string, ComponentReport>()
  /** The functions of the port. Each call goes to whatever is chosen for nobody in particular. */
  readonly port: PortOf<Port>
  #byHand: ByHand | undefined
  #cancelExpiry: (() => void) | undefined
  /** What serves without a context, as far as it was told; undefined before anybody looked. */
  #told: string | undefined
  #isWatching = false
  readonly #news: NewsOf<Name>[] = []
  #isAnnouncing = false

  /**
   * Checks the options, and does nothing else.
   *
   * @throws TypeError when an option contradicts another, does not exist or is out of range
   */
  constructor(options: RegistryOptions<Port, Name, Component>) {
    super()
    this.#settings = registrySettings(options as unknown as RegistryOptions<Port, string, never>)
    this.#traffic = new Map(this.#settings.candidates.map(({ name }) => [name, { inFlight: 0, waiting: new Set() }]))
    this.port = this.for()
  }

  /**
   * The functions of the port for a guild or a user: each call goes to whatever is chosen for them when it is called.
   *
   * @param context - for whom; without one, the choice is the one of {@link Registry.port}
   * @returns an object of functions, which may be taken apart
   */
  for(context?: RegistryContext): PortOf<Port> {
    const functions = this.#settings.functions.map((name): [string, Callable] => [
      name,
      (...args) => this.#call(name, args, context),
    ])
    // Defined, not assigned: a function may be called as an object is made of, such as `__proto__`.
    return Object.freeze(Object.fromEntries(functions)) as unknown as PortOf<Port>
  }

  /**
   * What is chosen now.
   *
   * @param context - for whom
   * @returns the implementation, and why
   * @throws {@link NoImplementationError} when none may serve
   */
  pick(context?: RegistryContext): Chosen<Port, Name> {
    const { candidate, why } = this.#pick(context)
    return { name: candidate.name as Name, use: candidate.use as unknown as Port, why }
  }

  /**
   * What is chosen now and why, and how it is with the others. Never throws.
   *
   * @param context - for whom
   */
  explain(context?: RegistryContext): RegistryExplanation<Name> {
    const { name, why } = this.#choice(context)
    const implementations = [...this.#standings(context)].map((standing) => ({
      name: standing.name as Name,
      ...verdictOn(standing),
      inFlight: this.#trafficOf(standing.name).inFlight,
    }))
    return { name: name as Name | undefined, why, implementations }
  }

  /**
   * Chooses by hand, for everybody, whatever flags and health say. Calls under way end where they began.
   *
   * @param name - the implementation
   * @param options - why, by whom, and for how long
   * @throws TypeError or RangeError when there is no such implementation, or no reason is given
   */
  use(name: Name, options: UseOptions): void {
    this.#trafficOf(name)
    checkUse('use', options, ['why', 'by', 'forMs'])
    const { why, by, forMs } = options
    const from = this.#choice(undefined).name
    const untilMs = forMs === undefined ? undefined : this.#settings.clock.monotonic() + forMs
    this.#byHand = { name, why, by, untilMs }
    this.#watchExpiry()
    this.#tell(from, name, this.#choice(undefined).why)
  }

  /**
   * Leaves the choice to flags and health again. Does nothing when nothing was chosen by hand.
   *
   * @param options - why, and by whom
   * @throws TypeError when no reason is given
   */
  clear(options: Omit<UseOptions, 'forMs'>): void {
    checkUse('clear', options, ['why', 'by'])
    if (this.#choosesByHand() === undefined) return
    const { why, by } = options
    this.#endByHand(`handed back${by === undefined ? '' : ` by ${by}`}: ${why}`)
  }

  /**
   * Waits until no call of an implementation is under way.
   *
   * @param name - the implementation
   * @param options - for how long at most
   * @returns resolves at the first moment without a call; while the implementation is in use, the next may begin at once
   * @throws {@link NotDrainedError} when the time is up
   * @throws the signal's reason when it aborts
   * @throws TypeError or RangeError, as a rejection, when there is no such implementation, or an option is out of range
   */
  async drained(name: Name, options: DrainOptions = {}): Promise<void> {
    const traffic = this.#trafficOf(name)
    checkDrain(options)
    const { timeoutMs, signal } = options
    signal?.throwIfAborted()
    if (traffic.inFlight === 0) return
    await new Promise<void>((resolve, reject) => {
      const settle = (end: () => void): void => {
        traffic.waiting.delete(onEmpty)
        signal?.removeEventListener('abort', onAbort)
        cancel?.()
        end()
      }
      const onEmpty = (): void => settle(resolve)
      const onAbort = (): void => settle(() => reject(signal?.reason as Error))
      const onTime = (): void => settle(() => reject(new NotDrainedError(name, traffic.inFlight, timeoutMs ?? 0)))
      const cancel = timeoutMs === undefined ? undefined : this.#settings.clock.after(timeoutMs, onTime)
      signal?.addEventListener('abort', onAbort, { once: true })
      traffic.waiting.add(onEmpty)
    })
  }

  /** Begins to watch health and flags, so that each change of the choice is told at once. May be called twice. */
  async start(): Promise<void> {
    if (this.#isWatching) return
    this.#isWatching = true
    this.#settings.health?.on('change', this.#onChange)
    this.#settings.flags?.on('change', this.#onChange)
    this.#onChange()
  }

  /** Ends that. Calls are served as before. May be called twice. */
  async stop(): Promise<void> {
    this.#isWatching = false
    this.#settings.health?.off('change', this.#onChange)
    this.#settings.flags?.off('change', this.#onChange)
  }

  /** The same as {@link Registry.stop}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  readonly #onChange = (): void => {
    // All of them, also those that are not asked for the choice: what is unknown later counts as what it was.
    for (const { component } of this.#settings.candidates) if (component !== undefined) this.#report(component)
    this.#notice(this.#choice(undefined))
  }

  async #call(fn: string, args: unknown[], context: RegistryContext | undefined): Promise<unknown> {
    let { candidate } = this.#pick(context)
    for (;;) {
      try {
        return await this.#run(candidate, fn, args)
      } catch (error) {
        const next = this.#mayGoOn(fn, args, error) ? this.#after(candidate, context) : undefined
        if (next === undefined) throw error
        this.#tellFallback(fn, candidate, next, error)
        candidate = next
      }
    }
  }

  async #run({ name, use }: Candidate, fn: string, args: unknown[]): Promise<unknown> {
    const traffic = this.#trafficOf(name)
    traffic.inFlight++
    try {
      return await (use as Record<string, Callable>)[fn]!(...args)
    } finally {
      traffic.inFlight--
      if (traffic.inFlight === 0) for (const onEmpty of [...traffic.waiting]) onEmpty()
    }
  }

  #mayGoOn(fn: string, args: readonly unknown[], error: unknown): boolean {
    const { idempotent, isUserError } = this.#settings
    if (!idempotent.has(fn) && !saysNotApplied(error)) return false
    if (isAborted(args)) return false
    try {
      return isUserError?.(error) !== true
    } catch (thrown) {
      warn(`isUserError of "${this.#settings.name}" threw`, thrown)
      return true
    }
  }

  /** The next that may serve. One before it was passed over, or chosen against by hand, so it is not tried either. */
  #after(failed: Candidate, context: RegistryContext | undefined): Candidate | undefined {
    let isAfter = false
    for (const standing of this.#standings(context)) {
      if (isAfter && verdictOn(standing).mayServe) return this.#candidate(standing.name)
      isAfter ||= standing.name === failed.name
    }
    return undefined
  }

  #pick(context: RegistryContext | undefined): { readonly candidate: Candidate; readonly why: string } {
    const choice = this.#choice(context)
    if (context === undefined) this.#notice(choice)
    const candidate = choice.name === undefined ? undefined : this.#candidate(choice.name)
    if (candidate === undefined) throw new NoImplementationError(this.#settings.name, choice.why)
    return { candidate, why: choice.why }
  }

  #choice(context: RegistryContext | undefined): ReturnType<typeof choose> {
    return choose(this.#standings(context), this.#choosesByHand())
  }

  *#standings(context: RegistryContext = {}): Generator<Standing> {
    for (const { name, when, component } of this.#settings.candidates) {
      const report = component === undefined ? undefined : this.#report(component)
      yield { name, isWanted: this.#isWanted(name, when, context), component, report }
    }
  }

  /** What cannot be asked says no: the last implementation has nothing to ask. */
  #isWanted(name: string, when: Candidate['when'], context: RegistryContext): boolean {
    try {
      return when === undefined || when(context) === true
    } catch (error) {
      warn(`The flag of "${name}" in "${this.#settings.name}" could not be asked, so it counts as off`, error)
      return false
    }
  }

  #report(component: string): ComponentReport | undefined {
    const report = this.#settings.health?.components.get(component)
    if (report === undefined || report.status === 'unknown') return this.#known.get(component) ?? report
    this.#known.set(component, report)
    return report
  }

  #candidate(name: string): Candidate | undefined {
    return this.#settings.candidates.find((candidate) => candidate.name === name)
  }

  #trafficOf(name: string): Traffic {
    const traffic = this.#traffic.get(name)
    if (traffic !== undefined) return traffic
    const names = this.#settings.candidates.map((candidate) => candidate.name).join(', ')
    throw new TypeError(`There is no implementation "${name}"; there are ${names}`)
  }

  /** What was chosen by hand and has not expired. */
  #choosesByHand(): ByHand | undefined {
    const untilMs = this.#byHand?.untilMs
    if (untilMs !== undefined && untilMs <= this.#settings.clock.monotonic()) {
      this.#endByHand('the choice by hand has expired')
    }
    return this.#byHand
  }

  #watchExpiry(): void {
    this.#cancelExpiry?.()
    this.#cancelExpiry = undefined
    const { clock } = this.#settings
    const untilMs = this.#byHand?.untilMs
    if (untilMs === undefined) return
    this.#cancelExpiry = clock.after(Math.min(untilMs - clock.monotonic(), maxDelayMs), () => {
      if (this.#choosesByHand() !== undefined) this.#watchExpiry()
    })
  }

  #endByHand(end: string): void {
    const from = this.#byHand?.name
    this.#byHand = undefined
    this.#cancelExpiry?.()
    this.#cancelExpiry = undefined
    const { name, why } = this.#choice(undefined)
    this.#tell(from, name, `${end}; ${why}`)
  }

  /** Tells when the choice is another one than was last told. */
  #notice({ name, why }: ReturnType<typeof choose>): void {
    const to = name ?? 'none'
    const from = this.#told
    if (from === undefined) this.#told = to
    else if (from !== to) this.#tell(from, name, why)
  }

  #tell(from: string = 'none', to: string = 'none', why: string): void {
    this.#told = to
    const { name: what, clock } = this.#settings
    const severity = this.#severity(from, to)
    const went =
      to === 'none'
        ? 'has nothing that may serve'
        : from === to
          ? `stays with "${to}"`
          : `went from "${from}" to "${to}"`
    const message = sentence(`${what} ${went}: ${why}`)
    this.#announce('change', { what, from: from as Name, to: to as Name, at: clock.now(), why, severity, message })
  }

  /** Back to what is preferred, or as a person wants it, is no reason to worry. */
  #severity(from: string, to: string): 'INFO' | 'WARNING' | 'CRITICAL' {
    if (to === 'none') return 'CRITICAL'
    const place = (name: string): number => this.#settings.candidates.findIndex((candidate) => candidate.name === name)
    const isBetter = from === 'none' || place(to) <= place(from)
    return isBetter || this.#byHand !== undefined ? 'INFO' : 'WARNING'
  }

  #tellFallback(what: string, { name: from }: Candidate, { name: to }: Candidate, error: unknown): void {
    const why = describeError(error)
    const message = sentence(`${what} of "${from}" failed, so "${to}" was tried: ${why}`)
    const at = this.#settings.clock.now()
    const names = { from: from as Name, to: to as Name }
    this.#announce('fallback', { what, ...names, error, at, why, severity: 'WARNING', message })
  }

  /** A listener may switch again: that news waits its turn, so everybody hears all of it in order. */
  #announce(...news: NewsOf<Name>): void {
    this.#news.push(news)
    if (this.#isAnnouncing) return
    this.#isAnnouncing = true
    for (let next = this.#news.shift(); next !== undefined; next = this.#news.shift()) this.#emit(next)
    this.#isAnnouncing = false
  }

  #emit(news: NewsOf<Name>): void {
    try {
      const emitter: EventEmitter<RegistryEvents> = this as never
      if (news[0] === 'change') emitter.emit('change', news[1])
      else emitter.emit('fallback', news[1])
    } catch (error) {
      warn(`A listener of "${this.#settings.name}" threw`, error)
    }
  }
}
