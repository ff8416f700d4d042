import type { Clock } from './ports.js'

/**
 * Runs something that may never settle. What settles after the deadline is ignored; what throws at once is a rejection.
 *
 * @param timedOut - makes the error to reject with
 */
export function withDeadline<T>(
  run: () => PromiseLike<T>,
  timeoutMs: number,
  clock: Clock,
  timedOut: () => Error,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const cancel = clock.after(timeoutMs, () => reject(timedOut()))
    void Promise.resolve().then(run).then(resolve, reject).finally(cancel)
  })
}
