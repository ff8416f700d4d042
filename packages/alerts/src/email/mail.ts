import type { AlertMessage, AlertNotice } from '../alert.js'
import { digestOf } from '../digest.js'
import { oneLine, plainText, shorten } from '../text.js'
import { headline, subjectOf } from '../wording.js'
import type { Mail } from './ports.js'

/** A longer line of a mail is broken by some servers. */
const MAX_SUBJECT = 180

/** The mail that tells of a message. */
export function mailOf(message: AlertMessage, from: string, to: readonly string[], prefix: string): Mail {
  const digest = digestOf(message)
  const subject = shorten(oneLine(`${prefix} ${subjectOf(message, digest)}`), MAX_SUBJECT)
  const text = message.isDigest ? digestText(message) : message.notices.map(paragraph).join('\n\n')
  return {
    from,
    to,
    subject,
    text: `${text}\n\n-- \n${message.id}\n`,
    messageId: `<${message.id}@alerts.evenkeel>`,
    date: new Date(message.at),
    // No out-of-office reply, please (RFC 3834).
    headers: { 'idempotency-key': message.id, 'auto-submitted': 'auto-generated' },
    disableFileAccess: true,
    disableUrlAccess: true,
  }
}

function digestText(message: AlertMessage): string {
  const { lines, moreAlerts } = digestOf(message)
  const texts = lines.map(({ notice, times }) => {
    const often = times > 1 ? ` (×${times})` : ''
    return shorten(oneLine(`${headline(notice)}${often}: ${notice.message}`), 400)
  })
  return [...texts, ...(moreAlerts > 0 ? [`and ${moreAlerts} more alerts`] : [])].join('\n')
}

function paragraph(notice: AlertNotice): string {
  const labels = Object.entries(notice.labels).map(([label, value]) => `${label}: ${oneLine(value)}`)
  const at = new Date(notice.at).toISOString()
  return [oneLine(headline(notice)), plainText(notice.message), ...labels, at].join('\n')
}
