import { randomBytes } from 'node:crypto'
import { requireKnown } from '../checked-options.js'
import type { RecordToWrite } from '../migration/ports.js'
import { guardedListener } from '../migration/validate-migration.js'
import { isLongNumber, type NamePiece, piecesOf, wholeNumber } from './names.js'
import { type FieldPattern, readPatterns } from './paths.js'
import { Pseudonyms } from './pseudonyms.js'
import { isSnowflake } from './snowflake.js'

/** What is replaced, and what is not. Without any rule, every text is. */
export interface AnonymizeOptions {
  /**
   * The secret of the pseudonyms, of 16 bytes or more. With the same one the same data has the same pseudonyms; who has it can find out
   * whether a pseudonym is that of a known id, so keep it as secret as the data.
   *
   * @defaultValue drawn anew each time, and forgotten
   */
  readonly key?: string | Uint8Array | undefined
  /** Fields to leave as they are, because code reads them and they name nobody: `['settings.locale', 'reminders.dueAt']`. */
  readonly keep?: readonly FieldPattern[] | undefined
  /**
   * Fields with ids that are no snowflakes, as texts or numbers: `['chats.telegramId']`. Snowflakes are found anywhere, and whole numbers of
   * seven digits or more in texts, in keys, and in fields that are called after a telephone; epoch ms of 2004 to 2033 are taken for times.
   */
  readonly ids?: readonly FieldPattern[] | undefined
  /**
   * Objects whose fields have names that users gave, and collections whose keys are such: `['settings.aliases', 'tags']`. Elsewhere
   * a name that looks as if a programmer had given it stays, such as `alice` or `alice-smith`; one with spaces or other letters, an
   * address, a token, or a long number does not.
   */
  readonly userKeys?: readonly FieldPattern[] | undefined
  /** Names of fields, parts of keys, and collections that code calls so although they look like data: `['x1y1', '1.2.3']`. */
  readonly keepNames?: readonly string[] | undefined
  /**
   * Told once of each name that stays, so that a person can look whether it is one of a person. The report has their number only.
   */
  readonly onKept?: ((kept: KeptName) => void) | undefined
  /** Texts and ids that may be found in the copy although they were replaced elsewhere: `['english']`, a locale that is also a nickname. */
  readonly allow?: readonly string[] | undefined
}

/** The name of a field, or a part of a key, that is in the copy as it is. */
export interface KeptName {
  /** The collection. */
  readonly collection: string
  /** Whether it stands in the key of a record, or is the name of a field. */
  readonly where: 'key' | 'field'
  /** The name. */
  readonly name: string
}

/** How many names are in the copy as they are. Which, is not told: the report may be read by others. */
export interface KeptNames {
  /** Different ones in each collection, all together. */
  readonly count: number
  /** Of each collection: different parts of its keys, and different names of fields. */
  readonly collections: Readonly<
    Record<
      string,
      {
        /** How many parts of keys. */
        readonly keys: number
        /** How many names of fields. */
        readonly fields: number
      }
    >
  >
}

type Row = Omit<RecordToWrite, 'type'>

