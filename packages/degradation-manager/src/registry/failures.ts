import { mayHaveApplied } from '../outcome.js'

const maxCauses = 8

/** Whether a failure says in so many words that nothing was done, so that it can be done in another way. */
export function saysNotApplied(error: unknown): boolean {
  try {
    return isMarked(error) && !mayHaveApplied(error)
  } catch {
    return false
  }
}

function isMarked(error: unknown): boolean {
  let cause = error
  for (let depth = 0; depth < maxCauses && typeof cause === 'object' && cause !== null; depth++) {
    const { applied, cause: next } = cause as Partial<Record<'applied' | 'cause', unknown>>
    if (applied === 'no') return true
    cause = next
  }
  return false
}

/** Whether the caller has given up: a signal among its arguments, or on one of them, was aborted. */
export function isAborted(args: readonly unknown[]): boolean {
  return args.some((arg) => {
    if (typeof arg !== 'object' || arg === null) return false
    return hasAborted(arg) || hasAborted((arg as { signal?: unknown }).signal)
  })
}

function hasAborted(signal: unknown): boolean {
  return signal instanceof AbortSignal && signal.aborted
}
