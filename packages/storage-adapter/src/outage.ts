import { StorageTimeoutError } from './errors.js'

/**
 * What to tell of a server that cannot be used, as a sentence that names it once.
 *
 * @param place - where the server is
 */
export function describeOutage(place: string, error: unknown): string {
  if (error instanceof StorageTimeoutError) return `${place} did not answer within ${error.timeoutMs} ms.`
  const why = error instanceof Error ? error.message : String(error)
  return why.startsWith(place) ? `${why}.` : `${place} cannot be used: ${why}.`
}
