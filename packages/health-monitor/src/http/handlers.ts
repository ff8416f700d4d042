import type { IncomingMessage, ServerResponse } from 'node:http'
import { NOT_FOUND, pathOf, send } from './answer.js'
import { HealthPages } from './health-pages.js'
import type { HealthHandlerOptions, ShownHealth } from './options.js'

/**
 * Answers probes: the listener of a `node:http` server, or a middleware in front of another handler.
 *
 * @remarks
 * | path | answers |
 * | --- | --- |
 * | `/live` | 200, always: who can answer is alive. What the bot depends on has no say |
 * | `/ready` | 200 when work may come: healthy or degraded, and readiness on. Else 503 |
 * | `/startup` | 200 from the moment on when everything has started. Before, 503 |
 * | `/health` | the status; to those who show the token, every component with its reason. 200 or 503 as it is |
 * | `/metrics` | the numbers of `metrics`, as Prometheus or OpenMetrics; 401 without the token, if there is one |
 *
 * No request runs a check. `HEAD` and `OPTIONS` are answered, other methods get 405, and queries are ignored.
 *
 * *Gotchas*: `unknown` is not ready, so until the first checks have ended `/ready` says 503. While the event loop is
 * blocked nothing in it answers: that is what a {@link LiveServer} is for.
 *
 * @param health - a `HealthMonitor`, or anything of its shape
 * @param options - paths, access, readiness, metrics
 * @returns the listener; `next` is called for other paths, which get 404 without it
 * @throws TypeError or RangeError when an option does not exist or cannot be honoured
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { HealthMonitor } from '@evenkeel/health-monitor'
 * import { healthHandler } from '@evenkeel/health-monitor/http'
 *
 * const health = new HealthMonitor({ checks: { disk: { check: () => true } } })
 * await health.start()
 * await health.checkNow()
 *
 * const server = createServer(healthHandler(health))
 * await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
 * const { port } = server.address() as { port: number }
 * const response = await fetch(`http://127.0.0.1:${port}/ready`)
 * console.log(response.status, await response.json()) // => 200 { ready: true, status: 'up' }
 * server.close()
 * await health.stop()
 * ```
 */
export function healthHandler(
  health: ShownHealth,
  options: HealthHandlerOptions = {},
): (request: IncomingMessage, response: ServerResponse, next?: () => void) => void {
  return handlerOf(new HealthPages('healthHandler', health, options))
}

/** As {@link healthHandler}, of pages that are there already. */
export function handlerOf(
  pages: HealthPages,
): (request: IncomingMessage, response: ServerResponse, next?: () => void) => void {
  return (request, response, next) => {
    const answer = pages.answer(request.method, pathOf(request.url ?? ''), () => ({
      header(name) {
        const value = request.headers[name]
        return Array.isArray(value) ? value.join(', ') : value
      },
      address: request.socket.remoteAddress,
    }))
    if (answer !== undefined) send(response, answer)
    else if (typeof next === 'function') next()
    else send(response, NOT_FOUND)
  }
}

/**
 * As {@link healthHandler}, for whatever speaks the web's `Request` and `Response`: Hono, Bun, Deno, a test.
 *
 * @param health - a `HealthMonitor`, or anything of its shape
 * @param options - paths, access, readiness, metrics
 * @returns the handler; `next` answers for other paths, which get 404 without it
 * @throws TypeError or RangeError when an option does not exist or cannot be honoured
 *
 * @example
 * ```ts
 * import { HealthMonitor } from '@evenkeel/health-monitor'
 * import { healthFetch } from '@evenkeel/health-monitor/http'
 *
 * const health = new HealthMonitor({ checks: { disk: { check: () => false } } })
 * await health.checkNow()
 * const answer = healthFetch(health)
 * const response = await answer(new Request('http://bot/health?pretty'))
 * console.log(response.status, await response.json()) // => 503 { status: 'down' }
 * ```
 */
export function healthFetch(
  health: ShownHealth,
  options: HealthHandlerOptions = {},
): (request: Request, next?: unknown) => Response | Promise<Response> {
  const pages = new HealthPages('healthFetch', health, options)
  return (request, next) => {
    const { pathname } = new URL(request.url)
    const answer = pages.answer(request.method, pathname, () => ({
      header: (name) => request.headers.get(name) ?? undefined,
      address: undefined,
    }))
    // Bun and Deno hand over something of their own in its place.
    if (answer === undefined && typeof next === 'function') return (next as () => Response | Promise<Response>)()
    const { status, headers, body } = answer ?? NOT_FOUND
    const isEmpty = request.method === 'HEAD' || status === 204
    return new Response(isEmpty ? null : body, { status, headers })
  }
}
