import { FallbackError, TimeoutError, type ShedError } from './errors.js'
import { checkNames, type FeatureState } from './options.js'
import { describeError, mayHaveApplied } from './outcome.js'
import type { Clock } from './ports.js'
import { maxDelayMs } from './system-clock.js'
import { warn } from './warning.js'
import { signalTaker, type AnyFunction, type Callable } from './with-signal.js'

/** How a guard answers when its call cannot. `Fn` is the guarded function. */
export interface GuardOptions<Fn extends AnyFunction> {
  /**
   * How long the call is waited for, and then its fallback, in ms each: more than 0. `Infinity` waits for ever.
   *
   * @defaultValue `10_000`
   */
  readonly timeoutMs?: number | undefined
  /**
   * That doing it twice does no harm, as with everything that only reads. Without it, the fallback does not serve after
   * a call that may have taken effect: one that timed out, was aborted or lost its connection, or whose error says
   * `applied: 'unknown'`.
   *
   * @defaultValue `false`
   */
  readonly idempotent?: boolean | undefined
  /** Answers when the feature is off or the call has failed; gets the same `this` and the same arguments. */
  readonly fallback?:
    | ((
        this: ThisParameterType<Fn>,
        ...args: Parameters<Fn>
      ) => Awaited<ReturnType<Fn>> | PromiseLike<Awaited<ReturnType<Fn>>>)
    | undefined
  /** Whether an error is the user's own mistake: then it reaches the caller untouched and no fallback serves. */
  readonly isUserError?: ((error: unknown) => boolean) | undefined
}

/** The defaults of {@link GuardOptions}. */
export const guardDefaults: Readonly<Record<'timeoutMs', number> & Record<'idempotent', boolean>> = {
  timeoutMs: 10_000,
  idempotent: false,
} satisfies Required<Pick<GuardOptions<AnyFunction>, 'timeoutMs' | 'idempotent'>>

/** A value, and whether it is the real thing. */
export interface Outcome<Value> {
  /** What the call, or its fallback, gave. */
  readonly value: Value
  /** Whether the fallback gave it. */
  readonly degraded: boolean
  /** Why the fallback served, in words for an operator; undefined when it did not. */
  readonly why: string | undefined
}

/** A guarded function: used like the one that it guards. One that was synchronous becomes asynchronous. */
export type Guarded<Fn extends AnyFunction> = (ReturnType<Fn> extends Promise<unknown>
  ? Fn
  : (this: ThisParameterType<Fn>, ...args: Parameters<Fn>) => Promise<Awaited<ReturnType<Fn>>>) & {
  /** Calls likewise, and tells whether the fallback served, and why. */
  readonly outcome: (this: ThisParameterType<Fn>, ...args: Parameters<Fn>) => Promise<Outcome<Awaited<ReturnType<Fn>>>>
}

/** What a call asks of the manager at the moment that it is made. */
export interface Gate {
  readonly clock: Clock
  state(feature: string): FeatureState
  why(feature: string): string
  shed(feature: string): ShedError
  fellBack(feature: string, why: string, error: unknown): void
}

/** A guarded function with its options checked. */
export interface Guard {
  readonly feature: string
  readonly fn: AnyFunction
  readonly timeoutMs: number
  readonly idempotent: boolean
  readonly fallback: AnyFunction | undefined
  readonly isUserError: ((error: unknown) => boolean) | undefined
}

/** @throws TypeError or RangeError naming the option, its value and the remedy */
export function checkedGuard<Fn extends AnyFunction>(feature: string, fn: Fn, options: GuardOptions<Fn>): Guard {
  checkNames(`The guard of "${feature}"`, options, ['timeoutMs', 'idempotent', 'fallback', 'isUserError'])
  const { timeoutMs = guardDefaults.timeoutMs, idempotent = guardDefaults.idempotent, fallback, isUserError } = options
  if (typeof fn !== 'function') throw new TypeError(`The guard of "${feature}" needs a function to guard`)
  if (!(timeoutMs > 0) || (timeoutMs > maxDelayMs && timeoutMs !== Infinity)) {
    throw new RangeError(
      `timeoutMs of "${feature}" is ${timeoutMs}; give milliseconds, more than 0 and at most ${maxDelayMs}, or Infinity`,
    )
  }
  if (fallback !== undefined && typeof fallback !== 'function') {
    throw new TypeError(`The fallback of "${feature}" is no function; to answer with a value, pass () => value`)
  }
  return { feature, fn, timeoutMs, idempotent, fallback, isUserError }
}

/** Makes what the caller gets from the value and, when the fallback gave it, the reason. */
type Wrap = (value: unknown, why: string | undefined) => unknown

/** The caller gets the value alone. */
export const plainValue: Wrap = (value) => value

/** The caller gets an {@link Outcome}. */
export const asOutcome: Wrap = (value, why): Outcome<unknown> => ({ value, degraded: why !== undefined, why })

/** Makes one call. A synchronous throw of the function is a rejection like any other. */
export async function callGuarded(
  gate: Gate,
  guard: Guard,
  self: unknown,
  args: unknown[],
  wrap: Wrap,
): Promise<unknown> {
  const { feature, fn, fallback } = guard
  let why: string
  let failure: unknown
  if (gate.state(feature) === 'on') {
    try {
      return wrap(await callInTime(gate.clock, guard, fn, self, args), undefined)
    } catch (error) {
      if (fallback === undefined || isUserError(guard, error)) throw error
      // What may have taken effect is not done again in another way.
      if (!guard.idempotent && mayHaveApplied(error)) throw error
      why = `the call failed: ${describeError(error)}`
      failure = error
    }
  } else {
    if (fallback === undefined) throw gate.shed(feature)
    why = gate.why(feature)
  }
  try {
    const value = await callInTime(gate.clock, guard, fallback, self, args)
    gate.fellBack(feature, why, failure)
    return wrap(value, why)
  } catch (error) {
    if (isUserError(guard, error)) throw error
    throw new FallbackError(feature, why, failure, error)
  }
}

/** Settles as the function does, or rejects when its time is up. What comes later is dropped, an error too. */
function callInTime(clock: Clock, guard: Guard, fn: AnyFunction, self: unknown, args: unknown[]): unknown {
  const marked = signalTaker(fn)
  const controller = marked && new AbortController()
  const result =
    marked && controller ? marked.call(self, controller.signal, ...args) : (fn as Callable).apply(self, args)
  const { feature, timeoutMs, idempotent } = guard
  if (!isThenable(result) || timeoutMs === Infinity) return result
  return new Promise((resolve, reject) => {
    const cancel = clock.after(timeoutMs, () => {
      const what = fn === guard.fn ? 'call' : 'fallback'
      const error = new TimeoutError(feature, what, timeoutMs, idempotent)
      reject(error)
      controller?.abort(error)
    })
    void Promise.resolve(result).then(resolve, reject).then(cancel)
  })
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  const canHaveThen = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return canHaveThen && typeof (value as { then?: unknown }).then === 'function'
}

function isUserError({ isUserError: declared, feature }: Guard, error: unknown): boolean {
  try {
    return declared?.(error) === true
  } catch (bug) {
    warn(`isUserError of "${feature}" threw, and its error was taken for no user error`, bug)
    return false
  }
}
