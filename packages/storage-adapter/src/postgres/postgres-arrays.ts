/** The types of elements, as PostgreSQL numbers them. @see https://www.postgresql.org/docs/current/catalog-pg-type.html */
const OIDS = { bytea: 17, text: 25, float8: 701 } as const

/** How many dimensions, whether an element is null, and the type; then, unless it is empty, the length and the first index. */
const EMPTY_HEADER = 12
const HEADER = 20

/** Up to so many characters, as in names and versions, it is cheaper to write ASCII here than to call what Node has for it. */
const SHORT = 48
const LAST_ASCII = 0x7f

/**
 * An array of texts, or of the bytes of texts, as PostgreSQL sends and takes it in binary. Written as text, every value
 * would be escaped here and read letter by letter there, which costs more than all the rest of a large batch.
 *
 * @see https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-FORMAT-CODES
 */
export function toTextArray(type: 'bytea' | 'text', items: readonly (string | null)[]): Buffer {
  const sizes = new Int32Array(items.length)
  let size = 4 * items.length
  for (let i = 0; i < items.length; i++) {
    const item = items[i] as string | null
    const bytes = item === null ? -1 : sizeOf(item)
    sizes[i] = bytes
    if (bytes > 0) size += bytes
  }
  const { buffer, start } = begin(type, items.length, size)
  let at = start
  for (let i = 0; i < items.length; i++) {
    const bytes = sizes[i] as number
    at = buffer.writeInt32BE(bytes, at)
    if (bytes > 0) at = writeText(buffer, items[i] as string, bytes, at)
  }
  return buffer
}

function sizeOf(text: string): number {
  if (text.length > SHORT) return Buffer.byteLength(text)
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > LAST_ASCII) return Buffer.byteLength(text)
  return text.length
}

function writeText(buffer: Buffer, text: string, bytes: number, at: number): number {
  // Short text of more bytes than characters is not ASCII.
  if (bytes > SHORT || bytes > text.length) return at + buffer.write(text, at)
  for (let i = 0; i < bytes; i++) buffer[at + i] = text.charCodeAt(i)
  return at + bytes
}

/** An array of numbers; `undefined` becomes null. */
export function toNumberArray(items: readonly (number | undefined)[]): Buffer {
  const size = items.reduce<number>((sum, item) => sum + (item === undefined ? 4 : 12), 0)
  const { buffer, start } = begin('float8', items.length, size)
  let at = start
  for (const item of items) {
    at = buffer.writeInt32BE(item === undefined ? -1 : 8, at)
    if (item !== undefined) at = buffer.writeDoubleBE(item, at)
  }
  return buffer
}

function begin(type: keyof typeof OIDS, length: number, size: number): { buffer: Buffer; start: number } {
  const start = length === 0 ? EMPTY_HEADER : HEADER
  const buffer = Buffer.allocUnsafe(start + size)
  buffer.writeInt32BE(length === 0 ? 0 : 1, 0)
  // A null may be among them; the server does not ask where there is none.
  buffer.writeInt32BE(1, 4)
  buffer.writeInt32BE(OIDS[type], 8)
  if (length === 0) return { buffer, start }
  buffer.writeInt32BE(length, 12)
  buffer.writeInt32BE(1, 16)
  return { buffer, start }
}
