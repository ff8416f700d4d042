/** A registered symbol, so that the mark is understood by another copy of this package too. */
const takesSignal = Symbol.for('evenkeel.withSignal')

/** Any function; `never` because nothing may be passed to it unchecked. */
export type AnyFunction = (...args: never[]) => unknown

/** A function as the guard calls it: with `this` and arguments that the guard's own type has checked. */
export type Callable = (this: unknown, ...args: unknown[]) => unknown

/**
 * Marks a function that wants to know when nobody waits for it any more. The guard passes it an `AbortSignal` as its
 * first argument, before those of the caller, and aborts it when the deadline has passed.
 *
 * @remarks
 * The signal comes first because that place does not depend on how many optional arguments a caller leaves out. Called
 * without a guard, the function gets a signal that never aborts. Functions that are not marked cost no
 * `AbortController`.
 *
 * @param fn - takes the signal, then its arguments
 * @returns the function as callers see it, without the signal
 * @throws TypeError when it is no function
 *
 * @example
 * ```ts
 * import { DegradationManager, withSignal } from '@evenkeel/degradation-manager'
 *
 * const modes = new DegradationManager({ features: { translate: { priority: 'optional' } } })
 * const callApi = withSignal(async (signal: AbortSignal, text: string) => `${text}, aborted: ${signal.aborted}`)
 * const translate = modes.guard('translate', callApi, { timeoutMs: 2_000 })
 * console.log(await translate('hello')) // => hello, aborted: false
 * ```
 */
export function withSignal<This, Args extends unknown[], Result>(
  fn: (this: This, signal: AbortSignal, ...args: Args) => Result,
): (this: This, ...args: Args) => Result {
  if (typeof fn !== 'function') throw new TypeError(`withSignal marks a function, not ${String(fn)}`)
  function unguarded(this: This, ...args: Args): Result {
    return fn.call(this, new AbortController().signal, ...args)
  }
  Object.defineProperty(unguarded, takesSignal, { value: fn })
  return unguarded
}

/** The function that a marked one was made from; undefined when it is not marked. */
export function signalTaker(fn: AnyFunction): Callable | undefined {
  return (fn as { [takesSignal]?: Callable })[takesSignal]
}
