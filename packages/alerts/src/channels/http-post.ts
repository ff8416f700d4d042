import { DeliveryError } from '../errors.js'
import { retryAfterMs } from './retry-after.js'

/** More of an answer is not read: nobody needs it, and somebody may send it without end. */
const MAX_BODY_BYTES = 65_536

/** What a receiver answered. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: string
}

/** Sends JSON. Redirects are not followed: they would carry the secret to somebody else. */
export async function postJson(
  url: URL,
  body: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Answer> {
  let response: Response
  try {
    response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': 'application/json', 'user-agent': 'evenkeel-alerts', ...headers },
      body,
      signal,
    })
  } catch (error) {
    throw new DeliveryError(`${url.hostname} could not be reached: ${codeOf(error)}`, {
      retryable: true,
      applied: 'unknown',
    })
  }
  const { status } = response
  if (response.ok) {
    // It was taken; whoever never ends his answer must not get the same message again and again.
    void response.body?.cancel().catch(() => undefined)
    return { status, headers: response.headers, body: '' }
  }
  return { status, headers: response.headers, body: await readSome(response) }
}

/**
 * What an answer means. Nothing of its body is repeated: it may hold what nobody should see.
 *
 * @param asked - how long the body asks to be left alone, in milliseconds
 */
export function requireAccepted(url: URL, { status, headers }: Answer, now: number, asked?: number): void {
  if (status >= 200 && status <= 299) return
  const pauseMs = asked ?? retryAfterMs(headers.get('retry-after'), now)
  const pause = pauseMs === undefined ? {} : { retryAfterMs: pauseMs }
  const said = `${url.hostname} answered ${status}`
  if (status === 429) throw new DeliveryError(`${said}: too many messages`, { retryable: true, ...pause })
  if (status >= 300 && status <= 399) {
    throw new DeliveryError(`${said}: a redirect, which is not followed; give the final address`, { retryable: false })
  }
  if (status === 401 || status === 403) {
    throw new DeliveryError(`${said}: it does not accept the token or the signature`, { retryable: false })
  }
  if (status === 404 || status === 410) {
    throw new DeliveryError(`${said}: there is no such webhook; was it deleted?`, { retryable: false })
  }
  if (status >= 500 || status === 408 || status === 425 || status === 409) {
    throw new DeliveryError(said, { retryable: true, applied: 'unknown', ...pause })
  }
  if (status === 400 || status === 413 || status === 422) {
    throw new DeliveryError(`${said}: it refuses this message`, { retryable: false, scope: 'message' })
  }
  throw new DeliveryError(`${said}: it refuses whatever it is sent; is the address right?`, { retryable: false })
}

/** A complete http address. What is wrong with it is told without it. */
export function parseAddress(where: string, url: string | URL): URL {
  let address: URL
  try {
    address = new URL(url)
  } catch {
    // Without a cause: that error repeats the address, and there may be a token in it.
    throw new TypeError(`${where}: url must be a complete address, such as https://example.com/hook`)
  }
  if (address.protocol !== 'http:' && address.protocol !== 'https:') {
    throw new TypeError(`${where}: url must begin with http: or https:`)
  }
  if (address.username !== '' || address.password !== '') {
    throw new TypeError(`${where}: url must not contain a user name or password; use headers`)
  }
  return address
}

async function readSome(response: Response): Promise<string> {
  const reader = response.body?.getReader()
  if (reader === undefined) return ''
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    while (length < MAX_BODY_BYTES) {
      const { done, value } = (await reader.read()) as { done: boolean; value?: Uint8Array }
      if (done || value === undefined) break
      chunks.push(value)
      length += value.length
    }
  } catch {
    // The status has been read, and that is what counts.
  }
  // An unread rest would hold its connection.
  void reader.cancel().catch(() => undefined)
  return Buffer.concat(chunks).subarray(0, MAX_BODY_BYTES).toString('utf8')
}

/** `fetch` says "fetch failed", and its cause says `ECONNREFUSED`. A whole message may repeat the address. */
function codeOf(error: unknown): string {
  const { cause, name } = error as { cause?: { code?: unknown }; name?: unknown }
  const code = cause?.code ?? name
  return typeof code === 'string' ? code : 'unknown failure'
}
