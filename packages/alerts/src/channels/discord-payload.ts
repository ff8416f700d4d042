import type { AlertMessage, AlertNotice, Severity } from '../alert.js'
import { digestOf } from '../digest.js'
import { escapeWithin, plainText } from '../text.js'
import { headline, subjectOf } from '../wording.js'

/** What Discord takes in one message: https://discord.com/developers/docs/resources/message#embed-object-embed-limits */
export const DISCORD_LIMITS = {
  embeds: 10,
  /** Of titles, descriptions, fields and footers of all embeds together. */
  characters: 6_000,
  title: 256,
  description: 4_096,
  fields: 25,
  fieldName: 256,
  fieldValue: 1_024,
  footer: 2_048,
} as const

/** A label of an alert, beside its text. */
export interface DiscordField {
  /** The label. */
  readonly name: string
  /** Its value. */
  readonly value: string
  /** Whether others may stand beside it. */
  readonly inline: boolean
}

/** One alert. */
export interface DiscordEmbed {
  /** What happened. */
  readonly title: string
  /** The message. */
  readonly description: string
  /** The colour of its edge, 0xRRGGBB. */
  readonly color: number
  /** When, as Discord wants it. */
  readonly timestamp: string
  /** The labels. */
  readonly fields: readonly DiscordField[]
  /** The idempotency key, for people who wonder whether they saw it before. */
  readonly footer: {
    /** The key. */
    readonly text: string
  }
}

/** The body of a request to a Discord webhook. */
export interface DiscordPayload {
  /** Nobody is ever mentioned, whatever the text says. */
  readonly allowed_mentions: {
    /** No kind of mention. */
    readonly parse: readonly never[]
  }
  /** The alerts. */
  readonly embeds: readonly DiscordEmbed[]
}

const COLOURS: Readonly<Record<Severity | 'resolved', number>> = {
  INFO: 0x3498db,
  WARNING: 0xf1c40f,
  CRITICAL: 0xe74c3c,
  resolved: 0x2ecc71,
}

/** Labels get no more than this share of an embed, so that the message comes first. */
const LABEL_RATIO = 0.4

/** What Discord is sent: an embed for each notice, or one with a line for each alert. */
export function discordPayload(message: AlertMessage): DiscordPayload {
  const embeds = message.isDigest ? [digestEmbed(message)] : message.notices.map((notice) => embedOf(message, notice))
  return { allowed_mentions: { parse: [] }, embeds }
}

function embedOf(message: AlertMessage, notice: AlertNotice): DiscordEmbed {
  const footer = footerOf(message)
  // Each of them gets the same share.
  let room = Math.floor(DISCORD_LIMITS.characters / message.notices.length) - footer.text.length
  const title = escaped(headline(notice), Math.min(DISCORD_LIMITS.title, room))
  room -= title.length
  const fields = fieldsOf(notice, Math.floor(room * LABEL_RATIO))
  for (const { name, value } of fields) room -= name.length + value.length
  const description = escaped(plainText(notice.message), Math.min(DISCORD_LIMITS.description, room))
  const color = COLOURS[notice.kind === 'resolved' ? 'resolved' : notice.severity]
  return { title, description, color, timestamp: new Date(notice.at).toISOString(), fields, footer }
}

function digestEmbed(message: AlertMessage): DiscordEmbed {
  const digest = digestOf(message)
  const lines = digest.lines.map(({ notice, times }) => {
    const often = times > 1 ? ` (×${times})` : ''
    return escaped(`${headline(notice)}${often}: ${notice.message.replaceAll('\n', ' ')}`, DIGEST_LINE)
  })
  if (digest.moreAlerts > 0) lines.push(`and ${digest.moreAlerts} more alerts`)
  return {
    title: escaped(subjectOf(message, digest), DISCORD_LIMITS.title),
    description: lines.join('\n'),
    color: COLOURS[message.severity],
    timestamp: new Date(message.at).toISOString(),
    fields: [],
    footer: footerOf(message),
  }
}

/** Twenty of them, and what is around them, stay below the limit of a description. */
const DIGEST_LINE = 195

function fieldsOf({ labels }: AlertNotice, characters: number): DiscordField[] {
  const fields: DiscordField[] = []
  let room = characters
  for (const [label, text] of Object.entries(labels).slice(0, DISCORD_LIMITS.fields)) {
    // Discord refuses an empty one.
    const name = escaped(label, DISCORD_LIMITS.fieldName) || '\u200b'
    const value = escaped(text, DISCORD_LIMITS.fieldValue) || '\u200b'
    room -= name.length + value.length
    if (room < 0) break
    fields.push({ name, value, inline: true })
  }
  return fields
}

function footerOf({ id }: AlertMessage): { text: string } {
  return { text: id }
}

function escaped(text: string, length: number): string {
  return escapeWithin(text, Math.max(0, length), escapeForDiscord)
}

/**
 * Discord shows a punctuation character after a backslash as it is, so no text can become bold, a link, a quote or
 * code. A mention needs its `@`, `<` or `#`; behind the first an invisible character stands, since names are sought without `<`.
 */
function escapeForDiscord(character: string): string {
  if (character === '@') return '@\u200b'
  return /[\\*_~`|>#<:[\]()\-+.!]/.test(character) ? `\\${character}` : character
}
