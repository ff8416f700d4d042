import type { HealthCheck } from '../check-result.js'
import { requireKnown } from '../options.js'

/** What {@link httpCheck} asks, and takes for an answer. */
export interface HttpCheckOptions {
  /**
   * The one HTTP status, 100 to 599, that means up. Without it, every status from 200 to 299 does. With one from 300 to
   * 399, redirects are not followed.
   */
  readonly expectStatus?: number
  /** Headers to send, an authorization for instance. They appear in no message, and not at another host. */
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * Asks a service over HTTP (`GET`) and looks at the status of its answer. The body is not read.
 *
 * @remarks
 * Redirects are followed; where they led to another host, the reason says so: a page to log in at answers well, whatever
 * became of the service.
 *
 * *Gotchas*: `fetch` refuses ports that belong to other protocols, 6000 and 10080 for instance: there it is down with
 * `bad port`.
 *
 * @param url - an http or https address; a user name or password in it is refused, because it would end up in messages
 * @param options - what to send, and what counts as up
 * @returns the check
 * @throws TypeError when the address is none, a header is not valid, or an option does not exist
 * @throws RangeError when `expectStatus` is not an HTTP status
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { httpCheck, HealthMonitor } from '@evenkeel/health-monitor'
 *
 * const server = createServer((_request, response) => response.writeHead(503).end())
 * await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
 * const { port } = server.address() as { port: number }
 *
 * const health = new HealthMonitor({ checks: { translate: { check: httpCheck(`http://127.0.0.1:${port}/`) } } })
 * const { status, reason } = await health.check('translate')
 * console.log(status, reason) // => down 127.0.0.1 answered 503
 * server.close()
 * ```
 */
export function httpCheck(url: string | URL, options: HttpCheckOptions = {}): HealthCheck {
  requireKnown('httpCheck', options, ['expectStatus', 'headers'])
  const { expectStatus, headers } = options
  const address = parse(url)
  if (expectStatus !== undefined && !(Number.isInteger(expectStatus) && expectStatus >= 100 && expectStatus <= 599)) {
    throw new RangeError(`httpCheck: expectStatus must be an HTTP status from 100 to 599, not ${expectStatus}`)
  }
  const sent = toHeaders(headers)
  const isRedirect = expectStatus !== undefined && expectStatus >= 300 && expectStatus < 400
  return async (signal) => {
    const response = await fetch(address, { signal, headers: sent, redirect: isRedirect ? 'manual' : 'follow' })
    // An unread body would hold its connection.
    await response.body?.cancel()
    const isExpected = expectStatus === undefined ? response.ok : response.status === expectStatus
    const { host } = new URL(response.url || address)
    const by = host === address.host ? '' : ` by way of ${host}`
    const reason = `${address.hostname} answered ${response.status}${by}`
    if (isExpected) return { status: 'up', reason }
    return { status: 'down', reason: expectStatus === undefined ? reason : `${reason} instead of ${expectStatus}` }
  }
}

function toHeaders(headers: Readonly<Record<string, string>> | undefined): Headers {
  let sent: Headers
  try {
    sent = new Headers(headers)
  } catch {
    // Its message would repeat the value, which may be secret.
    throw new TypeError('httpCheck: headers must be names and values as HTTP allows them')
  }
  if (!sent.has('cache-control')) sent.set('cache-control', 'no-cache')
  return sent
}

function parse(url: string | URL): URL {
  let address: URL
  try {
    address = new URL(url)
  } catch (error) {
    throw new TypeError('httpCheck: give a complete address, such as https://example.com/health', { cause: error })
  }
  if (address.protocol !== 'http:' && address.protocol !== 'https:') {
    throw new TypeError(`httpCheck: the address must begin with http: or https:, not ${address.protocol}`)
  }
  if (address.username !== '' || address.password !== '') {
    throw new TypeError('httpCheck: the address must not contain a user name or password')
  }
  return address
}
