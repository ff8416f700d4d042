/**
 * How long a receiver asks to be left alone: seconds, also with a fraction, or a date (RFC 9110, 10.2.3).
 *
 * @param now - wall time, epoch ms, for a date
 * @returns milliseconds from 0, or `undefined` when it does not ask or nobody can read it
 */
export function retryAfterMs(header: string | null, now: number): number | undefined {
  const text = header?.trim() ?? ''
  if (/^\d+(\.\d+)?$/.test(text)) return Math.ceil(Number(text) * 1_000)
  // A bare number with a sign is no date, whatever `Date.parse` makes of it.
  const at = /[A-Za-z]/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}

/** Discord's and others' `retry_after` in a JSON body: seconds with a fraction. */
export function retryAfterInBodyMs(body: string): number | undefined {
  try {
    const { retry_after: seconds } = JSON.parse(body) as { retry_after?: unknown }
    return typeof seconds === 'number' && seconds >= 0 ? Math.ceil(seconds * 1_000) : undefined
  } catch {
    return undefined
  }
}
