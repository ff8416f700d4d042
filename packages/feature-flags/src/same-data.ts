import { isDeepStrictEqual } from 'node:util'

/**
 * Whether plain data says the same: lists, plain objects in whatever order, and values. It is what Node's own comparison
 * says, at a small part of its cost: that one reckons with everything that is no plain data, and gets only such things here.
 */
export function isSameData(one: unknown, other: unknown): boolean {
  return isSame(one, other, 0)
}

function isSame(one: unknown, other: unknown, depth: number): boolean {
  if (Object.is(one, other)) return true
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false
  // Settings are far flatter than that; what contains itself is left to Node.
  if (depth > 100) return isDeepStrictEqual(one, other)
  if (Array.isArray(one) && Array.isArray(other)) {
    if (one.length !== other.length) return false
    for (let i = 0; i < one.length; i++) if (!isSame(one[i], other[i], depth + 1)) return false
    return true
  }
  if (!isPlain(one) || !isPlain(other)) return isDeepStrictEqual(one, other)
  const names = Object.keys(one)
  if (names.length !== Object.keys(other).length) return false
  for (const name of names) {
    if (!Object.hasOwn(other, name) || !isSame(one[name], other[name], depth + 1)) return false
  }
  return true
}

function isPlain(value: object): value is Record<string, unknown> {
  return Object.getPrototypeOf(value) === Object.prototype
}
