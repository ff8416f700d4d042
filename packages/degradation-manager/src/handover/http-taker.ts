import { checkNames } from '../options.js'
import { describeError } from '../outcome.js'
import { HandOverUnclearError, NotTakenError } from './errors.js'
import type { EventTaker, TakeOptions } from './port.js'
import { checkSecret, WIRE_HEADER, WIRE_VERSION, type Handled, type HandedOver } from './wire.js'

/** Where the other bot listens. */
export interface HttpTakerOptions {
  /** The address of its `takeEvents`: `http://127.0.0.1:4100/events`. Use `https:` where others could listen in. */
  readonly url: string
  /** What both know: 16 visible ASCII characters or more. It is shown to the address, and to nobody else. */
  readonly secret: string
  /**
   * What to call it in errors and events.
   *
   * @defaultValue the host and port of `url`
   */
  readonly name?: string | undefined
}

/** More than any bot answers; what is longer is no answer of a `takeEvents`. */
const MAX_ANSWER_BYTES = 1_048_576
/** The connection was never made, so nothing was sent. */
const unsentCodes: readonly unknown[] = [
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]
/** Said by servers and proxies that have not passed a request on. */
const untakenStatuses: readonly number[] = [400, 401, 403, 404, 405, 413, 421, 429, 503]

/**
 * Hands events to a bot that listens with `takeEvents`, by HTTP.
 *
 * @remarks
 * Each hand-over is one request on a connection of its own, for one that was kept may be closed from the other side just
 * when it is used: then nobody would know.
 *
 * *Gotchas*: only plain data arrives: the event and the answer go through JSON. The answer is the other bot's: what it
 * says is believed, not checked.
 *
 * @typeParam Event - what is handed over
 * @typeParam Answer - what is answered
 * @param options - where it listens
 * @returns the taker, for `handOver`
 * @throws TypeError or RangeError when an option is missing, does not exist or is out of range
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { guard } from '@evenkeel/degradation-manager'
 * import { handOver, httpTaker, takeEvents } from '@evenkeel/degradation-manager/handover'
 *
 * interface Command {
 *   readonly id: string
 *   readonly text: string
 * }
 * const secret = 'a long secret of both'.replaceAll(' ', '-')
 * // The deputy, most often another process:
 * const server = createServer(takeEvents({ secret, handle: ({ text }: Command) => `the deputy has noted "${text}"` }))
 * await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
 * const { port } = server.address() as { port: number }
 *
 * // The bot:
 * const deputy = httpTaker<Command, string>({ url: `http://127.0.0.1:${port}/events`, secret })
 * const save = async (_command: Command): Promise<string> => {
 *   throw new Error('the database is away')
 * }
 * const note = guard('notes', save, { fallback: handOver(deputy, { key: ({ id }) => id }) })
 * console.log(await note({ id: '1', text: 'buy tea' })) // => the deputy has noted "buy tea"
 * server.close()
 * ```
 */
export function httpTaker<Event, Answer = unknown>(options: HttpTakerOptions): EventTaker<Event, Answer> {
  checkNames('httpTaker', options, ['url', 'secret', 'name'])
  const secret = checkSecret('httpTaker', options.secret)
  const url = checkUrl(options.url)
  const { name = url.host } = options

  const ask = async (method: string, body: string | undefined, signal: AbortSignal): Promise<Heard> => {
    try {
      const response = await fetch(url, {
        method,
        headers: {
          authorization: `Bearer ${secret}`,
          connection: 'close',
          [WIRE_HEADER]: WIRE_VERSION,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        redirect: 'manual',
        signal,
        ...(body === undefined ? {} : { body }),
      })
      return await hear(response)
    } catch (error) {
      if (unsentCodes.includes(codeOf(error))) throw new NotTakenError(name, reasonOf(error), undefined, error)
      throw new HandOverUnclearError(name, reasonOf(error), error)
    }
  }

  return {
    name,
    async take(event: Event, { key, signal }: TakeOptions): Promise<Answer> {
      const { status, handled } = await ask('POST', asJson(name, { key, event }), signal)
      if (status === 200 && handled !== undefined) return handled.answer as Answer
      const why = handled?.why ?? `it answered ${status}`
      const isUntaken = handled === undefined ? untakenStatuses.includes(status) : handled.applied === 'no'
      if (isUntaken) throw new NotTakenError(name, why, handled?.retryAfterMs)
      throw new HandOverUnclearError(name, why)
    },
    async check({ signal }: Pick<TakeOptions, 'signal'>): Promise<void> {
      const { status, handled } = await ask('GET', undefined, signal)
      if (status === 200 && handled !== undefined) return
      throw new NotTakenError(name, handled?.why ?? `it answered ${status}`, handled?.retryAfterMs)
    },
  }
}

/** What was answered; `handled` is undefined when it was no `takeEvents` that answered. */
interface Heard {
  readonly status: number
  readonly handled: Handled | undefined
}

async function hear(response: Response): Promise<Heard> {
  const { status, headers, body } = response
  if (headers.get(WIRE_HEADER) !== WIRE_VERSION) {
    await body?.cancel()
    return { status, handled: undefined }
  }
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength
    if (bytes > MAX_ANSWER_BYTES) throw new RangeError(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  const handled: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
  if (typeof handled !== 'object' || handled === null) throw new TypeError('the answer is no object')
  return { status, handled }
}

function asJson(name: string, handedOver: HandedOver): string {
  try {
    return JSON.stringify(handedOver)
  } catch (error) {
    throw new NotTakenError(name, `it is no plain data: ${describeError(error)}`, undefined, error)
  }
}

function checkUrl(given: unknown): URL {
  const url = typeof given === 'string' && URL.canParse(given) ? new URL(given) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw new TypeError('httpTaker needs a url that begins with http:// or https://')
  }
  if (url.username !== '' || url.password !== '') {
    throw new TypeError('The url of httpTaker holds a password; give the secret as secret')
  }
  return url
}

/** `fetch` hides what happened in the cause, and says "fetch failed" itself. */
function causeOf(error: unknown): unknown {
  return (error as { cause?: unknown } | undefined)?.cause ?? error
}

function codeOf(error: unknown): unknown {
  return (causeOf(error) as { code?: unknown }).code
}

function reasonOf(error: unknown): string {
  return describeError(causeOf(error))
}
