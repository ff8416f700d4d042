import type { ReadableStorage } from '../migration/ports.js'
import { rowsOf } from '../migration/snapshot.js'

/** An original that is in the copy. What it is, is not told: the report may be read by others. */
export interface Leak {
  /** The collection; `(an original)` where its name holds one. */
  readonly collection: string
  /** A short name for the key in the copy; `(an original)` where that holds one; empty for the name of the collection itself. */
  readonly key: string
  /** The field, joined by dots, alike; empty for the key, or the name of the collection, itself. */
  readonly field: string
  /** What was found. */
  readonly what: 'id' | 'text'
  /** As what it was found. */
  readonly as: 'plain' | 'base64' | 'hex' | 'percent-encoded'
}

/** What a look for leaks found. */
export interface LeakReport {
  /** How many ids were looked for. */
  readonly ids: number
  /** How many texts were. */
  readonly texts: number
  /** How many texts were not, because they are shorter than four letters or allowed: they are found anywhere. */
  readonly skippedTexts: number
  /** How many strings were looked at. */
  readonly strings: number
  /** How many of them hold an original; JSON in a text does not count beside what is in it. */
  readonly count: number
  /** The first of them. */
  readonly first: readonly Leak[]
}

/** Whether it is the name of a collection that holds an original. */
export function isInCollectionName({ key }: Leak): boolean {
  return key === ''
}

/** What is told in place of a name that must not be told. */
export const hidden = '(an original)'
const minLength = 4
/** Shorter numbers are found anywhere. */
const minDigits = 5
const maxNamed = 20

/** What was replaced. */
export interface Originals {
  /** Snowflakes; they are found also where digits stand beside them. */
  readonly ids: Iterable<string>
  /** Digits of other ids; they are found where they stand alone. */
  readonly numbers: Iterable<string>
  readonly texts: Iterable<string>
  /** Whether it was given in place of one. */
  isGiven(text: string): boolean
}

/**
 * Looks for every original id and text in the whole copy: in values, nested JSON, keys, and names of fields and collections, also in base64, hex and
 * percent encoding, whatever the case and the Unicode form.
 */
