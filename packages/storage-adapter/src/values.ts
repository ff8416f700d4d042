import { randomUUID } from 'node:crypto'

/** Deeper values would overflow the stack of one JSON parser or another. */
const MAX_DEPTH = 500

/**
 * Writes a value as JSON, and refuses whatever JSON would change without a word.
 *
 * @throws TypeError that names the place inside the value
 */
export function encodeValue(value: unknown): string {
  return check(value, [], []) ? toJson(value) : JSON.stringify(value)
}

/** Writes as JSON what came from JSON. `JSON.stringify` alone makes 0 of -0, though JSON can hold both. */
export function toJson(value: unknown): string {
  if (!holdsNegativeZero(value)) return JSON.stringify(value)
  const mark = randomUUID()
  const marked = JSON.stringify(value, (_key, inner: unknown) => (Object.is(inner, -0) ? mark : inner))
  return marked.replaceAll(`"${mark}"`, '-0')
}

function holdsNegativeZero(value: unknown): boolean {
  if (typeof value === 'number') return Object.is(value, -0)
  if (typeof value !== 'object' || value === null) return false
  return (Array.isArray(value) ? value : Object.values(value)).some(holdsNegativeZero)
}

type Path = (string | number)[]
type Fields = Readonly<Record<string, unknown>>

/** @returns whether it holds -0: in the same walk, as every value that is written takes it */
function check(value: unknown, path: Path, ancestors: object[]): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return false
    case 'number':
      if (!Number.isFinite(value)) throw refusal(path, `is ${value}, which JSON turns into null`)
      return Object.is(value, -0)
    case 'undefined':
      throw refusal(path, 'is undefined, which JSON drops; leave the property out, or use null')
    case 'bigint':
      throw refusal(path, 'is a BigInt, which JSON cannot hold; use String(value)')
    case 'function':
    case 'symbol':
      throw refusal(path, `is a ${typeof value}, which JSON drops`)
    case 'object':
      return value !== null && checkObject(value, path, ancestors)
  }
}

function checkObject(value: object, path: Path, ancestors: object[]): boolean {
  if (ancestors.includes(value)) throw refusal(path, 'contains itself')
  if (path.length >= MAX_DEPTH) throw refusal(path.slice(0, 5), `is nested deeper than ${MAX_DEPTH} levels`)
  if (value instanceof Date) throw refusal(path, 'is a Date, which comes back as text; use getTime()')
  if ('toJSON' in value) throw refusal(path, 'has a toJSON method, so another value would come back')
  let holdsNegativeZero = false
  ancestors.push(value)
  if (Array.isArray(value)) {
    if (Object.keys(value).length > value.length || !isPlainArray(value)) {
      throw refusal(path, 'is an array with fields or methods of its own, which JSON drops; store its elements')
    }
    for (let i = 0; i < value.length; i++) {
      if (checkInside(value[i], i, path, ancestors)) holdsNegativeZero = true
    }
  } else {
    if (!isPlain(value)) {
      const name = (value.constructor as { name?: string } | undefined)?.name ?? 'object'
      throw refusal(path, `is a ${name}, which comes back as a plain object; store its fields`)
    }
    if (Object.getOwnPropertySymbols(value).length > 0) throw refusal(path, 'has a symbol as a key, which JSON drops')
    for (const name of Object.keys(value)) {
      if (checkInside((value as Fields)[name], name, path, ancestors)) holdsNegativeZero = true
    }
  }
  ancestors.pop()
  return holdsNegativeZero
}

/** One path grows and shrinks with the walk; it is read only when something is refused. */
function checkInside(value: unknown, step: string | number, path: Path, ancestors: object[]): boolean {
  path.push(step)
  const holdsNegativeZero = check(value, path, ancestors)
  path.pop()
  return holdsNegativeZero
}

/** Made by `{}` or `Object.create(null)`, also in another realm. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** Made by `[]`, also in another realm. */
function isPlainArray(value: readonly unknown[]): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype !== null && Array.isArray(prototype) && !Array.isArray(Object.getPrototypeOf(prototype))
}

function refusal(path: Path, why: string): TypeError {
  const place = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('')
  return new TypeError(`value${place} ${why}`)
}
