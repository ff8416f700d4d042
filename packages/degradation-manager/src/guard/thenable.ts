/** Whether there is something to wait for. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  const canHaveThen = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return canHaveThen && typeof (value as { then?: unknown }).then === 'function'
}

const then = Reflect.get(Promise.prototype, 'then') as (
  this: Promise<unknown>,
  onValue: (value: unknown) => unknown,
  onError: (error: unknown) => unknown,
) => Promise<unknown>

/** Follows a promise as `await` does: one that brings a `then` of its own is not asked through it, for it may call twice. */
export function follow<T>(
  promise: Promise<unknown>,
  onValue: (value: unknown) => T,
  onError: (error: unknown) => T,
): Promise<Awaited<T>> {
  return then.call(promise, onValue, onError) as Promise<Awaited<T>>
}

/** A promise that rejects with what was thrown, whatever that is. */
export function rejected(thrown: unknown): Promise<never> {
  const reason = thrown as Error
  return Promise.reject(reason)
}
