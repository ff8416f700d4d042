import { describeFailure } from './check-result.js'

/** Calls what a user gave; that it throws, or rejects later, becomes a warning of the process and harms nobody. */
export function warnWhenItFails(what: string, call: () => unknown): void {
  const warn = (error: unknown): void => {
    const message = `${what}: ${describeFailure(error)}`
    process.emitWarning(message, { type: 'EvenkeelWarning', code: 'EVENKEEL_LISTENER' })
  }
  try {
    Promise.resolve(call()).catch(warn)
  } catch (error) {
    warn(error)
  }
}
