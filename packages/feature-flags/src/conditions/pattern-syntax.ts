import { complement, dot, named, union, type Characters } from './characters.js'

/** A regular expression, taken apart. */
export type PatternNode =
  | { readonly kind: 'characters'; readonly characters: Characters }
  | { readonly kind: 'start' | 'end' }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly PatternNode[] }
  | { readonly kind: 'repeat'; readonly part: PatternNode; readonly min: number; readonly max: number }

/** More than enough for 1,000 steps, and it bounds the reading. */
const maxLength = 1_000
/** Groups within groups are read by recursion. */
const maxDepth = 100

const controls: Readonly<Record<string, number>> = { t: 0x09, n: 0x0a, v: 0x0b, f: 0x0c, r: 0x0d }
const quantifier: RegExp = /[*+?]|\{(\d+)(?:(,)(\d+)?)?\}/y
const codeEscape: RegExp = /x([\dA-Fa-f]{2})|u([\dA-Fa-f]{4})|u\{([\dA-Fa-f]{1,6})\}/y

/**
 * Takes a regular expression apart. What cannot be decided in linear time, or is not worth its rules, is refused.
 *
 * @throws SyntaxError with what is wrong and what to write instead
 */
export function parsePattern(source: string): PatternNode {
  if (source === '') throw new SyntaxError('an empty pattern is found in every text')
  if (source.length > maxLength) throw new SyntaxError(`a pattern has at most 1,000 characters, not ${source.length}`)
  return new PatternReader(source).read()
}

class PatternReader {
  readonly #source: string
  #at = 0
  #depth = 0

  constructor(source: string) {
    this.#source = source
  }

  read(): PatternNode {
    const node = this.#choice()
    if (this.#at < this.#source.length) throw this.#fault('")" closes nothing; write "\\)" for the character')
    return node
  }

  #choice(): PatternNode {
    if (++this.#depth > maxDepth) throw this.#fault(`groups may be ${maxDepth} deep`)
    const parts = [this.#sequence()]
    while (this.#take('|')) parts.push(this.#sequence())
    this.#depth--
    return parts.length === 1 ? (parts[0] as PatternNode) : { kind: 'choice', parts }
  }

  #sequence(): PatternNode {
    const parts: PatternNode[] = []
    while (this.#at < this.#source.length && !this.#sees('|') && !this.#sees(')')) parts.push(this.#quantified())
    return { kind: 'sequence', parts }
  }

  #quantified(): PatternNode {
    const part = this.#atom()
    quantifier.lastIndex = this.#at
    const found = quantifier.exec(this.#source)
    if (found === null) return part
    if (part.kind === 'start' || part.kind === 'end') throw this.#fault(`"${found[0]}" repeats nothing`)
    this.#at += found[0].length
    if (this.#at < this.#source.length && '*+?{'.includes(this.#source[this.#at] as string)) {
      throw this.#fault(
        `"${found[0]}" is followed by a second quantifier; leave it out, or put what comes before it in ( )`,
      )
    }
    return { kind: 'repeat', part, ...this.#times(found) }
  }

  #times([text, least, comma, most]: RegExpExecArray): { min: number; max: number } {
    if (least === undefined) return { min: text === '+' ? 1 : 0, max: text === '?' ? 1 : Infinity }
    const min = Number(least)
    const max = comma === undefined ? min : most === undefined ? Infinity : Number(most)
    if (max < min) throw this.#fault(`"${text}" ends before it begins`)
    return { min, max }
  }

  #atom(): PatternNode {
    if (this.#take('(')) return this.#group()
    if (this.#take('[')) return { kind: 'characters', characters: this.#class() }
    if (this.#take('^')) return { kind: 'start' }
    if (this.#take('$')) return { kind: 'end' }
    if (this.#take('.')) return { kind: 'characters', characters: dot }
    if (this.#take('\\')) return { kind: 'characters', characters: this.#escape() }
    const character = this.#character()
    if ('*+?'.includes(character))
      throw this.#fault(`"${character}" repeats nothing; write "\\${character}" for the character`)
    if ('{}]'.includes(character))
      throw this.#fault(`"${character}" stands alone; write "\\${character}" for the character`)
    return { kind: 'characters', characters: single(character) }
  }

  #group(): PatternNode {
    if (this.#take('?') && !this.#take(':')) {
      throw this.#fault('only ( ) and (?: ) are taken, no look-around, named group or flag')
    }
    const node = this.#choice()
    if (!this.#take(')')) throw this.#fault('a group is not closed with ")"')
    return node
  }

  #class(): Characters {
    const isNegated = this.#take('^')
    let characters: Characters = []
    while (!this.#take(']')) {
      const from = this.#classMember()
      if (!this.#sees('-') || this.#source[this.#at + 1] === ']') {
        characters = union(characters, from)
        continue
      }
      this.#at++
      const to = this.#classMember()
      if (!isSingle(from) || !isSingle(to)) throw this.#fault('a range in [ ] goes from one character to another')
      if ((from[0] as number) > (to[0] as number)) throw this.#fault('a range in [ ] ends before it begins')
      characters = union(characters, [from[0] as number, to[0] as number])
    }
    if (characters.length === 0) throw this.#fault('[ ] has no characters in it')
    return isNegated ? complement(characters) : characters
  }

  #classMember(): Characters {
    if (this.#at >= this.#source.length) throw this.#fault('a class is not closed with "]"')
    return this.#take('\\') ? this.#escape() : single(this.#character())
  }

  #escape(): Characters {
    if (this.#at >= this.#source.length) throw this.#fault('it ends with a backslash; write "\\\\" for the character')
    codeEscape.lastIndex = this.#at
    const code = codeEscape.exec(this.#source)
    if (code !== null) {
      const codePoint = parseInt(code[1] ?? code[2] ?? code[3] ?? '', 16)
      if (codePoint > 0x10ffff) throw this.#fault(`"\\${code[0]}" is no character`)
      this.#at += code[0].length
      return [codePoint, codePoint]
    }
    const character = this.#character()
    const set = named.get(character)
    if (set !== undefined) return set
    if (Object.hasOwn(controls, character)) return single(String.fromCharCode(controls[character] as number))
    if (/[1-9k]/.test(character)) throw this.#fault(`"\\${character}" refers back to a group, which is not taken`)
    if (/[\dA-Za-z]/.test(character)) throw this.#fault(`"\\${character}" is not taken`)
    return single(character)
  }

  #character(): string {
    const character = String.fromCodePoint(this.#source.codePointAt(this.#at) as number)
    this.#at += character.length
    return character
  }

  #sees(character: string): boolean {
    return this.#source[this.#at] === character
  }

  #take(character: string): boolean {
    const isThere = this.#sees(character)
    if (isThere) this.#at++
    return isThere
  }

  #fault(reason: string): SyntaxError {
    return new SyntaxError(`${reason} (at character ${this.#at})`)
  }
}

function single(character: string): Characters {
  const codePoint = character.codePointAt(0) as number
  return [codePoint, codePoint]
}

function isSingle(characters: Characters): boolean {
  return characters.length === 2 && characters[0] === characters[1]
}