export async function findLeaks(
  copy: ReadableStorage,
  originals: Originals,
  allow: readonly string[],
  signal: AbortSignal,
): Promise<LeakReport> {
  const allowed = new Set(allow)
  const ids = new Set([...originals.ids].filter((id) => !allowed.has(id)))
  // Among many short numbers, some are by chance the pseudonyms of others, and so say nothing.
  const isTold = (number: string): boolean =>
    number.length >= minDigits && !allowed.has(number) && !originals.isGiven(number)
  const numbers = new Set([...originals.numbers].filter(isTold))
  const texts = new Texts(originals.texts, allow)
  const first: Leak[] = []
  let [strings, count] = [0, 0]
  const isLeak = (at: Omit<Leak, 'what' | 'as'>, string: string, kind: 'value' | 'name' | 'collection'): boolean => {
    strings++
    for (const [as, form] of formsOf(string)) {
      const runs = form.match(/\d+/g) ?? []
      const hasId = runs.some((run) => numbers.has(run) || hasAny(run, ids))
      const isCode = kind !== 'value' && as === 'plain' && /^[\w$.:/|#-]*$/.test(form)
      // A text such as `users` says nothing of whom code calls a collection so.
      const hasText = isCode ? kind === 'name' && texts.isAny(form) : texts.isIn(form)
      if (!hasId && !hasText) continue
      count++
      if (first.length < maxNamed) first.push({ ...at, what: hasId ? 'id' : 'text', as })
      return true
    }
    return false
  }
  /** @returns whether there is any in it */
  const look = (row: Pick<Leak, 'collection' | 'key'>, value: unknown, field: string): boolean => {
    if (typeof value === 'number') return isLeak({ ...row, field }, String(value), 'value')
    if (typeof value === 'string') {
      const nested: unknown = /^\s*[[{"]/.test(value) ? parse(value) : undefined
      // What stands in JSON in a text is told once, and where it is; the text itself may say more than its JSON does.
      const isNested = nested !== undefined && look(row, nested, field)
      return isNested || isLeak({ ...row, field }, value, 'value')
    }
    let isFound = false
    if (typeof value !== 'object' || value === null) return isFound
    for (const [name, inner] of Object.entries(value)) {
      const pathOf = (last: string): string => (field === '' ? last : `${field}.${last}`)
      const isNameFound = !Array.isArray(value) && isLeak({ ...row, field: pathOf(hidden) }, name, 'name')
      const path = pathOf(isNameFound ? hidden : name)
      if (isNameFound) isFound = true
      if (look(row, inner, path)) isFound = true
    }
    return isFound
  }
  const found = new Set<string>()
  for (const name of (await copy.collections()).sort()) {
    if (isLeak({ collection: hidden, key: '', field: '' }, name, 'collection')) found.add(name)
  }
  for await (const { collection: name, key, value } of rowsOf(copy, signal)) {
    const collection = found.has(name) ? hidden : name
    const isKeyFound = isLeak({ collection, key: hidden, field: '' }, key, 'name')
    look({ collection, key: isKeyFound ? hidden : key }, value, '')
  }
  return { ids: ids.size + numbers.size, texts: texts.size, skippedTexts: texts.skipped, strings, count, first }
}

/** A run of digits may be two ids without anything in between. */
function hasAny(run: string, ids: ReadonlySet<string>): boolean {
  for (let length = 15; length <= 20; length++) {
    for (let at = 0; at + length <= run.length; at++) if (ids.has(run.slice(at, at + length))) return true
  }
  return false
}

/** Finds any of many texts within a string: by their first four letters, then by the rest. */
class Texts {
  readonly #byStart = new Map<string, Set<string>>()
  size = 0
  skipped = 0

  constructor(texts: Iterable<string>, allow: readonly string[]) {
    const allowed = new Set(allow.map(plain))
    for (const original of texts) {
      const text = plain(original)
      if (text.length < minLength || allowed.has(text)) {
        this.skipped++
        continue
      }
      this.size++
      const start = text.slice(0, minLength)
      const same = this.#byStart.get(start) ?? new Set()
      this.#byStart.set(start, same.add(text))
    }
  }

  isIn(string: string): boolean {
    const text = plain(string)
    for (let at = 0; at + minLength <= text.length; at++) {
      for (const original of this.#byStart.get(text.slice(at, at + minLength)) ?? []) {
        if (text.startsWith(original, at)) return true
      }
    }
    return false
  }

  /** Whether the whole, or a part between separators, is one: the name of a field may well have one in it. */
  isAny(name: string): boolean {
    const isOne = (part: string): boolean => {
      const text = plain(part)
      return this.#byStart.get(text.slice(0, minLength))?.has(text) === true
    }
    return isOne(name) || name.split(/[:/|.,;@#\s]+/).some(isOne)
  }
}

function plain(text: string): string {
  return text.normalize('NFKC').toLowerCase().trim()
}

function* formsOf(string: string): Generator<readonly [Leak['as'], string]> {
  yield ['plain', string]
  if (/%[0-9a-f]{2}/i.test(string)) yield ['percent-encoded', decoded(string)]
  for (const [token] of string.matchAll(/(?:[0-9a-f]{2}){4,}/gi)) yield ['hex', Buffer.from(token, 'hex').toString()]
  // Both alphabets, and with what they add taken for a separator.
  for (const alphabet of [/[A-Za-z0-9+/]{6,}/g, /[A-Za-z0-9_-]{6,}/g, /[A-Za-z0-9]{6,}/g]) {
    for (const [token] of string.matchAll(alphabet)) yield ['base64', Buffer.from(token, 'base64').toString()]
  }
}

function decoded(string: string): string {
  // Each run for itself: one that is no UTF-8 must not hide the others.
  return string.replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString())
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
