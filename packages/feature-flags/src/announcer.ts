import { warn } from './warning.js'

/**
 * Tells news one after the other: what a listener sets off is told after what it was told, and a listener that throws
 * stops nothing but the listeners after it.
 */
export class Announcer {
  readonly #outbox: (() => void)[] = []
  #isAnnouncing = false
  readonly #emitter: string

  /** @param emitter - the name of the class whose listeners are told */
  constructor(emitter: string) {
    this.#emitter = emitter
  }

  announce(news: readonly (() => void)[]): void {
    for (const each of news) this.#outbox.push(each)
    if (this.#isAnnouncing) return
    this.#isAnnouncing = true
    for (let next = this.#outbox.shift(); next !== undefined; next = this.#outbox.shift()) {
      try {
        next()
      } catch (error) {
        const message = `A listener of ${this.#emitter} threw; those registered after it missed the event`
        warn('EVENKEEL_LISTENER', message, error)
      }
    }
    this.#isAnnouncing = false
  }
}
