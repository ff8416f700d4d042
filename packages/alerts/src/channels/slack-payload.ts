import type { AlertMessage, AlertNotice } from '../alert.js'
import { digestOf } from '../digest.js'
import { escapeWithin, plainText } from '../text.js'
import { headline, subjectOf } from '../wording.js'

/** What Slack takes in one message: https://docs.slack.dev/reference/block-kit/blocks */
export const SLACK_LIMITS = { blocks: 50, text: 3_000, fields: 10, fieldText: 2_000 } as const

/** Text that Slack shows as it is, without formatting. */
export interface SlackText {
  /** No formatting. */
  readonly type: 'plain_text'
  /** The text, with `&`, `<` and `>` escaped. */
  readonly text: string
  /** Whether `:word:` becomes a picture. */
  readonly emoji: false
}

/** A part of a message. */
export type SlackBlock =
  | {
      /** A piece of text, with labels below it. */
      readonly type: 'section'
      /** The text. */
      readonly text: SlackText
      /** The labels. */
      readonly fields?: readonly SlackText[]
    }
  | {
      /** Small print. */
      readonly type: 'context'
      /** What it says. */
      readonly elements: readonly SlackText[]
    }

/** The body of a request to a Slack webhook. */
export interface SlackPayload {
  /** What a notification shows. */
  readonly text: string
  /** The alerts. */
  readonly blocks: readonly SlackBlock[]
  /** Nothing in `text` is formatting. */
  readonly mrkdwn: false
  /** Names do not become mentions. */
  readonly link_names: false
  /** No previews of what a text links to. */
  readonly unfurl_links: false
}

/** The most notices that fit: each is one block, and the last block is the small print. */
export const SLACK_MAX_NOTICES = 20

/** Twenty of them stay below the limit of a text. */
const DIGEST_LINE = 130

/** What Slack is sent: a block for each notice, or one with a line for each alert. */
export function slackPayload(message: AlertMessage): SlackPayload {
  const digest = digestOf(message)
  const body = message.isDigest
    ? [section([escaped(subjectOf(message, digest), 200), ...digestLines(message)].join('\n'))]
    : message.notices.map(blockOf)
  const small: SlackBlock = { type: 'context', elements: [plain(message.id)] }
  const text = escaped(subjectOf(message, digest), SLACK_LIMITS.text)
  return { text, blocks: [...body, small], mrkdwn: false, link_names: false, unfurl_links: false }
}

function digestLines(message: AlertMessage): string[] {
  const { lines, moreAlerts } = digestOf(message)
  const texts = lines.map(({ notice, times }) => {
    const often = times > 1 ? ` (×${times})` : ''
    return escaped(`${headline(notice)}${often}: ${notice.message.replaceAll('\n', ' ')}`, DIGEST_LINE)
  })
  return moreAlerts > 0 ? [...texts, `and ${moreAlerts} more alerts`] : texts
}

function blockOf(notice: AlertNotice): SlackBlock {
  const text = escaped(`${headline(notice)}\n${plainText(notice.message)}`, SLACK_LIMITS.text)
  const labels = Object.entries(notice.labels).slice(0, SLACK_LIMITS.fields)
  const fields = labels.map(([label, value]) => plain(escaped(`${label}: ${value}`, SLACK_LIMITS.fieldText)))
  return fields.length === 0 ? section(text) : { type: 'section', text: plain(text), fields }
}

function section(text: string): SlackBlock {
  return { type: 'section', text: plain(text) }
}

function plain(text: string): SlackText {
  return { type: 'plain_text', text, emoji: false }
}

function escaped(text: string, length: number): string {
  return escapeWithin(text, length, escapeForSlack)
}

/** These three begin and end whatever Slack does not show as it is, such as `<!channel>`. */
function escapeForSlack(character: string): string {
  if (character === '&') return '&amp;'
  if (character === '<') return '&lt;'
  return character === '>' ? '&gt;' : character
}
