import { isMainThread, parentPort } from 'node:worker_threads'
import type { Clock } from '../ports.js'
import { maxDelayMs, systemClock } from '../system-clock.js'
import { isOurs, protocol, requirePlain, toWireError, unsendable, type ToOwner, type ToWorker } from './wire.js'

/** How often a version says what memory it uses, in ms. */
const memoryMs = 60_000

/** Tells the guard that is preloaded into a child process that somebody sees to its end now. */
const serving = Symbol.for('@evenkeel/blue-green/serving')

/** What a version hears of an event beside the event. */
export interface ServedEvent {
  /** The id of the event, the same however often it comes; `undefined` for one that has none. */
  readonly eventId: string | undefined
  /** Whether the event may have been handled before, by a version that died over it. */
  readonly isRepeat: boolean
}

/** What {@link serveVersion} takes. */
export interface ServeVersionOptions {
  /** Runs when no event comes any more and all have ended, or their time is up: flush here what must not be lost. */
  readonly onDrain?: ((drain: { readonly timeoutMs: number }) => unknown) | undefined
  /** How long running events may take when the owner has died, in ms; then the process ends. */
  readonly orphanTimeoutMs?: number | undefined
}

/** The value of each option of `serveVersion` that is not given. */
export const serveVersionDefaults: Readonly<Record<'orphanTimeoutMs', number>> = { orphanTimeoutMs: 10_000 }

/** What to do about an answer that cannot be sent. */
const remedy = 'the event is done all the same; return plain data, or nothing'

/** The way to the owner. */
interface Owner {
  /** @throws what says that the message cannot be sent; then nothing was */
  send(message: ToOwner, sent: (error?: unknown) => void): void
  /** @param asked - the system was asked to end this process */
  listen(heard: (message: unknown) => void, gone: () => void, asked: () => void): void
}

/**
 * The worker's side of {@link childProcessSlot} and {@link workerThreadSlot}: one line in the worker's file, called when the
 * version is ready to handle events.
 *
 * @remarks
 * The owner knows of each event that it has begun before the handler is called. When the owner dies, the worker finishes what
 * runs and ends. SIGINT and SIGTERM are left to the owner while it lives.
 *
 * *Gotchas*: the answer must be structured-clone data; an answer that cannot be sent is an error there, though the handler has
 * done its work. A handler that blocks the event loop for longer than the slot's `hungAfterMs` is taken for dead.
 *
 * @param handler - handles an event; a second argument has its id, and whether this may be its second run
 * @param options - what to do last
 * @throws TypeError when the file runs neither as a child process nor as a thread of a slot, or an option makes no sense
 *
 * @example
 * ```ts
 * import { fileURLToPath } from 'node:url'
 * import { childProcessSlot, serveVersion } from '@evenkeel/blue-green/workers'
 *
 * // Owner and version in one file; usually they are two.
 * if (process.send !== undefined) {
 *   serveVersion(async ({ text }: { text: string }) => `noted ${text}`)
 * } else {
 *   const slot = childProcessSlot<{ text: string }>({ entry: fileURLToPath(import.meta.url), effects: 'keyed' })
 *   await slot.start()
 *   console.log(await slot.handle({ text: 'tea' })) // => noted tea
 *   await slot.stop()
 * }
 * ```
 */
export function serveVersion<Event = unknown>(
  handler: (event: Event, served: ServedEvent) => unknown,
  options: ServeVersionOptions = {},
): void {
  if (typeof handler !== 'function') throw new TypeError('serveVersion needs a handler: a function of an event')
  const { onDrain, orphanTimeoutMs = serveVersionDefaults.orphanTimeoutMs } = options
  if (onDrain !== undefined && typeof onDrain !== 'function') {
    throw new TypeError('onDrain of serveVersion must be a function')
  }
  if (!(orphanTimeoutMs > 0 && orphanTimeoutMs <= maxDelayMs)) {
    throw new RangeError(`orphanTimeoutMs must be milliseconds above 0, at most ${maxDelayMs}, not ${orphanTimeoutMs}`)
  }
  new VersionServer(findOwner(), handler, onDrain, orphanTimeoutMs, systemClock).begin()
}

class VersionServer<Event> {
  readonly #owner: Owner
  readonly #handler: (event: Event, served: ServedEvent) => unknown
  readonly #onDrain: ServeVersionOptions['onDrain']
  readonly #orphanTimeoutMs: number
  readonly #clock: Clock
  #running = 0
  #measuredMs = -Infinity
  #isEnding = false
  /** SIGTERM has come. */
  #isAsked = false
  /** Others listen to SIGTERM. Known at the beginning, for a listener of `once` is gone when it is heard. */
  #hadOthers = false
  /** Called each time an event has ended and its answer is on its way. */
  #ended: () => void = () => undefined

