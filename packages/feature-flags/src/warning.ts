import { describeError } from './outcome.js'

/** Tells whoever runs the bot of something that somebody handed to us threw, and that must break nothing else. */
export function warn(code: string, message: string, error: unknown): void {
  process.emitWarning(message, { type: 'EvenkeelWarning', code, detail: stackOf(error) ?? describeError(error) })
}

/** Anything can be thrown, also what throws when it is looked at; that must not stop the news. */
function stackOf(error: unknown): string | undefined {
  try {
    return error instanceof Error ? error.stack : undefined
  } catch {
    return undefined
  }
}
