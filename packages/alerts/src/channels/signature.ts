import { createHmac, timingSafeEqual } from 'node:crypto'
import { systemClock } from '../system-clock.js'

/** The header with the signature: `v1=` and the HMAC-SHA256 in hexadecimal. */
const SIGNATURE_HEADER = 'evenkeel-signature'
/** The header with the time of the signature, in epoch ms. */
const TIMESTAMP_HEADER = 'evenkeel-timestamp'

/** What a receiver has of a request. */
export interface SignedRequest {
  /** The secret that both sides know. */
  readonly secret: string
  /** The body as it came, before anybody parsed it. */
  readonly body: string | Uint8Array
  /** The headers: of Node's `request.headers`, or of a `Request` as `Object.fromEntries(request.headers)`. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /**
   * How old a signature may be, in milliseconds: what somebody recorded is of no use to him later.
   *
   * @defaultValue 300_000
   */
  readonly toleranceMs?: number
  /** Wall time, epoch ms; the machine's unless told. */
  readonly now?: number
}

/** What {@link verifyWebhook} uses when its options leave it open. */
export const verifyWebhookDefaults: Required<Pick<SignedRequest, 'toleranceMs'>> = { toleranceMs: 300_000 }

/** The headers that sign a body. */
export function sign(secret: string, body: string, now: number): Record<string, string> {
  const timestamp = String(Math.trunc(now))
  return { [TIMESTAMP_HEADER]: timestamp, [SIGNATURE_HEADER]: `v1=${signatureOf(secret, timestamp, body)}` }
}

/**
 * For whoever receives from {@link webhookChannel}: whether a request was signed with the secret, not long ago, and
 * not changed since.
 *
 * @remarks
 * The same message may come twice: after a crash, or when an answer was lost. It has the same `idempotency-key` then.
 *
 * @param request - the secret, the body as it came, and the headers
 * @returns `true` only when the signature is right and young enough
 * @throws TypeError when there is no secret: everything would be right
 *
 * @example
 * ```ts
 * import { verifyWebhook } from '@evenkeel/alerts'
 *
 * const headers = { 'evenkeel-timestamp': '1767225600000', 'evenkeel-signature': 'v1=00' }
 * console.log(verifyWebhook({ secret: 'shared secret', body: '{}', headers, now: 1_767_225_600_000 })) // => false
 * ```
 */
export function verifyWebhook(request: SignedRequest): boolean {
  const { secret, body, headers, toleranceMs = verifyWebhookDefaults.toleranceMs, now = systemClock.now() } = request
  if (typeof secret !== 'string' || secret === '') throw new TypeError('verifyWebhook: give the secret')
  const timestamp = headerOf(headers, TIMESTAMP_HEADER)
  const given = headerOf(headers, SIGNATURE_HEADER)
  if (!/^\d{1,15}$/.test(timestamp) || Math.abs(now - Number(timestamp)) > toleranceMs) return false
  const expected = Buffer.from(`v1=${signatureOf(secret, timestamp, body)}`)
  const actual = Buffer.from(given)
  return actual.length === expected.length && timingSafeEqual(actual, expected)
}

function signatureOf(secret: string, timestamp: string, body: string | Uint8Array): string {
  return createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex')
}

function headerOf(headers: SignedRequest['headers'], name: string): string {
  const [, value] = Object.entries(headers).find(([header]) => header.toLowerCase() === name) ?? []
  return typeof value === 'string' ? value : (value?.[0] ?? '')
}
