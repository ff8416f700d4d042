import type { HealthStatus } from '../ports.js'

/** What goes with an event to the version that handles it. */
export interface Delivery {
  /** The id of the event, the same however often it comes; `undefined` for an event that has none. */
  readonly eventId?: string | undefined
  /** Whether the event may have been handled before, by a version that died over it. */
  readonly isRepeat?: boolean | undefined
}

/** A version has died. */
export interface SlotDeath {
  /** How, as a clause. */
  readonly why: string
  /** When, in epoch ms. */
  readonly at: number
  /** Events that it had and had not begun: lost to nobody, another version may handle them. */
  readonly notBegun: number
  /** Events that it had begun and not answered. */
  readonly begun: number
}

/** What a version uses, in a process or a thread of its own. */
export interface MemoryReading {
  /** How long it has been running, in ms: a young one uses less. */
  readonly ageMs: number
  /** What it uses, in bytes: the resident memory of a process, the heap of a thread. */
  readonly bytes: number
}

/** How a slot is to wait for what runs. */
export interface SlotDrainOptions {
  /** How long at most, in ms. */
  readonly timeoutMs?: number | undefined
  /** Ends the wait early, with a rejection. */
  readonly signal?: AbortSignal | undefined
}

/** What a drained slot has left. */
export interface SlotDrained {
  /** Whether everything that ran has ended, and what the version does last (`onDrain`) is done. */
  readonly drained: boolean
  /** How many events have not ended. */
  readonly running: number
  /** Why it is not drained, as a clause. */
  readonly why?: string | undefined
}

/** How often a slot that serves is started again when it has died. */
export interface RestartPolicy {
  /** So many deaths within `windowMs` are a crash loop: then it stays down. */
  readonly maxRestarts: number
  /** In ms. */
  readonly windowMs: number
  /** How long the first restart waits, in ms; each further one twice as long. */
  readonly delayMs: number
  /** The longest that a restart waits, in ms. */
  readonly maxDelayMs: number
}

/** How often a slot that says nothing of it is started again. */
export const defaultRestarts: RestartPolicy = { maxRestarts: 5, windowMs: 60_000, delayMs: 100, maxDelayMs: 5_000 }

/**
 * A version of the bot that need not be a function in this process: a child process, a thread, a machine elsewhere.
 *
 * @remarks
 * Every method may be called at any time and more than once, and each wait has a deadline. An event is rejected with
 * {@link NotBegunError} when it certainly was not begun, so that another version may have it at once, and with
 * {@link OutcomeUnknownError} when nobody knows. Any other rejection is the version's own answer.
 *
 * @typeParam Event - what it handles
 * @typeParam Answer - what it answers
 */
export interface Slot<Event = unknown, Answer = unknown> {
  /**
   * Begins, and resolves when it is ready. Again after a death, or after `stop()`.
   *
   * @throws {@link SlotStartError} when it does not become ready
   */
  start(options?: { readonly signal?: AbortSignal | undefined }): Promise<void>
  /** Handles one event. */
  handle(event: Event, delivery?: Delivery): Promise<Answer>
  /** How it is now. It gets events while it is `up` or `degraded`; unless given, it is `up`. */
  health?(): HealthStatus
  /** Calls the listener each time it dies by itself. Returns what takes the listener off again. */
  onDeath(listener: (death: SlotDeath) => void): () => void
  /** Calls the listener now and then with what it uses, for `judge` with `memoryIncrease`. Returns what takes the listener off again. */
  onMemory?(listener: (reading: MemoryReading) => void): () => void
  /** Takes no event from now on, and waits for those that run. `start()` takes it back, as long as the version still lives. */
  drain(options?: SlotDrainOptions): Promise<SlotDrained>
  /** Ends it. Events that it had not begun are given back. */
  stop(): Promise<void>
  /** How often it is started again while it is the active version. */
  readonly restarts?: RestartPolicy | undefined
}

/** Whether a version is a slot. */
export function isSlot(version: unknown): version is Slot<never> {
  if (typeof version !== 'object' || version === null) return false
  const methods = version as Record<string, unknown>
  return ['start', 'handle', 'onDeath', 'drain', 'stop'].every((name) => typeof methods[name] === 'function')
}
