import { optionalFunction } from '../breaker/breaker-options.js'
import { ShedError } from '../errors.js'
import type { FallbackServed } from '../events.js'
import { Feature } from '../features.js'
import { checkNames } from '../options.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { warn } from '../warning.js'
import { sentence } from '../why.js'
import type { AnyFunction } from '../with-signal.js'
import { Deadlines } from './deadlines.js'
import type { GuardOptions } from './guard-options.js'
import { guarded, type Guarded } from './guarded.js'
import type { Gate, Refuser } from './guard.js'
import type { DrillReport } from './outcomes.js'

const none: readonly never[] = []

/** What {@link guard} takes beside the options of every guard. */
export interface StandAloneOptions<Fn extends AnyFunction> extends GuardOptions<Fn> {
  /** Is told of every call that a fallback answered, for a fallback is never silent for the operator. */
  readonly onFallback?: ((served: FallbackServed) => void) | undefined
  /** Time, for tests; the system's unless given. */
  readonly clock?: Clock | undefined
}

/**
 * Wraps a function as {@link DegradationManager.guard} does, for whoever wants the policies and no modes.
 *
 * @param name - what to call it in errors and events
 * @param fn - what to guard; its `this` and its arguments are passed on
 * @param options - deadline, retry, breaker, admission, fallback
 * @returns a function of the same type (a synchronous one becomes asynchronous)
 * @throws TypeError or RangeError when an option does not exist or is out of range
 *
 * @example
 * ```ts
 * import { CircuitBreaker, guard } from '@evenkeel/degradation-manager'
 *
 * const callApi = async (text: string): Promise<string> => {
 *   throw new Error(`no route to the service for ${text}`)
 * }
 * const translate = guard('translate', callApi, {
 *   timeoutMs: 2_000,
 *   breaker: new CircuitBreaker({ name: 'translation service' }),
 *   fallback: (text) => text,
 * })
 * console.log(await translate('Guten Tag')) // => Guten Tag
 * ```
 */
export function guard<Fn extends AnyFunction>(
  name: string,
  fn: Fn,
  options: StandAloneOptions<NoInfer<Fn>> = {},
): Guarded<Fn> {
  if (typeof name !== 'string' || name === '') throw new TypeError('A guard needs a name that is not empty')
  checkNames(`The guard of "${name}"`, options, Object.keys(options))
  const { clock = systemClock, onFallback, ...policies } = options
  optionalFunction(`onFallback of "${name}"`, onFallback)
  return guarded(
    new StandAlone(name, clock, onFallback),
    new Feature(name, 'normal', []),
    fn,
    policies as GuardOptions<Fn>,
  )
}

/** What a guard without a manager asks. Its feature is always on. */
class StandAlone implements Gate {
  readonly clock: Clock
  readonly #name: string
  readonly #onFallback: ((served: FallbackServed) => void) | undefined
  #lists: readonly Deadlines[] = none
  #isDrillFailing = false

  constructor(name: string, clock: Clock, onFallback: ((served: FallbackServed) => void) | undefined) {
    this.#name = name
    this.clock = clock
    this.#onFallback = onFallback
  }

  deadlines(timeoutMs: number): Deadlines {
    const found = this.#lists.find((list) => list.timeoutMs === timeoutMs)
    if (found !== undefined) return found
    const list = new Deadlines(this.clock, timeoutMs)
    this.#lists = [...this.#lists, list]
    return list
  }

  refusal(): Refuser {
    const why = `"${this.#name}" is off`
    return { why, shed: () => new ShedError(this.#name, why, undefined) }
  }

  fellBack(name: string, whyServed: () => string, error: unknown): void {
    if (this.#onFallback === undefined) return
    const why = whyServed()
    try {
      this.#onFallback({
        what: name,
        from: 'call',
        to: 'fallback',
        at: this.clock.now(),
        why,
        severity: error === undefined ? 'INFO' : 'WARNING',
        message: sentence(`The fallback of "${name}" answered: ${why}`),
        error,
      })
    } catch (bug) {
      warn(`onFallback of "${name}" threw`, bug)
    }
  }

  /** Without a manager there are no events: the first drill that fails is told as a warning. */
  drilled(name: string, { works, steps }: DrillReport): void {
    if (works !== this.#isDrillFailing) return
    this.#isDrillFailing = !works
    const failing = steps.find((step) => !step.works)
    if (failing !== undefined) warn(`The ${failing.name} of "${name}" would not work, says a drill`, failing.error)
  }
}
