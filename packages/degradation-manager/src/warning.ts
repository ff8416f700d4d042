import { describeError } from './outcome.js'

/** Tells of a failure in code that we were handed, where throwing would hurt somebody else. */
export function warn(what: string, error: unknown): void {
  const detail = error instanceof Error ? error.stack : undefined
  process.emitWarning(`${what}: ${describeError(error)}`, {
    type: 'EvenkeelWarning',
    code: 'EVENKEEL_LISTENER',
    ...(detail === undefined ? {} : { detail }),
  })
}
