import { type AlertMessage, type AlertNotice, worse } from './alert.js'
import { type Channel, DEFAULT_MAX_NOTICES, DIGEST_NOTICES } from './channels/channel.js'
import { digestOf } from './digest.js'
import type { Composed, Ledger } from './ledger.js'

/** Which of the notices that wait go into the next message: those at the front that belong together. */
export function pick(
  ledger: Ledger,
  waiting: Iterable<string>,
  channel: Channel,
  groupBy: readonly string[],
): { readonly notices: readonly string[]; readonly isDigest: boolean } {
  const { maxNotices = DEFAULT_MAX_NOTICES, digests = false } = channel
  const most = digests ? Math.max(maxNotices, DIGEST_NOTICES) : maxNotices
  const notices: string[] = []
  let group: string | undefined
  for (const id of waiting) {
    const notice = ledger.pending.get(id)?.notice
    if (notice === undefined) continue
    group ??= groupOf(notice, groupBy)
    if (groupOf(notice, groupBy) !== group) continue
    notices.push(id)
    if (notices.length >= most) break
  }
  return { notices, isDigest: notices.length > maxNotices }
}

/** The message as channels take it; `undefined` when nothing of it is left to tell. */
export function messageOf(ledger: Ledger, { id, notices, isDigest, atMs }: Composed): AlertMessage | undefined {
  const known = notices.flatMap((notice) => ledger.pending.get(notice)?.notice ?? [])
  const [first, ...others] = known
  if (first === undefined) return undefined
  const severity = others.reduce((worst, notice) => worse(worst, notice.severity), first.severity)
  return { id, at: Math.round(atMs), severity, isDigest, notices: known }
}

/** What people have seen of a message that was taken, and what was only counted. */
export function seenOf(message: AlertMessage): {
  readonly delivered: readonly string[]
  readonly merged: readonly string[]
} {
  if (!message.isDigest) return { delivered: message.notices.map(({ id }) => id), merged: [] }
  const { shown, counted } = digestOf(message)
  return { delivered: shown, merged: counted }
}

function groupOf(notice: AlertNotice, groupBy: readonly string[]): string {
  if (groupBy.length === 0) return ''
  const { name, severity, labels } = notice
  const all: Readonly<Record<string, string>> = { ...labels, name, severity }
  return JSON.stringify(groupBy.map((label) => (Object.hasOwn(all, label) ? all[label] : null)))
}
