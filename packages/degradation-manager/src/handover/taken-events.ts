import { mayHaveApplied } from '../outcome.js'
import type { Clock } from '../ports.js'
import { warn } from '../warning.js'
import type { TakeOptions } from './port.js'
import type { Handled } from './wire.js'

/** What is sent back. */
export interface Reply {
  readonly status: number
  readonly body: string
}

/** What {@link TakenEvents} needs. */
export interface TakenEventsSettings<Event> {
  readonly handle: (event: Event, options: TakeOptions) => unknown
  readonly onError: ((error: unknown, key: string) => void) | undefined
  readonly timeoutMs: number
  readonly rememberMs: number
  readonly maxRemembered: number
  readonly clock: Clock
}

/** An event that is done, and what was answered. */
interface Done {
  readonly reply: Reply
  /** When it may be forgotten. */
  readonly untilMs: number
}

/** Each event once: those under way, and the answers of those that are done. */
export class TakenEvents<Event> {
  readonly #settings: TakenEventsSettings<Event>
  readonly #underWay = new Map<string, Promise<Reply>>()
  /** In the order in which they were done. */
  readonly #done = new Map<string, Done>()

  constructor(settings: TakenEventsSettings<Event>) {
    this.#settings = settings
  }

  /** Whether one more would be taken. */
  check(): Reply {
    return this.#isFull ? full : said(200, {})
  }

  /** Handles an event, unless one with its key has been taken before: then that one's answer is this one's too. */
  once(key: string, event: unknown): Promise<Reply> | Reply {
    this.#forget(this.#settings.maxRemembered)
    const before = this.#done.get(key)?.reply ?? this.#underWay.get(key)
    if (before !== undefined) return before
    if (this.#isFull) return full
    const reply = this.#handle(key, event as Event)
    this.#underWay.set(key, reply)
    this.#forget(this.#settings.maxRemembered - this.#underWay.size)
    return reply
  }

  get #isFull(): boolean {
    return this.#underWay.size >= this.#settings.maxRemembered
  }

  /** Answers in time, whatever the handler does. */
  #handle(key: string, event: Event): Promise<Reply> {
    const { handle, clock, timeoutMs } = this.#settings
    const controller = new AbortController()
    return new Promise((resolve) => {
      const cancel = clock.after(timeoutMs, () => {
        resolve(said(504, { applied: 'unknown', why: `it was not handled within ${timeoutMs} ms` }))
        controller.abort(new DOMException('The event was not handled in time', 'TimeoutError'))
      })
      const end = (reply: Reply, isRemembered: boolean): void => {
        cancel()
        this.#end(key, isRemembered ? reply : undefined)
        resolve(reply)
      }
      void Promise.resolve()
        .then(() => handle(event, { key, signal: controller.signal }))
        .then(
          (answer) => end(this.#answered(answer, key), true),
          (error: unknown) => {
            this.#tell(error, key)
            const failed = failure(error)
            end(said(failed.applied === 'no' ? 503 : 500, failed), failed.applied !== 'no')
          },
        )
    })
  }

  #answered(answer: unknown, key: string): Reply {
    try {
      return said(200, { answer })
    } catch (error) {
      // It is done, whatever can be said of it.
      this.#tell(error, key)
      return said(500, { applied: 'unknown', why: 'its answer is no plain data' })
    }
  }

  /** What failed without an effect may come again; everything else is remembered. */
  #end(key: string, reply: Reply | undefined): void {
    this.#underWay.delete(key)
    if (reply === undefined) return
    const { clock, rememberMs } = this.#settings
    this.#done.set(key, { reply, untilMs: clock.monotonic() + rememberMs })
  }

  /** Forgets those whose time is over, and the oldest until no more are left than there may be. */
  #forget(mayBeLeft: number): void {
    const nowMs = this.#settings.clock.monotonic()
    for (const [key, { untilMs }] of this.#done) {
      if (untilMs > nowMs && this.#done.size <= mayBeLeft) return
      this.#done.delete(key)
    }
  }

  #tell(error: unknown, key: string): void {
    const { onError } = this.#settings
    if (onError === undefined) return
    try {
      onError(error, key)
    } catch (bug) {
      warn('onError of takeEvents threw', bug)
    }
  }
}

const full = said(503, { applied: 'no', why: 'it is handling as many events as it may', retryAfterMs: 1_000 })

function said(status: number, handled: Handled): Reply {
  return { status, body: JSON.stringify(handled) }
}

/** What the other bot hears: whether it took effect, and its code, but nothing of what it says. */
function failure(error: unknown): Handled {
  const applied = mayHaveApplied(error) ? 'unknown' : 'no'
  try {
    const { code, retryAfterMs } = (error ?? {}) as { code?: unknown; retryAfterMs?: unknown }
    const isCode = typeof code === 'string' && /^[A-Z][A-Z0-9_]{0,39}$/.test(code)
    const why = `its handler failed${isCode ? ` with ${code}` : ''}`
    const isLater = typeof retryAfterMs === 'number' && retryAfterMs >= 0 && retryAfterMs < Infinity
    return isLater ? { applied, why, retryAfterMs } : { applied, why }
  } catch {
    return { applied, why: 'its handler failed' }
  }
}
