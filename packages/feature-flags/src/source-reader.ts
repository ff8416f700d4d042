import type { FlagSource } from './sources.js'

/** What becomes of the documents. */
export interface DocumentReader {
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

  /** Lower layers first, for a higher one may refer to what they say. @throws the error of the first that has nothing */
  async start(): Promise<void> {
    for (const [index, source] of this.#sources.entries()) {
      await source.start({
        apply: (document) => this.#reader.apply(index, source.name, document),
        refuse: (error) => this.#reader.refuse(source.name, error),
      })
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.stop()))
  }
}
