import type { Clock } from '../ports.js'
import { secretsOfUrl } from '../redact.js'
import { systemClock } from '../system-clock.js'
import { type Channel, type ChannelOptions, channelOptionsOf, requireChannelOptions } from './channel.js'
import { DISCORD_LIMITS, discordPayload } from './discord-payload.js'
import { parseAddress, postJson, requireAccepted } from './http-post.js'
import { retryAfterInBodyMs } from './retry-after.js'

/** How {@link discordChannel} sends. */
export interface DiscordChannelOptions extends ChannelOptions {
  /** The webhook's address, from the channel's settings. Whoever knows it can write there: it is never shown. */
  readonly url: string | URL
  /** The clock for dates in answers; the machine's unless a test brings another. */
  readonly clock?: Clock
}

/** Discord takes five requests in two seconds from a webhook. */
const MIN_GAP_MS = 400

/**
 * Writes to a Discord channel through a webhook: an embed for each alert, ten at most, or a digest of more.
 *
 * @remarks
 * Nobody is mentioned, and text of an alert is shown as it is, never as Markdown. What Discord asks for is honoured:
 * `retry_after` of a 429, and `X-RateLimit-Reset-After` when no request is left.
 *
 * *Gotchas*: Discord has no idempotency key for webhooks. A message whose answer was lost is there twice; the key in
 * the footer is the same.
 *
 * @param options - the webhook's address
 * @returns the channel
 * @throws TypeError when the address is none, or an option does not exist
 *
 * @example
 * ```ts
 * import { Alerts, discordChannel } from '@evenkeel/alerts'
 *
 * const url = process.env['ALERT_WEBHOOK'] ?? 'https://discord.com/api/webhooks/1/token'
 * const alerts = new Alerts({ channels: { ops: discordChannel({ url }) }, path: 'data/alerts' })
 * console.log(alerts.components.get('ops')?.status) // => unknown
 * ```
 */
export function discordChannel(options: DiscordChannelOptions): Channel {
  requireChannelOptions('discordChannel', options, ['url', 'clock'])
  const { clock = systemClock } = options
  const url = parseAddress('discordChannel', options.url)
  const secrets = secretsOfUrl(url)
  // Only then does an answer say whether the message is there.
  url.searchParams.set('wait', 'true')
  return {
    options: channelOptionsOf('discordChannel', options),
    maxNotices: DISCORD_LIMITS.embeds,
    digests: true,
    minGapMs: MIN_GAP_MS,
    secrets: () => secrets,
    async send(message, signal) {
      const body = JSON.stringify(discordPayload(message))
      const answer = await postJson(url, body, { 'idempotency-key': message.id }, signal)
      const { status, headers } = answer
      requireAccepted(url, answer, clock.now(), status === 429 ? retryAfterInBodyMs(answer.body) : undefined)
      const resetMs = Number(headers.get('x-ratelimit-reset-after')) * 1_000
      return headers.get('x-ratelimit-remaining') === '0' && resetMs > 0 ? { waitMs: resetMs } : undefined
    },
  }
}
