import type { Backend, ChangeLog, StoredRecord } from './backend.js'
import { checkKey } from './keys.js'
import type { Clock } from './ports.js'
import type { ChangePage, LoggedChange, Notice, WatchOptions } from './storage.js'

/** How many changes are read at a time. */
const PAGE = 500

/** Hints may be lost, so the log is read this often without one, in milliseconds. */
const POLL_MS = 1_000

/** How long to wait before a backend that failed is asked again, in milliseconds. */
const RETRY_MS = 500

/** What a watch needs from its storage. */
export interface WatchHost {
  readonly clock: Clock
  /** Aborted when the storage is stopped. */
  life(): AbortSignal
  /** The backend, open, and its log. */
  open(): Promise<{ readonly backend: Pick<Backend, 'read'>; readonly log: ChangeLog }>
}

/** Follows one collection. */
export class Watch<T> implements AsyncIterable<Notice<T>> {
  readonly #host: WatchHost
  readonly #collection: string
  readonly #prefix: string
  readonly #since: string | undefined
  readonly #signal: AbortSignal | undefined

  /** @throws TypeError when an option is wrong */
  constructor(host: WatchHost, collection: string, { prefix = '', since, signal }: WatchOptions = {}) {
    if (prefix !== '') checkKey(prefix, 'prefix')
    if (since !== undefined && typeof since !== 'string') throw new TypeError('since must be the cursor of a notice')
    this.#host = host
    this.#collection = collection
    this.#prefix = prefix
    this.#since = since
    this.#signal = signal
  }

  [Symbol.asyncIterator](): AsyncIterator<Notice<T>, void, undefined> {
    const end = new Waiter(this.#host.clock)
    const notices = this.#run(end)
    return {
      next: () => notices.next(),
      // A generator that waits inside would not hear of it.
      return: () => {
        end.end()
        return notices.return()
      },
    }
  }

  async *#run(waiter: Waiter): AsyncGenerator<Notice<T>, void, undefined> {
    let stopLife: () => void = () => undefined
    let stopHints: () => void = () => undefined
    const stopSignal = waiter.endWith(this.#signal)
    try {
      if (waiter.hasEnded) return
      const { log } = await this.#host.open()
      stopLife = waiter.endWith(this.#host.life())
      // Before the first look, so that no change falls between the two.
      stopHints = log.onHint(() => waiter.wake())
      let cursor = this.#since
      if (cursor === undefined) {
        cursor = (await log.changes(undefined, 0)).cursor
        yield { type: 'reset', why: 'start', cursor }
      }
      while (!waiter.hasEnded) {
        waiter.rest()
        const page: ChangePage | undefined = await this.#look(cursor)
        // `return` may have come while the backend was asked.
        if (waiter.hasEnded) return
        if (page === undefined) {
          await waiter.wait(RETRY_MS)
          continue
        }
        if (page.isReset) yield { type: 'reset', why: 'gap', cursor: page.cursor }
        else if (page.changes.length > 0) {
          const notices: Notice<T>[] | undefined = await this.#tell(page, cursor)
          if (notices === undefined) {
            await waiter.wait(RETRY_MS)
            continue
          }
          yield* notices
        }
        cursor = page.cursor
        if (!page.isReset && page.changes.length < PAGE) await waiter.wait(POLL_MS)
      }
    } finally {
      stopHints()
      stopLife()
      stopSignal()
    }
  }

  /** `undefined` when the backend cannot be reached; it tells that itself. */
  async #look(cursor: string): Promise<ChangePage | undefined> {
    try {
      const { log } = await this.#host.open()
      return await log.changes(cursor, PAGE)
    } catch {
      return undefined
    }
  }

  async #tell({ changes, cursor }: ChangePage, before: string): Promise<Notice<T>[] | undefined> {
    const { isCleared, latest } = this.#sift(changes)
    const keys = [...latest.keys()]
    let records: (StoredRecord | undefined)[] = []
    try {
      const { backend } = await this.#host.open()
      if (keys.length > 0) records = await backend.read(this.#collection, keys, this.#host.clock.now())
    } catch {
      return undefined
    }
    const count = keys.length + (isCleared ? 1 : 0)
    const notices: Notice<T>[] = []
    // Whoever goes on from the middle of a page hears the whole page again, rather than miss the rest of it.
    const place = (): string => (notices.length + 1 === count ? cursor : before)
    if (isCleared) notices.push({ type: 'reset', why: 'clear', cursor: place() })
    for (const [i, key] of keys.entries()) {
      const record = records[i]
      if (record === undefined) {
        notices.push({ type: 'delete', key, version: latest.get(key) ?? '', cursor: place() })
      } else {
        const { json, version, expiresAt } = record
        notices.push({ type: 'set', key, value: JSON.parse(json) as T, version, expiresAt, cursor: place() })
      }
    }
    return notices
  }

  /** The last change of each record, in the order of those; a clear stands for all that came before it. */
  #sift(changes: readonly LoggedChange[]): { isCleared: boolean; latest: Map<string, string> } {
    const latest = new Map<string, string>()
    let isCleared = false
    for (const { type, collection, key, version } of changes) {
      if (collection !== this.#collection) continue
      if (type === 'clear') {
        isCleared = true
        latest.clear()
      } else if (key.startsWith(this.#prefix)) {
        latest.delete(key)
        latest.set(key, version)
      }
    }
    return { isCleared, latest }
  }
}

/** Waits until it is woken, until time has passed, or for good. */
class Waiter {
  readonly #clock: Clock
  #isWoken = false
  #isOver = false
  #go: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get hasEnded(): boolean {
    return this.#isOver
  }

  wake(): void {
    this.#isWoken = true
    this.#go?.()
  }

  end(): void {
    this.#isOver = true
    this.#go?.()
  }

  /** @returns stops listening to the signal */
  endWith(signal: AbortSignal | undefined): () => void {
    if (signal?.aborted === true) this.end()
    const end = (): void => this.end()
    signal?.addEventListener('abort', end)
    return () => signal?.removeEventListener('abort', end)
  }

  /** Forgets having been woken: whoever looks now need not be woken for what is there. */
  rest(): void {
    this.#isWoken = false
  }

  async wait(ms: number): Promise<void> {
    if (this.#isWoken || this.#isOver) return
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(ms, resolve)
      this.#go = () => {
        cancel()
        resolve()
      }
    })
    this.#go = undefined
  }
}
