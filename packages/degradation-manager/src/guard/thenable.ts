/** Whether there is something to wait for. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  const canHaveThen = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return canHaveThen && typeof (value as { then?: unknown }).then === 'function'
}

/** A promise that rejects with what was thrown, whatever that is. */
export function rejected(thrown: unknown): Promise<never> {
  const reason = thrown as Error
  return Promise.reject(reason)
}
