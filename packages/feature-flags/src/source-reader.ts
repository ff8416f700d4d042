import { within } from './deadline.js'
import { FlagDocumentError } from './document-error.js'
import type { Clock } from './ports.js'
import type { FlagFeed, FlagSource } from './sources.js'

/** What becomes of the documents. */
export interface DocumentReader {
  readonly clock: Clock
  /** How long one source may take to start, or to stop. */
  readonly timeoutMs: number
  /** @throws FlagDocumentError when something in it cannot be */
  apply(index: number, name: string, document: unknown): void
  refuse(name: string, error: Error): void
}

/** Starts and stops sources, and hands on what they bring. */
export class SourceReader {
  readonly #sources: readonly FlagSource[]
  readonly #reader: DocumentReader

  constructor(sources: readonly FlagSource[], reader: DocumentReader) {
    this.#sources = [...sources]
    this.#reader = reader
  }

  /**
   * Lower layers first, for a higher one may refer to what they say.
   *
   * @param over - whether nobody wants their documents any more, though they may still bring some
   * @throws the error of the first that has nothing; FlagDocumentError when it says nothing in time
   */
  async start(over: AbortSignal): Promise<void> {
    for (const [index, source] of this.#sources.entries()) {
      if (over.aborted) return
      await this.#startOne(index, source, over)
    }
  }

  async stop(): Promise<void> {
    const { clock, timeoutMs } = this.#reader
    await Promise.all(this.#sources.map((source) => within(clock, timeoutMs, source.name, async () => source.stop())))
  }

  /** Lets go of the source when it takes too long, or when it is over. */
  async #startOne(index: number, source: FlagSource, over: AbortSignal): Promise<void> {
    const { clock, timeoutMs } = this.#reader
    const feed: FlagFeed = {
      apply: (document) => {
        if (!over.aborted) this.#reader.apply(index, source.name, document)
      },
      refuse: (error) => {
        if (!over.aborted) this.#reader.refuse(source.name, error)
      },
    }
    let cancel: () => void = () => undefined
    const started = new Promise<void>((resolve, reject) => {
      const late = new FlagDocumentError(`it gave no document within ${timeoutMs} ms`, { source: source.name })
      cancel = clock.after(timeoutMs, () => reject(late))
      over.addEventListener('abort', () => resolve(), { once: true })
      void (async () => source.start(feed))().then(resolve, reject)
    })
    await started.finally(cancel)
  }
}
