import { warn } from './warning.js'

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
        warn('EVENKEEL_LISTENER', 'A listener of FeatureFlags threw; those registered after it missed the event', error)
      }
    }
    this.#isAnnouncing = false
  }
}
