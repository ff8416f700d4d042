import type { Admission, AdmissionOptions } from '../admission/admission.js'
import { optionalFunction } from '../breaker/breaker-options.js'
import type { CircuitBreaker } from '../breaker/circuit-breaker.js'
import { checkNames } from '../options.js'
import { retrySettings, type RetryOptions, type RetrySettings } from '../retry/retry-options.js'
import { maxDelayMs } from '../system-clock.js'
import type { AnyFunction } from '../with-signal.js'
import { checkAdmission, fallbackSteps, type Fallback, type FallbackStep } from './fallback.js'

/** How a guard answers when its call cannot. `Fn` is the guarded function. */
export interface GuardOptions<Fn extends AnyFunction> {
  /**
   * How long the call is waited for, in ms: waiting for a place, every attempt and the pauses between them. Then each
   * fallback is waited for as long. More than 0; `Infinity` waits for ever.
   *
   * @defaultValue `10_000`
   */
  readonly timeoutMs?: number | undefined
  /**
   * That doing it twice does no harm, as with everything that only reads. Without it, nothing is tried again and no
   * fallback serves after a call that may have taken effect: one that timed out, was aborted or lost its connection, or
   * whose error says `applied: 'unknown'`.
   *
   * @defaultValue `false`
   */
  readonly idempotent?: boolean | undefined
  /**
   * Answers when the feature is off or the call has failed; gets the same `this` and the same arguments. With a list, the
   * next is asked when one has failed.
   */
  readonly fallback?: Fallback<Fn> | readonly Fallback<Fn>[] | undefined
  /**
   * Whether an error is the user's own mistake: then it reaches the caller untouched, no fallback serves, nothing is tried
   * again, and it opens no breaker and shrinks no limit.
   */
  readonly isUserError?: ((error: unknown) => boolean) | undefined
  /** Tries again what has failed. Nothing is tried again unless given. */
  readonly retry?: RetryOptions | undefined
  /** Stops calling what keeps failing. May be shared by the guards of one service. */
  readonly breaker?: CircuitBreaker | undefined
  /** Bounds how many calls are under way at once: a `Bulkhead` or an `AdaptiveLimiter`. May be shared by many guards. */
  readonly admission?: Admission | undefined
  /**
   * What is special about one call, made from its `this` and arguments: how much it matters (the feature's priority unless
   * told), in whose name it is, and a signal that ends it, its fallbacks too. A signal that another guard has passed to its function joins the
   * two: the shorter deadline wins, and both are one call to an admission that they share.
   */
  readonly call?: ((this: ThisParameterType<Fn>, ...args: Parameters<Fn>) => AdmissionOptions) | undefined
  /**
   * Once in so many ms, after a call that went well, each fallback (or its `drill`) is run with the same arguments and what
   * it answers thrown away, so that it is known to work on the day when it is needed; more than 0. Never unless given: only
   * for fallbacks that change nothing, or say how to drill them. A manager tells by `change` that one would not work, a
   * guard without one by a process warning.
   */
  readonly drillEveryMs?: number | undefined
}

/** The defaults of {@link GuardOptions}. */
export const guardDefaults: Readonly<Record<'timeoutMs', number> & Record<'idempotent', boolean>> = {
  timeoutMs: 10_000,
  idempotent: false,
} satisfies Required<Pick<GuardOptions<AnyFunction>, 'timeoutMs' | 'idempotent'>>

/** All of it, checked. */
export interface GuardSettings {
  readonly timeoutMs: number
  readonly idempotent: boolean
  readonly fallbacks: readonly FallbackStep[]
  readonly isUserError: ((error: unknown) => boolean) | undefined
  readonly retry: RetrySettings | undefined
  readonly breaker: CircuitBreaker | undefined
  readonly admission: Admission | undefined
  readonly call: ((this: unknown, ...args: unknown[]) => AdmissionOptions) | undefined
  readonly drillEveryMs: number
}

const optionNames: readonly string[] = [
  ...Object.keys(guardDefaults),
  ...['fallback', 'isUserError', 'retry', 'breaker', 'admission', 'call', 'drillEveryMs'],
]

/** @throws TypeError or RangeError naming the option, its value and the remedy */
export function guardSettings<Fn extends AnyFunction>(name: string, fn: Fn, options: GuardOptions<Fn>): GuardSettings {
  checkNames(`The guard of "${name}"`, options, optionNames)
  const { timeoutMs = guardDefaults.timeoutMs, idempotent = guardDefaults.idempotent, isUserError } = options
  const { fallback, retry, breaker, admission, call, drillEveryMs = Infinity } = options
  if (typeof fn !== 'function') throw new TypeError(`The guard of "${name}" needs a function to guard`)
  checkTimeout(name, timeoutMs)
  if (!(typeof drillEveryMs === 'number' && drillEveryMs > 0)) {
    throw new RangeError(`drillEveryMs of "${name}" is ${String(drillEveryMs)}; give ms, more than 0`)
  }
  if (typeof idempotent !== 'boolean') throw new TypeError(`idempotent of "${name}" must be true or false`)
  optionalFunction(`isUserError of "${name}"`, isUserError)
  optionalFunction(`call of "${name}"`, call)
  if (breaker !== undefined && typeof breaker?.enter !== 'function') {
    throw new TypeError(`The breaker of "${name}" must be a CircuitBreaker; make one and pass it`)
  }
  checkAdmission(`"${name}"`, admission)
  const fallbacks = fallbackSteps(name, fallback)
  if (drillEveryMs !== Infinity && fallbacks.length === 0) {
    throw new TypeError(`"${name}" has drillEveryMs but no fallback to drill; give it one`)
  }
  return {
    timeoutMs,
    idempotent,
    fallbacks,
    isUserError,
    retry: retry === undefined ? undefined : retrySettings(`The retry of "${name}"`, retry),
    breaker,
    admission,
    call: call as GuardSettings['call'],
    drillEveryMs,
  }
}

/** @throws RangeError when it is no span of time that can be waited for */
export function checkTimeout(name: string, timeoutMs: number): void {
  if (typeof timeoutMs === 'number' && timeoutMs > 0 && (timeoutMs <= maxDelayMs || timeoutMs === Infinity)) return
  throw new RangeError(
    `timeoutMs of "${name}" is ${String(timeoutMs)}; ` +
      `give milliseconds, more than 0 and at most ${maxDelayMs}, or Infinity`,
  )
}
