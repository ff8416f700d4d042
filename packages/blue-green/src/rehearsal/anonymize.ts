import { randomBytes } from 'node:crypto'
import { requireKnown } from '../checked-options.js'
import type { RecordToWrite } from '../migration/ports.js'
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
  /** Fields with ids that are no snowflakes, as texts or numbers: `['chats.telegramId']`. Snowflakes are found anywhere. */
  readonly ids?: readonly FieldPattern[] | undefined
  /**
   * Objects whose fields have names that users gave, and collections whose keys are such: `['settings.aliases', 'tags']`. Elsewhere
   * a name that looks like one of a field stays.
   */
  readonly userKeys?: readonly FieldPattern[] | undefined
  /** Texts that may be found in the copy although they were replaced elsewhere: `['english']`, a locale that is also a nickname. */
  readonly allow?: readonly string[] | undefined
}

type Row = Omit<RecordToWrite, 'type'>

/** What keys are put together with, and the ids in them. */
const seams = /([:/|#]+|(?<!\d)\d{15,20}(?!\d))/
/** What code calls a field or a part of a key. Names of people have spaces, signs or other letters; for those that have not, see `userKeys`. */
const fieldName = /^[\w$.-]{1,64}$/

/** Replaces what names or was said by a person, row by row. */
export class Anonymizer {
  readonly pseudonyms: Pseudonyms
  readonly allow: readonly string[]
  readonly #isKept: (path: readonly string[]) => boolean
  readonly #isId: (path: readonly string[]) => boolean
  readonly #isUserKeyed: (path: readonly string[]) => boolean

  /** @throws TypeError when a rule is none */
  constructor(options: AnonymizeOptions) {
    requireKnown('anonymize', options, ['key', 'keep', 'ids', 'userKeys', 'allow'])
    const { key = randomBytes(32), allow = [] } = options
    if (!(typeof key === 'string' || key instanceof Uint8Array) || Buffer.byteLength(key) < 16) {
      throw new TypeError('anonymize.key must have 16 bytes or more; leave it out for a random one')
    }
    if (!Array.isArray(allow) || allow.some((text) => typeof text !== 'string')) {
      throw new TypeError('anonymize.allow must be a list of texts')
    }
    this.allow = allow as readonly string[]
    this.pseudonyms = new Pseudonyms(key)
    this.#isKept = readPatterns('anonymize.keep', options.keep)
    this.#isId = readPatterns('anonymize.ids', options.ids)
    this.#isUserKeyed = readPatterns('anonymize.userKeys', options.userKeys)
  }

  row({ collection, key, value, expiresAt }: Row): Row {
    return { collection, key: this.#name(key, [collection]), value: this.#value(value, [collection]), expiresAt }
  }

  #value(value: unknown, path: readonly string[]): unknown {
    if (path.length > 1 && this.#isKept(path)) return value
    if (typeof value === 'string') return this.#text(value, path)
    if (typeof value === 'number') return this.#number(value, path)
    if (Array.isArray(value)) return value.map((item, i) => this.#value(item, [...path, String(i)]))
    if (typeof value !== 'object' || value === null) return value
    const fields = Object.entries(value).map(([name, inner]) => {
      // A record's own fields begin below its collection, whose pattern is about keys of records.
      const newName = path.length === 1 ? this.#name(name, []) : this.#name(name, path)
      return [newName, this.#value(inner, [...path, name])] as const
    })
    // fromEntries defines, so that __proto__ stays a name like any other.
    return Object.fromEntries(fields)
  }

  #text(value: string, path: readonly string[]): string {
    if (isSnowflake(value)) return this.pseudonyms.id(value)
    if (this.#isId(path) && /^\d+$/.test(value)) return this.pseudonyms.digits(value)
    const nested = /^\s*[[{]/.test(value) ? parse(value) : undefined
    if (nested !== undefined) return JSON.stringify(this.#value(nested, path))
    return this.pseudonyms.text(value)
  }

  #number(value: number, path: readonly string[]): number {
    const digits = String(Math.abs(value))
    const isLongId = Number.isInteger(value) && isSnowflake(digits)
    if (!isLongId && !(this.#isId(path) && Number.isSafeInteger(value))) return value
    const pseudonym = Number(isLongId ? this.pseudonyms.id(digits) : this.pseudonyms.digits(digits))
    return value < 0 ? -pseudonym : pseudonym
  }

  /** A key or the name of a field, part by part: `guild:81384788765712384:prefix`. */
  #name(name: string, path: readonly string[]): string {
    const isOfUsers = path.length > 0 && this.#isUserKeyed(path)
    const replaced = name.split(seams).map((part) => {
      if (isSnowflake(part)) return this.pseudonyms.id(part)
      if (isOfUsers && /^\d+$/.test(part)) return this.pseudonyms.digits(part)
      return fieldName.test(part) && !isOfUsers ? part : this.pseudonyms.text(part)
    })
    return replaced.join('')
  }
}

function parse(text: string): object | undefined {
  try {
    return JSON.parse(text) as object
  } catch {
    return undefined
  }
}
