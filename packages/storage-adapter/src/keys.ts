/** The longest key, in bytes of UTF-8. */
const MAX_KEY_BYTES = 2_000

/** The longest name of a collection, in bytes of UTF-8: with a key it must fit into one row of an index of PostgreSQL. */
const MAX_NAME_BYTES = 500

const LONE_SURROGATE = /\p{Surrogate}/u
const LAST_CODE_POINT = 0x10ffff

/**
 * Refuses what cannot be a key everywhere.
 *
 * @throws TypeError when it is not a well-formed non-empty string
 * @throws RangeError when it is too long
 */
export function checkKey(key: unknown, what = 'key'): asserts key is string {
  checkText(key, what, MAX_KEY_BYTES)
}

/**
 * Refuses what cannot be the name of a collection everywhere.
 *
 * @throws TypeError when it is not a well-formed non-empty string
 * @throws RangeError when it is too long
 */
export function checkName(name: unknown, what = 'name of a collection'): asserts name is string {
  checkText(name, what, MAX_NAME_BYTES)
}

/** Whether every half of a surrogate pair has its other half: what has not cannot be written as UTF-8. */
export function isWellFormed(text: string): boolean {
  return !LONE_SURROGATE.test(text)
}

function checkText(key: unknown, what: string, maxBytes: number): asserts key is string {
  if (typeof key !== 'string') {
    throw new TypeError(`The ${what} must be a string, not ${typeof key}; for a number or a BigInt pass String(value)`)
  }
  if (key === '') throw new TypeError(`The ${what} must not be empty`)
  if (!isWellFormed(key)) {
    throw new TypeError(`The ${what} ${JSON.stringify(key)} holds half a surrogate pair; pass well-formed text`)
  }
  // A character takes at most three bytes per UTF-16 unit, so short keys need no counting.
  if (key.length * 3 > maxBytes && Buffer.byteLength(key) > maxBytes) {
    throw new RangeError(`The ${what} has ${Buffer.byteLength(key)} bytes, more than ${maxBytes}; shorten it`)
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
