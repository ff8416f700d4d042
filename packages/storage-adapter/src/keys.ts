/** The longest key, in bytes of UTF-8: what every backend can index. */
const MAX_KEY_BYTES = 2_000

const LONE_SURROGATE = /\p{Surrogate}/u
const LAST_CODE_POINT = 0x10ffff

/**
 * Refuses what cannot be a key everywhere.
 *
 * @throws TypeError when it is not a well-formed non-empty string
 * @throws RangeError when it is too long
 */
export function checkKey(key: unknown, what = 'key'): asserts key is string {
  if (typeof key !== 'string') {
    throw new TypeError(`The ${what} must be a string, not ${typeof key}; for a number or a BigInt pass String(value)`)
  }
  if (key === '') throw new TypeError(`The ${what} must not be empty`)
  if (LONE_SURROGATE.test(key)) {
    throw new TypeError(`The ${what} ${JSON.stringify(key)} holds half a surrogate pair; pass well-formed text`)
  }
  // A character takes at most three bytes per UTF-16 unit, so short keys need no counting.
  if (key.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new RangeError(`The ${what} has ${Buffer.byteLength(key)} bytes, more than ${MAX_KEY_BYTES}; shorten it`)
  }
}

/**
 * Orders by code point, which is the order of the UTF-8 bytes and of every database. JavaScript's own `<` orders by
 * UTF-16 unit, and so puts U+1F600 before U+FF01.
 */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}

/** Moves surrogates, the halves of what lies above U+FFFF, behind all other units. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}

/** The first string behind all that begin with the prefix; `undefined` when there is none. */
export function endOfPrefix(prefix: string): string | undefined {
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0)
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    if (last === LAST_CODE_POINT) continue
    // The code points of surrogates are none of text.
    return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1)
  }
  return undefined
}
