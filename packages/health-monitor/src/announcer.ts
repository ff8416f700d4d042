import type { EventEmitter } from 'eventemitter3'
import { describeFailure } from './check-result.js'
import type { HealthMonitorEvents } from './events.js'

type News<Name extends string> = {
  [Event in keyof HealthMonitorEvents<Name>]: { event: Event; news: HealthMonitorEvents<Name>[Event][0] }
}[keyof HealthMonitorEvents<Name>]

/**
 * Tells news in order, even when a listener causes some itself: its news waits until the present one has been told to
 * everybody. A listener that throws harms nobody but the listeners after it.
 */
export class Announcer<Name extends string> {
  readonly #emitter: EventEmitter
  readonly #outbox: News<Name>[] = []
  #isTelling = false

  /** @param emitter - whose listeners to tell */
  constructor(emitter: EventEmitter) {
    this.#emitter = emitter
  }

  /** Puts news at the end of the queue. */
  add(news: News<Name>): void {
    this.#outbox.push(news)
  }

  /** Tells whatever waits. */
  tell(): void {
    if (this.#isTelling) return
    this.#isTelling = true
    for (let next = this.#outbox.shift(); next !== undefined; next = this.#outbox.shift()) {
      try {
        this.#emitter.emit(next.event, next.news)
      } catch (error) {
        const message = `A listener of a HealthMonitor's "${next.event}" threw: ${describeFailure(error)}`
        process.emitWarning(message, { type: 'EvenkeelWarning', code: 'EVENKEEL_LISTENER' })
      }
    }
    this.#isTelling = false
  }
}
