import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'

/**
 * Makes the listener of a `node:http` server, or of one of its routes, of a handler of web-standard requests, such as
 * {@link serveVersionHttp} gives.
 *
 * @remarks
 * A body is read only when the handler reads it, as fast as it does. Whatever the handler throws is answered with 500, and
 * shown to nobody.
 *
 * *Gotchas*: the server is yours, with its deadlines. Listen on `127.0.0.1`, or behind TLS.
 *
 * @param fetch - answers a request
 * @returns the listener
 * @throws TypeError when `fetch` is no function
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { nodeListener, serveVersionHttp } from '@evenkeel/blue-green/http'
 *
 * const token = 'sixteen-characters-or-more'
 * const version = serveVersionHttp(({ text }: { text: string }) => `noted ${text}`, { token })
 * const server = createServer(nodeListener(version)).listen(0, '127.0.0.1')
 * server.close()
 * ```
 */
export function nodeListener(fetch: (request: Request) => Response | Promise<Response>): RequestListener {
  if (typeof fetch !== 'function') {
    throw new TypeError('nodeListener needs a function of a Request, such as serveVersionHttp gives')
  }
  return (incoming, outgoing) => void answer(fetch, incoming, outgoing)
}

async function answer(
  fetch: (request: Request) => Response | Promise<Response>,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  try {
    const response = await fetch(toRequest(incoming))
    const body = Buffer.from(await response.arrayBuffer())
    if (outgoing.destroyed) return
    outgoing.writeHead(response.status, Object.fromEntries(response.headers))
    outgoing.end(body)
  } catch {
    if (outgoing.headersSent) outgoing.destroy()
    else outgoing.writeHead(500).end()
  }
}

/** @throws TypeError when it has no web-standard form: `CONNECT`, a target that is no path */
function toRequest(incoming: IncomingMessage): Request {
  const { method = 'GET', url = '/', headers } = incoming
  const init: RequestInit & { readonly duplex: 'half' } = {
    method,
    headers: Object.entries(headers).map(([name, value]) => [name, String(value)]),
    duplex: 'half',
    ...(method !== 'GET' && method !== 'HEAD' && { body: bodyOf(incoming) }),
  }
  return new Request(new URL(url, 'http://localhost'), init)
}

/** Nothing is taken before it is asked for: who shows no token fills no memory. */
function bodyOf(incoming: IncomingMessage): ReadableStream<Uint8Array> {
  let chunks: AsyncIterator<Uint8Array, undefined> | undefined
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        // Whoever stops reading has an answer to give, on the same connection.
        chunks ??= incoming.iterator({ destroyOnReturn: false }) as AsyncIterator<Uint8Array, undefined>
        const { done, value } = await chunks.next()
        if (done === true) controller.close()
        else controller.enqueue(value)
      },
      async cancel() {
        await chunks?.return?.()
      },
    },
    { highWaterMark: 0 },
  )
}
