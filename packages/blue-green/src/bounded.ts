import { withDeadline } from './deadline.js'
import type { Clock } from './ports.js'

/**
 * Runs somebody else's function, which may throw at once, hang, or end after nobody waits any more.
 *
 * @param run - is given a signal that is aborted at the deadline, and with `parent`
 * @param parent - ends the wait early, with its reason
 */
export async function runBounded<T>(
  run: (signal: AbortSignal) => T | PromiseLike<T>,
  timeoutMs: number,
  clock: Clock,
  parent: AbortSignal,
): Promise<T> {
  const stop = new AbortController()
  const timedOut = (): Error => new Error(`it took longer than ${timeoutMs} ms`)
  let cancelled!: (reason: Error) => void
  const cancel = new Promise<never>((_, reject) => (cancelled = reject))
  const abort = (): void => {
    const reason = parent.reason instanceof Error ? parent.reason : new Error('it was cancelled')
    stop.abort(reason)
    cancelled(reason)
  }
  // When nobody races against it any more, it must not be an unhandled rejection.
  cancel.catch(() => undefined)
  if (parent.aborted) abort()
  else parent.addEventListener('abort', abort, { once: true })
  try {
    // An async function, so that what throws at once rejects like anything else.
    return await withDeadline(
      () => Promise.race([cancel, (async () => run(stop.signal))()]),
      timeoutMs,
      clock,
      timedOut,
    )
  } catch (error) {
    stop.abort(error)
    throw error
  } finally {
    parent.removeEventListener('abort', abort)
  }
}

/** What was thrown, as words. Never throws: not everything that is thrown can be read. */
export function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown)
  } catch {
    return 'something was thrown that cannot be read'
  }
}
