import { FlagDocumentError } from '../document-error.js'
import { didYouMean } from '../nearest.js'
import { isRecord, literal, quote } from '../setting-problem.js'

/** Where in a plan something stands. */
export type Path = readonly (string | number)[]

/** @throws FlagDocumentError when it is no object */
export function readRecord(
  value: unknown,
  path: Path,
  what: string,
  example: string,
): Readonly<Record<string, unknown>> {
  if (isRecord(value)) return value
  return refuse(`${what} must be an object such as ${example}, not ${literal(value)}`, path)
}

/** @throws FlagDocumentError when it is no list, or an empty one */
export function readList(value: unknown, path: Path, field: string): readonly unknown[] {
  if (!Array.isArray(value)) {
    const found = value === undefined ? 'is missing' : `must be a list, not ${literal(value)}`
    refuse(`\`${field}\` ${found}; a plan has at least one phase`, value === undefined ? path.slice(0, -1) : path)
  }
  if (value.length === 0) refuse(`\`${field}\` is empty; a plan has at least one phase`, path)
  return value as readonly unknown[]
}

/** @throws FlagDocumentError when there is a field that has no meaning */
export function refuseUnknown(
  record: Readonly<Record<string, unknown>>,
  known: readonly string[],
  path: Path,
  what: string,
): void {
  for (const field of Object.keys(record)) {
    if (known.includes(field)) continue
    const hint = didYouMean(field, known) || `; it has ${known.map((each) => `\`${each}\``).join(', ')}`
    refuse(`${what} has no ${quote(field)}${hint}`, [...path, field])
  }
}

/** @throws FlagDocumentError always */
export function refuse(reason: string, path: Path): never {
  throw new FlagDocumentError(reason, { path })
}
