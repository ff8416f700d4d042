import type { Clock } from '../ports.js'
import { secretsOfUrl } from '../redact.js'
import { systemClock } from '../system-clock.js'
import { type Channel, type ChannelOptions, channelOptionsOf, requireChannelOptions } from './channel.js'
import { parseAddress, postJson, requireAccepted } from './http-post.js'
import { SLACK_MAX_NOTICES, slackPayload } from './slack-payload.js'

/** How {@link slackChannel} sends. */
export interface SlackChannelOptions extends ChannelOptions {
  /** The incoming webhook's address. Whoever knows it can write there: it is never shown. */
  readonly url: string | URL
  /** The clock for dates in answers; the machine's unless a test brings another. */
  readonly clock?: Clock
}

/** Slack takes one message a second from a webhook. */
const MIN_GAP_MS = 1_000

/**
 * Writes to a Slack channel through an incoming webhook: a block for each alert, twenty at most, or a digest of more.
 *
 * @remarks
 * All text is plain: nobody is mentioned, and nothing of an alert is taken for formatting. `Retry-After` is honoured.
 *
 * *Gotchas*: Slack has no idempotency key for webhooks. A message whose answer was lost is there twice; the key below
 * it is the same.
 *
 * @param options - the webhook's address
 * @returns the channel
 * @throws TypeError when the address is none, or an option does not exist
 *
 * @example
 * ```ts
 * import { Alerts, slackChannel } from '@evenkeel/alerts'
 *
 * const url = process.env['SLACK_WEBHOOK'] ?? 'https://hooks.slack.com/services/T0/B0/token'
 * const ops = slackChannel({ url, filter: { severity: 'WARNING' } })
 * const alerts = new Alerts({ channels: { ops }, path: 'data/alerts' })
 * console.log(alerts.components.get('ops')?.status) // => unknown
 * ```
 */
export function slackChannel(options: SlackChannelOptions): Channel {
  requireChannelOptions('slackChannel', options, ['url', 'clock'])
  const { clock = systemClock } = options
  const url = parseAddress('slackChannel', options.url)
  return {
    options: channelOptionsOf('slackChannel', options),
    maxNotices: SLACK_MAX_NOTICES,
    digests: true,
    minGapMs: MIN_GAP_MS,
    secrets: () => secretsOfUrl(url),
    async send(message, signal) {
      const body = JSON.stringify(slackPayload(message))
      const answer = await postJson(url, body, { 'idempotency-key': message.id }, signal)
      requireAccepted(url, answer, clock.now())
    },
  }
}
