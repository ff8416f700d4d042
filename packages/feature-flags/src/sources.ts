/**
 * Where flags are described beside the code: a file, a service. `flagFile` of `@evenkeel/feature-flags/file` is one;
 * anything of this shape fits.
 */
export interface FlagSource {
  /** For people: the path of a file, the address of a service. */
  readonly name: string
  /**
   * Hands over the first document, and later ones as they come, until {@link FlagSource.stop}.
   *
   * Rejects when the first document cannot be had or is refused.
   */
  start(feed: FlagFeed): Promise<void>
  /** Hands over nothing any more. May be called twice. */
  stop(): Promise<void>
}

/** What a {@link FlagSource} hands its documents to. */
export interface FlagFeed {
  /**
   * Puts a document in place of the last one of the same source: whole and at once, or not at all.
   *
   * @throws FlagDocumentError when something in it cannot be; the last good one stays
   */
  apply(document: unknown): void
  /** Tells that there is a document that cannot be used, or none any more. The last good one stays, and so do its flags. */
  refuse(error: Error): void
}
