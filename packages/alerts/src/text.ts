/** More of a text is not looked at: whoever reads it sees a small part, and looking at megabytes holds up everybody. */
const MAX_LENGTH = 20_000

/** Text that is short enough to be looked at, without halves of characters, which no receiver of JSON has to take. */
export function soundText(text: string): string {
  const short = shorten(text, MAX_LENGTH)
  return /\p{Surrogate}/u.test(short) ? short.replace(/\p{Surrogate}/gu, '\ufffd') : short
}

/** Text in one line: no line breaks, no control characters, no terminal escapes, no marks that reverse the reading. */
export function oneLine(text: string): string {
  if (/^[\x21-\x7e]+( [\x21-\x7e]+)*$/.test(text)) return text
  return text.replace(/[\s\p{Cc}\u2028-\u202e\u2066-\u2069]+/gu, ' ').trim()
}

/** Text of several lines, without any other control character. */
export function plainText(text: string): string {
  if (!/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u.test(text)) return text.trim()
  const lines = text.replace(/\r\n?/g, '\n').split('\n')
  return lines
    .map((line) => line.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, ' '))
    .join('\n')
    .trim()
}

/** At most `length` UTF-16 units, never half a character; what was cut ends in `…`. */
export function shorten(text: string, length: number): string {
  if (text.length <= length) return text
  let end = Math.max(0, length - 1)
  // A pair of surrogates is one character.
  if (end > 0 && isHighSurrogate(text.charCodeAt(end - 1))) end--
  return length <= 0 ? '' : `${text.slice(0, end)}…`
}

/**
 * Escaped text of at most `length` UTF-16 units, cut between characters and never inside an escape.
 *
 * @param escape - makes one character harmless
 */
export function escapeWithin(text: string, length: number, escape: (character: string) => string): string {
  let result = ''
  /** The longest beginning that leaves room for the mark. */
  let safe = 0
  for (const character of text) {
    const escaped = escape(character)
    if (result.length + escaped.length > length) return length <= 0 ? '' : `${result.slice(0, safe)}…`
    result += escaped
    if (result.length < length) safe = result.length
  }
  return result
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}
