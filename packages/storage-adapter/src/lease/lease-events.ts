import type { EventEmitter } from 'eventemitter3'
import type { News } from '../events.js'
import type { Clock } from '../ports.js'

/** A term of a lease began or ended. */
export interface LeaseNews extends News {
  /** The fencing token of the term. */
  readonly token: number
}

/** The events of a {@link Lease}. */
export interface LeaseEvents {
  /** `from` and `to` are `STOPPED`, `WAITING`, `HELD` and `UNREACHABLE` (the store, while waiting). */
  change: [news: News]
  /** The lease is held from now on. */
  acquired: [news: LeaseNews]
  /** The lease was lost while it was needed; what it allowed must stop. Not told of a `stop()`. */
  lost: [news: LeaseNews]
}

/** Tells news. */
export type Tell<Events> = <Name extends keyof Events & string>(
  event: Name,
  news: Omit<Events[Name] extends [infer One] ? One : never, 'at'>,
) => void

/**
 * Emits with the time. A listener that throws becomes a warning with the code `EVENKEEL_LISTENER`: it must not end a
 * lease, nor let a job run twice.
 */
export function teller<Events extends object>(emitter: EventEmitter<Events>, clock: Clock): Tell<Events> {
  const emit = emitter.emit.bind(emitter) as unknown as (event: string, news: object) => boolean
  return (event, news) => {
    try {
      emit(event, { ...news, at: clock.now() })
    } catch (error) {
      process.emitWarning(`A listener of "${event}" failed: ${String(error)}`, { code: 'EVENKEEL_LISTENER' })
    }
  }
}
