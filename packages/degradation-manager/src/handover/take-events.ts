import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { milliseconds } from '../breaker/breaker-options.js'
import { checkNames } from '../options.js'
import type { Clock } from '../ports.js'
import { systemClock } from '../system-clock.js'
import { TakenEvents, type Reply } from './taken-events.js'
import type { TakeOptions } from './port.js'
import { checkSecret, WIRE_HEADER, WIRE_VERSION } from './wire.js'

/** How a bot takes events over from another. */
export interface TakeEventsOptions<Event, Answer> {
  /** What both know: 16 visible ASCII characters or more. Who does not show it is not heard. */
  readonly secret: string
  /**
   * Handles one event; what it gives is the answer, and goes through JSON. A `ShedError`, as a guard throws it, means that
   * the event is not taken.
   */
  readonly handle: (event: Event, options: TakeOptions) => Answer | PromiseLike<Answer>
  /**
   * How long one event may take, in ms, more than 0; then its signal is aborted, and the other bot hears that the outcome
   * is not known.
   *
   * @defaultValue `60_000`
   */
  readonly timeoutMs?: number | undefined
  /**
   * How long an answer is kept for an event that comes again, in ms, more than 0.
   *
   * @defaultValue `900_000`
   */
  readonly rememberMs?: number | undefined
  /**
   * How many events are under way or remembered at most, a whole number, 1 or more. The oldest answer gives way; when all
   * are under way, no more are taken.
   *
   * @defaultValue `10_000`
   */
  readonly maxRemembered?: number | undefined
  /**
   * The longest event that is read, in bytes, 1 or more.
   *
   * @defaultValue `262_144`
   */
  readonly maxBytes?: number | undefined
  /** Is told what `handle` threw: the other bot does not hear it, for it may hold addresses and names. */
  readonly onError?: ((error: unknown, key: string) => void) | undefined
  /** Time, for tests; the system's unless given. */
  readonly clock?: Clock | undefined
}

/** The defaults of {@link TakeEventsOptions}. */
export const takeEventsDefaults: Readonly<Record<'timeoutMs' | 'rememberMs' | 'maxRemembered' | 'maxBytes', number>> = {
  timeoutMs: 60_000,
  // As long as Discord takes an answer to an interaction.
  rememberMs: 900_000,
  maxRemembered: 10_000,
  maxBytes: 262_144,
} satisfies Required<
  Pick<TakeEventsOptions<unknown, unknown>, 'timeoutMs' | 'rememberMs' | 'maxRemembered' | 'maxBytes'>
>

/**
 * Takes events over from another bot's `httpTaker`: the listener of a `node:http` server, or of one of its routes.
 *
 * @remarks
 * An event that comes twice is handled once, and both get the one answer, while it is remembered. What failed without an
 * effect may come again.
 *
 * *Gotchas*: what it remembers ends with the process. The server is yours: listen on `127.0.0.1`, or behind TLS.
 *
 * @typeParam Event - what is handed over; it is the other bot's, so check it where that matters
 * @typeParam Answer - what is answered
 * @param options - who may hand over, and who handles
 * @returns the listener
 * @throws TypeError or RangeError when an option is missing, does not exist or is out of range
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { httpTaker, takeEvents } from '@evenkeel/degradation-manager/handover'
 *
 * const secret = 'a long secret of both'.replaceAll(' ', '-')
 * const handle = (event: { readonly text: string }) => `noted "${event.text}"`
 * const server = createServer(takeEvents({ secret, handle }))
 * await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
 * const { port } = server.address() as { port: number }
 *
 * const { take } = httpTaker<{ text: string }, string>({ url: `http://127.0.0.1:${port}`, secret })
 * const { signal } = new AbortController()
 * console.log(await take({ text: 'buy tea' }, { key: '1', signal })) // => noted "buy tea"
 * server.close()
 * ```
 */
