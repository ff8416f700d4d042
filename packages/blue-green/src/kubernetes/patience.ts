import type { Clock } from '../ports.js'

/** How long to wait before each further try, in ms: twice as long each time, without end. */
export function* patience({
  retryMs,
  maxRetryMs,
}: {
  readonly retryMs: number
  readonly maxRetryMs: number
}): Generator<number, never> {
  for (let waitMs = retryMs; ; waitMs *= 2) yield Math.min(waitMs, maxRetryMs)
}

/** Waits, or rejects as soon as the signal is aborted. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      cancel()
      reject(new Error('it was cancelled'))
    }
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', abort)
      resolve()
    })
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}
