import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { fromKey, httpProtocol, isSame, keyHeader, readBody, readToken, repeatHeader, requireShort, versionHeader, type HttpAnswer } from './http-wire.js' // prettier-ignore
import type { ServedEvent } from './serve-version.js'
import { requirePlain, toWireError } from './wire.js'
import { readMs, readWhole, requireKnown, withDefaults } from './worker-options.js'

/** What {@link serveVersionHttp} takes. */
export interface ServeVersionHttpOptions {
  /** What both sides know: 16 visible ASCII characters or more. */
  readonly token: string
  /** Says why the version is not healthy, or nothing when it is. Asked at every check; must answer at once. */
  readonly problem?: (() => string | undefined) | undefined
  /** How long an answer is remembered, in ms, for an event that comes once more. */
  readonly rememberMs?: number | undefined
  /** How many answers are remembered at most; the oldest go first. What runs is never forgotten. */
  readonly maxRemembered?: number | undefined
  /** Where time comes from. */
  readonly clock?: Clock | undefined
}

/** The options of {@link serveVersionHttp} that have a default. */
export type ServeVersionHttpDefaults = Readonly<Record<'rememberMs' | 'maxRemembered', number>>

/** The value of each option of `serveVersionHttp` that is not given. */
export const serveVersionHttpDefaults: ServeVersionHttpDefaults = { rememberMs: 900_000, maxRemembered: 10_000 }

interface Remembered {
  /** As it is sent. */
  readonly answer: Promise<string>
  readonly expiresMs: number
  isRunning: boolean
}

/**
 * The other side of `httpSlot`: makes a handler of web-standard requests, for any server that has these. For one of
 * `node:http`, {@link nodeListener} makes a listener of it.
 *
 * @remarks
 * POST handles an event, GET tells the health. An event that comes once more while this process remembers it is not handled
 * again: it gets the same answer. After a restart of the version nothing is remembered, so effects are what `effects` of
 * the slot declares.
 *
 * *Gotchas*: an answer of more than 4 MiB as JSON is an error at the other side, though the handler has done its work. The
 * slot believes that an event was not begun when this says so, so let nothing between the two take `evenkeel-version-protocol` off.
 *
 * @param handler - handles an event; a second argument has its id, and whether this may be its second run
 * @param options - the token
 * @returns the handler
 * @throws TypeError or RangeError that names the option and what would do; never the token
 *
 * @example
 * ```ts
 * import { serveVersionHttp } from '@evenkeel/blue-green/http'
 *
 * const fetch = serveVersionHttp(async ({ text }: { text: string }) => `noted ${text}`, {
 *   token: 'sixteen-characters-or-more',
 * })
 * // node:http and Express: createServer(nodeListener(fetch)). Hono: app.all('/events', (c) => fetch(c.req.raw)). Bun and Deno
 * // take it as it is.
 * ```
 */
export function serveVersionHttp<Event = unknown>(
  handler: (event: Event, served: ServedEvent) => unknown,
  options: ServeVersionHttpOptions,
): (request: Request) => Promise<Response> {
  if (typeof handler !== 'function') throw new TypeError('serveVersionHttp needs a handler: a function of an event')
  requireKnown('serveVersionHttp', options, ['token', 'problem', 'rememberMs', 'maxRemembered', 'clock'])
  const token = readToken('serveVersionHttp', options.token)
  const { problem, clock = systemClock } = options
  if (problem !== undefined && typeof problem !== 'function') {
    throw new TypeError('problem of serveVersionHttp must be a function')
  }
  const { rememberMs, maxRemembered } = withDefaults(serveVersionHttpDefaults, options)
  readMs('rememberMs', rememberMs)
  readWhole('maxRemembered', maxRemembered, 1)
  /** Oldest first. */
  const remembered = new Map<string, Remembered>()

  const forget = (): void => {
    for (const [key, { isRunning, expiresMs }] of remembered) {
      if (expiresMs > clock.monotonic() && remembered.size <= maxRemembered) return
      if (!isRunning) remembered.delete(key)
    }
  }

  const handle = (key: string, event: Event, isRepeat: boolean): Promise<string> => {
    forget()
    const known = remembered.get(key)
    if (known !== undefined) return known.answer
    const run = async (): Promise<string> => {
      try {
        const answer = await handler(event, { eventId: key, isRepeat })
        requirePlain('the answer', answer, 'json', 'the event is done all the same; return JSON, or nothing')
        const body = toBody({ answer })
        // Measured here: one that the slot does not read to its end would leave the outcome unknown, and be run again.
        requireShort('the answer', body, 'the event is done all the same; answer less')
        return body
      } catch (error) {
        return toBody({ error: toWireError(error) })
      }
    }
    const entry = { answer: run(), isRunning: true, expiresMs: clock.monotonic() + rememberMs }
    remembered.set(key, entry)
    return entry.answer.finally(() => (entry.isRunning = false))
  }

  const whyNot = (): string | undefined => {
    try {
      return problem?.()
    } catch (error) {
      return `it cannot tell its health: ${toWireError(error).message}`
    }
  }

  return async (request) => {
    const given = request.headers.get('authorization') ?? ''
    if (!isSame(given, `Bearer ${token}`)) return respond(401, { notBegun: 'the token is not the same at both sides' })
    if (request.headers.get(versionHeader) !== httpProtocol) {
      return respond(400, { notBegun: `it speaks protocol ${httpProtocol}; use one release for both sides` })
    }
    if (request.method === 'GET') {
      const why = whyNot()
      return why === undefined ? respond(200, {}) : respond(503, { notBegun: why })
    }
    if (request.method !== 'POST') return respond(405, { notBegun: `it takes no ${request.method}` })
    const key = fromKey(request.headers.get(keyHeader))
    if (key === undefined) return respond(400, { notBegun: 'the event came without its id' })
    let event: Event
    try {
      const body = (await readBody(request.body)) as { event: Event }
      event = body.event
    } catch (error) {
      return respond(400, {
        notBegun: `the event cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      })
    }
    return send(200, await handle(key, event, request.headers.get(repeatHeader) === 'true'))
  }
}

function respond(status: number, answer: HttpAnswer): Response {
  return send(status, toBody(answer))
}

function send(status: number, body: string): Response {
  return new Response(body, { status, headers: { 'content-type': 'application/json', [versionHeader]: httpProtocol } })
}

function toBody(answer: HttpAnswer): string {
  return JSON.stringify(answer)
}
