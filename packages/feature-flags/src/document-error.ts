/** Where in a text something stands, counted from 1. */
export interface TextPlace {
  /** The line. */
  readonly line: number
  /** The column. */
  readonly column: number
}

/**
 * A document of flags says something that cannot be. The last good one stays in force.
 */
export class FlagDocumentError extends TypeError {
  /** The name of this class. */
  override readonly name = 'FlagDocumentError'
  /** Stable, to be compared in code. */
  readonly code = 'FLAG_DOCUMENT'
  /** The same document is refused again. */
  readonly retryable = false
  /** Nothing was changed. */
  readonly applied = 'no'
  /** What is wrong, as a sentence without the place. */
  readonly reason: string
  /** Where in the document: `['flags', 'newSearch', 'percentage']`. Empty for the whole. */
  readonly path: readonly (string | number)[]
  /** The path of the file, or the name of another source; `undefined` while nobody has said. */
  readonly source: string | undefined
  /** Where in the text, if it is a text. */
  readonly place: TextPlace | undefined

  /**
   * @param reason - what is wrong, with the value and what to write instead
   * @param where - where in the document, and where that stands
   */
  constructor(
    reason: string,
    where: {
      readonly path?: readonly (string | number)[]
      readonly source?: string | undefined
      readonly place?: TextPlace | undefined
      readonly cause?: unknown
    } = {},
  ) {
    const { path = [], source, place, cause } = where
    const at = [source, place?.line, place?.column].filter((part) => part !== undefined).join(':')
    super(at === '' ? reason : `${at}: ${reason}`, cause === undefined ? undefined : { cause })
    this.reason = reason
    this.path = path
    this.source = source
    this.place = place
  }
}