export function takeEvents<Event, Answer>(
  options: TakeEventsOptions<Event, Answer>,
): (request: IncomingMessage, response: ServerResponse) => void {
  const { secret, maxBytes, timeoutMs, clock, ...settings } = checked(options)
  const expected = digest(secret)
  const taken = new TakenEvents({ ...settings, clock, timeoutMs })

  const reply = async (request: IncomingMessage): Promise<Reply> => {
    const [, shown] = /^bearer +([\x21-\x7e]+) *$/i.exec(request.headers.authorization ?? '') ?? []
    // Digests are equally long, so the comparison tells neither how long the secret is nor how much of it was right.
    if (shown === undefined || !timingSafeEqual(digest(shown), expected))
      return refusal(401, 'the secret is another one')
    if (request.headers[WIRE_HEADER] !== WIRE_VERSION) return refusal(400, 'it speaks of hand-overs in another way')
    if (request.method === 'GET') return taken.check()
    if (request.method !== 'POST') return refusal(405, `${String(request.method)} is no hand-over`)
    const body = await read(request, maxBytes)
    if (body === undefined) return refusal(413, `it is longer than ${maxBytes} bytes`)
    const { key, event } = parsed(body)
    if (typeof key !== 'string' || key === '') return refusal(400, 'it is no JSON with a key and an event')
    return taken.once(key, event)
  }

  return (request, response) => {
    // One who sends slowly, or not at all, is left.
    const cancel = clock.after(timeoutMs, () => {
      if (!request.complete) request.destroy()
    })
    void reply(request)
      .then((said) => send(response, said))
      // It was cut off, or left: there is nobody to answer.
      .catch(() => response.destroy())
      .finally(cancel)
  }
}

function checked<Event, Answer>(options: TakeEventsOptions<Event, Answer>) {
  const names = ['secret', 'handle', 'timeoutMs', 'rememberMs', 'maxRemembered', 'maxBytes', 'onError', 'clock']
  checkNames('takeEvents', options, names)
  const { handle, onError, clock = systemClock } = options
  const secret = checkSecret('takeEvents', options.secret)
  if (typeof handle !== 'function') throw new TypeError('takeEvents needs handle, a function of the event')
  if (onError !== undefined && typeof onError !== 'function') throw new TypeError('onError must be a function')
  const { timeoutMs, rememberMs, maxRemembered, maxBytes } = { ...takeEventsDefaults, ...given(options) }
  milliseconds('timeoutMs of takeEvents', timeoutMs)
  milliseconds('rememberMs of takeEvents', rememberMs)
  for (const [name, value] of Object.entries({ maxRemembered, maxBytes })) {
    if (Number.isSafeInteger(value) && value >= 1) continue
    throw new RangeError(`${name} of takeEvents is ${String(value)}; give a whole number, 1 or more`)
  }
  return { secret, handle, onError, clock, timeoutMs, rememberMs, maxRemembered, maxBytes }
}

/** Without what is there but undefined, which would hide a default. */
function given<Options extends object>(
  options: Options,
): Partial<{ [Name in keyof Options]: NonNullable<Options[Name]> }> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never
}

/** The body; undefined when it is too long. */
async function read(request: IncomingMessage, maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength
    // Read on to the end, but keep nothing: whoever still sends does not listen yet.
    if (bytes <= maxBytes) chunks.push(chunk)
    else chunks.length = 0
    if (bytes > 16 * maxBytes) throw new RangeError('it has no end')
  }
  return bytes > maxBytes ? undefined : Buffer.concat(chunks).toString('utf8')
}

function parsed(body: string): { key?: unknown; event?: unknown } {
  try {
    return (JSON.parse(body) ?? {}) as { key?: unknown; event?: unknown }
  } catch {
    return {}
  }
}

function refusal(status: number, why: string): Reply {
  return { status, body: JSON.stringify({ applied: 'no', why }) }
}

function send(response: ServerResponse, { status, body }: Reply): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    connection: 'close',
    [WIRE_HEADER]: WIRE_VERSION,
  })
  response.end(body)
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
