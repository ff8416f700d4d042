import type { FlagFeed, FlagSource } from '../sources.js'

/** A source whose documents come when a test says so. */
export class HandSource implements FlagSource {
  readonly name: string
  readonly #first: unknown
  #feed: FlagFeed | undefined

  constructor(first: unknown, name = 'flags.json') {
    this.name = name
    this.#first = first
  }

  async start(feed: FlagFeed): Promise<void> {
    this.#feed = feed
    feed.apply(this.#first)
  }

  async stop(): Promise<void> {
    this.#feed = undefined
  }

  /** Hands over another document, as a file would: what is refused is told and not thrown. */
  say(document: unknown): void {
    try {
      this.#feed?.apply(document)
    } catch (error) {
      this.#feed?.refuse(error as Error)
    }
  }
}
