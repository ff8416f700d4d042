import { createHash, timingSafeEqual } from 'node:crypto'
import { isWireError, type WireError } from './wire.js'

/** Says that a version answered, and not a proxy before it. */
export const versionHeader = 'evenkeel-version-protocol'
/** The event's id, as the draft of the IETF on the header of this name has it. */
export const keyHeader = 'idempotency-key'
/** Whether the event may have been handled before. */
export const repeatHeader = 'evenkeel-repeat'
/** Raised when the shape changes. */
export const httpProtocol = '1'
/** What is read of an event or an answer, in bytes: more than any bot sends or answers. */
const maxBytes = 4_194_304

/** What a version answers by HTTP. */
export interface HttpAnswer {
  readonly answer?: unknown
  readonly error?: WireError | undefined
  /** The event was certainly not begun. */
  readonly notBegun?: string | undefined
  readonly retryAfterMs?: number | undefined
}

/** Any string fits into a header so, a lone surrogate too. */
export function toKey(eventId: string): string {
  return encodeURIComponent(JSON.stringify(eventId))
}

/** @returns `undefined` when it is no key */
export function fromKey(header: string | null): string | undefined {
  try {
    const key: unknown = JSON.parse(decodeURIComponent(header ?? ''))
    return typeof key === 'string' ? key : undefined
  } catch {
    return undefined
  }
}

/** Takes as long for a guess that is nearly right as for any other. */
export function isSame(given: string, token: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(token))
}

/** @throws TypeError, which does not show it */
export function readToken(where: string, token: unknown): string {
  if (typeof token === 'string' && /^[\x21-\x7e]{16,}$/.test(token)) return token
  throw new TypeError(`token of ${where} must be 16 visible ASCII characters or more, the same at both sides`)
}

/** @throws RangeError when the other side would not read it */
export function requireShort(what: string, body: string, remedy: string): void {
  const bytes = Buffer.byteLength(body)
  if (bytes > maxBytes) throw new RangeError(`${what} has ${bytes} bytes, more than ${maxBytes}; ${remedy}`)
}

/** @throws an error whose message is a clause, when it is nothing that a version answers */
export async function readAnswer(body: ReadableStream<Uint8Array> | null): Promise<HttpAnswer> {
  const said = await readBody(body)
  if (!isAnswer(said)) throw new TypeError('it answered what no version answers')
  return said
}

function isAnswer(said: unknown): said is HttpAnswer {
  if (typeof said !== 'object' || said === null || Array.isArray(said)) return false
  const { notBegun, error } = said as Record<string, unknown>
  return (notBegun === undefined || typeof notBegun === 'string') && (error === undefined || isWireError(error))
}

/** Reads a body that somebody else sends. */
export async function readBody(body: ReadableStream<Uint8Array> | null): Promise<unknown> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength
    if (bytes > maxBytes) throw new RangeError(`it is longer than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
}
