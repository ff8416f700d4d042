import { createHash } from 'node:crypto'

/**
 * The same text for equal JSON values, whatever the order in which the fields of their objects were written. 0 and -0 are two
 * values of JSON.
 *
 * @throws TypeError when the value is no JSON
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const fields = Object.keys(value).sort()
    const entry = (name: string): string =>
      `${JSON.stringify(name)}:${canonicalJson((value as Record<string, unknown>)[name])}`
    return `{${fields.map(entry).join(',')}}`
  }
  // JSON.stringify makes 0 of it.
  if (Object.is(value, -0)) return '-0'
  const text = typeof value === 'bigint' ? undefined : JSON.stringify(value)
  if (text === undefined) throw new TypeError(`A ${typeof value} is no JSON, and cannot be compared`)
  return text
}

/** SHA-256 of the parts. Each is preceded by its length, so that no two lists of parts read alike. */
export function digest(parts: Iterable<string>): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part)
  return hash.digest('hex')
}
