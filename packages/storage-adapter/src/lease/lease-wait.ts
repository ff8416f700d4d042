import type { Clock } from '../ports.js'

/** Waits until time has passed or the signal aborts, whichever is first. Never rejects. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve()
    const end = (): void => {
      cancel()
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const cancel = clock.after(ms, end)
    signal?.addEventListener('abort', end)
  })
}

/** Waits for something, but no longer than told. Whatever becomes of it later is told to nobody. */
export async function within<T>(
  clock: Clock,
  ms: number,
  running: Promise<T>,
  signal?: AbortSignal,
): Promise<T | undefined> {
  const over = new AbortController()
  const end = (): void => over.abort()
  signal?.addEventListener('abort', end)
  try {
    running.catch(() => undefined)
    if (signal?.aborted === true) return undefined
    return await Promise.race([running, pause(clock, ms, over.signal).then(() => undefined)])
  } finally {
    over.abort()
    signal?.removeEventListener('abort', end)
  }
}