/** What keys are put together with, and the ids in them, where users gave the rest. */
const seams = /([:/|#]+|(?<!\d)\d{15,20}(?!\d))/
/** So many names of fields are remembered by their pieces. */
const maxPieces = 10_000
/** In fields of such a name numbers are those of somebody. */
const telephone = /phone|mobile|msisdn|whatsapp|(?:^|_)fax/i

/** Replaces what names or was said by a person, row by row. */
export class Anonymizer {
  readonly pseudonyms: Pseudonyms
  readonly allow: readonly string[]
  readonly #isKept: (path: readonly string[]) => boolean
  readonly #isId: (path: readonly string[]) => boolean
  readonly #isUserKeyed: (path: readonly string[]) => boolean
  readonly #keepNames: ReadonlySet<string>
  readonly #tellKept: (kept: KeptName) => void
  /** Of names of fields, which all rows have. */
  readonly #pieces = new Map<string, readonly NamePiece[]>()
  readonly #kept = new Map<string, Record<KeptName['where'], Set<string>>>()

  /** @throws TypeError when a rule is none */
  constructor(options: AnonymizeOptions) {
    requireKnown('anonymize', options, ['key', 'keep', 'ids', 'userKeys', 'keepNames', 'onKept', 'allow'])
    const { key = randomBytes(32), allow = [], keepNames = [] } = options
    if (!(typeof key === 'string' || key instanceof Uint8Array) || Buffer.byteLength(key) < 16) {
      throw new TypeError('anonymize.key must have 16 bytes or more; leave it out for a random one')
    }
    if (!Array.isArray(allow) || allow.some((text) => typeof text !== 'string')) {
      throw new TypeError('anonymize.allow must be a list of texts')
    }
    if (!Array.isArray(keepNames) || keepNames.some((name) => typeof name !== 'string')) {
      throw new TypeError('anonymize.keepNames must be a list of names')
    }
    this.allow = allow as readonly string[]
    this.#keepNames = new Set(keepNames as readonly string[])
    this.#tellKept = guardedListener(options.onKept ?? (() => {}), 'anonymize.onKept')
    this.pseudonyms = new Pseudonyms(key)
    this.#isKept = readPatterns('anonymize.keep', options.keep)
    this.#isId = readPatterns('anonymize.ids', options.ids)
    this.#isUserKeyed = readPatterns('anonymize.userKeys', options.userKeys)
  }

  /** Those so far. */
  get kept(): KeptNames {
    // A name such as __proto__ is data.
    const collections = Object.create(null) as Record<string, { keys: number; fields: number }>
    let count = 0
    for (const [collection, { key, field }] of this.#kept) {
      collections[collection] = { keys: key.size, fields: field.size }
      count += key.size + field.size
    }
    return { count, collections }
  }

  row({ collection, key, value, expiresAt }: Row): Row {
    const path = [collection]
    const other = this.#isUserKeyed(path) ? this.#userName(key) : this.#codeName(key, collection, 'key')
    return { collection: this.#collectionName(collection), key: other, value: this.#value(value, path), expiresAt }
  }

  /** Only the ids in it: code has the rest written down, and would find nothing under another name. */
  #collectionName(name: string): string {
    if (this.#keepNames.has(name)) return name
    return name
      .split(seams)
      .map((part) => (isSnowflake(part) ? this.pseudonyms.id(part) : part))
      .join('')
  }

  #value(value: unknown, path: readonly string[]): unknown {
    if (path.length > 1 && this.#isKept(path)) return value
    if (typeof value === 'string') return this.#text(value, path)
    if (typeof value === 'number') return this.#number(value, path)
    if (Array.isArray(value)) return value.map((item, i) => this.#value(item, [...path, String(i)]))
    if (typeof value !== 'object' || value === null) return value
    // A record's own fields begin below its collection, whose pattern is about keys of records.
    const isOfUsers = path.length > 1 && this.#isUserKeyed(path)
    const fields = Object.entries(value).map(([name, inner]) => {
      const newName = isOfUsers ? this.#userName(name) : this.#codeName(name, path[0] ?? '', 'field')
      return [newName, this.#value(inner, [...path, name])] as const
    })
    // fromEntries defines, so that __proto__ stays a name like any other.
    return Object.fromEntries(fields)
  }

  #text(value: string, path: readonly string[]): string {
    const number = wholeNumber(value)
    // As it becomes in a key, so that one is still found by the other.
    if (number !== undefined && (isSnowflake(number.digits) || isLongNumber(number.digits) || this.#isId(path))) {
      return this.#idText(number)
    }
    const nested = /^\s*[[{]/.test(value) ? parse(value) : undefined
    if (nested !== undefined) return JSON.stringify(this.#value(nested, path))
    return this.pseudonyms.text(value)
  }

  #number(value: number, path: readonly string[]): number {
    const digits = String(Math.abs(value))
    const isLongId = Number.isInteger(value) && isSnowflake(digits)
    const isOther = this.#isId(path) || (isTelephone(path) && isLongNumber(digits))
    if (!isLongId && !(isOther && Number.isSafeInteger(value))) return value
    const pseudonym = Number(isLongId ? this.pseudonyms.id(digits) : this.pseudonyms.digits(digits))
    return value < 0 ? -pseudonym : pseudonym
  }

  /** A key or the name of a field, part by part: `guild:81384788765712384:prefix`. */
  #codeName(name: string, collection: string, where: KeptName['where']): string {
    const isKept = (part: string): boolean => this.#keepNames.has(part)
    const known = where === 'field' ? this.#pieces.get(name) : undefined
    const pieces = known ?? piecesOf(name, isKept)
    if (where === 'field' && this.#pieces.size < maxPieces) this.#pieces.set(name, pieces)
    const replaced = pieces.map(({ text, what }) => {
      if (what === 'snowflake') return this.pseudonyms.id(text)
      if (what === 'digits') return this.pseudonyms.digits(text)
      if (what === 'text') return this.pseudonyms.text(text)
      if (what === 'code') this.#note({ collection, where, name: text })
      return text
    })
    return replaced.join('')
  }

  #userName(name: string): string {
    const replaced = name.split(seams).map((part) => {
      const number = wholeNumber(part)
      return number === undefined ? this.pseudonyms.text(part) : this.#idText(number)
    })
    return replaced.join('')
  }

  #idText({ sign, digits }: { readonly sign: string; readonly digits: string }): string {
    return sign + (isSnowflake(digits) ? this.pseudonyms.id(digits) : this.pseudonyms.digits(digits))
  }

  #note(kept: KeptName): void {
    const { where, name } = kept
    const collection = this.#collectionName(kept.collection)
    if (!/[\da-z]/i.test(name)) return
    const names = this.#kept.get(collection) ?? { key: new Set(), field: new Set() }
    this.#kept.set(collection, names)
    if (names[where].has(name)) return
    names[where].add(name)
    this.#tellKept({ ...kept, collection })
  }
}

/** By the last name on the path: the places of a list are none. */
function isTelephone(path: readonly string[]): boolean {
  return telephone.test(path.slice(1).findLast((name) => !/^\d+$/.test(name)) ?? '')
}

function parse(text: string): object | undefined {
  try {
    return JSON.parse(text) as object
  } catch {
    return undefined
  }
}
