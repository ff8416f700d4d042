import type { DeploymentStatus } from '../deployment.js'

/** A reader that is slower than this many transitions misses the oldest of them. */
const maxWaiting = 100

/** Hands each status to whoever watches, in order, until the last. */
export class StatusStream {
  readonly #readers = new Set<StatusReader>()
  #isOver = false

  /** Whether anybody would get what is pushed. */
  get isWatched(): boolean {
    return this.#readers.size > 0
  }

  /** It has gone on. */
  push(status: DeploymentStatus): void {
    for (const reader of this.#readers) reader.push(status)
  }

  /** It is where it was, and something about it is different: of what a reader has not read yet, the newest counts. */
  renew(status: DeploymentStatus): void {
    for (const reader of this.#readers) reader.renew(status)
  }

  end(): void {
    this.#isOver = true
    for (const reader of this.#readers) reader.end()
  }

  /** @param now - what it begins with; what comes from this call on follows, also what comes before the first is asked for */
  read(now: DeploymentStatus, signal: AbortSignal | undefined): AsyncIterableIterator<DeploymentStatus> {
    const reader = new StatusReader(now, signal, this.#readers)
    if (this.#isOver) reader.end()
    return reader
  }
}

type Result = IteratorResult<DeploymentStatus, undefined>

interface Asked {
  readonly resolve: (result: Result) => void
  readonly reject: (reason: Error) => void
}

/** No generator: one cannot be ended while it waits. */
class StatusReader implements AsyncIterableIterator<DeploymentStatus> {
  readonly #waiting: DeploymentStatus[]
  readonly #asked: Asked[] = []
  readonly #signal: AbortSignal | undefined
  /** All who are told. */
  readonly #readers: Set<StatusReader>
  /** Nothing more comes. */
  #isOver = false
  /** The reason of the signal, until somebody has heard it. */
  #reason: { readonly error: Error } | undefined

  constructor(now: DeploymentStatus, signal: AbortSignal | undefined, readers: Set<StatusReader>) {
    this.#waiting = [now]
    this.#signal = signal
    this.#readers = readers
    readers.add(this)
    if (signal?.aborted === true) this.#abort()
    else signal?.addEventListener('abort', this.#abort)
  }

  push(status: DeploymentStatus): void {
    const asked = this.#asked.shift()
    if (asked !== undefined) return asked.resolve({ done: false, value: status })
    this.#waiting.push(status)
    if (this.#waiting.length > maxWaiting) this.#waiting.shift()
  }

  renew(status: DeploymentStatus): void {
    this.#waiting.pop()
    this.push(status)
  }

  end(): void {
    this.#leave()
    for (const { resolve } of this.#asked.splice(0)) resolve({ done: true, value: undefined })
  }

  next(): Promise<Result> {
    if (this.#reason !== undefined) {
      const { error } = this.#reason
      this.#reason = undefined
      return Promise.reject(error)
    }
    const value = this.#waiting.shift()
    if (value !== undefined) return Promise.resolve({ done: false, value })
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve, reject) => this.#asked.push({ resolve, reject }))
  }

  return(): Promise<Result> {
    this.#waiting.length = 0
    this.#reason = undefined
    this.end()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  readonly #abort = (): void => {
    const error = this.#signal?.reason as Error
    this.#waiting.length = 0
    const asked = this.#asked.shift()
    if (asked === undefined) this.#reason = { error }
    else asked.reject(error)
    this.end()
  }

  #leave(): void {
    this.#isOver = true
    this.#readers.delete(this)
    this.#signal?.removeEventListener('abort', this.#abort)
  }
}
