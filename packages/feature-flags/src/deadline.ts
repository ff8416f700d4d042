import type { Clock } from './ports.js'

/** Settles as the work does, or rejects when that takes longer. */
export async function within<T>(clock: Clock, timeoutMs: number, what: string, work: () => Promise<T>): Promise<T> {
  let cancel: () => void = () => undefined
  const late = new Promise<never>((_, reject) => {
    cancel = clock.after(timeoutMs, () => reject(new Error(`${what} did not answer within ${timeoutMs} ms`)))
  })
  try {
    return await Promise.race([work(), late])
  } finally {
    cancel()
  }
}
