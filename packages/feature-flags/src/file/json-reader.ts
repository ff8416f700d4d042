import { FlagDocumentError } from '../document-error.js'
import { type DocumentPath, lossyNumber, MAX_DEPTH, placeAt, wordAt } from './text-place.js'

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y
const BLANKS = /[ \t\n\r]*/y

/**
 * Reads JSON as RFC 8259 has it, and knows where everything stands: `JSON.parse` tells no place that is the same in
 * every Node, and takes the last of two members of one name.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8259
 */
export class JsonReader {
  readonly #text: string
  readonly #source: string
  readonly #sought: DocumentPath
  #at = 0
  #depth = 0
  #foundSteps = -1
  #foundAt = 0

  /**
   * @param text - the document
   * @param source - what errors call it
   * @param sought - what to find the place of while reading
   */
  constructor(text: string, source: string, sought: DocumentPath = []) {
    this.#text = text
    this.#source = source
    this.#sought = sought
  }

  /** Where what was sought begins, or the nearest thing around it that is there, once {@link JsonReader.read} has read. */
  get foundAt(): number {
    return this.#foundAt
  }

  /** @throws FlagDocumentError with the place, when it is not JSON */
  read(): unknown {
    this.#skipBlanks()
    if (this.#at === this.#text.length) throw this.#error('the document is empty', 0)
    this.#note(0, this.#at)
    const value = this.#value(0)
    this.#skipBlanks()
    if (this.#at < this.#text.length) {
      throw this.#error(`nothing may follow the document, but there is ${wordAt(this.#text, this.#at)}`)
    }
    return value
  }

  /** `steps` is how many of those to what is sought have been taken to come here; -1 is beside the way. */
  #value(steps: number): unknown {
    const first = this.#text[this.#at]
    if (first === '{') return this.#object(steps)
    if (first === '[') return this.#list(steps)
    if (first === '"') return this.#string()
    if (first === '-' || (first !== undefined && first >= '0' && first <= '9')) return this.#number()
    for (const [word, value] of [
      ['true', true],
      ['false', false],
      ['null', null],
    ] as const) {
      if (this.#text.startsWith(word, this.#at) && !/[\w$]/.test(this.#text[this.#at + word.length] ?? '')) {
        this.#at += word.length
        return value
      }
    }
    throw this.#unexpected('a value')
  }

