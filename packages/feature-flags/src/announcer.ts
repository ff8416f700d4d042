import { describeError } from './outcome.js'

/**
 * Tells news one after the other: what a listener sets off is told after what it was told, and a listener that throws
 * stops nothing but the listeners after it.
 */
export class Announcer {
  readonly #outbox: (() => void)[] = []
  #isAnnouncing = false

  announce(news: readonly (() => void)[]): void {
    for (const each of news) this.#outbox.push(each)
    if (this.#isAnnouncing) return
    this.#isAnnouncing = true
    for (let next = this.#outbox.shift(); next !== undefined; next = this.#outbox.shift()) {
      try {
        next()
      } catch (error) {
        warn(error)
      }
    }
    this.#isAnnouncing = false
  }
}

function warn(error: unknown): void {
  process.emitWarning('A listener of FeatureFlags threw; those registered after it missed the event', {
    type: 'EvenkeelWarning',
    code: 'EVENKEEL_LISTENER',
    detail: stackOf(error) ?? describeError(error),
  })
}

/** Anything can be thrown, also what throws when it is looked at; that must not stop the news. */
function stackOf(error: unknown): string | undefined {
  try {
    return error instanceof Error ? error.stack : undefined
  } catch {
    return undefined
  }
}
