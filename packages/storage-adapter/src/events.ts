import type { EventEmitter } from 'eventemitter3'
import type { Clock } from './ports.js'

/** How much a piece of news matters. */
export type Severity = 'INFO' | 'WARNING' | 'CRITICAL'

/** What every event says. */
export interface News {
  /** What it is about. */
  readonly what: string
  /** How it was before. */
  readonly from: string
  /** How it is now. */
  readonly to: string
  /** When, in epoch milliseconds. */
  readonly at: number
  /** What led to it. */
  readonly why: string
  /** How much it matters. */
  readonly severity: Severity
  /** All of it as a complete sentence. */
  readonly message: string
}

/** Damage that was found in a file and set aside. */
export interface QuarantinedNews extends News {
  /** The file that holds what was set aside, as it was found. */
  readonly path: string
  /** How many damaged or missing records were counted; what they held is not in the storage. */
  readonly records: number
}

/** The events of a storage. */
export interface StorageEvents {
  /** It became available or unavailable, or was opened after a process that did not stop it. */
  change: [news: News]
  /** A write that a crash had cut short, and that nobody was told of as done, was cut off. */
  repaired: [news: News]
  /** Damaged records were found and set aside. */
  quarantined: [news: QuarantinedNews]
}

/** Tells news. */
export type Announce<Events extends StorageEvents> = <Name extends keyof Events & string>(
  event: Name,
  news: Omit<Events[Name] extends [infer One] ? One : never, 'at'>,
) => void

/**
 * Emits for a storage. A listener that throws becomes a warning with the code `EVENKEEL_LISTENER`: it must not break
 * the storage that told it something.
 */
export function announcer<Events extends StorageEvents>(emitter: EventEmitter<Events>, clock: Clock): Announce<Events> {
  const emit = emitter.emit.bind(emitter) as unknown as (event: string, news: object) => boolean
  return (event, news) => {
    try {
      emit(event, { ...news, at: clock.now() })
    } catch (error) {
      process.emitWarning(`A listener of "${event}" failed: ${String(error)}`, { code: 'EVENKEEL_LISTENER' })
    }
  }
}