  #object(steps: number): Record<string, unknown> {
    const object: Record<string, unknown> = {}
    const nameOffsets = new Map<string, number>()
    const opened = this.#open()
    while (!this.#closes('}', nameOffsets.size === 0, opened)) {
      const nameAt = this.#at
      if (this.#text[nameAt] !== '"') throw this.#unexpected('a name in double quotes', opened)
      const name = this.#string()
      const before = nameOffsets.get(name)
      if (before !== undefined) {
        const { line } = placeAt(this.#text, before)
        throw this.#error(`${JSON.stringify(name)} is there twice in one object, first in line ${line}`, nameAt)
      }
      nameOffsets.set(name, nameAt)
      const isOnTheWay = steps >= 0 && steps < this.#sought.length && String(this.#sought[steps]) === name
      if (isOnTheWay) this.#note(steps + 1, nameAt)
      this.#skipBlanks()
      if (this.#text[this.#at] !== ':') throw this.#unexpected(`":" after ${JSON.stringify(name)}`, opened)
      this.#at++
      this.#skipBlanks()
      if (this.#at === this.#text.length) throw this.#endsTooEarly(opened)
      setOwn(object, name, this.#value(isOnTheWay ? steps + 1 : -1))
    }
    return object
  }

  #list(steps: number): unknown[] {
    const list: unknown[] = []
    const opened = this.#open()
    while (!this.#closes(']', list.length === 0, opened)) {
      const isOnTheWay =
        steps >= 0 && steps < this.#sought.length && String(this.#sought[steps]) === String(list.length)
      if (isOnTheWay) this.#note(steps + 1, this.#at)
      list.push(this.#value(isOnTheWay ? steps + 1 : -1))
    }
    return list
  }

  #open(): number {
    if (++this.#depth > MAX_DEPTH) throw this.#error(`it is nested more than ${MAX_DEPTH} levels deep`)
    return this.#at++
  }

  /** Whether the object or list ends here; goes on to its next entry if not. */
  #closes(bracket: '}' | ']', isFirst: boolean, opened: number): boolean {
    this.#skipBlanks()
    if (this.#text[this.#at] === bracket) {
      this.#at++
      this.#depth--
      return true
    }
    if (!isFirst) {
      const comma = this.#at
      if (this.#text[comma] !== ',') throw this.#unexpected(`"," or "${bracket}"`, opened)
      this.#at++
      this.#skipBlanks()
      if (this.#text[this.#at] === bracket) throw this.#error(`the comma before "${bracket}" must go`, comma)
    }
    if (this.#at === this.#text.length) throw this.#endsTooEarly(opened)
    return false
  }

  #string(): string {
    const text = this.#text
    const start = this.#at
    let end = start + 1
    let hasEscapes = false
    for (; ; end++) {
      const code = text.charCodeAt(end)
      if (code === 0x22) break
      if (Number.isNaN(code)) throw this.#error('the text ends before this string does', start)
      if (code < 0x20)
        throw this.#error('a string may not hold a line break or control character; write \\n or \\u000a', end)
      if (code !== 0x5c) continue
      hasEscapes = true
      ESCAPE.lastIndex = end
      const escape = ESCAPE.exec(text)
      if (escape === null) throw this.#error(`${JSON.stringify(text.slice(end, end + 2))} is no escape of JSON`, end)
      end += escape[0].length - 1
    }
    this.#at = end + 1
    // Its escapes have been checked, so that this cannot fail.
    return hasEscapes ? (JSON.parse(text.slice(start, end + 1)) as string) : text.slice(start + 1, end)
  }

  #number(): number {
    NUMBER.lastIndex = this.#at
    const written = NUMBER.exec(this.#text)?.[0]
    const rest = this.#text[this.#at + (written?.length ?? 0)]
    if (written === undefined || (rest !== undefined && /[\w$.+-]/.test(rest))) {
      throw this.#error(`${wordAt(this.#text, this.#at)} is no number of JSON`)
    }
    const value = Number(written)
    if (/^-?\d+$/.test(written) && !Number.isSafeInteger(value)) throw this.#error(lossyNumber(written))
    this.#at += written.length
    return value
  }

  #skipBlanks(): void {
    BLANKS.lastIndex = this.#at
    BLANKS.test(this.#text)
    this.#at = BLANKS.lastIndex
  }

  #note(steps: number, offset: number): void {
    if (steps <= this.#foundSteps) return
    this.#foundSteps = steps
    this.#foundAt = offset
  }

  #unexpected(wanted: string, opened?: number): FlagDocumentError {
    const next = this.#text[this.#at]
    if (next === undefined) return this.#endsTooEarly(opened ?? 0)
    if (next === '/' || next === '#') return this.#error('JSON has no comments; a .yaml file may have them')
    if (next === "'") return this.#error('JSON wants double quotes')
    return this.#error(`there should be ${wanted}, not ${wordAt(this.#text, this.#at)}`)
  }

  #endsTooEarly(opened: number): FlagDocumentError {
    const { line } = placeAt(this.#text, opened)
    return this.#error(`the text ends before the "${this.#text[opened]}" of line ${line} is closed`, this.#text.length)
  }

  #error(reason: string, offset: number = this.#at): FlagDocumentError {
    return new FlagDocumentError(reason, { source: this.#source, place: placeAt(this.#text, offset) })
  }
}

/** Assignment would call the setter of `__proto__`. */
export function setOwn(object: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') object[name] = value
  else Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true })
}
