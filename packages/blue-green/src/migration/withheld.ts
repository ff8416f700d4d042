import { Finding, NotIsolatedError } from './errors.js'

/** A name that a program gave, and no sentence. */
const label = /^[\w$.-]{1,64}$/

/**
 * What may be told in a report of an error that met data of the source: its name and its code. Drivers quote rows and values in their
 * messages. The error itself is the `cause`.
 */
export function withheld(error: unknown): Error {
  if (error instanceof Finding || error instanceof NotIsolatedError) return error
  const { code } = Object(error) as { code?: unknown }
  const what = error instanceof Error && label.test(error.name) ? error.name : 'an error'
  const told = (typeof code === 'string' || typeof code === 'number') && label.test(String(code)) ? ` (${code})` : ''
  return new Finding(`${what}${told}, whose message may have data of the source in it: see error of onProgress`, {
    cause: error,
  })
}
