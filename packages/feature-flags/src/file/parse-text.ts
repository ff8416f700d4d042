import type * as Yaml from 'yaml'
import { FlagDocumentError } from '../document-error.js'
import { JsonReader } from './json-reader.js'
import { type DocumentPath, isFlagDocumentError, type ParsedText, placeAt } from './text-place.js'
import { YamlReader } from './yaml-reader.js'

/** How a document is written. */
export type TextFormat = 'json' | 'yaml'

/**
 * How the file of that name is written.
 *
 * @returns undefined for an extension that says neither
 */
export function formatOf(path: string): TextFormat | undefined {
  if (/\.json$/i.test(path)) return 'json'
  return /\.ya?ml$/i.test(path) ? 'yaml' : undefined
}

/**
 * Reads a document of JSON, or of YAML 1.2 in its core schema: one document, no tags, no merge keys, no name twice in an
 * object, at most 100 levels deep. A byte order mark is passed over. A whole number with more digits than a JavaScript
 * number can hold is refused, since it is an id that somebody forgot to quote.
 *
 * @param text - the document
 * @param format - how it is written; YAML needs the package yaml
 * @param source - what errors call it, such as the path of its file
 * @throws {@link FlagDocumentError} with the line and column when it cannot be read
 */
export async function parseText(text: string, format: TextFormat, source: string): Promise<ParsedText> {
  const clean = text.startsWith('\uFEFF') ? text.slice(1) : text
  return format === 'json' ? parseJson(clean, source) : parseYaml(clean, source, await loadYaml(source))
}

function parseJson(text: string, source: string): ParsedText {
  return {
    value: new JsonReader(text, source).read(),
    placeOf(path: DocumentPath) {
      // Places are seldom asked for; to read once more is cheaper than to keep them all.
      const reader = new JsonReader(text, source, path)
      reader.read()
      return placeAt(text, reader.foundAt)
    },
  }
}

function parseYaml(text: string, source: string, yaml: typeof Yaml): ParsedText {
  const reader = new YamlReader(yaml, text, source)
  return {
    value: reader.read(),
    placeOf(path: DocumentPath) {
      const offset = reader.offsetOf(path)
      return offset === undefined ? undefined : placeAt(text, offset)
    },
  }
}

async function loadYaml(source: string): Promise<typeof Yaml> {
  try {
    return await import('yaml')
  } catch (cause) {
    const reason = 'to read YAML, the package yaml is needed, which cannot be loaded; run: npm install yaml'
    throw new FlagDocumentError(reason, { source, cause })
  }
}

/** The error, with source and line if it names a path in that text and has no place yet. */
export function withPlace(error: unknown, source: string, parsed: ParsedText): unknown {
  if (!isFlagDocumentError(error) || error.place !== undefined) return error
  const { reason, path, cause } = error
  return new FlagDocumentError(reason, { path, source: error.source ?? source, place: parsed.placeOf(path), cause })
}
