import type { Admission } from '../admission/admission.js'
import { milliseconds } from '../breaker/breaker-options.js'
import { checkNames } from '../options.js'
import { signalTaker, type AnyFunction, type Callable } from '../with-signal.js'
import type { AnswerCache } from './answer-cache.js'

/** A function that answers in the place of `Fn`. */
export type FallbackFunction<Fn extends AnyFunction> = (
  this: ThisParameterType<Fn>,
  ...args: Parameters<Fn>
) => Awaited<ReturnType<Fn>> | PromiseLike<Awaited<ReturnType<Fn>>>

/** A fallback with bounds of its own. */
export interface FallbackOptions<Fn extends AnyFunction> {
  /** Answers, with the same `this` and arguments. */
  readonly serve: FallbackFunction<Fn>
  /** What to call it in events; its place in the list unless given. */
  readonly name?: string | undefined
  /** How long it is waited for, in ms, more than 0; the guard's `timeoutMs` unless given. */
  readonly timeoutMs?: number | undefined
  /**
   * Bounds how many calls it serves at once, so that what fails in one place does not crush another: a `Bulkhead` or an
   * `AdaptiveLimiter`. It does not wait for a place.
   */
  readonly admission?: Admission | undefined
  /**
   * What a drill runs in its place, with the same `this` and arguments: for a fallback that does something, and does not
   * only answer. It shows that it could, and rejects when it could not; what it resolves with is thrown away.
   */
  readonly drill?: ((this: ThisParameterType<Fn>, ...args: Parameters<Fn>) => unknown) | undefined
}

/** What answers when the call cannot: a function, one with bounds of its own, or the last good answers. */
export type Fallback<Fn extends AnyFunction> =
  FallbackFunction<Fn> | FallbackOptions<Fn> | AnswerCache<Awaited<ReturnType<Fn>>, Parameters<Fn>>

/** One of the chain, checked. */
export interface FallbackStep {
  readonly name: string
  /** What it is in a sentence. */
  readonly label: string
  readonly serve: Callable | undefined
  /** The function as it takes a signal; undefined when it takes none. */
  readonly signalled: Callable | undefined
  readonly cache: AnswerCache<unknown, unknown[]> | undefined
  /** That of the guard when undefined. */
  readonly timeoutMs: number | undefined
  readonly admission: Admission | undefined
  /** What a drill runs instead; the step itself when undefined. */
  readonly drill: FallbackStep | undefined
}

/** @throws TypeError or RangeError naming the fallback and the remedy */
export function fallbackSteps<Fn extends AnyFunction>(
  guard: string,
  given: Fallback<Fn> | readonly Fallback<Fn>[] | undefined,
): FallbackStep[] {
  if (given === undefined) return []
  const list = Array.isArray(given) ? (given as readonly Fallback<Fn>[]) : [given as Fallback<Fn>]
  return list.map((fallback, index) => {
    const name = list.length === 1 ? 'fallback' : `fallback ${index + 1}`
    const step = {
      name,
      label: name,
      serve: undefined,
      signalled: undefined,
      cache: undefined,
      timeoutMs: undefined,
      admission: undefined,
      drill: undefined,
    }
    if (typeof fallback === 'function') return { ...step, ...callable(fallback) }
    if (isCache(fallback)) return { ...step, name: 'kept answers', cache: fallback }
    const options = fallback as FallbackOptions<Fn>
    if (typeof options !== 'object' || options === null || typeof options.serve !== 'function') {
      throw new TypeError(`The ${name} of "${guard}" is no function; to answer with a value, pass () => value`)
    }
    checkNames(`The ${name} of "${guard}"`, options, ['serve', 'name', 'timeoutMs', 'admission', 'drill'])
    const { serve, timeoutMs, admission, drill } = options
    checkAdmission(`the ${name} of "${guard}"`, admission)
    if (options.name !== undefined && (typeof options.name !== 'string' || options.name === '')) {
      throw new TypeError(`The name of the ${name} of "${guard}" must be a string that is not empty`)
    }
    if (timeoutMs !== undefined) milliseconds(`timeoutMs of the ${name} of "${guard}"`, timeoutMs)
    const named = options.name === undefined ? step : { name: options.name, label: `fallback "${options.name}"` }
    const made = { ...step, ...named, ...callable(serve), timeoutMs, admission }
    if (drill === undefined) return made
    if (typeof drill !== 'function') throw new TypeError(`drill of the ${name} of "${guard}" must be a function`)
    return { ...made, drill: { ...made, ...callable(drill) } }
  })
}

function callable(fn: AnyFunction): Pick<FallbackStep, 'serve' | 'signalled'> {
  return { serve: fn as Callable, signalled: signalTaker(fn) }
}

/** @throws TypeError when it is given and bounds nothing */
export function checkAdmission(of: string, admission: Admission | undefined): void {
  if (admission === undefined || typeof admission?.tryEnter === 'function') return
  throw new TypeError(`The admission of ${of} must be a Bulkhead or an AdaptiveLimiter; make one and pass it`)
}

/** By its methods, for a CommonJS and an ES copy of this package may be loaded side by side. */
function isCache(fallback: unknown): fallback is AnswerCache<unknown, unknown[]> {
  const { keep, find } = (fallback ?? {}) as Partial<AnswerCache<unknown, unknown[]>>
  return typeof keep === 'function' && typeof find === 'function'
}
