import type { DeploymentStatus } from '../deployment.js'

/** A reader that is slower than this many statuses misses the oldest of them. */
const maxWaiting = 100

interface Reader {
  readonly waiting: DeploymentStatus[]
  wake: () => void
}

/** Hands each status to whoever watches, in order, until the last. */
export class StatusStream {
  readonly #readers = new Set<Reader>()
  #isOver = false

  push(status: DeploymentStatus): void {
    for (const reader of this.#readers) {
      reader.waiting.push(status)
      if (reader.waiting.length > maxWaiting) reader.waiting.shift()
      reader.wake()
    }
  }

  end(): void {
    this.#isOver = true
    for (const reader of this.#readers) reader.wake()
  }

  /** @param now - what it begins with; what comes from this call on follows, also what comes before the first is asked for */
  read(now: DeploymentStatus, signal: AbortSignal | undefined): AsyncGenerator<DeploymentStatus, void, undefined> {
    const reader: Reader = { waiting: [now], wake: () => undefined }
    this.#readers.add(reader)
    return this.#follow(reader, signal)
  }

  async *#follow(reader: Reader, signal: AbortSignal | undefined): AsyncGenerator<DeploymentStatus, void, undefined> {
    const wake = (): void => reader.wake()
    signal?.addEventListener('abort', wake)
    try {
      for (;;) {
        signal?.throwIfAborted()
        const next = reader.waiting.shift()
        if (next !== undefined) yield next
        else if (this.#isOver) return
        else await new Promise<void>((resolve) => (reader.wake = resolve))
      }
    } finally {
      this.#readers.delete(reader)
      signal?.removeEventListener('abort', wake)
    }
  }
}