  constructor(
    owner: Owner,
    handler: (event: Event, served: ServedEvent) => unknown,
    onDrain: ServeVersionOptions['onDrain'],
    orphanTimeoutMs: number,
    clock: Clock,
  ) {
    this.#owner = owner
    this.#handler = handler
    this.#onDrain = onDrain
    this.#orphanTimeoutMs = orphanTimeoutMs
    this.#clock = clock
  }

  begin(): void {
    this.#hadOthers = isMainThread && process.listenerCount('SIGTERM') > 0
    this.#owner.listen(
      (message) => {
        if (isOurs(message)) this.#heard(message)
      },
      () => this.#end(this.#orphanTimeoutMs),
      () => {
        this.#isAsked = true
        this.#ended()
      },
    )
    this.#say({ evenkeel: 1, type: 'ready', protocol })
  }

  #heard(message: ToWorker): void {
    switch (message.type) {
      case 'event':
        return this.#begun(message)
      case 'ping':
        return this.#say({ evenkeel: 1, type: 'pong', memory: this.#memory() })
      case 'drain':
        return void this.#drain(message.timeoutMs)
      case 'stop':
        return this.#end(message.timeoutMs)
    }
  }

  /** The handler is called only when the owner is certain to hear of it, even if this process dies in the handler. */
  #begun({ n, event, eventId, isRepeat }: Extract<ToWorker, { type: 'event' }>): void {
    if (this.#isEnding) return
    this.#running += 1
    this.#owner.send({ evenkeel: 1, type: 'begun', n }, (error) => {
      // Nobody waits for it any more.
      if (error != null) return this.#finished()
      void this.#handle(n, event as Event, { eventId, isRepeat })
    })
  }

  async #handle(n: number, event: Event, served: ServedEvent): Promise<void> {
    let said: ToOwner
    try {
      const answer = await this.#handler(event, served)
      requirePlain('the answer', answer, 'clone', remedy)
      said = { evenkeel: 1, type: 'answer', n, answer }
    } catch (error) {
      said = { evenkeel: 1, type: 'failure', n, error: toWireError(error) }
    }
    const sent = (): void => this.#finished()
    try {
      this.#owner.send(said, sent)
    } catch (error) {
      // Not answered, it would take this process down with all else that runs.
      const failure = toWireError(unsendable('the answer', remedy, error))
      this.#owner.send({ evenkeel: 1, type: 'failure', n, error: failure }, sent)
    }
  }

  #finished(): void {
    this.#running -= 1
    this.#ended()
  }

  async #drain(timeoutMs: number): Promise<void> {
    let why: string | undefined
    try {
      await this.#onDrain?.({ timeoutMs })
    } catch (error) {
      why = `its onDrain failed: ${toWireError(error).message}`
    }
    this.#say({ evenkeel: 1, type: 'drained', why })
  }

  /** Finishes what runs, bounded, and ends. */
  #end(timeoutMs: number): void {
    if (this.#isEnding) return
    this.#isEnding = true
    const hasOthers = process.listenerCount('SIGTERM') > 1 || this.#hadOthers
    this.#ended = () => {
      if (this.#running > 0) return
      // Somebody else in this process may be at work on SIGTERM, which the owner sends too, and lets it end when that is done.
      const isShared = isMainThread && process.connected && hasOthers
      if (!isShared) process.exit()
      if (this.#isAsked) process.disconnect()
    }
    this.#clock.after(timeoutMs, () => process.exit(1))
    this.#ended()
  }

  /** Now and then: a reading costs a system call, and tells little more than the last one. */
  #memory(): Extract<ToOwner, { type: 'pong' }>['memory'] {
    const nowMs = this.#clock.monotonic()
    if (nowMs - this.#measuredMs < memoryMs) return undefined
    this.#measuredMs = nowMs
    // All threads share the resident memory of their process.
    const bytes = isMainThread ? process.memoryUsage.rss() : process.memoryUsage().heapUsed
    // The clock began with the process, or the thread.
    return { ageMs: nowMs, bytes }
  }

  #say(message: ToOwner): void {
    this.#owner.send(message, () => undefined)
  }
}

function findOwner(): Owner {
  const port = parentPort
  if (!isMainThread && port !== null) {
    return {
      send: (message, sent) => {
        port.postMessage(message)
        sent()
      },
      listen: (heard) => void port.on('message', heard),
    }
  }
  const send = process.send?.bind(process)
  if (send === undefined) {
    throw new TypeError(
      'serveVersion has no owner: this file is to be started by childProcessSlot or workerThreadSlot, not by hand',
    )
  }
  return {
    send: (message, sent) => void send(message, undefined, undefined, sent),
    listen: (heard, gone, asked) => {
      ;(globalThis as Record<symbol, unknown>)[serving] = true
      process.on('message', heard)
      // The guard had taken it off, so that a file which ends without serving ends at once.
      process.channel?.ref()
      process.on('disconnect', gone)
      process.on('SIGINT', () => undefined)
      process.on('SIGTERM', asked)
      if (!process.connected) gone()
    },
  }
}
