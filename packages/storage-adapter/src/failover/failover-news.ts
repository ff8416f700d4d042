import type { News, Severity } from '../events.js'
import type { Conflict, ConflictNews, Divergence, MirrorState, ReplayedNews } from './failover-state.js'

/** What the failover tells, in words. The time is added where it is told. */
type Untimed<T extends News> = Omit<T, 'at'>

export function switchNews(from: string, to: 'primary' | 'fallback', why: string, severity: Severity): Untimed<News> {
  return { what: 'storage', from, to, why, severity, message: `The storage serves from the ${to}: ${why}` }
}

export function mirrorNews(
  from: MirrorState['status'],
  to: MirrorState['status'],
  why: string,
  severity: Severity,
): Untimed<News> {
  return { what: 'mirror', from, to, why, severity, message: why }
}

export function replayedNews(replayed: number, conflicts: number, why: string): Untimed<ReplayedNews> {
  const message = `${replayed} batches were replayed to the primary; ${conflicts} became conflicts.`
  const severity = conflicts === 0 ? 'INFO' : 'CRITICAL'
  return { what: 'storage', from: 'fallback', to: 'primary', why, severity, message, replayed, conflicts }
}

/** So many records are named in a message; a person reads it in a chat. */
const MAX_NAMED = 5

export function conflictNews(conflict: Conflict): Untimed<ConflictNews> {
  const { changes } = conflict
  const named = changes.slice(0, MAX_NAMED).map(({ collection, key }) => JSON.stringify([collection, key]))
  const more = changes.length > MAX_NAMED ? [`${changes.length - MAX_NAMED} more`] : []
  const keys = [...named, ...more].join(', ')
  const { why } = conflict
  const message = `A batch that was acknowledged in the outage was not replayed, because ${why}: ${keys}. See conflicts().`
  return { what: 'storage', from: 'journal', to: 'conflict', why, severity: 'CRITICAL', message, conflict }
}

export function divergedNews({ kind, expected, found }: Omit<Divergence, 'since'>): Untimed<News> {
  const from = expected ?? 'none'
  const to = found ?? 'none'
  const why =
    kind === 'other store'
      ? `the primary has the id ${to}, but ${from} was left`
      : 'the primary lacks writes that it had acknowledged'
  const what = kind === 'other store' ? 'is another store' : 'has lost a part of its history'
  const message =
    `The primary that answers ${what}: ${why}. Nothing is replayed to it, and the fallback goes on serving; bring the ` +
    'right database back, or take this one as it is with acceptPrimary().'
  return { what: 'storage', from, to, why, severity: 'CRITICAL', message }
}

export function fencedNews(why: string): Untimed<News> {
  const message = `This process may not write any more: ${why}.`
  return { what: 'storage', from: 'writer', to: 'fenced', why, severity: 'CRITICAL', message }
}
