import type * as Yaml from 'yaml'
import { FlagDocumentError } from '../document-error.js'
import { setOwn } from './json-reader.js'
import { type DocumentPath, lossyNumber, MAX_DEPTH, placeAt } from './text-place.js'

/** How many values aliases may repeat in one document. Enough to share conditions, too little to fill the memory. */
const MAX_ALIASED_VALUES = 10_000

/** A value and how many values it holds, itself included. */
interface Converted {
  readonly value: unknown
  readonly size: number
}

/**
 * Makes values of what the library `yaml` has composed. It is stricter than the library's own `toJS`: names must be
 * unique as the strings that they become, and nothing may refer to what holds it.
 */
export class YamlReader {
  readonly #yaml: typeof Yaml
  readonly #text: string
  readonly #source: string
  readonly #anchors = new Map<string, Converted | 'open'>()
  #contents: Yaml.ParsedNode | null = null
  #aliasedValues = 0

  /**
   * @param yaml - the library
   * @param text - the document
   * @param source - what errors call it
   */
  constructor(yaml: typeof Yaml, text: string, source: string) {
    this.#yaml = yaml
    this.#text = text
    this.#source = source
  }

  /** @throws FlagDocumentError with the place, when it is not one document of YAML's core schema */
  read(): unknown {
    try {
      return this.#read()
    } catch (error) {
      if (error instanceof FlagDocumentError) throw error
      const reason = `it is not YAML: ${error instanceof Error ? error.message : String(error)}`
      throw new FlagDocumentError(reason, { source: this.#source, cause: error })
    }
  }

  #read(): unknown {
    const tokens = [...new this.#yaml.Parser().parse(this.#text)]
    // The composer calls itself for each level: too many of them end the process, and nothing can catch that.
    const tooDeep = offsetBelow(tokens, MAX_DEPTH)
    if (tooDeep !== undefined) throw this.#error(`it is nested more than ${MAX_DEPTH} levels deep`, tooDeep)
    const composer = new this.#yaml.Composer({
      version: '1.2',
      schema: 'core',
      merge: false,
      resolveKnownTags: false,
      // The library's own check takes a time that grows with the square of the names.
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'silent',
    })
    const [document, second] = [...composer.compose(tokens, true, this.#text.length)]
    const problem = document?.errors[0] ?? document?.warnings[0] ?? second?.errors[0]
    if (problem !== undefined) throw this.#error(told(problem), problem.pos[0])
    if (second !== undefined) {
      throw this.#error('there is a second document; a file may hold one', startOf(second.contents) ?? second.range[0])
    }
    if (document === undefined || document.contents === null) throw this.#error('the document is empty', 0)
    if (document.directives?.yaml.explicit === true && document.directives.yaml.version !== '1.2') {
      throw this.#error('the document asks for another YAML than 1.2; remove %YAML', 0)
    }
    const contents = document.contents
    if (isNothing(this.#yaml, contents)) throw this.#error('the document is empty', 0)
    this.#contents = contents
    return this.#convert(contents).value
  }

  /** Where something begins, or the nearest thing around it that is there. */
  offsetOf(path: DocumentPath): number | undefined {
    let node: unknown = this.#contents
    let offset = startOf(node)
    for (const step of path) {
      if (this.#yaml.isMap(node)) {
        const pair: Yaml.Pair | undefined = node.items.find(({ key }) => nameOf(this.#yaml, key) === String(step))
        if (pair === undefined) break
        offset = startOf(pair.key) ?? offset
        node = pair.value
      } else if (this.#yaml.isSeq(node)) {
        const item: unknown = node.items[Number(step)]
        if (item === undefined) break
        offset = startOf(item) ?? offset
        node = item
      } else break
    }
    return offset
  }

  #convert(node: unknown): Converted {
    if (node === null || node === undefined) return { value: null, size: 1 }
    if (this.#yaml.isAlias(node)) return this.#alias(node)
    const anchor = (node as { anchor?: string }).anchor
    if (anchor !== undefined) this.#anchors.set(anchor, 'open')
    const converted = this.#content(node)
    if (anchor !== undefined) this.#anchors.set(anchor, converted)
    return converted
  }

  #content(node: unknown): Converted {
    if (this.#yaml.isMap(node)) return this.#map(node)
    if (this.#yaml.isSeq(node)) {
      const items = node.items.map((item) => this.#convert(item))
      return { value: items.map(({ value }) => value), size: sizeOf(items) }
    }
    if (!this.#yaml.isScalar(node)) throw this.#error('this is no value', startOf(node))
    this.#refuseLoss(node)
    return { value: node.value, size: 1 }
  }

  #map(map: Yaml.YAMLMap): Converted {
    const object: Record<string, unknown> = {}
    const lines = new Map<string, number>()
    const values: Converted[] = []
    for (const { key, value } of map.items) {
      const name = this.#name(key)
      const offset = startOf(key) ?? 0
      const before = lines.get(name)
      if (before !== undefined) {
        const { line } = placeAt(this.#text, before)
        throw this.#error(`${JSON.stringify(name)} is there twice in one object, first in line ${line}`, offset)
      }
      lines.set(name, offset)
      const converted = this.#convert(value)
      values.push(converted)
      setOwn(object, name, converted.value)
    }
    return { value: object, size: sizeOf(values) }
  }

  #name(key: unknown): string {
    const name = nameOf(this.#yaml, key)
    if (name === undefined) throw this.#error('a name must be a word, or text in quotes', startOf(key))
    const { value, source } = key as Yaml.Scalar
    this.#refuseLoss(key as Yaml.Scalar)
    if (typeof value !== 'string' && name !== source) {
      throw this.#error(`as a name, ${source ?? name} would become ${name}; put it in quotes`, startOf(key))
    }
    return name
  }

  #alias(node: Yaml.Alias): Converted {
    const target = this.#anchors.get(node.source)
    if (target === undefined) throw this.#error(`there is no &${node.source} above`, startOf(node))
    if (target === 'open') throw this.#error(`*${node.source} refers to what it is part of`, startOf(node))
    this.#aliasedValues += target.size
    if (this.#aliasedValues > MAX_ALIASED_VALUES) {
      throw this.#error(`aliases (*${node.source}) repeat more than ${MAX_ALIASED_VALUES} values`, startOf(node))
    }
    return target
  }

  #refuseLoss(scalar: Yaml.Scalar): void {
    const { value, source } = scalar
    if (typeof value !== 'number' || !Number.isInteger(value) || Number.isSafeInteger(value)) return
    if (source === undefined || !/^(?:[-+]?[0-9]+|0[xo][0-9a-fA-F]+)$/.test(source)) return
    throw this.#error(lossyNumber(source), startOf(scalar))
  }

  #error(reason: string, offset: number | undefined): FlagDocumentError {
    const place = offset === undefined ? undefined : placeAt(this.#text, Math.min(offset, this.#text.length))
    return new FlagDocumentError(reason, { source: this.#source, place })
  }
}

function told({ code, message }: Yaml.YAMLError): string {
  if (code === 'TAG_RESOLVE_FAILED') return `tags are not taken: ${message}`
  return `it is not YAML: ${message}`
}

/** What an object's property is called; `undefined` for a key that is a list, an object, an alias or nothing. */
function nameOf(yaml: typeof Yaml, key: unknown): string | undefined {
  const value: unknown = yaml.isScalar(key) ? key.value : undefined
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined
}

/** A text of blanks and comments is composed as an empty scalar, unlike a written `null`. */
function isNothing(yaml: typeof Yaml, node: Yaml.ParsedNode): boolean {
  return yaml.isScalar(node) && node.value === null && (node.source ?? '') === '' && node.tag === undefined
}

function startOf(node: unknown): number | undefined {
  return (node as { range?: readonly number[] | null } | null | undefined)?.range?.[0]
}

function sizeOf(children: readonly Converted[]): number {
  return children.reduce((sum, { size }) => sum + size, 1)
}

/** The offset of a list or object that is nested deeper than that. Keeps a stack of its own, for it may be very deep. */
function offsetBelow(tokens: readonly Yaml.CST.Token[], maxDepth: number): number | undefined {
  const open: { token: Yaml.CST.Token; depth: number }[] = tokens.map((token) => ({ token, depth: 0 }))
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { token, depth } = next
    const inside: (Yaml.CST.Token | null | undefined)[] = []
    if (token.type === 'document') inside.push(token.value)
    if ('items' in token) {
      if (depth > maxDepth) return token.offset
      for (const { key, value } of token.items) inside.push(key, value)
    }
    for (const each of inside) if (each) open.push({ token: each, depth: depth + 1 })
  }
  return undefined
}
