import type { ServerResponse } from 'node:http'

/** What to say to a request: rendered once, sent often. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

const JSON_TYPE = 'application/json; charset=utf-8'

const ALLOW = 'GET, HEAD, OPTIONS'

/** @param headers - beside those that every answer has */
export function answerOf(
  status: number,
  contentType: string,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  const body = Buffer.from(text)
  return {
    status,
    headers: {
      'content-type': contentType,
      'content-length': String(body.length),
      // A probe asks how it is now; nothing in between may answer for us.
      'cache-control': 'no-store',
      ...headers,
    },
    body,
  }
}

export function jsonAnswer(status: number, value: unknown, headers?: Readonly<Record<string, string>>): Answer {
  return answerOf(status, JSON_TYPE, `${JSON.stringify(value)}\n`, headers)
}

export const NOT_FOUND: Answer = jsonAnswer(404, { error: 'not found' })
export const UNAUTHORIZED: Answer = jsonAnswer(
  401,
  { error: 'a bearer token is needed' },
  { 'www-authenticate': 'Bearer' },
)
const METHOD_NOT_ALLOWED = jsonAnswer(405, { error: `use ${ALLOW}` }, { allow: ALLOW })
const OPTIONS = { status: 204, headers: { allow: ALLOW, 'cache-control': 'no-store' }, body: Buffer.alloc(0) }

/** What a method other than `GET` and `HEAD` gets; `undefined` for those two. */
export function answerToMethod(method: string | undefined): Answer | undefined {
  if (method === 'GET' || method === 'HEAD') return undefined
  return method === 'OPTIONS' ? OPTIONS : METHOD_NOT_ALLOWED
}

/**
 * What a request asks for, without its query.
 *
 * @see RFC 9112, section 3.2.2: who believes to talk to a proxy writes the whole address, and a server must take it
 */
export function pathOf(url: string): string {
  const path = url.startsWith('/') ? url : url.replace(/^https?:\/\/[^/?#]*/i, '')
  const end = path.indexOf('?')
  return end === -1 ? path : path.slice(0, end)
}

/** To `HEAD` Node sends the headers alone. */
export function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, headers)
  response.end(body)
}
