import type { FlagDocumentError, TextPlace } from '../document-error.js'

/** Steps from the whole of a document to something in it: `['flags', 'newSearch', 'percentage']`. */
export type DocumentPath = readonly (string | number)[]

/** What a text says, and where. */
export interface ParsedText {
  /** Objects, lists, strings, numbers, booleans and null. Every name is a property of its object's own, also `__proto__`. */
  readonly value: unknown
  /**
   * Where something begins: a member of an object at its name. What is not there, such as a name that is missing, is
   * looked for in what should hold it. `undefined` for a document without any text of its own.
   */
  placeOf(path: DocumentPath): TextPlace | undefined
}

/** How deep lists and objects may lie in one another, in any document. Beyond it readers run out of stack. */
export const MAX_DEPTH = 100

/** The line and column of an offset, both from 1; a column is a UTF-16 unit, as editors count. */
export function placeAt(text: string, offset: number): TextPlace {
  let line = 1
  let lineStart = 0
  for (let end = text.indexOf('\n'); end !== -1 && end < offset; end = text.indexOf('\n', lineStart)) {
    line++
    lineStart = end + 1
  }
  return { line, column: offset - lineStart + 1 }
}

/** An excerpt for a message: what begins at the offset, up to a blank or a sign, and not too much of it. */
export function wordAt(text: string, offset: number): string {
  const word =
    /^[\w$.+-]+/.exec(text.slice(offset, offset + 25))?.[0] ?? String.fromCodePoint(text.codePointAt(offset) ?? 0)
  return JSON.stringify(word.length > 24 ? `${word.slice(0, 24)}…` : word)
}

/** What to say of a whole number that JavaScript cannot hold. An id of a guild written without quotes is one. */
export function lossyNumber(written: string): string {
  return `a number cannot hold every digit of ${written.slice(0, 40)}; put it in quotes`
}

/** Whether it was thrown by any copy of this package. */
export function isFlagDocumentError(error: unknown): error is FlagDocumentError {
  return error instanceof Error && (error as { code?: unknown }).code === 'FLAG_DOCUMENT'
}
