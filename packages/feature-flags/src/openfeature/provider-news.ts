import type {
  AnyProviderEvent,
  EventContext,
  EventHandler,
  Logger,
  ProviderEventEmitter,
} from '@openfeature/server-sdk'
import { describeError } from '../outcome.js'

/**
 * Carries a provider's events to the SDK. It does what the SDK's own emitter does, so that the SDK need not be loaded:
 * handlers run in the order in which they were added, and one that fails is logged and stops no other.
 */
export class ProviderNews implements ProviderEventEmitter<AnyProviderEvent> {
  readonly #handlers = new Map<AnyProviderEvent, EventHandler[]>()
  #logger: Logger | undefined

  /**
   * Tells all handlers of an event.
   *
   * @param eventType - which
   * @param context - what there is to say of it
   */
  emit(eventType: AnyProviderEvent, context?: EventContext): void {
    for (const handler of this.getHandlers(eventType)) void this.#tell(handler, context)
  }

  /**
   * Adds a handler. What is added twice is told twice.
   *
   * @param eventType - of which event
   * @param handler - what is told
   */
  addHandler(eventType: AnyProviderEvent, handler: EventHandler): void {
    this.#handlers.set(eventType, [...this.getHandlers(eventType), handler])
  }

  /**
   * Removes a handler; of one that was added twice, the later.
   *
   * @param eventType - of which event
   * @param handler - what is told no more
   */
  removeHandler(eventType: AnyProviderEvent, handler: EventHandler): void {
    const handlers = this.getHandlers(eventType)
    const index = handlers.lastIndexOf(handler)
    if (index >= 0) this.#handlers.set(eventType, handlers.toSpliced(index, 1))
  }

  /**
   * Removes all handlers.
   *
   * @param eventType - of which event; of every one unless given
   */
  removeAllHandlers(eventType?: AnyProviderEvent): void {
    if (eventType === undefined) this.#handlers.clear()
    else this.#handlers.delete(eventType)
  }

  /**
   * The handlers of an event.
   *
   * @param eventType - which
   */
  getHandlers(eventType: AnyProviderEvent): EventHandler[] {
    return [...(this.#handlers.get(eventType) ?? [])]
  }

  /**
   * Sets what is told of handlers that fail. Without one, a failure is a process warning.
   *
   * @param logger - a logger
   */
  setLogger(logger: Logger): this {
    this.#logger = logger
    return this
  }

  async #tell(handler: EventHandler, context: EventContext | undefined): Promise<void> {
    try {
      await handler(context as Parameters<EventHandler>[0])
    } catch (error) {
      this.#report(error)
    }
  }

  #report(error: unknown): void {
    const message = 'A handler of a provider event failed'
    try {
      if (this.#logger !== undefined) return this.#logger.error(`${message}:`, error)
    } catch {
      // A logger that fails must not hide what it was to log.
    }
    const detail = describeError(error)
    process.emitWarning(message, { type: 'EvenkeelWarning', code: 'EVENKEEL_LISTENER', detail })
  }
}
