const DOT = 0x2e
const HYPHEN = 0x2d
const PLUS = 0x2b
const ZERO = 0x30
const NINE = 0x39

/** No version that anyone uses is longer, and a hostile one must not cost more. */
const maxLength = 256

const version: RegExp =
  /^v?(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-(?:0|[1-9]\d*|\d*[A-Za-z-][\dA-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][\dA-Za-z-]*))*)?(?:\+[\dA-Za-z-]+(?:\.[\dA-Za-z-]+)*)?$/

/** Whether a text is a whole version, perhaps with a `v` before it. */
export function isVersion(text: string): boolean {
  return text.length <= maxLength && version.test(text)
}

/**
 * Which of two versions comes first: negative for `a`, positive for `b`, 0 when they differ in nothing but build metadata.
 * Both must be versions ({@link isVersion}).
 *
 * Reads the texts as they are, so nothing is allocated and a number may have any count of digits.
 *
 * @see https://semver.org/#spec-item-11
 */
export function compareVersions(a: string, b: string): number {
  let i = a.startsWith('v') ? 1 : 0
  let j = b.startsWith('v') ? 1 : 0
  for (let part = 0; part < 3; part++) {
    const iEnd = endOfNumber(a, i)
    const jEnd = endOfNumber(b, j)
    const order = compareNumbers(a, i, iEnd, b, j, jEnd)
    if (order !== 0) return order
    i = iEnd + 1
    j = jEnd + 1
  }
  const isPreA = a.charCodeAt(i - 1) === HYPHEN
  const isPreB = b.charCodeAt(j - 1) === HYPHEN
  if (!isPreA || !isPreB) return Number(isPreB) - Number(isPreA)
  for (;;) {
    const iEnd = endOfIdentifier(a, i)
    const jEnd = endOfIdentifier(b, j)
    const order = compareIdentifiers(a, i, iEnd, b, j, jEnd)
    if (order !== 0) return order
    const hasMoreA = a.charCodeAt(iEnd) === DOT
    const hasMoreB = b.charCodeAt(jEnd) === DOT
    if (!hasMoreA || !hasMoreB) return Number(hasMoreA) - Number(hasMoreB)
    i = iEnd + 1
    j = jEnd + 1
  }
}

/** Numbers go before words. */
function compareIdentifiers(a: string, i: number, iEnd: number, b: string, j: number, jEnd: number): number {
  const isNumberA = endOfNumber(a, i) === iEnd
  const isNumberB = endOfNumber(b, j) === jEnd
  if (isNumberA && isNumberB) return compareNumbers(a, i, iEnd, b, j, jEnd)
  if (isNumberA !== isNumberB) return isNumberA ? -1 : 1
  return compareTexts(a, i, iEnd, b, j, jEnd)
}

/** Without leading zeros the longer number is the larger. */
function compareNumbers(a: string, i: number, iEnd: number, b: string, j: number, jEnd: number): number {
  return iEnd - i - (jEnd - j) || compareTexts(a, i, iEnd, b, j, jEnd)
}

function compareTexts(a: string, i: number, iEnd: number, b: string, j: number, jEnd: number): number {
  const length = Math.min(iEnd - i, jEnd - j)
  for (let k = 0; k < length; k++) {
    const order = a.charCodeAt(i + k) - b.charCodeAt(j + k)
    if (order !== 0) return order
  }
  return iEnd - i - (jEnd - j)
}

function endOfNumber(text: string, from: number): number {
  let at = from
  while (text.charCodeAt(at) >= ZERO && text.charCodeAt(at) <= NINE) at++
  return at
}

function endOfIdentifier(text: string, from: number): number {
  let at = from
  while (at < text.length && text.charCodeAt(at) !== DOT && text.charCodeAt(at) !== PLUS) at++
  return at
}
