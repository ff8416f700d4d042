import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { RESTJSONErrorCodes } from 'discord-api-types/v10'
import { ApiError } from './api-error.js'
import { parseBody } from './body.js'
import type { Faults, RestHit } from './faults.js'
import type { LedgerKeeper } from './ledger.js'
import { rateLimited } from './rate-limits.js'
import type { RestReply, Route } from './routes.js'

/** What answering works with. */
export interface RestOptions {
  readonly token: string
  readonly routes: readonly Route[]
  readonly faults: Faults
  readonly ledger: LedgerKeeper
  readonly now: () => number
}

/** Answers what comes in under `/api`: faults first, then the token, then the route. */
export class Rest {
  readonly #options: RestOptions

  constructor(options: RestOptions) {
    this.#options = options
  }

  /** @throws when the caller breaks off, or names an address that is none */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost')
    // `@original` comes as `%40original`; nothing else in a path of this API needs an escape.
    const path = url.pathname.replace(/^\/api(\/v10)?/, '').replaceAll('%40', '@')
    const call = `${request.method} ${path}`
    const hit = this.#options.faults.meet(call, this.#options.now())
    const raw = await readAll(request)
    const answer = (): RestReply => this.#answer(request, path, url.searchParams, raw)
    if (hit === undefined) return this.#reply(response, answer())
    if (hit.delayMs > 0) await wait(hit.delayMs, undefined, { ref: false })
    if (hit.applied) answer()
    this.#fail(response, hit, answer)
  }

  #fail(response: ServerResponse, { outcome }: RestHit, answer: () => RestReply): void {
    const { ledger } = this.#options
    switch (outcome.kind) {
      case 'answer':
        return this.#reply(response, answer())
      case 'status': {
        const message = `${outcome.status}: injected`
        return this.#reply(response, {
          status: outcome.status,
          body: { message, code: RESTJSONErrorCodes.GeneralError },
        })
      }
      case 'rate-limit':
        return this.#reply(response, rateLimited(outcome.retryAfterMs, outcome.global))
      case 'hang':
        return ledger.rest('hung')
      case 'destroy':
        ledger.rest('reset')
        response.destroy()
    }
  }

  #answer(request: IncomingMessage, path: string, query: URLSearchParams, raw: Buffer): RestReply {
    try {
      const found = this.#find(request.method ?? '', path)
      if (found === undefined) throw new ApiError(404, RESTJSONErrorCodes.GeneralError, '404: Not Found')
      if (found.route.needsToken && request.headers.authorization !== `Bot ${this.#options.token}`) {
        throw new ApiError(401, RESTJSONErrorCodes.GeneralError, '401: Unauthorized')
      }
      return found.route.handle({ query, body: parseBody(raw, request.headers['content-type']) }, found.parameters)
    } catch (error) {
      if (error instanceof ApiError) return { status: error.status, body: error }
      // A body of a shape that no client library sends.
      return { status: 500, body: { message: `500: ${String(error)}`, code: RESTJSONErrorCodes.GeneralError } }
    }
  }

  #find(method: string, path: string): { route: Route; parameters: Record<string, string> } | undefined {
    for (const route of this.#options.routes) {
      const match = route.method === method ? route.pattern.exec(path) : null
      if (match !== null) return { route, parameters: match.groups ?? {} }
    }
    return undefined
  }

  #reply(response: ServerResponse, { status, body, headers }: RestReply): void {
    this.#options.ledger.rest(String(status))
    // A 204 that names a content type makes clients parse a body that is not there.
    if (body === undefined) response.writeHead(status, headers).end()
    else response.writeHead(status, { ...headers, 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
