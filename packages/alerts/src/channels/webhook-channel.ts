import type { AlertMessage } from '../alert.js'
import type { Clock } from '../ports.js'
import { secretsOfUrl } from '../redact.js'
import { systemClock } from '../system-clock.js'
import { type Channel, type ChannelOptions, channelOptionsOf, requireChannelOptions } from './channel.js'
import { parseAddress, postJson, requireAccepted } from './http-post.js'
import { retryAfterInBodyMs } from './retry-after.js'
import { sign } from './signature.js'

/** How {@link webhookChannel} sends. */
export interface WebhookChannelOptions extends ChannelOptions {
  /** Where to. Without a user name or password in it; it may contain a token, and is never shown. */
  readonly url: string | URL
  /** Signs each request, so that the receiver can tell it from a forged one; see {@link verifyWebhook}. */
  readonly secret?: string
  /** More headers, such as `authorization`. Their values are never shown. */
  readonly headers?: Readonly<Record<string, string>>
  /** The clock to sign by; the machine's unless a test brings another. */
  readonly clock?: Clock
}

/** The body of a request of {@link webhookChannel}. */
export interface WebhookPayload extends AlertMessage {
  /** The version of this format. */
  readonly version: 1
}

/** The most notices in one request. */
const MAX_NOTICES = 100

/**
 * Sends alerts as JSON, `{ version, id, at, severity, isDigest, notices }`, by `POST`.
 *
 * @remarks
 * The header `idempotency-key` holds the message's `id`. A request that is repeated, after a crash too, has the same.
 * 2xx means taken. 429 and 5xx are tried again, after `Retry-After` when there is one. 400, 413 and 422 mean that
 * this message is not wanted; any other 4xx, and a redirect, that the channel is out of order.
 *
 * @param options - where to, and the secret to sign with
 * @returns the channel
 * @throws TypeError when the address is none, or an option does not exist
 *
 * @example
 * ```ts
 * import { once } from 'node:events'
 * import { createServer } from 'node:http'
 * import { Alerts, verifyWebhook, webhookChannel } from '@evenkeel/alerts'
 *
 * const secret = 'known to both sides'
 * const receiver = createServer(async (request, response) => {
 *   const body = Buffer.concat(await request.toArray())
 *   console.log(verifyWebhook({ secret, body, headers: request.headers })) // => true
 *   response.end()
 * }).listen(0, '127.0.0.1')
 * await once(receiver, 'listening')
 * const { port } = receiver.address() as { port: number }
 *
 * const url = `http://127.0.0.1:${port}/alerts`
 * const alerts = new Alerts({ channels: { hook: webhookChannel({ url, secret }) }, path: false })
 * await alerts.start()
 * alerts.fire({ name: 'database down', severity: 'CRITICAL', message: 'connection refused' })
 * await alerts.flush()
 * await alerts.stop()
 * receiver.close()
 * receiver.closeAllConnections()
 * ```
 */
export function webhookChannel(options: WebhookChannelOptions): Channel {
  requireChannelOptions('webhookChannel', options, ['url', 'secret', 'headers', 'clock'])
  const { secret, headers = {}, clock = systemClock } = options
  const url = parseAddress('webhookChannel', options.url)
  if (secret !== undefined && (typeof secret !== 'string' || secret === '')) {
    throw new TypeError('webhookChannel: secret must be a string that is not empty')
  }
  requireHeaders(headers)
  return {
    options: { maxPerMinute: 60, ...channelOptionsOf('webhookChannel', options) },
    maxNotices: MAX_NOTICES,
    secrets: () => [...secretsOfUrl(url), ...(secret === undefined ? [] : [secret]), ...Object.values(headers)],
    async send(message, signal) {
      const payload: WebhookPayload = { version: 1, ...message }
      const body = JSON.stringify(payload)
      const signature = secret === undefined ? {} : sign(secret, body, clock.now())
      const all = { ...headers, 'idempotency-key': message.id, ...signature }
      const answer = await postJson(url, body, all, signal)
      requireAccepted(url, answer, clock.now(), answer.status === 429 ? retryAfterInBodyMs(answer.body) : undefined)
    },
  }
}

/** What is wrong is told without their values. */
function requireHeaders(headers: unknown): void {
  try {
    new Headers(headers as Record<string, string>)
  } catch {
    throw new TypeError('webhookChannel: headers must be names with values that HTTP allows, without line breaks')
  }
}
