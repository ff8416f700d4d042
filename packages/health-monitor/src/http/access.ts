import { createHash, timingSafeEqual } from 'node:crypto'

/** Who asks, as far as it can be told. */
export interface Visitor {
  /** The value of a header, whose name is in lower case. */
  readonly header: (name: string) => string | undefined
  /** The address of the other end of the connection, a proxy's if there is one; unknown to web-standard handlers. */
  readonly address: string | undefined
}

/** Long enough not to be guessed. */
const MIN_TOKEN_LENGTH = 16

/**
 * Who may see more than a status.
 *
 * @param token - what a `Bearer` must show; nobody may unless there is one
 * @param isAllowed - decides instead of a token; what it throws means no
 * @throws TypeError or RangeError when they are none, or are both given
 */
export function accessOf(
  where: string,
  token: string | undefined,
  isAllowed: ((visitor: Visitor) => boolean) | undefined,
): ((visitor: Visitor) => boolean) | undefined {
  if (token !== undefined && isAllowed !== undefined) {
    throw new TypeError(`${where}: give a token or isAllowed, not both`)
  }
  if (isAllowed !== undefined) {
    if (typeof isAllowed !== 'function') throw new TypeError(`${where}: isAllowed must be a function`)
    return (visitor) => {
      try {
        // A promise is no yes.
        return isAllowed(visitor) === true
      } catch {
        return false
      }
    }
  }
  if (token === undefined) return undefined
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
    throw new TypeError(`${where}: token must be a string of visible ASCII characters without spaces`)
  }
  if (token.length < MIN_TOKEN_LENGTH) {
    throw new RangeError(`${where}: token must have ${MIN_TOKEN_LENGTH} characters or more, so that nobody guesses it`)
  }
  const expected = digest(token)
  return (visitor) => {
    const [, given] = /^bearer +([\x21-\x7e]+) *$/i.exec(visitor.header('authorization') ?? '') ?? []
    // Digests are equally long, so the comparison tells neither how long the token is nor how much of it was right.
    return given !== undefined && timingSafeEqual(digest(given), expected)
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
